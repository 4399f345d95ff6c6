"""How the scripts of the repository are started: options from a function's parameters, an error in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from MRIDenoiseLib.errors import MRIDenoiseError


def command_line(function: Callable[..., Any]) -> typer.Typer:
    """The command whose options are the function's parameters."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    return app


def run(function: Callable[..., Any]) -> None:
    """Run it as this process's command; an error of the library is a sentence and its exit status, not a traceback."""
    try:
        command_line(function)()
    except MRIDenoiseError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
