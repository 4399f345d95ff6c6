"""Which commands there are, and the one place where they start and end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.cli.benchmark import benchmark
from MRIDenoiseLib.cli.bundle import bundle_app
from MRIDenoiseLib.cli.compare import compare
from MRIDenoiseLib.cli.denoise import denoise
from MRIDenoiseLib.cli.edge import Edge
from MRIDenoiseLib.cli.evaluate import evaluate
from MRIDenoiseLib.cli.prepare import prepare
from MRIDenoiseLib.cli.prompt import prompt
from MRIDenoiseLib.cli.segment import segment
from MRIDenoiseLib.cli.simulate import simulate
from MRIDenoiseLib.cli.study import study_app
from MRIDenoiseLib.cli.train import train

DEBUG = "--debug"

app = typer.Typer(
    name="mridenoise",
    help=f"Denoise accelerated MR volumes with a text-guided conditional diffusion model.\n\n{RESEARCH_USE_ONLY}",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(denoise)
app.command()(prompt)
app.command()(simulate)
app.command()(segment)
app.command()(evaluate)
app.command()(compare)
app.command()(benchmark)
app.command()(prepare)
app.command()(train)
app.add_typer(bundle_app, name="bundle")
app.add_typer(study_app, name="study")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"mridenoise {__version__}")
        raise typer.Exit


@app.callback()
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
        The exit status: 0 done, 1 a fault of the program, 2 something wrong with what was asked or given, 130 stopped by the user.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    ours = given[: given.index("--")] if "--" in given else given
    debug = DEBUG in ours
    rest = [argument for argument in ours if argument != DEBUG] + given[len(ours) :]
    with Edge(debug=debug) as edge:
        status = app(rest or ["--help"], prog_name="mridenoise", standalone_mode=False)
        edge.status = status if isinstance(status, int) else 0
    return edge.status
