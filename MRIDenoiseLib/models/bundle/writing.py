"""Write a bundle: every component in float16, its card with the hash of every file, all or nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, DDIMScheduler
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, PreTrainedTokenizerBase

from MRIDenoiseLib.card import CARD
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.models.bundle import components
from MRIDenoiseLib.models.bundle import text as texts
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.description import describe
from MRIDenoiseLib.models.bundle.files import INDEX, PROMPTS, list_files, read_json, sha256, write_canonical_json
from MRIDenoiseLib.models.bundle.prompts import PromptEmbeddings, encode_prompt, encoder_hash
from MRIDenoiseLib.models.configs import parameter_count

ADDED = {"format", "files", "parameters", "trained_on", "measured"}
"""Keys of a card whose values are computed when it is written."""
_LOCAL_KEYS = ("_name_or_path", "name_or_path", "is_local", "local_files_only", "_commit_hash")
"""Where libraries note the folder that something was read from: it would reveal a path of the machine that wrote the bundle."""


def write_bundle(
    path: str | Path,
    *,
    networks: Mapping[str, nn.Module],
    text_encoder: CLIPTextModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    scheduler: DDIMScheduler,
    prompt_embeddings: Iterable[str] = (),
    card: dict[str, Any],
    measured: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle and return it as loaded from there. The networks passed in stay as they are.

    Args:
        path: the folder to make.
        networks: by their names in :data:`MRIDenoiseLib.models.networks.NETWORKS`; what is not required there may be missing.
        text_encoder: a CLIP text model, or one with a LoRA adapter, which is stored separately in ``text_encoder/lora``.
        tokenizer: the one of the text encoder; prompts are padded to its ``model_max_length``.
        scheduler: the forward process, with ``prediction_type="sample"``.
        prompt_embeddings: prompts whose embeddings are stored in the bundle.
        card: must hold ``default_method``; may hold ``default_settings`` and entries about training, use and limits. The account
            of the training goes whole into the evidence and as a summary into the card; :data:`ADDED` is added.
        measured: name -> numbers, as :func:`.description.describe` takes them.
        overwrite: replace an existing bundle.

    Raises:
        ValueError: the card already has a key that is added here, or a weight has no finite float16 value.
        BundleError: the components do not fit each other.
        OutputError: the folder cannot be written.
    """
    if reserved := ADDED & card.keys():
        raise ValueError(f"the card may not bring {sorted(reserved)} itself")
    with replacing(path, overwrite, is_ours=is_bundle) as folder:
        folder.mkdir()
        for name, network in networks.items():
            _write_network(folder / name, network)
        _write_text_encoder(folder, text_encoder)
        tokenizer.save_pretrained(folder / "tokenizer")
        scheduler.save_config(folder / "scheduler")
        kind = "CLIPTokenizer" if isinstance(tokenizer, CLIPTokenizer) else "PreTrainedTokenizerFast"
        classes = {name: type(network).__name__ for name, network in networks.items()}
        classes |= {"text_encoder": "CLIPTextModel", "tokenizer": kind, "scheduler": "DDIMScheduler"}
        write_canonical_json(folder / INDEX, components.index_of(classes))
        for name in list_files(folder):
            if name.endswith(".json"):
                _forget_where(folder, name)
        _write_prompts(folder, prompt_embeddings)
        files = {name: sha256(folder / name) for name in list_files(folder)}
        for name in files:
            # safetensors writes files that only their owner may read.
            (folder / name).chmod(0o644)
        parameters = {name: parameter_count(part) for name, part in {**networks, "text_encoder": text_encoder}.items()}
        describe(folder, {**card, "parameters": parameters, "files": files}, measured or {})
        Bundle.verify(folder)
    return Bundle.load(path)


def _write_network(folder: Path, network: nn.Module) -> None:
    assert isinstance(network, ConfigMixin)
    network.save_config(folder)
    _save_half(network.state_dict(), folder / components.NETWORK_WEIGHTS)


def _write_text_encoder(folder: Path, encoder: CLIPTextModel | PeftModel) -> None:
    base = encoder
    if isinstance(encoder, PeftModel):
        adapter = encoder.peft_config[encoder.active_adapter]
        adapter.save_pretrained(folder / texts.LORA)
        _save_half(get_peft_model_state_dict(encoder), folder / texts.LORA_WEIGHTS)
        base = copy.deepcopy(encoder).unload()
    own = folder / "text_encoder"
    own.mkdir(exist_ok=True)
    base.config.save_pretrained(own)
    _save_half(base.state_dict(), own / texts.TEXT_WEIGHTS)


def _save_half(weights: dict[str, Tensor], path: Path) -> None:
    halves = {name: weight.detach().cpu().to(torch.float16).contiguous() for name, weight in weights.items()}
    for name, weight in halves.items():
        if not torch.isfinite(weight).all():
            raise ValueError(f"{path.parent.name}: the weight {name!r} has no finite value in float16; training went astray")
    save_file(halves, path, metadata={"format": "pt"})


def _forget_where(folder: Path, name: str) -> None:
    content = read_json(folder, name)
    kept = {key: value for key, value in content.items() if key not in _LOCAL_KEYS}
    if "base_model_name_or_path" in kept:
        kept["base_model_name_or_path"] = None
    if kept != content:
        write_canonical_json(folder / name, kept)


def _write_prompts(folder: Path, prompts: Iterable[str]) -> None:
    """Embed the prompts with the files just written, so that the embeddings are those that the bundle's own encoder would give."""
    unique = sorted(set(prompts))
    if not unique:
        return
    tokenizer, encoder = texts.load_tokenizer(folder), texts.load_text_encoder(folder)
    known = {prompt: encode_prompt(tokenizer, encoder, prompt) for prompt in unique}
    files = {name: sha256(folder / name) for name in list_files(folder)}
    PromptEmbeddings(known).save(folder / PROMPTS, encoder_hash(files))


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle, whole or not, so that it may be replaced by another."""
    return (folder / CARD).is_file() and (folder / INDEX).is_file()
