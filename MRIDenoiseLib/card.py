"""The card of a model, read without loading the model; also the path of the model that comes with the program."""

from __future__ import annotations

import json
import math
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


UNCERTAINTY = "uncertainty"
"""The entry of a card that says what the scales of the model's uncertainty network stand for, and the network's name."""
COVERAGE = 0.9
"""The share of the body's voxels whose truth lies within the interval that an uncertainty map holds the half-width of."""


@dataclass(frozen=True)
class Calibration:
    """What the scales of an uncertainty network stand for, measured on patients that were not trained on.

    Args:
        levels: noise levels, relative to P99.5, rising; between them and outside of them the nearest ones hold.
        factors: half-width of the interval over the network's scale, at each level.
    """

    levels: tuple[float, ...]
    factors: tuple[float, ...]

    def factor(self, level: float) -> float:
        """At a noise level (relative to P99.5): straight lines over the level's logarithm."""
        places, place = [math.log(one) for one in self.levels], math.log(max(level, 1e-9))
        above = next((number for number, one in enumerate(places) if one > place), len(places))
        if above in (0, len(places)):
            return self.factors[min(above, len(places) - 1)]
        share = (place - places[above - 1]) / (places[above] - places[above - 1])
        return self.factors[above - 1] + share * (self.factors[above] - self.factors[above - 1])


def calibration_of(card: Mapping[str, Any]) -> Calibration | None:
    """That of a model's card, or None where it has none.

    Raises:
        BundleError: what the card holds is no calibration.
    """
    entry = card.get(UNCERTAINTY)
    if entry is None:
        return None
    try:
        found = Calibration(*(tuple(map(float, entry[name])) for name in ("levels", "factors")))
    except (KeyError, TypeError, ValueError) as error:
        raise _no_calibration() from error
    numbers = (*found.levels, *found.factors)
    rising = all(one < other for one, other in zip(found.levels, found.levels[1:], strict=False))
    if not found.levels or len(found.levels) != len(found.factors) or not rising or not all(0 < one < math.inf for one in numbers):
        raise _no_calibration()
    return found


def _no_calibration() -> BundleError:
    return BundleError(
        f"card.json gives {UNCERTAINTY} no rising noise levels with a factor above 0 for each, so no map of uncertainty can be made; "
        "get the model again."
    )


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
