"""What a run starts from: random networks, random networks with a trained text encoder, or the networks of a bundle."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from MRIDenoiseLib.card import CARD
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.configs import CONFIGS, ModelConfig, Networks, build_networks
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.models.networks import NETWORKS, needed
from MRIDenoiseLib.models.text_encoder import load_text_tower
from MRIDenoiseLib.training.grow import grow
from MRIDenoiseLib.training.recipe import Recipe

TextTower = tuple[PreTrainedTokenizerBase, CLIPTextModel]


@dataclass(frozen=True)
class Start:
    """Networks to train, where they come from, and what has to be stored to start there again.

    Args:
        networks: on the CPU, every weight of the image networks trainable.
        origin: for the run's account and the card: nothing, a bundle's name and hash, or a text tower's source and hash.
        bundle: the bundle's folder, where they come from one.
        tower: the text tower, where there is one.
    """

    networks: Networks
    origin: dict[str, str]
    bundle: Path | None = None
    tower: TextTower | None = None

    def keep(self, folder: Path) -> None:
        """Write what random numbers cannot make again to a folder; nothing where that is nothing.

        Raises:
            OutputError: the folder cannot be written.
        """
        if self.bundle is None and self.tower is None:
            return
        with replacing(folder, overwrite=True, is_ours=_is_start) as temporary:
            if self.bundle is not None:
                shutil.copytree(self.bundle, temporary)
            elif self.tower is not None:
                tokenizer, encoder = self.tower
                tokenizer.save_pretrained(temporary / "tokenizer")
                encoder.save_pretrained(temporary / "text_encoder")


def begin_at_random(recipe: Recipe) -> Start:
    """Random weights that follow from the recipe's seed, text encoder included."""
    return Start(_random(recipe, None), {})


def begin_from_bundle(folder: Path, recipe: Recipe | None = None) -> Start:
    """The networks of a bundle, with their own sizes unless the recipe makes them grow.

    Args:
        folder: of the bundle.
        recipe: networks that it trains afresh are put in with random weights that follow from its seed, and so are those that the
            bundle lacks and that work on the answers of others: nothing in the others depends on them. With
            ``grow``, the restoration network is made as wide as its ``config``; new weights follow from its seed, too.

    Raises:
        BundleError: the folder holds no whole bundle.
        SettingsError: the restoration network cannot grow into what the recipe requires.
    """
    bundle = Bundle.load(folder)
    text_encoder = bundle.text_encoder.merge_and_unload() if isinstance(bundle.text_encoder, PeftModel) else bundle.text_encoder
    found = {name: network for name in NETWORKS if (network := bundle.network(name)) is not None}
    networks = Networks(found, text_encoder, bundle.tokenizer, bundle.scheduler)
    if recipe is not None:
        sizes = replace(CONFIGS[recipe.config](), text_width=text_encoder.config.hidden_size)
        for stage in recipe.stages:
            if stage.afresh or (NETWORKS[stage.network].learns_from and stage.network not in networks):
                torch.manual_seed(recipe.seed)
                networks[stage.network] = sizes.build(stage.network)
        if recipe.grow:
            torch.manual_seed(recipe.seed)
            networks["restoration"] = _grown(networks, sizes)
    for network in networks.values():
        network.requires_grad_(True)
    return Start(networks, {"bundle": str(bundle.card.get("name", "unnamed")), "hash": bundle.hash}, bundle=folder)


def _grown(networks: Networks, sizes: ModelConfig) -> NBNet:
    network = networks.get("restoration")
    if network is None:
        raise SettingsError("the recipe makes the restoration network grow, but the model it starts from has none")
    assert isinstance(network, NBNet)
    return grow(network, sizes.arguments("restoration"))


