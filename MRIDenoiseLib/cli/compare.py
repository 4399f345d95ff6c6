"""``mridenoise compare``: many images and many methods, into one page with tables, statistics, plots and pictures."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from MRIDenoiseLib.cli.outputs import notes_of, say_notes
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest

if TYPE_CHECKING:
    from MRIDenoiseLib.evaluation.comparison.cells import Cell, Outcome


def compare(
    config: Annotated[Path, typer.Option(help="What to compare with what; see scripts/benchmarks.")],
    out: Annotated[Path, typer.Option(help="Folder for the report and everything it is built from. An existing one is resumed.")],
    data: Annotated[
        Path | None,
        typer.Option(envvar="MRIDENOISE_DATA", help="Folder with MANIFEST.csv, volumes/ and repeats/."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes on this machine; by default one per processor.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a running Dask cluster, for example tcp://node:8786.")
    ] = None,
    peer_cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder where results of other people's methods are kept for several comparisons; by default peer-cache next "
            "to the folder of --out. It holds images of patients, too."
        ),
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say how long it will take.")] = False,
) -> None:
    """Measure methods against each other: the model's, those of the paper, and what users have. It may be stopped and resumed later.

    Every method that has settings chooses them on the same images, of subjects that are not compared on; or, if the configuration says
    so, other people's methods use their best settings on each image. A method that fails does not stop the others.
    """
    from MRIDenoiseLib.evaluation.comparison.config import read_config
    from MRIDenoiseLib.evaluation.comparison.plan import Plan, expected
    from MRIDenoiseLib.evaluation.comparison.report import Report
    from MRIDenoiseLib.evaluation.comparison.run import compare as run
    from MRIDenoiseLib.evaluation.comparison.store import PEER_CACHE, check_folder
    from MRIDenoiseLib.progress import duration

    console = Console(stderr=True)
    processes = jobs or os.cpu_count() or 1
    check_folder(out)

    def failed(cell: Cell, outcome: Outcome) -> None:
        console.print(Text(f"{cell.title} on {cell.case.name}: {outcome.error}", style="yellow"))

    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Finding images and models")
        plan = Plan.of(read_config(config), data)
        seconds = expected(plan, out, processes, progress, should_stop)
        console.print(f"{len(plan.cases)} images, {len(plan.entrants)} methods: about {duration(seconds)} on {processes} processes")
        if estimate:
            return
        findings = run(
            plan,
            out,
            jobs=processes,
            scheduler=scheduler,
            progress=progress,
            should_stop=should_stop,
            failed=failed,
            peers=peer_cache or out.resolve().parent / PEER_CACHE,
        )
        report = Report(findings, out, _command(config, data is not None))
        page = report.write(progress)
    say_notes(notes_of(findings.notes.items()))
    Console().print(Text(report.verdict))
    Console().print(Text(str(page)))


def _command(config: Path, with_data: bool) -> str:
    """What gives the report again, without the folders of this machine."""
    return f"mridenoise compare --config {shlex.quote(config.name)}{' --data DIR' if with_data else ''} --out DIR"
