"""The card of a model, read without loading the model; also the path of the model that comes with the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import BundleError, InputError

CARD = "card.json"
ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds ``MRIDenoiseLib`` and ``Resources``: a checkout, or where Slicer installs scripted modules."""


@dataclass(frozen=True)
class Card:
    """A model's card, as far as a user chooses by it. The model's files are checked against it only when it is loaded.

    Args:
        name: of the model.
        default_method: what it recommends.
        default_settings: of that method.
        trained_on: ``organ`` and ``contrast`` -> the values its training data had.
        intended_use: a sentence.
        limits: sentences.
    """

    name: str
    default_method: str
    default_settings: Mapping[str, Any]
    trained_on: Mapping[str, frozenset[str]]
    intended_use: str
    limits: tuple[str, ...]


def bundled_model(name: str = "compact") -> Path:
    """The folder of a model that comes with the program.

    Raises:
        BundleError: the program was installed without its ``Resources`` folder.
    """
    folder = ROOT / "Resources" / "Models" / name
    if not (folder / CARD).is_file():
        raise BundleError(f"The model '{name}' that comes with the program is not at {folder}; name a model folder with --bundle DIR.")
    return folder


def sample_data(name: str) -> Path:
    """A file of the sample data that come with the program.

    Raises:
        InputError: the program was installed without its ``Resources`` folder.
    """
    file = ROOT / "Resources" / "SampleData" / name
    if not file.is_file():
        raise InputError(f"The sample data that come with the program are not at {file.parent}; install it with its Resources folder.")
    return file


def card_of(folder: Path) -> Card:
    """The card of the model in a folder.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return Card(
            name=str(card.get("name") or folder.name),
            default_method=str(card["default_method"]),
            default_settings=dict(card.get("default_settings") or {}),
            trained_on=trained_on(card),
            intended_use=str(card.get("intended_use", "")),
            limits=tuple(map(str, card.get("limits") or ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{folder} holds no model: its card.json is missing or damaged; choose another folder.") from error


def trained_on(card: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """``organ`` and ``contrast`` -> the values the training data had, according to the card.

    A card of the first format lists the data one by one under ``training`` instead.
    """
    listed = card.get("trained_on")
    if isinstance(listed, dict):
        lists = {name: listed.get(name) for name in ("organ", "contrast")}
        return {name: frozenset(map(str, values)) if isinstance(values, list) else frozenset() for name, values in lists.items()}
    training = card.get("training")
    data = training.get("data") if isinstance(training, dict) else None
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    return {name: frozenset(str(entry[name]) for entry in entries if entry.get(name)) for name in ("organ", "contrast")}
