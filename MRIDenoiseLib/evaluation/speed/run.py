"""Many rows, one after the other, each in a process of its own: what one keeps prepared or in memory is not another's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import product

from MRIDenoiseLib.errors import Cancelled, MRIDenoiseError
from MRIDenoiseLib.evaluation.speed.rows import Measured, Row
from MRIDenoiseLib.progress import Progress, ShouldStop

CHILD = "MRIDenoiseLib.evaluation.speed.measure"
BETWEEN_LOOKS = 0.1
"""Seconds between two questions whether to stop."""


def run(
    rows: Sequence[Row],
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    failed: Callable[[Row, str], None] | None = None,
    *,
    rounds: int = 1,
) -> list[tuple[Row, Measured]]:
    """Measure all rows; one that fails is told of and left out.

    Args:
        rows: what to measure.
        progress: told before every row.
        should_stop: asked often; the row in progress is then ended.
        failed: told a row that could not be measured, and why in a sentence.
        rounds: how often to go through all rows; what slows the machine for a while then strikes them all alike.

    Raises:
        Cancelled: when told to stop.
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
    # Before torch is loaded: it counts the threads it may take but once.
    environment = os.environ | {"OMP_NUM_THREADS": str(row.threads), "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(row.threads)}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment
        )
        asked: bytes | None = json.dumps(vars(row)).encode()
        while True:
            try:
                answer, _ = process.communicate(asked, timeout=BETWEEN_LOOKS)
                break
            except subprocess.TimeoutExpired:
                asked = None
                if should_stop is not None and should_stop():
                    process.kill()
                    process.communicate()
                    raise Cancelled("stopped; nothing was written") from None
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if process.returncode != 0:
        raise MRIDenoiseError(lines[-1] if lines else f"the measuring process ended with status {process.returncode}")
    return Measured.from_json(json.loads(answer))
