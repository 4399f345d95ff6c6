"""Runs cells on Dask workers: on this machine's cores, or on the machines of a running cluster.

Workers read the data by the folder's name, so it has to be the same on all machines, as on a cluster's shared disk. Only the
machine that started the comparison writes results. If a worker dies, its cell is started again on another worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import Paused, SettingsError
from MRIDenoiseLib.evaluation.comparison.cells import Cell, Outcome
from MRIDenoiseLib.evaluation.comparison.store import run_kept
from MRIDenoiseLib.progress import ShouldStop

POLL = 0.3
"""Seconds between two checks whether to stop."""
DEATHS = 3
"""How many workers may die on a cell before it counts as failed."""
CONNECTION = 10
"""Seconds to wait for a scheduler."""


def run_cells(
    cells: Sequence[Cell],
    *,
    jobs: int,
    scheduler: str | None = None,
    should_stop: ShouldStop | None = None,
    peers: Path | None = None,
) -> Iterator[tuple[Cell, Outcome]]:
    """Run cells; yield each with its outcome when it is done, in the order in which they end.

    Args:
        cells: what to compute.
        jobs: worker processes on this machine, of one thread each; not used where a scheduler is given.
        scheduler: address of a running Dask scheduler, for example ``tcp://node:8786``.
        should_stop: called several times a second; True stops.
        peers: where results of other people's methods are kept for several comparisons.

    Raises:
        Paused: when ``should_stop`` returned True; the outcomes so far remain valid.
        SettingsError: Dask is not installed, or the scheduler does not answer.
    """
    try:
        import distributed
    except ImportError as error:
        raise SettingsError("a comparison needs the package dask: install the extra 'evaluate' (pip install -e '.[evaluate]')") from error
    from distributed.scheduler import KilledWorker

    with _client(distributed, jobs, scheduler) as client:
        # One task per cell: two workers never do the same cell, and no result is kept in the cluster longer than needed.
        futures = {
            client.submit(run_kept, cell, peers, pure=False, key=f"cell-{cell.mark}-{number}"): cell for number, cell in enumerate(cells)
        }
        while futures:
            if should_stop is not None and should_stop():
                client.cancel(list(futures), force=True)
                raise Paused("Stopped; what is done is kept, and the same command resumes it.")
            for future in [future for future in futures if future.done()]:
                cell = futures.pop(future)
                try:
                    outcome = future.result()
                except KilledWorker:
                    outcome = Outcome(error=f"its process died {DEATHS + 1} times, perhaps because memory was full")
                future.release()
                yield cell, outcome
            time.sleep(POLL if futures else 0)


@contextmanager
def _client(distributed: Any, jobs: int, scheduler: str | None) -> Iterator[Any]:
    import dask

    for name in ("distributed", "distributed.nanny", "distributed.worker", "distributed.core", "distributed.scheduler"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=CONNECTION)
        except (OSError, ValueError, TimeoutError, asyncio.TimeoutError) as error:
            raise SettingsError(f"no Dask scheduler answers at {scheduler}: start one, or leave --scheduler out") from error
        with client:
            yield client
        return
    options = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": 1,
        "distributed.nanny.pre-spawn-environ.MKL_NUM_THREADS": 1,
        "distributed.nanny.pre-spawn-environ.ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": 1,
    }
    with (
        dask.config.set(options),
        distributed.LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None, preload=[__name__]
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def dask_setup(worker: Any) -> None:
    """Called by Dask in every process of the local cluster: a worker has one thread, and its parent process handles the user's Ctrl-C."""
    import signal

    import torch

    torch.set_num_threads(1)
    if os.name == "posix":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
