"""``mridenoise own-noise``: how noisy clean volumes and references are themselves, measured once and written down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import say_notes
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest

if TYPE_CHECKING:
    from MRIDenoiseLib.training.own_noise import OwnNoise


def own_noise(
    folder: Annotated[Path, typer.Argument(help="Clean volumes with a MANIFEST.csv, or a folder made by mridenoise prepare.")],
    bundle: Annotated[Path | None, typer.Option(metavar="DIR", help="The model that measures, instead of the bundled one.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write it into the manifest, or into a table next to the pairs.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure again what is already known.")] = False,
) -> None:
    """Measure the noise that clean volumes have of their own, which training and comparisons must know.

    What is known is kept, so that a later model does not silently change which volumes count.
    """
    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Starting")
        from MRIDenoiseLib.card import bundled_model
        from MRIDenoiseLib.models.bundle.bundle import Bundle
        from MRIDenoiseLib.training.own_noise import Estimator, measure
        from MRIDenoiseLib.training.own_noise import write as write_down

        estimator = Estimator.of(Bundle.load(bundle or bundled_model(), text_later=True))
        found = measure(folder, estimator.network, again=again, progress=progress, should_stop=should_stop)
        if write:
            write_down(folder, found, estimator)
    _show(found)
    say_notes(f"{one.file}: {note}" for one in found for note in one.notes)
    console = Console(soft_wrap=True)
    written = "Written next to the images." if write else "Nothing is written; to write it, add --write."
    console.print("\nOwn noise is a standard deviation in the body, part of P99.5.")
    console.print(f"Measured by {estimator.name or 'the model'}, network {estimator.sha256[:12]}. {written}")
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))


def _show(found: list[OwnNoise]) -> None:
    from MRIDenoiseLib.data.manifest import COARSEST, coarsening

    table = Table(Column("file", overflow="fold"), "own noise", "", "as a target", box=None, padding=(0, 2, 0, 0))
    for one in found:
        times = coarsening(one.value)
        use = "as it is" if times == 1 else f"{times:.1f} times coarser" if times <= COARSEST else "left out, too noisy"
        table.add_row(Text(one.file), f"{one.value:.4f}", "measured" if one.measured else "known", use)
    Console(soft_wrap=True).print(table)
