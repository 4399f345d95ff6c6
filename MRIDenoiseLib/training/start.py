"""What a run starts from: random networks, random networks beside a trained text tower, or the networks of a bundle."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from MRIDenoiseLib.card import CARD
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.methods import needed
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.components import NETWORKS as KINDS
from MRIDenoiseLib.models.configs import CONFIGS, Networks, build_networks
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.models.text_encoder import load_text_tower
from MRIDenoiseLib.training.grow import grow
from MRIDenoiseLib.training.recipe import Recipe

NETWORKS = ("noise_estimator", "restoration", "denoiser", "degradation", "flow")
TextTower = tuple[PreTrainedTokenizerBase, CLIPTextModel]


@dataclass(frozen=True)
class Start:
    """Networks to train, where they come from, and what has to be kept to begin there again.

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


def begin_anew(recipe: Recipe) -> Start:
    """Random weights that follow from the recipe's seed, text encoder included."""
    return Start(_random(recipe, None), {})


def begin_from_bundle(folder: Path, recipe: Recipe | None = None) -> Start:
    """The networks of a bundle, with their own sizes unless the recipe makes them grow.

    Args:
        folder: of the bundle.
        recipe: networks that it trains afresh, and a flow that it trains where the bundle has none, are put in with random
            weights that follow from its seed: nothing in the others has to know of them. Where it says ``grow``, the restoration
            network is made as wide as its ``config``; new weights follow from its seed, too.

    Raises:
        BundleError: the folder holds no whole bundle.
        SettingsError: the restoration network cannot grow into what the recipe asks for.
    """
    bundle = Bundle.load(folder)
    text_encoder = bundle.text_encoder.merge_and_unload() if isinstance(bundle.text_encoder, PeftModel) else bundle.text_encoder
    networks = Networks(
        bundle.denoiser,
        bundle.degradation,
        bundle.restoration,
        text_encoder,
        bundle.tokenizer,
        bundle.scheduler,
        bundle.noise_estimator,
        bundle.flow,
    )
    for stage in recipe.stages if recipe is not None else ():
        if stage.afresh or (stage.network == "flow" and networks.flow is None):
            assert recipe is not None
            setattr(networks, stage.network, _afresh(recipe, stage.network, text_encoder.config.hidden_size))
    if recipe is not None and recipe.grow:
        networks.restoration = _grown(networks, recipe)
    for network in (getattr(networks, name) for name in NETWORKS):
        if network is not None:
            network.requires_grad_(True)
    return Start(networks, {"bundle": str(bundle.card.get("name", "unnamed")), "hash": bundle.hash}, bundle=folder)


def _grown(networks: Networks, recipe: Recipe) -> NBNet:
    if networks.restoration is None:
        raise SettingsError("the recipe makes the restoration network grow, but the model it starts from has none")
    wanted = CONFIGS[recipe.config]().restoration | {"text_dim": networks.text_encoder.config.hidden_size}
    torch.manual_seed(recipe.seed)
    return grow(networks.restoration, wanted)


def begin_with_tower(recipe: Recipe, path_or_id: str, revision: str | None) -> Start:
    """Random image networks that follow from the recipe's seed, beside a trained text encoder.

    Args:
        recipe: says how large the networks are.
        path_or_id: see :func:`MRIDenoiseLib.models.text_encoder.load_text_tower`.
        revision: likewise.

    Raises:
        SettingsError: there is no text encoder, or it does not fit the networks.
    """
    tower = load_text_tower(path_or_id, revision)
    # Where on this machine a folder lies is nobody's business; its weights tell which one it was.
    source = "a local folder" if Path(path_or_id).is_dir() else f"{path_or_id}, revision {revision}"
    return Start(_random(recipe, tower), {"text_encoder": source, "hash": _hash(tower[1])}, tower=tower)


