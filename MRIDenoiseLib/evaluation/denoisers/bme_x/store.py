"""BME-X on disk: ``config.json``, float16 weights, and a card with the hash of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from MRIDenoiseLib.card import CARD, ROOT
from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import BmeX
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.models.bundle.files import list_files, read_json, sha256, write_canonical_json

FORMAT = "mridenoise-peer/1"
CONFIG = "config.json"
WEIGHTS = "bme_x.safetensors"
FILES = (CONFIG, WEIGHTS)
CONFIG_NAMES = ("slices", "fine", "coarse")
"""What decides the network, see :class:`.network.BmeX`."""
FOLDER = ROOT / "Resources" / "Models" / "peers" / "bme_x"
"""Where the weights trained for this program's comparisons lie."""


def save(bme_x: BmeX, folder: Path, card: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write a trained network with its card. The running statistics keep their precision; all else becomes float16.

    Args:
        bme_x: the network.
        folder: to make.
        card: what there is to say; ``format`` and ``files`` are added.
        overwrite: replace such a folder that is there.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    state = {name: value for name, value in bme_x.state_dict().items() if not name.endswith("num_batches_tracked")}
    stored = {name: value.contiguous().cpu().to(torch.float32 if "running_" in name else torch.float16) for name, value in state.items()}
    with replacing(folder, overwrite, lambda old: {path.name for path in old.iterdir()} <= {CARD, *FILES}) as temporary:
        temporary.mkdir()
        write_canonical_json(temporary / CONFIG, {name: bme_x.config[name] for name in CONFIG_NAMES})
        save_file(stored, temporary / WEIGHTS)
        hashes = {name: sha256(temporary / name) for name in FILES}
        write_canonical_json(temporary / CARD, {**card, "format": FORMAT, "files": hashes})


def load(folder: Path = FOLDER) -> BmeX:
    """A trained network, float32, for use and not for training.

    Args:
        folder: what :func:`save` wrote.

    Raises:
        BundleError: it is not there, or a file is not what the card says.
    """
    if not (folder / CARD).is_file():
        raise BundleError(
            f"BME-X takes no part without its weights, which are not at {folder}; get the whole repository, or train them "
            "with scripts/train_bme_x.py."
        )
    card = read_json(folder, CARD)
    if card.get("format") != FORMAT or not isinstance(card.get("files"), dict) or sorted(card["files"]) != sorted(FILES):
        raise BundleError(f"{folder}: card.json does not belong to this program's BME-X; get the folder again.")
    if sorted(list_files(folder)) != sorted((CARD, *FILES)):
        raise BundleError(f"{folder} must hold {', '.join(sorted((CARD, *FILES)))} and nothing else; get the folder again.")
    for name in FILES:
        if sha256(folder / name) != card["files"][name]:
            raise BundleError(f"{folder}: {name} was changed (its SHA-256 is not the card's); get the folder again.")
    try:
        bme_x = BmeX(**read_json(folder, CONFIG))
        bme_x.load_state_dict({**_counters(bme_x), **load_file(folder / WEIGHTS)})
    except (TypeError, RuntimeError, SafetensorError) as error:
        raise BundleError(f"{folder}: {CONFIG} and {WEIGHTS} do not fit each other; get the folder again.") from error
    return bme_x.float().eval().requires_grad_(False)


def _counters(bme_x: BmeX) -> dict[str, torch.Tensor]:
    """What batch normalisation counts while it learns and inference does not need."""
    return {name: value for name, value in bme_x.state_dict().items() if name.endswith("num_batches_tracked")}
