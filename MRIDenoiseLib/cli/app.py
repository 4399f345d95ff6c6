"""Which commands there are, and the one place where they start and end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.cli.exit_status import ExitStatus
from MRIDenoiseLib.cli.old_spellings import HELP, in_new_words

DEBUG = "--debug"

COMMANDS = ("denoise", "prompt", "simulate", "segment", "evaluate", "compare", "own-noise", "train")
"""Each is a function in the module of the same name, with an underscore for a hyphen."""
GROUPS = ("benchmark", "prepare", "bundle", "measure", "study")
"""Commands with commands of their own: ``NAME_app`` in the module NAME."""
DEFAULTS = {"benchmark": "methods"}
"""Group -> the command that it is when none is named."""


def _application(wanted: str | None) -> typer.Typer:
    """The command line with the one requested command, which is much quicker, or with all where that is not one of them."""
    app = typer.Typer(
        name="mridenoise",
        help="Remove noise from fast MR scans: with a regression network by default, or by name with text-guided diffusion.\n\n"
        f"{RESEARCH_USE_ONLY}",
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for name in COMMANDS + GROUPS:
        if wanted == name or wanted not in COMMANDS + GROUPS:
            named = name.replace("-", "_")
            module = import_module(f"MRIDenoiseLib.cli.{named}")
            if name in GROUPS:
                app.add_typer(getattr(module, f"{named}_app"), name=name)
            else:
                app.command()(getattr(module, named))
    return app


def _complete(words: list[str]) -> list[str]:
    """The same with the command of a group that has a usual one, where only options follow or nothing does."""
    usual = DEFAULTS.get(words[0]) if words else None
    if usual is None or (len(words) > 1 and (words[1] in HELP or not words[1].startswith("-"))):
        return words
    return [words[0], usual, *words[1:]]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"mridenoise {__version__}")
        raise typer.Exit


def _common(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show where in the program an error arose; works after any command.")] = False,
) -> None:
    """The options that hold for every command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; by default those the process was started with.

    Returns:
        The exit status: 0 done, 1 a fault of the program, 2 something wrong with the request or the input, 130 stopped by the user.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    ours = given[: given.index("--")] if "--" in given else given
    debug = DEBUG in ours
    rest = [argument for argument in ours if argument != DEBUG] + given[len(ours) :]
    with ExitStatus(debug=debug) as outcome:
        rest = _complete(in_new_words(rest))
        status = _application(next(iter(rest), None))(rest or ["--help"], prog_name="mridenoise", standalone_mode=False)
        outcome.status = status if isinstance(status, int) else 0
    return outcome.status
