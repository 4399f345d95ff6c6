"""Ratings with their blinding lifted: what the analysis starts from, once everything has been read.

Also ratings and scores as tables for other programs, each with a dictionary that explains its columns and values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.atomic import write_rows
from MRIDenoiseLib.reader_study.reading.folder import CONSENSUS, Item, ReadingPlan, StudyFolder, read_plan
from MRIDenoiseLib.reader_study.reading.forms import Field
from MRIDenoiseLib.reader_study.reading.store import Rating, RatingStore
from MRIDenoiseLib.reader_study.running.blinding import Key, read_key

Latest = Mapping[tuple[str, str], Mapping[str, Rating]]
"""(reader, item) -> question -> answer, see :meth:`MRIDenoiseLib.reader_study.reading.store.RatingStore.latest`."""

_RATING_COLUMNS = {
    "reader": "code of the reader; 'consensus' for the consensus session",
    "session": "number of the session, from 1",
    "item": "entry of the reading list (random)",
    "volumes": "blinded volumes shown, in the order of the panels",
    "group": "group of the case",
    "practice": "whether the case was for practice and does not count",
    "field": "question, see below",
    "revision": "1 for the first answer; a correction has the next number, and the highest one counts",
    "value": "answer, see below",
    "seconds": "time spent on the whole item for this revision, without pauses",
    "saved_at": "when it was saved, ISO 8601 with time zone",
    "software": "version of MRI Denoise",
    "bundle": "hash of the model under study, or none",
}
_SCORE_COLUMNS = {
    "reader": "code of the reader",
    "session": "number of the session, from 1",
    "subject": "code of the patient",
    "group": "group of the case; subject and group name a case",
    "arm": "version of the case that was shown",
    "field": "question, see below",
    "value": "last answer, see below",
    "repeat": "0 at the first reading, 1 and up where the reader read the same image again",
    "seconds": "time spent on the whole presentation, without pauses",
    "blinded_id": "name of the volume in the reading",
}


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


def dictionary_path(table: Path) -> Path:
    """The path of the dictionary of an exported table: next to it."""
    return table.with_name(f"{table.stem}.dictionary{table.suffix}")


def export_ratings(reading: Path, table: Path, *, overwrite: bool = False) -> int:
    """Write every rating with every revision, still blinded, and its dictionary; returns the number of ratings.

    Args:
        reading: the reading folder.
        table: a .csv or .json file.
        overwrite: whether earlier files may be replaced.

    Raises:
        InputError: the folder holds no study, or its ratings are damaged.
        OutputError: the files exist or cannot be written.
    """
    plan = read_plan(reading)
    items = {item.id: item for reader in plan.lists for item in plan.items_of(reader)}
    rows = []
    for rating in RatingStore.open(reading, plan).all():
        item = items[rating.item]
        shown = {"volumes": " ".join(item.volumes), "group": item.group, "practice": item.practice}
        rows.append({**asdict(rating), **shown, "saved_at": rating.saved_at.isoformat()})
    _write_dictionary(_RATING_COLUMNS, plan, table, overwrite=overwrite)
    write_rows([{name: row[name] for name in _RATING_COLUMNS} for row in rows], list(_RATING_COLUMNS), table, overwrite=overwrite)
    return len(rows)


def export_scores(study_folder: Path, table: Path, *, overwrite: bool = False) -> int:
    """Write the last answers with patients and arms, and their dictionary; returns the number of scores.

    Args:
        study_folder: the study with its key.
        table: a .csv or .json file.
        overwrite: whether earlier files may be replaced.

    Raises:
        InputError: the folder holds no study, or no key that belongs to it.
        OutputError: the files exist or cannot be written.
    """
    scores = unblinded(study_folder)
    _write_dictionary(_SCORE_COLUMNS, read_plan(StudyFolder.of(study_folder).reading), table, overwrite=overwrite)
    write_scores(scores, table, overwrite=overwrite)
    return len(scores)


def _write_dictionary(columns: Mapping[str, str], plan: ReadingPlan, table: Path, *, overwrite: bool) -> None:
    rows = [{"name": name, "kind": "column", "meaning": meaning, "values": ""} for name, meaning in columns.items()]
    rows += [
        {"name": one.name, "kind": "field", "meaning": f"{form.title}: {one.question}", "values": _values(one)}
        for form in plan.forms
        for one in form.fields
    ]
    write_rows(rows, ["name", "kind", "meaning", "values"], dictionary_path(table), overwrite=overwrite)


def _values(field: Field) -> str:
    if field.kind == "text":
        return "free text"
    if field.kind == "regions":
        return f"mean signal in the {field.regions[0]} / mean signal in the {field.regions[1]}; regions are [r, a, s, radius] in mm"
    return "; ".join(f"{choice.value} = {choice.label}" for choice in field.choices)
