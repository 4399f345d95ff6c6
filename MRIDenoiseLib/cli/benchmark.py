"""``mridenoise benchmark``: time, memory and operations, against the limits of this machine and beside what users have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib.cli.places import check_json
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import Cancelled, MRIDenoiseError, SettingsError
from MRIDenoiseLib.io.atomic import json_ready
from MRIDenoiseLib.methods import METHODS

if TYPE_CHECKING:
    from MRIDenoiseLib.cli.waiting import Wait
    from MRIDenoiseLib.evaluation.speed.rows import Measured, Row
    from MRIDenoiseLib.progress import Progress, ShouldStop

WHAT = "What to time"
HOW = "How"

Name = TypeVar("Name", bound=str)


def benchmark(
    bundle: Annotated[Path | None, typer.Option(metavar="DIR", help="Another model than the bundled one.", rich_help_panel=WHAT)] = None,
    config: Annotated[
        Literal["compact", "paper", "tiny"] | None,
        typer.Option(help="Networks of this size with random weights, in place of a model.", rich_help_panel=WHAT),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help=f"default, {', '.join(METHODS)}; may be given more than once.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    peers: Annotated[bool, typer.Option(help="Also BM4D and ANTs DenoiseImage (extra 'peers').", rich_help_panel=WHAT)] = False,
    latency: Annotated[bool, typer.Option(help="Also how long a user waits: help, worker, preview.", rich_help_panel=WHAT)] = False,
    ladder: Annotated[
        str | None, typer.Option(help="Instead of the table: step by step, what makes this method fast.", rich_help_panel=WHAT)
    ] = None,
    networks: Annotated[
        bool, typer.Option("--networks", help="Instead of the table: count parameters and operations.", rich_help_panel=WHAT)
    ] = False,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.", rich_help_panel=HOW)] = "auto",
    precision: Annotated[
        list[str] | None,
        typer.Option(
            help="float32 or bfloat16; may be given more than once. By default both where the device has both.", rich_help_panel=HOW
        ),
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Slices a call; may be given more than once.", rich_help_panel=HOW)] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Let torch compile the networks, which takes minutes.", rich_help_panel=HOW)
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Of the processor.", rich_help_panel=HOW)] = 2,
    size: Annotated[int, typer.Option(min=32, help="Rows and columns of a slice.", rich_help_panel=HOW)] = 256,
    slices: Annotated[int, typer.Option(min=1, help="Of the volume.", rich_help_panel=HOW)] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="How often a call is timed after the first.", rich_help_panel=HOW)] = 5,
    rounds: Annotated[
        int, typer.Option(min=1, help="How often to go through all lines: spreads what slows the machine for a while.", rich_help_panel=HOW)
    ] = 1,
    report: Annotated[Path | None, typer.Option("--json", metavar="FILE.json", help="Also write every figure.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is already there.")] = False,
) -> None:
    """Time the ways to denoise on this machine; other work on it makes the figures worthless.

    Every line is measured in a process of its own. The change in dB is that of the PSNR of two slices of the sample head, against the
    first line of the method.
    """
    if bundle is not None and config is not None:
        raise SettingsError("--bundle and --config name two different models; leave one of them out")
    if networks and (bundle is not None or ladder is not None or report is not None):
        raise SettingsError("--networks counts what a size named by --config holds, and prints it; leave --bundle, --ladder and --json out")
    if ladder is not None and (config is not None or peers or method):
        raise SettingsError("--ladder measures one method of a trained model; leave --config, --peers and --method out")
    if report is not None:
        check_json(report, overwrite=overwrite)
    from MRIDenoiseLib.card import bundled_model
    from MRIDenoiseLib.evaluation.speed import table
    from MRIDenoiseLib.evaluation.speed.machine import facts, fast_bfloat16, limits_of
    from MRIDenoiseLib.evaluation.speed.networks import network_costs
    from MRIDenoiseLib.evaluation.speed.rows import METHODS as WAYS
    from MRIDenoiseLib.evaluation.speed.rows import USUAL, Row, ladder_rows, table_rows
    from MRIDenoiseLib.evaluation.speed.run import run
    from MRIDenoiseLib.inference.backend import PRECISIONS, choose_precision
    from MRIDenoiseLib.inference.device import choose_device

    console = Console(width=200)
    if networks:
        console.print(table.network_table(network_costs(config or "compact", size), config or "compact", size))
        return
    where = choose_device(device)
    numbers = [_known(name, PRECISIONS, "number format") for name in precision or []]
    if not numbers:
        half = fast_bfloat16(threads) if where.type == "cpu" else choose_precision("auto", where).itemsize == 2
        numbers = ["float32", "bfloat16"] if half else ["float32"]
    methods = [_known(name, WAYS, "way to denoise") for name in method or USUAL]
    batches = batch or ([1, 32] if where.type == "cuda" else [1])
    base = Row(
        title="",
        bundle=None if config is not None else str(bundle or bundled_model()),
        config=config or "compact",
        device=str(where),
        compiled=compiled,
        threads=threads,
        size=size,
        slices=max(slices, *batches),
        repeats=repeats,
    )
    if ladder is not None:
        rows = ladder_rows(base, _known(ladder, WAYS, "way to denoise"), numbers[-1], batches[-1] if batch else 4, compiled)
    else:
        rows = table_rows(base, methods, numbers, batches, peers)

    notes: list[str] = []

    def failed(row: Row, why: str) -> None:
        notes.append(f"{row.title}: {why}")

    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Measuring the machine")
        limits = {name: limits_of(where, choose_precision(name, where), threads) for name in numbers}
        told = facts(where, threads)
        found = run(rows, progress, should_stop, failed, rounds=rounds)
        waits = _waits(progress, should_stop, notes) if latency else []
    if report is not None:
        _write(report, told, {name: asdict(limit) for name, limit in limits.items()}, found, waits, overwrite=overwrite)
    console.print(table.machine_table(told, limits))
    if ladder is not None:
        console.print(table.ladder_table(found, ladder))
    else:
        console.print(table.speed_table(found, limits))
        console.print(table.volume_table(found))
    if waits:
        console.print(_waiting_table(waits))
    for note in dict.fromkeys([*notes, *(note for _, one in found for note in one.notes)]):
        console.print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)


def _waits(progress: Progress, should_stop: ShouldStop, notes: list[str]) -> list[Wait]:
    """How long a user waits, as far as it could be measured; why no further is added to the notes."""
    from MRIDenoiseLib.cli.waiting import waiting_times

    found = []
    try:
        for wait in waiting_times(progress, should_stop):
            found.append(wait)
    except (MRIDenoiseError, subprocess.CalledProcessError) as error:
        if isinstance(error, Cancelled):
            raise
        notes.append(f"waiting times: {error}")
    return found


def _known(name: str, names: Collection[Name], what: str) -> Name:
    """The name among those there are."""
    for one in names:
        if one == name:
            return one
    raise SettingsError(f"there is no {what} '{name}'; there are {', '.join(names)}")


def _waiting_table(waits: list[Wait]) -> Table:
    title = "\nHow long a user waits, with the bundled model on the processor"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("for")
    table.add_column("", justify="right")
    for wait in waits:
        table.add_row(wait.what, f"{wait.value:.2f} {wait.unit}")
    return table


def _write(
    path: Path,
    facts: dict[str, str],
    limits: dict[str, dict[str, float]],
    found: list[tuple[Row, Measured]],
    waits: list[Wait],
    *,
    overwrite: bool,
) -> None:
    """Every figure as JSON, without the folders of this machine."""
    from MRIDenoiseLib.io.atomic import replacing

    rows = [{"row": vars(row) | {"bundle": row.bundle and Path(row.bundle).name}, "measured": one.as_json()} for row, one in found]
    account = {"machine": facts, "limits": limits, "rows": rows, "waiting": [wait._asdict() for wait in waits]}
    with replacing(path, overwrite) as temporary:
        temporary.write_text(json.dumps(json_ready(account), indent=2, allow_nan=False) + "\n", encoding="utf-8")
