"""Rows on disk, as a table (CSV) or a list of records (JSON)."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.io.atomic import replacing, write_json

ENDINGS = (".csv", ".json")


def write_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path, *, overwrite: bool = False) -> None:
    """Write rows by the file's ending; in a table, what is no number or word is written as JSON.

    Raises:
        OutputError: the file is there already, has another ending, or cannot be written.
    """
    if path.suffix.lower() not in ENDINGS:
        raise OutputError(f"{path.name} must end in {' or '.join(ENDINGS)}")
    if path.suffix.lower() == ".json":
        write_json(path, rows, overwrite=overwrite)
        return
    with replacing(path, overwrite) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows([_cell(row[name]) for name in columns] for row in rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """What :func:`write_rows` wrote, or a person in a spreadsheet; the cells of a table are text.

    Raises:
        OSError: it cannot be read.
        ValueError: it is neither table nor list of records.
    """
    # Spreadsheets put a mark before UTF-8.
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() != ".json":
            return list(csv.DictReader(file, strict=True))
        rows = json.load(file)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of records")
    return rows


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | tuple) else value