def begin_with_tower(recipe: Recipe, path_or_id: str, revision: str | None) -> Start:
    """Random image networks that follow from the recipe's seed, with a trained text encoder.

    Args:
        recipe: gives the sizes of the networks.
        path_or_id: see :func:`MRIDenoiseLib.models.text_encoder.load_text_tower`.
        revision: likewise.

    Raises:
        SettingsError: there is no text encoder, or it does not fit the networks.
    """
    tower = load_text_tower(path_or_id, revision)
    # The folder's path on this machine is private; its weights identify it.
    source = "a local folder" if Path(path_or_id).is_dir() else f"{path_or_id}, revision {revision}"
    return Start(_random(recipe, tower), {"text_encoder": source, "hash": _hash(tower[1])}, tower=tower)


def begin_as_kept(recipe: Recipe, folder: Path) -> Start:
    """What :meth:`Start.keep` kept in ``folder``; random weights where it kept nothing."""
    if not folder.is_dir():
        return begin_at_random(recipe)
    if (folder / CARD).is_file():
        return begin_from_bundle(folder, recipe)
    return begin_with_tower(recipe, str(folder), None)


def check_plan(recipe: Recipe, start: Start) -> None:
    """Refuse a recipe that cannot be carried out from there, before anything is trained.

    Raises:
        SettingsError: a network that is not there is to be trained or used, or words would be lost.
    """
    present = list(start.networks)
    staged = [stage.network for stage in recipe.stages]
    for name in staged:
        if name not in present:
            raise SettingsError(f"the recipe trains the {name} network, but the model it starts from has none")
    denoiser: Any = start.networks["denoiser"]
    for network in needed(recipe.method, informed=bool(denoiser.config.informed)):
        if network not in present:
            raise SettingsError(f"the recipe's method is {recipe.method}, but the model it starts from has no {network} network")
    for name in present:
        _check_order(start, name, staged)
    # Real pairs come with the noise level that inference measures without an estimator; simulated ones with the true one.
    if "noise_estimator" not in present and recipe.records < 1:
        raise SettingsError("the model it starts from has no noise estimator: it can learn from real pairs alone (records: 1)")
    if start.bundle is None and "noise_estimator" not in staged:
        raise SettingsError("the noise estimator starts from nothing: let the first stage train it (network: noise_estimator)")
    readers = [stage for stage in recipe.stages if stage.reads_text]
    text = readers[0].text if readers else "frozen"
    reading = [name for name in present if NETWORKS[name].reads_text]
    if start.bundle is not None and text != "frozen" and {*reading} != {stage.network for stage in readers}:
        raise SettingsError(
            f"a recipe that trains a model's text encoder must train all its networks that read texts ({', '.join(reading)}), "
            "or those left out lose its words; set text: frozen, or add the stages"
        )
    if start.bundle is None and start.tower is None and readers and text != "whole":
        raise SettingsError(
            "the text encoder starts from nothing: set text: whole in the first stage, or name a trained one with --text-encoder "
            "or a model with --from-bundle"
        )


def _check_order(start: Start, name: str, staged: Sequence[str]) -> None:
    """Refuse to train a network before, or together with, those whose answers it works on."""
    for other in start.networks.builds_on(name):
        if name in staged and other not in start.networks:
            raise SettingsError(f"the {name} starts from the answers of the {other} network, but the model it starts from has none")
        if other not in staged:
            continue
        if name in staged and staged.index(name) < staged.index(other):
            raise SettingsError(f"the stage of the {name} comes after that of the {other}: it starts from its answers")
        if name not in staged and start.bundle is not None:
            raise SettingsError(
                f"the model's {name} starts from the answers of its {other} network: a recipe that trains that network must train the "
                f"{name} after it"
            )


def _random(recipe: Recipe, tower: TextTower | None) -> Networks:
    torch.manual_seed(recipe.seed)
    networks = build_networks(CONFIGS[recipe.config](), tower)
    staged = [stage.network for stage in recipe.stages]
    for name in [name for name in networks if NETWORKS[name].learns_from and name not in staged]:
        # Untrained it would add nothing to the answers that it works on.
        del networks[name]
    return networks


def _hash(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _is_start(folder: Path) -> bool:
    return (folder / CARD).is_file() or (folder / "text_encoder").is_dir()
