"""How the scripts that measure are started: options from a function's parameters, checked names, errors in one sentence."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
from collections.abc import Callable, Collection
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from MRIDenoiseLib.data.manifest import MANIFEST, ManifestRow, read_manifest
from MRIDenoiseLib.errors import InputError, MRIDenoiseError, SettingsError

NOT_FOR_THE_CARD = ("data", "bundle", "cache", "jobs", "out", "pictures", "json_file")
"""Options that say where things lie; none of them changes a number that belongs to the model."""

Data = Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with MANIFEST.csv and volumes/")]
ModelFolder = Annotated[Path | None, typer.Option(help="model to measure; the bundled one by default")]
ModelMethod = Annotated[str | None, typer.Option(help="method of the model; its default one when not given")]
Samples = Annotated[int | None, typer.Option(help="views or samples; the model's own number by default", min=1)]
JsonFile = Annotated[Path | None, typer.Option("--json", help="also write the numbers here")]
"""Options that many of these scripts share."""

_given: ContextVar[tuple[str, ...]] = ContextVar("given", default=())


def command_line(function: Callable[..., Any]) -> typer.Typer:
    """The command whose options are the function's parameters."""

    @functools.wraps(function)
    def command(**values: Any) -> None:
        _given.set(tuple(_options(function, values)))
        function(**values)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app


def run(function: Callable[..., Any]) -> None:
    """Run it as this process's command; an error of the library is a sentence and its exit status, not a traceback."""
    try:
        command_line(function)()
    except MRIDenoiseError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


def command_given(script: str) -> str:
    """The command that gives the present numbers again: the script, and the options that were not left as they are.

    Args:
        script: the ``__file__`` of the script whose command is running.
    """
    return shlex.join(["python", f"scripts/{Path(script).name}", "--data", "DIR", *_given.get()])


def _options(function: Callable[..., Any], values: dict[str, Any]) -> list[str]:
    words: list[str] = []
    for name, parameter in inspect.signature(function).parameters.items():
        value = values[name]
        if name not in NOT_FOR_THE_CARD and value != parameter.default:
            option = f"--{name.replace('_', '-')}"
            words += [option] if isinstance(value, bool) else [option, str(value)]
    return words


def chosen(text: str, known: Collection[str], what: str) -> list[str]:
    """Names with commas between.

    Args:
        text: what the user wrote.
        known: all the names there are.
        what: they are of.

    Raises:
        SettingsError: there is none such.
    """
    names = text.split(",")
    wrong = [name for name in names if name not in known]
    if wrong:
        raise SettingsError(f"there is no {what} '{wrong[0]}'; there are {', '.join(known)}")
    return names


def volumes_of(data: Path, subjects: str) -> list[ManifestRow]:
    """The volumes in a data folder of some subjects.

    Args:
        data: with a ``MANIFEST.csv``.
        subjects: with commas between; empty for the volumes that the manifest keeps for tests.

    Raises:
        SettingsError: the manifest has no volume of one of them.
        InputError: there is no manifest, or it keeps no volume for tests.
    """
    if not subjects:
        kept = read_manifest(data, split="test")
        if not kept:
            raise InputError(f"{data / MANIFEST} keeps no volume for tests; name patients with --subjects")
        return kept
    wanted = set(subjects.split(","))
    rows = [row for row in read_manifest(data) if row.subject in wanted]
    missing = wanted - {row.subject for row in rows}
    if missing:
        raise SettingsError(f"the manifest has no volume of '{min(missing)}'")
    return rows