def begin_as_kept(recipe: Recipe, folder: Path) -> Start:
    """What :meth:`Start.keep` kept in ``folder``; random weights where it kept nothing."""
    if not folder.is_dir():
        return begin_anew(recipe)
    if (folder / CARD).is_file():
        return begin_from_bundle(folder, recipe)
    return begin_with_tower(recipe, str(folder), None)


def check_plan(recipe: Recipe, start: Start) -> None:
    """Refuse a recipe that cannot be carried out from there, before anything is trained.

    Raises:
        SettingsError: a network that is not there is to be trained or used, or words would be lost.
    """
    present = [name for name in NETWORKS if getattr(start.networks, name) is not None]
    staged = [stage.network for stage in recipe.stages]
    for name in staged:
        if name not in present:
            raise SettingsError(f"the recipe trains the {name} network, but the model it starts from has none")
    informed = bool(start.networks.denoiser.config.informed)
    for network in needed(recipe.method, informed=informed):
        if network not in present:
            raise SettingsError(f"the recipe's method is {recipe.method}, but the model it starts from has no {network} network")
    if "flow" in staged and "restoration" not in present:
        raise SettingsError("the flow learns from the answers of the restoration network, but the model it starts from has none")
    if start.bundle is not None and "flow" in present and "restoration" in staged and "flow" not in staged:
        raise SettingsError(
            "the model's flow learned from the answers of its restoration network: a recipe that trains that network must train the "
            "flow after it"
        )
    if informed:
        _check_informed(start, staged)
    # Real pairs come with the noise level that inference measures without an estimator; simulated ones with the true one.
    if "noise_estimator" not in present and recipe.records < 1:
        raise SettingsError("the model it starts from has no noise estimator: it can learn from real pairs alone (records: 1)")
    if start.bundle is None and "noise_estimator" not in staged:
        raise SettingsError("the noise estimator starts from nothing: let the first stage train it (network: noise_estimator)")
    readers = [stage for stage in recipe.stages if stage.network != "noise_estimator"]
    text = readers[0].text if readers else "frozen"
    if start.bundle is not None and text != "frozen" and {*staged, "noise_estimator"} != {*present, "noise_estimator"}:
        raise SettingsError(
            f"a recipe that trains a model's text encoder must train all its networks ({', '.join(present)}), "
            "or those left out lose its words; set text: frozen, or add the stages"
        )
    if start.bundle is None and start.tower is None and readers and text != "whole":
        raise SettingsError(
            "the text encoder starts from nothing: set text: whole in the first stage, or name a trained one with --text-encoder "
            "or a model with --from-bundle"
        )


def _check_informed(start: Start, staged: Sequence[str]) -> None:
    """Refuse to train an informed denoiser beside another restoration network than it will have."""
    if "restoration" not in staged:
        return
    if "denoiser" in staged and staged.index("denoiser") < staged.index("restoration"):
        raise SettingsError("the stage of an informed denoiser comes after that of the restoration: it starts from its answers")
    if start.bundle is not None and "denoiser" not in staged:
        raise SettingsError(
            "the model's denoiser starts from the answers of its restoration network: a recipe that trains that network must train "
            "the denoiser after it"
        )


def _random(recipe: Recipe, tower: TextTower | None) -> Networks:
    torch.manual_seed(recipe.seed)
    networks = build_networks(CONFIGS[recipe.config](), tower)
    if "flow" not in (stage.network for stage in recipe.stages):
        # It would stand still and sharpen nothing.
        networks.flow = None
    return networks


def _afresh(recipe: Recipe, name: str, text_width: int) -> nn.Module:
    """A network of the recipe's sizes that reads the texts of a model that is there already."""
    torch.manual_seed(recipe.seed)
    reads = {} if name == "noise_estimator" else {"text_dim": text_width}
    return KINDS[name](**getattr(CONFIGS[recipe.config](), name) | reads)


def _hash(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _is_start(folder: Path) -> bool:
    return (folder / CARD).is_file() or (folder / "text_encoder").is_dir()
