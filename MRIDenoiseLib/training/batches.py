"""Where the training loop gets its pairs: by number, so that a run which goes on sees what it would have seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from MRIDenoiseLib.training.samples import Batch

MOST_WORKERS = 16
AHEAD = 4
"""Batches that each worker keeps ready."""


class Batches(Protocol):
    """Where training pairs come from; the same number gives the same batch."""

    def batch(self, index: int, batch_size: int) -> Batch:
        """Batch number ``index``, of ``batch_size`` pairs."""
        ...


class _Numbered(Dataset[Batch]):
    """Batches ``first`` to ``last - 1``, of ``batch_size`` pairs each, as a data set of torch."""

    def __init__(self, batches: Batches, batch_size: int, first: int, last: int) -> None:
        self._batches = batches
        self._batch_size = batch_size
        self._numbers = range(first, last)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Batch:
        return self._batches.batch(self._numbers[index], self._batch_size)


def stream(batches: Batches, batch_size: int, first: int, last: int, workers: int) -> Iterator[Batch]:
    """Batches ``first`` to ``last - 1`` in order, the same ones whatever the number of workers.

    Args:
        batches: where they come from.
        batch_size: pairs a batch.
        first: number of the first batch.
        last: number behind the last one.
        workers: processes that make batches ahead of time; 0 makes each when it is asked for.
    """
    numbered = _Numbered(batches, batch_size, first, last)
    yield from DataLoader(numbered, batch_size=None, num_workers=workers, prefetch_factor=AHEAD if workers else None)


def workers_for(device: torch.device) -> int:
    """How many worker processes feed one training process: none on a CPU, which has no time to spare.

    On a GPU, the cores that this machine's training processes leave free, shared among them.
    """
    if device.type == "cpu":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_WORKERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))
