"""``mridenoise simulate``: what a clean volume would have looked like, had it been scanned faster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import (
    ANY_IMAGE,
    ImageChoice,
    after_the_result,
    chooses_image,
    refuse_places_that_collide,
    say_notes,
)
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest


@chooses_image
def simulate(
    source: Annotated[Path, typer.Argument(metavar="CLEAN", help="A DICOM folder or file, .nii, .nii.gz, .nrrd or .mha.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The same kinds; a folder becomes a derived DICOM series.")],
    acceleration: Annotated[float | None, typer.Option(help="How many times faster than the clean scan, 1 to 4.")] = None,
    level: Annotated[
        int, typer.Option(help="2: coils, undersampling, SENSE. 1: uneven, grainy noise. 0: plain Rician noise of --sigma.")
    ] = 2,
    sigma: Annotated[float | None, typer.Option(help="Noise before acceleration, as a fraction of the volume's P99.5.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same noise.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")] = False,
    choice: ImageChoice = ANY_IMAGE,
) -> None:
    """Make an accelerated, noisy version of a clean volume, with the same geometry, pixel type and scale."""
    from MRIDenoiseLib import io
    from MRIDenoiseLib.image.kind import judged

    refuse_places_that_collide(source, {"OUT": target})
    clean = judged(choice.read(source))
    io.check_writable(clean, target, overwrite=overwrite)

    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Starting")
        # Torch takes seconds to load: only after the input is known to be good.
        from MRIDenoiseLib.simulation.simulate import Simulation, simulate_volume

        simulation = Simulation(level=level, acceleration=acceleration, sigma=sigma, seed=seed)  # type: ignore[arg-type]
        noisy = simulate_volume(clean, simulation, lambda done: progress(done, None, "Simulating"), should_stop)
        io.write(noisy, target, overwrite=overwrite, derivation=simulation.derivation())

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for name, value in {**simulation.facts(), "written": target}.items():
        table.add_row(name, Text(f"{value:g}" if isinstance(value, float) else str(value)))
    with after_the_result():
        console = Console(soft_wrap=True)
        console.print(table)
        say_notes(clean.notes)
        console.print(Text(RESEARCH_USE_ONLY, style="bold"))
