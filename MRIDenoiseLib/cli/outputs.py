"""Where a command reads and writes: which image of an input, and checks that no output overwrites the input or another output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MRIDenoiseLib.errors import OutputError

CHOICE = "Which image, where the input holds several"
SeriesOption = Annotated[int | None, typer.Option(help="Number of the series in the folder.", rich_help_panel=CHOICE)]
EchoOption = Annotated[int | None, typer.Option(help="Echo, counted from 1.", rich_help_panel=CHOICE)]
VolumeOption = Annotated[int | None, typer.Option(help="Volume of a 4-D image.", rich_help_panel=CHOICE)]


def refuse_places_that_collide(source: Path, outputs: dict[str, Path | None]) -> None:
    """Check only the paths, before anything is read; not even ``--overwrite`` allows what is refused here.

    An output may lie inside the input's folder, but nothing may lie inside an output: a folder is replaced as a whole,
    and with it whatever it holds.

    Args:
        source: what is read.
        outputs: what the user calls each output -> where it goes, or None where it was not requested.

    Raises:
        OutputError: two of the places are the same, or one lies inside an output.
    """
    places = {"IN": source} | {name: place for name, place in outputs.items() if place is not None}
    seen: dict[Path, str] = {}
    for name, place in places.items():
        where = place.resolve()
        if where in seen:
            raise OutputError(f"{seen[where]} and {name} are the same place, {place}; give each its own.")
        seen[where] = name
    for where, name in seen.items():
        for outer, other in seen.items():
            if other in outputs and outer in where.parents:
                raise OutputError(f"{name} lies inside {other}, {places[other]}, which is written as a whole; give each its own place.")


def check_json(path: Path, *, overwrite: bool) -> None:
    """Find out before long work whether a report can be written.

    Raises:
        OutputError: it does not end in .json, is a folder, or may not be written.
    """
    from MRIDenoiseLib.io.atomic import check_target

    if path.suffix.lower() != ".json":
        raise OutputError(f"the report {path} must end in .json")
    if path.is_dir():
        raise OutputError(f"the report {path} is a folder; name a file")
    check_target(path, overwrite)
