"""Where a command reads and writes, and what it says at the end.

Which image of an input; checks that no output overwrites the input or another output; notes, and words after the result.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from MRIDenoiseLib.cli.exit_status import give_up_output
from MRIDenoiseLib.errors import OutputError

if TYPE_CHECKING:
    from MRIDenoiseLib.volume import Volume

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
        try:
            where = place.resolve()
        except OSError as error:
            raise OutputError(f"{place} cannot be found ({error.strerror}): is the folder you are in still there?") from error
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
    from MRIDenoiseLib.io.atomic import check_room, check_target

    if path.suffix.lower() != ".json":
        raise OutputError(f"the report {path} must end in .json")
    if path.is_dir():
        raise OutputError(f"the report {path} is a folder; name a file")
    check_target(path, overwrite)
    check_room(path)


def say_notes(notes: Iterable[str], console: Console | None = None) -> None:
    """Show what the user should know about a result or the images behind it, a sentence each.

    Args:
        notes: sentences.
        console: where; on standard error when not given.
    """
    shown = console or Console(stderr=True, soft_wrap=True)
    for note in notes:
        shown.print(Text(f"Note: {note.rstrip('.')}.", style="yellow"))


def notes_of(volumes: Iterable[tuple[str, Volume]]) -> list[str]:
    """The notes of several volumes, each said once with whose it is."""
    seen: dict[str, list[str]] = {}
    for name, volume in volumes:
        for note in volume.notes:
            seen.setdefault(note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in seen.items()]


@contextmanager
def after_the_result() -> Iterator[None]:
    """Around what is printed when all results are in place: that it cannot be printed is then no failure of the command."""
    try:
        yield
        sys.stdout.flush()
    except (OSError, UnicodeError, SystemExit):
        # Nobody listens, for which rich ends the process, or the disk behind it is full.
        give_up_output()
