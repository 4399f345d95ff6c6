"""Where the training loop gets its pairs: by number, so that a run which goes on sees what it would have seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.simulation.slabs import TARGETS

MOST_WORKERS = 16
AHEAD = 2
"""Groups of batches that each worker keeps ready."""


class Batches(Protocol):
    """Where training pairs come from; the same number gives the same batch."""

    def batch(self, index: int, batch_size: int) -> Batch:
        """Batch number ``index``, of ``batch_size`` pairs."""
        ...


class _Groups(Dataset[list[Batch]]):
    """Batches ``first`` to ``last - 1``, of ``batch_size`` pairs each, as a data set of torch.

    An item holds the batches that share their simulated acquisitions, see :class:`.samples.PairSampler`: one process makes them.
    """

    def __init__(self, batches: Batches, batch_size: int, first: int, last: int) -> None:
        self._batches = batches
        self._batch_size = batch_size
        self._first, self._last = first, last
        self._groups = range(first // TARGETS, -(-last // TARGETS))

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> list[Batch]:
        start = self._groups[index] * TARGETS
        numbers = range(max(start, self._first), min(start + TARGETS, self._last))
        return [self._batches.batch(number, self._batch_size) for number in numbers]


def stream(batches: Batches, batch_size: int, first: int, last: int, workers: int) -> Iterator[Batch]:
    """Batches ``first`` to ``last - 1`` in order, the same ones whatever the number of workers.

    Args:
        batches: where they come from.
        batch_size: pairs a batch.
        first: number of the first batch.
        last: number behind the last one.
        workers: processes that make batches ahead of time; 0 makes each when it is asked for.
    """
    if workers == 0:
        for number in range(first, last):
            yield batches.batch(number, batch_size)
        return
    groups = _Groups(batches, batch_size, first, last)
    for group in DataLoader(groups, batch_size=None, num_workers=workers, prefetch_factor=AHEAD):
        yield from group


def workers_for(device: torch.device) -> int:
    """How many worker processes feed one training process: none on a CPU, which has no time to spare.

    On a GPU, the cores that this machine's training processes leave free, shared among them.
    """
    if device.type == "cpu":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_WORKERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))
