"""Which volumes of which file of a data folder show the same thing several times: ``repeats.csv``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from MRIDenoiseLib.errors import InputError

LIST = "repeats.csv"
COLUMNS = ("name", "file", "group", "volumes")


class RepeatSet(NamedTuple):
    """A four-dimensional file of the data folder that holds repeats.

    Args:
        name: for tables.
        file: its path in the data folder.
        groups: volume numbers from 0; those of one group are repeats of one condition.
    """

    name: str
    file: str
    groups: tuple[tuple[int, ...], ...]


def read_repeat_sets(folder: Path) -> list[RepeatSet]:
    """The sets of ``repeats.csv``, in its order: a line a group, its volume numbers with blanks between.

    Raises:
        InputError: the folder has no such list, or a line of it cannot be understood.
    """
    path = folder / LIST
    if not path.is_file():
        raise InputError(f"{folder} holds no {LIST}, which says which volumes are repeats of one another")
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path} lacks the column {missing[0]}")
        rows = list(reader)
    groups: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            volumes = tuple(int(word) for word in (row["volumes"] or "").split())
        except ValueError:
            volumes = ()
        if not row["name"] or not row["file"] or len(set(volumes)) < 2 or len(set(volumes)) < len(volumes) or min(volumes) < 0:
            raise InputError(f"line {number} of {path} needs a name, a file and two or more different volume numbers from 0")
        groups.setdefault((row["name"], row["file"]), []).append(volumes)
    if len({name for name, _ in groups}) < len(groups):
        raise InputError(f"{path} gives one name to repeats of two files")
    return [RepeatSet(name, file, tuple(of_it)) for (name, file), of_it in groups.items()]
