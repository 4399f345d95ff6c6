"""The description of a model, at three lengths: the card, the evidence behind it, and a page for people.

``card.json`` has one headline per measurement and a summary of the training. ``evidence/NAME.json`` has the whole of each, in the
order in which it was written. ``README.md`` is made from both. All are listed and hashed in the card's ``files``, like the parts of
the model.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from MRIDenoiseLib.card import CARD, UNCERTAINTY, trained_on
from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle.files import (
    EVIDENCE,
    FIRST_FORMAT,
    FORMAT,
    README,
    evidence_file,
    files_of_parts,
    read_card,
    read_json,
    sha256,
)
from MRIDenoiseLib.models.bundle.readme import readme

TRAINING = "training"
"""The evidence that is not a measurement: what the model learned from, and how."""
IN_SHORT = ("steps", "minutes", "noise")
"""The entries of the training's account that the card repeats unchanged."""
ORDER = (
    *("format", "name", "use", "intended_use", "limits", "licence", "default_method", "default_settings", "parameters"),
    *("trained_on", "training", UNCERTAINTY, "measured", "files"),
)
"""The order of the keys in a card."""

Content = Mapping[str, Any]


def describe(folder: Path, card: Content, measured: Mapping[str, Content]) -> None:
    """Write card, evidence and page of a model whose parts are in a folder; they replace earlier ones.

    Args:
        folder: the bundle.
        card: the content of the card, with the whole account of the training under ``training`` (it may be missing), and with
            the hashes of the parts under ``files``; other hashes there are left out. What the scales of the uncertainty network
            stand for (``uncertainty``) is taken from the measurement of that name, where there is one.
        measured: name -> numbers with ``command``, ``what`` and, if there is one, ``headline``: ``says``, a sentence, and ``figures``.

    Raises:
        ValueError: a measurement has the name of the evidence of the training.
    """
    # Only whoever writes a model needs it: a worker that loads one must not wait for the packages that read images.
    from MRIDenoiseLib.io.atomic import json_text

    if TRAINING in measured:
        raise ValueError(f"a measurement cannot be called {TRAINING}")
    shutil.rmtree(folder / EVIDENCE, ignore_errors=True)
    evidence = {**({TRAINING: card[TRAINING]} if card.get(TRAINING) else {}), **measured}
    content = in_short(card, evidence) | {"format": FORMAT}
    if calibration := measured.get(UNCERTAINTY, {}).get("calibration"):
        content[UNCERTAINTY] = calibration
    texts = {evidence_file(name): json_text(content) for name, content in evidence.items()}
    texts[README] = readme(content, evidence)
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    files = files_of_parts(card["files"]) | {name: sha256(folder / name) for name in texts}
    content["files"] = dict(sorted(files.items()))
    (folder / CARD).write_text(json_text({name: content[name] for name in sorted(content, key=_place)}), encoding="utf-8")


def evidence_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Every whole measurement by its name, and the whole account of the training as ``training``; the card only summarises them.

    Args:
        folder: a bundle of this format, or of the first one, whose card itself holds all of it.

    Raises:
        BundleError: the card or the evidence cannot be read.
    """
    card = read_card(folder)
    if card["format"] == FIRST_FORMAT:
        measured = card.get("measured")
        found = {TRAINING: card.get(TRAINING), **(measured if isinstance(measured, dict) else {})}
        return {name: content for name, content in found.items() if isinstance(content, dict)}
    names = [PurePosixPath(name).stem for name in card["files"] if name.startswith(f"{EVIDENCE}/")]
    return {name: read_json(folder, evidence_file(name)) for name in names}


def checked_card(folder: Path, card: Content) -> dict[str, Any]:
    """A card in this format; a card of the first format is converted.

    Args:
        folder: the bundle.
        card: as it was read.

    Raises:
        BundleError: training or a measurement has another form, or names evidence that the card does not list and so not hash.
    """
    if card["format"] == FIRST_FORMAT:
        return in_short(card, evidence_of(folder))
    measured, training = card.get("measured", {}), card.get(TRAINING)
    if not isinstance(measured, dict) or not all(map(_is_headline, measured.values())) or not (training is None or _is_short(training)):
        raise BundleError(f"{folder}: card.json describes training or measurements in a form that this program does not know.")
    for one in (*measured.values(), *([training] if training else [])):
        if one[EVIDENCE] not in card["files"]:
            raise BundleError(f"{folder}: card.json names {one[EVIDENCE]!r}, which is not among its files; get the model again.")
    return dict(card)


def in_short(card: Content, evidence: Mapping[str, Content]) -> dict[str, Any]:
    """The content of a card, with a summary of the training and one headline per measurement.

    Args:
        card: its other content.
        evidence: name -> the whole measurement or training.
    """
    training = evidence.get(TRAINING)
    measured = {name: _headline(name, numbers) for name, numbers in evidence.items() if name != TRAINING}
    summary = {name: value for name, value in card.items() if name != TRAINING} | {"measured": measured}
    summary["trained_on"] = {name: sorted(values) for name, values in trained_on({TRAINING: training}).items()}
    return summary if training is None else summary | {TRAINING: _training_in_short(training)}


def _place(name: str) -> int:
    """The position of a key in a card; an unknown one stands before the list of files."""
    return ORDER.index(name) if name in ORDER else ORDER.index("measured")


def _headline(name: str, numbers: Content) -> dict[str, Any]:
    """The card's entry for a measurement. A user's own numbers may have no headline; their description replaces it."""
    headline = numbers.get("headline") or {"says": str(numbers.get("what", "")), "figures": {}}
    return {**headline, "command": str(numbers.get("command", "")), EVIDENCE: evidence_file(name)}


def _training_in_short(training: Content) -> dict[str, Any]:
    scans: Counter[tuple[str, str]] = Counter()
    for entry in training.get("data") or ():
        # An entry is a volume, or so many records of prepared pairs.
        scans[entry.get("source", ""), entry.get("licence", "")] += entry.get("records", 1)
    started = training.get("started_from")
    if isinstance(started, Mapping):
        started = {name: started[name] for name in ("bundle", "text_encoder", "hash") if name in started}
    return {
        **{name: training[name] for name in IN_SHORT if name in training},
        **({"started_from": started} if started else {}),
        "sources": [{"source": source, "licence": licence, "scans": count} for (source, licence), count in scans.items()],
        EVIDENCE: evidence_file(TRAINING),
    }


def _is_headline(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(name), str) for name in ("says", "command", EVIDENCE))
        and isinstance(entry.get("figures"), dict)
        and all(isinstance(value, int | float) for value in entry["figures"].values())
    )


def _is_short(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get(EVIDENCE), str)
        and isinstance(entry.get("sources"), list)
        and all(isinstance(one, dict) and {"source", "licence", "scans"} <= one.keys() for one in entry["sources"])
    )
