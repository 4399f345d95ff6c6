"""Ratings with their blinding lifted: what the analysis starts from, once everything has been read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.reader_study.reading.folder import CONSENSUS, Item, ReadingPlan, StudyFolder, read_plan
from MRIDenoiseLib.reader_study.reading.store import Rating, RatingStore
from MRIDenoiseLib.reader_study.reading.tables import read_rows, write_rows
from MRIDenoiseLib.reader_study.running.key import Key, read_key

Latest = Mapping[tuple[str, str], Mapping[str, Rating]]
"""(reader, item) -> question -> answer, see :meth:`.store.RatingStore.latest`."""


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

    Of two readings of the same image by one reader, the one in the earlier session is the first.

    Raises:
        InputError: the folder holds no study, or key and ratings do not belong together.
    """
    plan, key, latest = _opened(study_folder)
    return [score for reader in plan.readers for score in _scores_of(reader, plan, key, latest)]


def adjudicated(study_folder: Path) -> list[Score]:
    """What was decided in the consensus session, by a reader called ``consensus``; empty before that session.

    Raises:
        InputError: see :func:`unblinded`.
    """
    return _scores_of(CONSENSUS, *_opened(study_folder))


def _opened(study_folder: Path) -> tuple[ReadingPlan, Key, Latest]:
    folder = StudyFolder.of(study_folder)
    plan, key = read_plan(folder.reading), read_key(folder.key)
    if key.study != plan.study:
        raise InputError(f"the key in {folder.key} and the ratings in {folder.reading} do not belong to the same study")
    return plan, key, RatingStore.open(folder.reading, plan).latest()


def _scores_of(reader: str, plan: ReadingPlan, key: Key, latest: Latest) -> list[Score]:
    found: list[Score] = []
    seen: Counter[tuple[str, ...]] = Counter()
    for item in plan.items_of(reader):
        if item.practice:
            continue
        images = tuple(sorted(item.volumes))
        for rating in latest.get((reader, item.id), {}).values():
            found += _scores(rating, item, plan, key, seen[images])
        seen[images] += 1
    return found


def _scores(rating: Rating, item: Item, plan: ReadingPlan, key: Key, repeat: int) -> list[Score]:
    def score(volume: str, value: float | str) -> Score:
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
        OutputError: the file is there already, has another ending, or cannot be written.
    """
    write_rows([asdict(score) for score in scores], [field.name for field in fields(Score)], path, overwrite=overwrite)


def read_scores(path: Path) -> list[Score]:
    """What :func:`write_scores` wrote.

    Raises:
        InputError: the file cannot be read, or is no table of scores.
    """
    try:
        return [_score_of(row) for row in read_rows(path)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no table of scores; write one with mridenoise study export --unblind") from error


def _score_of(row: dict[str, Any]) -> Score:
    value = row["value"]
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    return Score(**{**row, "session": int(row["session"]), "repeat": int(row["repeat"]), "seconds": float(row["seconds"]), "value": value})
