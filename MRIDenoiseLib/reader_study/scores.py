"""Ratings with their blinding lifted: what the analysis starts from, once everything has been read."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.reader_study.folder import CONSENSUS, Item, ReadingPlan, StudyFolder, read_plan
from MRIDenoiseLib.reader_study.key import Key, read_key
from MRIDenoiseLib.reader_study.store import Rating, RatingStore


@dataclass(frozen=True)
class Score:
    """One answer of one reader about one image.

    Args:
        reader: the reader's code; ``consensus`` for what the readers agreed on.
        session: 1 and up.
        subject: the patient's code in the study.
        group: what the cases are grouped by, such as the organ. Subject and group together name a case.
        arm: which version of the case was seen.
        field: the form's field, such as ``image_quality`` or ``fazekas.deep``.
        value: a number for a scale, a ratio for a signal index, the words of a free text. Of a side-by-side preference every arm
            has a score: 1 for the one preferred, 0 for the others, and 1 divided by their number each for "no difference".
        repeat: 0 at the first reading, 1 and up where the reader read the same image again.
        seconds: time spent on the whole presentation, without pauses.
        blinded_id: the volume's name in the reading.
    """

    reader: str
    session: int
    subject: str
    group: str
    arm: str
    field: str
    value: float | str
    repeat: int
    seconds: float
    blinded_id: str


def unblinded(study_folder: Path) -> list[Score]:
    """Every reader's last answers of a study, in the order of readers and reading lists; practice cases are left out.

    A repeat is told from the first reading by the session in which it was read.

    Raises:
        InputError: the folder holds no study, or key and ratings do not belong together.
    """
    folder = StudyFolder.of(study_folder)
    plan, key = read_plan(folder.reading), read_key(folder.key)
    latest = RatingStore.open(folder.reading, plan).latest()
    found: list[Score] = []
    for reader in plan.readers:
        seen: dict[tuple[str, ...], int] = {}
        for item in plan.items_of(reader):
            if item.practice:
                continue
            images = tuple(sorted(item.volumes))
            repeat = seen.get(images, 0)
            seen[images] = repeat + 1
            for rating in latest.get((reader, item.id), {}).values():
                found += _scores(rating, item, plan, key, repeat)
    return found


def consensus_scores(study_folder: Path) -> list[Score]:
    """What the readers agreed on in the consensus session, with the reader's name ``consensus``; empty before that session.

    Only what was discordant was read again: where all readers said the same, that is their consensus.

    Raises:
        InputError: the folder holds no study, or key and ratings do not belong together.
    """
    folder = StudyFolder.of(study_folder)
    plan, key = read_plan(folder.reading), read_key(folder.key)
    latest = RatingStore.open(folder.reading, plan).latest()
    return [
        score
        for item in plan.items_of(CONSENSUS)
        for rating in latest.get((CONSENSUS, item.id), {}).values()
        for score in _scores(rating, item, plan, key, 0)
    ]


def _scores(rating: Rating, item: Item, plan: ReadingPlan, key: Key, repeat: int) -> list[Score]:
    def score(volume: str, value: float | str) -> Score:
        if volume not in key.volumes:
            raise InputError(f"the key does not know the volume {volume}; key and reading folder do not belong to the same study")
        image = key.volumes[volume]
        return Score(
            rating.reader, rating.session, image.subject, image.group, image.arm, rating.field, value, repeat, rating.seconds, volume
        )

    if plan.field(rating.field).kind == "preference":
        shares = _shares(rating.value, item.volumes)
        return [score(volume, share) for volume, share in shares.items()]
    value = rating.value["ratio"] if isinstance(rating.value, dict) else rating.value
    return [score(item.volumes[0], value)]


def _shares(chosen: Any, volumes: Sequence[str]) -> dict[str, float]:
    """What each panel's volume has of a preference: ``chosen`` is the number of a panel from 1, or 0 for none."""
    if chosen == 0:
        return {volume: 1 / len(volumes) for volume in volumes}
    return {volume: float(number == chosen) for number, volume in enumerate(volumes, 1)}


def write_scores(scores: Sequence[Score], path: Path, *, overwrite: bool = False) -> None:
    """Write scores as a table (``.csv``) or a list of records (``.json``), by the file's ending.

    Raises:
        OutputError: the file is there already, or cannot be written.
        InputError: another ending.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"{path.name} must end in .csv or .json")
    with replacing(path, overwrite) as temporary:
        if path.suffix.lower() == ".json":
            temporary.write_text(json.dumps([asdict(score) for score in scores], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, [field.name for field in fields(Score)])
            table.writeheader()
            table.writerows(asdict(score) for score in scores)


def read_scores(path: Path) -> list[Score]:
    """What :func:`write_scores` wrote.

    Raises:
        InputError: the file cannot be read, or is no table of scores.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = json.load(file) if path.suffix.lower() == ".json" else list(csv.DictReader(file))
        return [_score_of(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no table of scores; write one with mridenoise study export --unblind") from error


def _score_of(row: dict[str, Any]) -> Score:
    value = row["value"]
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    return Score(**{**row, "session": int(row["session"]), "repeat": int(row["repeat"]), "seconds": float(row["seconds"]), "value": value})
