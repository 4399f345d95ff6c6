"""``mridenoise benchmark``: time, memory and operations, compared with the limits of this machine and with the programs users have."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib.cli.outputs import check_json
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import Cancelled, MRIDenoiseError, SettingsError
from MRIDenoiseLib.methods import METHODS

if TYPE_CHECKING:
    import torch

    from MRIDenoiseLib.evaluation.speed.latency import Wait
    from MRIDenoiseLib.evaluation.speed.machine import Limits
    from MRIDenoiseLib.evaluation.speed.rows import Measured, Row
    from MRIDenoiseLib.inference.backend import Precision
    from MRIDenoiseLib.progress import Progress, ShouldStop

WHAT = "What to time"
HOW = "How"
OUTPUT = "What to write"

Name = TypeVar("Name", bound=str)
Size = Literal["compact", "paper", "tiny"]

benchmark_app = typer.Typer(
    help="Time the ways to denoise on this machine; other work on it makes the figures worthless. Without a subcommand it runs methods.",
)

BundleOption = Annotated[Path | None, typer.Option(metavar="DIR", help="Another model than the bundled one.", rich_help_panel=WHAT)]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.", rich_help_panel=HOW)]
PrecisionOption = Annotated[
    list[str] | None,
    typer.Option(help="float32 or bfloat16; may be given more than once. By default both where the device has both.", rich_help_panel=HOW),
]
BatchOption = Annotated[list[int] | None, typer.Option(min=1, help="Slices per call; may be given more than once.", rich_help_panel=HOW)]
CompileOption = Annotated[bool, typer.Option("--compile", help="Let torch compile the networks, which takes minutes.", rich_help_panel=HOW)]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Of the processor.", rich_help_panel=HOW)]
SizeOption = Annotated[int, typer.Option(min=32, help="Rows and columns of a slice.", rich_help_panel=HOW)]
SlicesOption = Annotated[int, typer.Option(min=1, help="Of the volume.", rich_help_panel=HOW)]
RepeatsOption = Annotated[int, typer.Option(min=1, help="How often a call is timed after the first.", rich_help_panel=HOW)]
RoundsOption = Annotated[
    int,
    typer.Option(min=1, help="How often to go through all lines, to spread out temporary slowdowns of the machine.", rich_help_panel=HOW),
]
ReportOption = Annotated[Path | None, typer.Option("--json", metavar="FILE.json", help="Also write every figure.", rich_help_panel=OUTPUT)]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is already there.", rich_help_panel=OUTPUT)]
OldLatencyOption = Annotated[bool, typer.Option("--latency", hidden=True)]
"""Of 0.1, see :mod:`.old_spellings`: the waiting times below the table."""


@benchmark_app.command()
def methods(
    bundle: BundleOption = None,
    config: Annotated[
        Size | None, typer.Option(help="Networks of this size with random weights, in place of a model.", rich_help_panel=WHAT)
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help=f"default, {', '.join(METHODS)}; may be given more than once.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    peers: Annotated[bool, typer.Option(help="Also BM4D and ANTs DenoiseImage (extra 'peers').", rich_help_panel=WHAT)] = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    batch: BatchOption = None,
    compiled: CompileOption = False,
    threads: ThreadsOption = 2,
    size: SizeOption = 256,
    slices: SlicesOption = 8,
    repeats: RepeatsOption = 5,
    rounds: RoundsOption = 1,
    report: ReportOption = None,
    overwrite: OverwriteOption = False,
    latency: OldLatencyOption = False,
) -> None:
    """Time every method in every number format, for a slice and for a volume.

    Every line is measured in a process of its own. The change in dB is that of the PSNR of two slices of the sample head, compared
    with the first line of the method.
    """
    if bundle is not None and config is not None:
        raise SettingsError("--bundle and --config name two different models; leave one of them out")
    if report is not None:
        check_json(report, overwrite=overwrite)
    from MRIDenoiseLib.evaluation.speed import table
    from MRIDenoiseLib.evaluation.speed.rows import METHODS as WAYS
    from MRIDenoiseLib.evaluation.speed.rows import USUAL, table_rows

    names = [_known(name, WAYS, "way to denoise") for name in method or USUAL]
    machine = _machine(device, precision, batch, threads)
    base = _base(machine, bundle, config, compiled=compiled, size=size, slices=slices, repeats=repeats)
    done = _measure(table_rows(base, names, machine.numbers, machine.batches, peers), machine, rounds, latency=latency)
    if report is not None:
        _write(report, done, overwrite=overwrite)
    _show(done, table.speed_table(done.found, done.limits), table.volume_table(done.found))


@benchmark_app.command()
def ladder(
    method: Annotated[str, typer.Argument(metavar="METHOD", help=f"default, {', '.join(METHODS)}.")],
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    batch: BatchOption = None,
    compiled: CompileOption = False,
    threads: ThreadsOption = 2,
    size: SizeOption = 256,
    slices: SlicesOption = 8,
    repeats: RepeatsOption = 5,
    rounds: RoundsOption = 1,
    report: ReportOption = None,
    overwrite: OverwriteOption = False,
    latency: OldLatencyOption = False,
) -> None:
    """Step by step, what makes one method of a trained model fast, and what every step changes in the image."""
    if report is not None:
        check_json(report, overwrite=overwrite)
    from MRIDenoiseLib.evaluation.speed import table
    from MRIDenoiseLib.evaluation.speed.rows import METHODS as WAYS
    from MRIDenoiseLib.evaluation.speed.rows import ladder_rows

    name = _known(method, WAYS, "way to denoise")
    machine = _machine(device, precision, batch, threads)
    base = _base(machine, bundle, None, compiled=compiled, size=size, slices=slices, repeats=repeats)
    rows = ladder_rows(base, name, machine.numbers[-1], machine.batches[-1] if batch else 4, compiled)
    done = _measure(rows, machine, rounds, latency=latency)
    if report is not None:
        _write(report, done, overwrite=overwrite)
    _show(done, table.ladder_table(done.found, name))


@benchmark_app.command()
def latency(report: ReportOption = None, overwrite: OverwriteOption = False) -> None:
    """How long a user waits, with the bundled model on the processor: for the help, the worker, a preview; and for what memory."""
    if report is not None:
        check_json(report, overwrite=overwrite)
    import torch

    from MRIDenoiseLib.evaluation.speed.machine import facts

    notes: list[str] = []
    with ProgressDisplay() as progress, StopRequest() as should_stop:
        done = _Done(facts(torch.device("cpu"), torch.get_num_threads()), {}, [], _waits(progress, should_stop, notes), notes)
    if report is not None:
        _write(report, done, overwrite=overwrite)
    _show(done)


@benchmark_app.command()
def networks(
    config: Annotated[Size, typer.Option(help="The size of the networks.")] = "compact",
    size: Annotated[int, typer.Option(min=32, help="Rows and columns of a slice.")] = 256,
) -> None:
    """Count the parameters of the networks and their operations for a slice; nothing is computed."""
    from MRIDenoiseLib.evaluation.speed import table
    from MRIDenoiseLib.evaluation.speed.networks import network_costs

    Console(width=200).print(table.network_table(network_costs(config, size), config, size))


@dataclass(frozen=True)
class _Machine:
    """Where and how rows are measured: ``numbers`` are formats, ``batches`` slices a call."""

    device: torch.device
    numbers: Sequence[Precision]
    batches: Sequence[int]
    threads: int


@dataclass(frozen=True)
class _Done:
    """What was measured, and why what is missing could not be."""

    facts: dict[str, str]
    limits: dict[Precision, Limits]
    found: list[tuple[Row, Measured]]
    waits: list[Wait]
    notes: list[str]


def _machine(device: str, precision: list[str] | None, batch: list[int] | None, threads: int) -> _Machine:
    """The machine of the options; what they leave open is chosen to suit this machine."""
    from MRIDenoiseLib.evaluation.speed.machine import fast_bfloat16
    from MRIDenoiseLib.inference.backend import choose_precision
    from MRIDenoiseLib.inference.device import choose_device
    from MRIDenoiseLib.inference.settings import PRECISIONS

    where = choose_device(device)
    numbers = [_known(name, PRECISIONS, "number format") for name in precision or []]
    if not numbers:
        half = fast_bfloat16(threads) if where.type == "cpu" else choose_precision("auto", where).itemsize == 2
        numbers = ["float32", "bfloat16"] if half else ["float32"]
    return _Machine(where, numbers, batch or ([1, 32] if where.type == "cuda" else [1]), threads)


def _base(machine: _Machine, bundle: Path | None, config: Size | None, *, slices: int, **how: Any) -> Row:
    """What all rows have in common; ``how`` are fields of :class:`Row`."""
    from MRIDenoiseLib.card import bundled_model
    from MRIDenoiseLib.evaluation.speed.rows import Row

    return Row(
        title="",
        bundle=None if config is not None else str(bundle or bundled_model()),
        config=config or "compact",
        device=str(machine.device),
        threads=machine.threads,
        slices=max(slices, *machine.batches),
        **how,
    )


def _measure(rows: list[Row], machine: _Machine, rounds: int, *, latency: bool) -> _Done:
    """The machine first, then all rows; a row that fails becomes a note."""
    from MRIDenoiseLib.evaluation.speed.machine import facts, limits_of
    from MRIDenoiseLib.evaluation.speed.table import run
    from MRIDenoiseLib.inference.backend import choose_precision

    notes: list[str] = []

    def failed(row: Row, why: str) -> None:
        notes.append(f"{row.title}: {why}")

    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Measuring the machine")
        limits = {name: limits_of(machine.device, choose_precision(name, machine.device), machine.threads) for name in machine.numbers}
        this_machine = facts(machine.device, machine.threads)
        found = run(rows, progress, should_stop, failed, rounds=rounds)
        waits = _waits(progress, should_stop, notes) if latency else []
    return _Done(this_machine, limits, found, waits, notes)


def _waits(progress: Progress, should_stop: ShouldStop, notes: list[str]) -> list[Wait]:
    """How long a user waits, as far as it could be measured; why no further is added to the notes."""
    from MRIDenoiseLib.evaluation.speed.latency import waiting_times

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


def _show(done: _Done, *tables: Table) -> None:
    """The machine, what was measured on it, and what is to be known about that."""
    from MRIDenoiseLib.evaluation.speed.table import machine_table, waiting_table

    console = Console(width=200)
    waits = [waiting_table(done.waits)] if done.waits else []
    for table in (machine_table(done.facts, done.limits), *tables, *waits):
        console.print(table)
    for note in dict.fromkeys([*done.notes, *(note for _, one in done.found for note in one.notes)]):
        console.print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)


def _write(path: Path, done: _Done, *, overwrite: bool) -> None:
    """Every figure as JSON, without the folders of this machine."""
    from MRIDenoiseLib.io.atomic import write_json

    rows = [{"row": vars(row) | {"bundle": row.bundle and Path(row.bundle).name}, "measured": one.as_json()} for row, one in done.found]
    limits = {name: asdict(limit) for name, limit in done.limits.items()}
    waiting = [asdict(wait) for wait in done.waits]
    write_json(path, {"machine": done.facts, "limits": limits, "rows": rows, "waiting": waiting}, overwrite=overwrite)
