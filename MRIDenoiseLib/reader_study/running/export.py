"""Ratings for other programs, each table with a dictionary that says what its columns and values mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from MRIDenoiseLib.reader_study.reading.folder import ReadingPlan, StudyFolder, read_plan
from MRIDenoiseLib.reader_study.reading.forms import Field
from MRIDenoiseLib.reader_study.reading.store import RatingStore
from MRIDenoiseLib.reader_study.reading.tables import write_rows
from MRIDenoiseLib.reader_study.running.scores import unblinded, write_scores

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


def dictionary_path(table: Path) -> Path:
    """Where the dictionary of an exported table lies: beside it."""
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
