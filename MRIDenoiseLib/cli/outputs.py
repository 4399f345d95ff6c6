"""Where a command reads and writes, and what it says at the end.

Which image of an input; checks that no output overwrites the input or another output; notes, and words after the result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.console import Console
from rich.text import Text

from MRIDenoiseLib.cli.exit_status import give_up_output
from MRIDenoiseLib.errors import OutputError

if TYPE_CHECKING:
    from MRIDenoiseLib.volume import Volume

CHOICE = "Which image, where the input holds several"


@dataclass(frozen=True)
class ImageChoice:
    """Which of the images of an input is meant; what is left open must not need a choice.

    Args:
        series: number of the series in the folder, from 1.
        stack: number of the stack in the series, from 1.
        echo: number of the echo, from 1.
        volume: number of the volume (time point, b-value, kind of image), from 1.
    """

    series: int | None = None
    stack: int | None = None
    echo: int | None = None
    volume: int | None = None

    def read(self, source: Path) -> Volume:
        """Read that image; errors are those of :func:`MRIDenoiseLib.io.read`."""
        from MRIDenoiseLib import io

        return io.read(source, **asdict(self))

    def read_each(self, sources: Sequence[Path]) -> list[Volume]:
        """Read that image of each of several inputs; what chooses within DICOM holds for the DICOM among them."""
        from MRIDenoiseLib.io.images import readable

        files = [source.is_file() and bool(readable(source)) for source in sources]
        of_files = self if all(files) else replace(self, series=None, stack=None, echo=None)
        return [(of_files if file else self).read(source) for source, file in zip(sources, files, strict=True)]

    def of_dicom(self) -> list[str]:
        """The options given that choose within DICOM, as they are typed."""
        return [f"--{name}" for name in ("series", "stack", "echo") if getattr(self, name) is not None]


ANY_IMAGE = ImageChoice()
"""No choice was made."""

_HELP = {
    "series": "Number of the series in the folder.",
    "stack": "Stack of a series that holds several, counted from 1.",
    "echo": "Echo, counted from 1.",
    "volume": "Volume (time point, b-value, kind of image), counted from 1.",
}


def chooses_image(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose an image; it gets them as one argument, ``choice``."""
    hints = get_type_hints(command, include_extras=True)
    own = [one.replace(annotation=hints[name]) for name, one in signature(command).parameters.items() if name != "choice"]
    options = [
        Parameter(
            name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[int | None, typer.Option(help=text, rich_help_panel=CHOICE)]
        )
        for name, text in _HELP.items()
    ]

    def with_choice(**given: Any) -> None:
        choice = ImageChoice(**{name: given.pop(name, None) for name in _HELP})
        command(**given, choice=choice)

    parameters = [*(one.replace(kind=Parameter.KEYWORD_ONLY) for one in own), *options]
    with_choice.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    with_choice.__annotations__ = {one.name: one.annotation for one in parameters}
    with_choice.__name__, with_choice.__doc__, with_choice.__module__ = command.__name__, command.__doc__, command.__module__
    return with_choice


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
        except RuntimeError as error:  # Python's word for it before 3.13
            raise OutputError(f"{place} cannot be found: its links lead back to themselves; name another place") from error
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


def notes_of(images: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """The notes of several images, given with the name of each: every note once, with whose it is."""
    seen: dict[str, dict[str, None]] = {}
    for name, notes in images:
        for note in notes:
            seen.setdefault(note, {})[name] = None
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
