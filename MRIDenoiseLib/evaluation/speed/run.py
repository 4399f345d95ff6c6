"""Many rows, one after the other, each in a process of its own: what one keeps prepared or in memory is not another's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from MRIDenoiseLib.errors import Cancelled, MRIDenoiseError
from MRIDenoiseLib.evaluation.speed.row import Measured, Row
from MRIDenoiseLib.inference.pace import Progress, ShouldStop

CHILD = "MRIDenoiseLib.evaluation.speed.measure"
BETWEEN_LOOKS = 0.1
"""Seconds between two questions whether to stop."""


def run(
    rows: Sequence[Row],
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    failed: Callable[[Row, str], None] | None = None,
) -> list[tuple[Row, Measured]]:
    """Measure all rows; one that fails is told of and left out.

    Args:
        rows: what to measure.
        progress: told before every row.
        should_stop: asked often; the row in progress is then ended.
        failed: told a row that could not be measured, and why in a sentence.

    Raises:
        Cancelled: when told to stop.
    """
    found = []
    for number, row in enumerate(rows):
        if progress is not None:
            progress(number / len(rows), None, f"Timing {row.title}")
        try:
            found.append((row, _in_child(row, should_stop)))
        except MRIDenoiseError as error:
            if isinstance(error, Cancelled):
                raise
            if failed is not None:
                failed(row, str(error))
    return found


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
