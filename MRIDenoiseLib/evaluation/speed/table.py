"""Many rows measured, one after the other, and the results as printed tables.

Each row has a process of its own, so that none uses what another has prepared or has in memory.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from rich.table import Table

from MRIDenoiseLib.errors import Cancelled, MRIDenoiseError
from MRIDenoiseLib.evaluation.speed.latency import Wait
from MRIDenoiseLib.evaluation.speed.machine import Limits
from MRIDenoiseLib.evaluation.speed.networks import Cost
from MRIDenoiseLib.evaluation.speed.rows import CHANGE, Measured, Row
from MRIDenoiseLib.inference.backend import Precision
from MRIDenoiseLib.progress import Progress, ShouldStop

CHILD = "MRIDenoiseLib.evaluation.speed.measure"
BETWEEN_LOOKS = 0.1
"""Seconds between two checks whether to stop."""


def run(
    rows: Sequence[Row],
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    failed: Callable[[Row, str], None] | None = None,
    *,
    rounds: int = 1,
) -> list[tuple[Row, Measured]]:
    """Measure all rows; one that fails is reported and left out.

    Args:
        rows: what to measure.
        progress: called before every row.
        should_stop: called often; True ends the row in progress.
        failed: called with a row that could not be measured, and a sentence with the reason.
        rounds: how often to go through all rows, so that a temporary slowdown of the machine affects all rows alike.

    Raises:
        Cancelled: when ``should_stop`` returned True.
    """
    found: dict[int, list[Measured]] = {number: [] for number in range(len(rows))}
    for done, (_, number) in enumerate(product(range(rounds), list(found))):
        if number not in found:
            continue
        row = rows[number]
        if progress is not None:
            progress(done / (rounds * len(rows)), None, f"Timing {row.title}")
        try:
            found[number].append(_in_child(row, should_stop))
        except MRIDenoiseError as error:
            if isinstance(error, Cancelled):
                raise
            # What failed once is not tried again.
            del found[number]
            if failed is not None:
                failed(row, str(error))
    return [(rows[number], Measured.of_rounds(measured)) for number, measured in found.items()]


def _in_child(row: Row, should_stop: ShouldStop | None) -> Measured:
    # Before torch is loaded: it counts its threads only once.
    environment = os.environ | {"OMP_NUM_THREADS": str(row.threads), "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(row.threads)}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        request: bytes | None = json.dumps(vars(row)).encode()
        while True:
            try:
                answer, _ = process.communicate(request, timeout=BETWEEN_LOOKS)
                break
            except subprocess.TimeoutExpired:
                request = None
                if should_stop is not None and should_stop():
                    process.kill()
                    process.communicate()
                    raise Cancelled("stopped; nothing was written") from None
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    if process.returncode != 0:
        raise MRIDenoiseError(lines[-1] if lines else f"the measuring process ended with status {process.returncode}")
    return Measured.from_json(json.loads(answer))


Found = Sequence[tuple[Row, Measured]]


def speed_table(found: Found, limits: Mapping[Precision, Limits]) -> Table:
    """One line per row: times, work, how near the machine's limit that is, and how it changed the image.

    Args:
        found: rows with what was measured.
        limits: of the machine, by number format.
    """
    table = _table("Time for a slice, and what bounds it", "denoising", "numbers", "slices a call")
    for heading in ("first, s", "median, s", "p95, s", "with transfer, s", "GFLOP", "MB moved", "of the limit", "bound by", "change, dB"):
        table.add_column(heading, justify="right")
    for row, one in found:
        limit = limits.get(row.precision)
        counted = limit is not None and not math.isnan(one.operations)
        share, bound = "", ""
        if limit is not None and counted:
            share = f"{limit.seconds(one.operations, one.traffic) / one.slice.median:.0%}"
            bound = limit.bound_by(one.operations, one.traffic)
        table.add_row(
            row.title,
            "" if row.peer else row.precision + (", compiled" if row.compiled else ""),
            "" if row.peer else str(row.batch),
            _number(one.first, "{:.3g}"),
            _number(one.slice.median, "{:.3g}"),
            "" if row.peer else _number(one.slice.p95, "{:.3g}"),
            "" if row.peer else _number(one.with_transfer.median, "{:.3g}"),
            _number(one.operations / 1e9, "{:.1f}"),
            _number(one.traffic / 1e6, "{:.0f}"),
            share,
            bound,
            _change(change_of(row, one, found)),
        )
    return table


def volume_table(found: Found) -> Table:
    """Times of whole volumes, memory, and how many times faster than the peers."""
    peers = [(row.title, one) for row, one in found if row.peer]
    table = _table("A whole volume, and memory", "denoising", "numbers", "slices a call")
    for heading in ("slices", "median, s", "p95, s", "memory, MiB", "GPU memory, MiB", *(f"faster than {title}" for title, _ in peers)):
        table.add_column(heading, justify="right")
    for row, one in found:
        faster = (f"{peer.slice.median / (one.volume.median / row.slices):.3g} x" if not row.peer else "" for _, peer in peers)
        table.add_row(
            row.title,
            "" if row.peer else row.precision + (", compiled" if row.compiled else ""),
            "" if row.peer else str(row.batch),
            str(row.slices),
            _number(one.volume.median, "{:.3g}"),
            "" if row.peer else _number(one.volume.p95, "{:.3g}"),
            _number(one.memory, "{:.0f}"),
            _number(one.device_memory, "{:.0f}") if one.device_memory else "",
            *faster,
        )
    return table


def ladder_table(found: Found, method: str) -> Table:
    """Step by step: the gain of each, and how it changes the image."""
    table = _table(f"What makes it fast: {method} on the sample head", "step")
    for heading in ("seconds a slice", "than the step before", "than at first", "change, dB"):
        table.add_column(heading, justify="right")
    first = found[0][1].slice.median if found else math.nan
    before = first
    for row, one in found:
        now = one.slice.median
        change = one.psnr - found[0][1].psnr
        table.add_row(row.title, _number(now, "{:.3g}"), f"{before / now:.2f} x", f"{first / now:.2f} x", _change(change))
        before = now
    return table


def network_table(costs: Sequence[Cost], config: str, size: int) -> Table:
    """Parameters and operations of every network."""
    table = _table(f"{config}: one slice of {size} x {size}, 2 operations a multiply-add", "network")
    for heading in ("parameters", "GFLOP a call", "GFLOP a call with gradient"):
        table.add_column(heading, justify="right")
    for cost in costs:
        counts = ("" if count is None else f"{count / 1e9:.1f}" for count in (cost.operations, cost.with_gradient))
        table.add_row(cost.part, f"{cost.parameters:,}", *counts)
    return table


def machine_table(facts: Mapping[str, str], limits: Mapping[Precision, Limits]) -> Table:
    """The machine that was measured on, and its limits."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(name, value)
    for precision, limit in limits.items():
        table.add_row(f"products, {precision}", f"{limit.operations / 1e9:.4g} GFLOP/s")
    for limit in list(limits.values())[:1]:
        table.add_row("copying", f"{limit.traffic / 1e9:.3g} GB/s")
    return table


def waiting_table(waits: Sequence[Wait]) -> Table:
    """How long a user waits."""
    table = _table("How long a user waits, with the bundled model on the processor", "for")
    table.add_column("", justify="right")
    for wait in waits:
        table.add_row(wait.what, f"{wait.value:.2f} {wait.unit}")
    return table


def change_of(row: Row, one: Measured, found: Found) -> float:
    """By how many dB the image's PSNR differs from that of the first row with the same settings; NaN where there is none."""
    first = next((other for before, other in found if before.settings == row.settings and not before.peer), None)
    return math.nan if first is None or row.peer else one.psnr - first.psnr


def _change(change: float) -> str:
    """Decibels, marked where the change is larger than allowed."""
    return _number(change, "{:+.3f}") + (" !" if abs(change) >= CHANGE else "")


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else form.format(value)


def _table(title: str, *texts: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for text in texts:
        table.add_column(text)
    return table
