"""Where the training loop gets its pairs: by number, so that a resumed run sees the same pairs.

On a GPU through a ring of pairs in its memory: each is seen several times, so that networks need not wait for new ones. Worker
processes simulate; the newest pairs take the places of the oldest. What lies in the ring before a network call and what the call
draws from it follow from the seed and the number of the call alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.simulation.slabs import TARGETS

MOST_WORKERS = 16
AHEAD = 2
"""Groups of batches that each worker keeps ready."""


LEAST_PAIRS = 400
"""In the ring before the first call."""
MOST_PAIRS = 6000
"""In the ring at most: about 2 GB of crops of 160 x 160 pixels."""
SPREAD = 0.15
"""Of the logarithm of the brightness that a pair gets each time it is drawn."""


class Batches(Protocol):
    """Where training pairs come from; the same number gives the same batch."""

    def batch(self, index: int, batch_size: int) -> Batch:
        """Batch number ``index``, of ``batch_size`` pairs."""
        ...


class _Groups(Dataset[list[Batch]]):
    """Batches ``first`` to ``last - 1``, of ``batch_size`` pairs each, as a data set of torch.

    An item holds the batches that share their simulated acquisitions: one process makes them. See
    :class:`MRIDenoiseLib.data.samples.PairSampler`.
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
        last: the number after the last one.
        workers: processes that make batches ahead of time; 0 makes each when it is needed.
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


def has_ring(device: torch.device) -> bool:
    """Whether pairs are drawn through a ring there: a processor that simulates them itself loses nothing by new ones."""
    return device.type == "cuda"


class Ring:
    """Room for so many batches of one size, in half precision.

    Args:
        places: batches that it holds; a new one takes the place of the oldest.
        device: where they lie.
    """

    def __init__(self, places: int, device: torch.device) -> None:
        self._places = places
        self._device = device
        self._images: dict[str, Tensor] = {}
        self._prompts: list[list[str]] = []

    def put(self, number: int, batch: Batch) -> None:
        """Batch ``number`` of the simulation into its place."""
        place = number % self._places
        for name, value in vars(batch).items():
            if not isinstance(value, Tensor):
                continue
            # Numbers stay as they are: a faint noise level in half precision would be another one.
            kind = torch.float16 if value.dim() == 4 else value.dtype
            if name not in self._images:
                self._images[name] = torch.zeros((self._places, *value.shape), dtype=kind, device=self._device)
            self._images[name][place].copy_(value)
        self._prompts += [[]] * (place + 1 - len(self._prompts))
        self._prompts[place] = batch.prompts

    def draw(self, size: int, held: range, generator: torch.Generator) -> Batch:
        """``size`` pairs of the batches ``held``, each mirrored, turned and brightened at random.

        Args:
            size: pairs to draw.
            held: numbers of batches that were put in and are not yet replaced.
            generator: on the CPU.
        """
        pairs = len(next(iter(self._prompts)))
        chosen = torch.randint(len(held) * pairs, (size,), generator=generator).tolist()
        places = [held[k // pairs] % self._places for k in chosen]
        rows = [k % pairs for k in chosen]
        drawn = {name: value[places, rows].float() for name, value in self._images.items()}
        batch = Batch(**drawn, prompts=[self._prompts[place][row] for place, row in zip(places, rows, strict=True)])
        return _brightened(_turned(batch, generator), generator)


def reused(
    batches: Batches, batch_size: int, first: int, last: int, reuse: int, seed: int, device: torch.device, workers: int
) -> Iterator[Batch]:
    """Batches for the calls ``first`` to ``last - 1``, drawn from a ring that gets a new one every ``reuse`` calls.

    Args:
        batches: where new pairs come from.
        batch_size: pairs a batch.
        first, last: as of :func:`stream`.
        reuse: how many calls a pair is worth on average.
        seed: of what is drawn from the ring.
        device: where the ring lies.
        workers: processes that make new pairs.
    """
    at_first = math.ceil(LEAST_PAIRS / batch_size)
    places = max(MOST_PAIRS // batch_size, at_first)
    made = max(0, at_first + first // reuse - places)
    new = stream(batches, batch_size, made, at_first + -(-last // reuse), workers)
    ring = Ring(places, device)
    for number in range(first, last):
        needed = at_first + number // reuse
        while made < needed:
            ring.put(made, next(new))
            made += 1
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        yield ring.draw(batch_size, range(max(0, needed - places), needed), generator)


def _turned(batch: Batch, generator: torch.Generator) -> Batch:
    """Each pair mirrored or not along each axis, slices included, and transposed or not; all its images alike."""
    chances = (torch.rand(4, len(batch.clean), 1, 1, 1, generator=generator) < 0.5).to(batch.clean.device)

    def turn(images: Tensor) -> Tensor:
        for axis, chosen in enumerate(chances[:3], start=1):
            images = torch.where(chosen, images.flip(axis), images)
        return torch.where(chances[3], images.transpose(2, 3), images)

    return replace(batch, measured=turn(batch.measured), clean=turn(batch.clean), body=turn(batch.body))


def _brightened(batch: Batch, generator: torch.Generator) -> Batch:
    factor = torch.exp(SPREAD * torch.randn(len(batch.clean), generator=generator)).to(batch.clean.device)
    of_images = factor.view(-1, 1, 1, 1)
    measured, clean = ((image + 1) * of_images - 1 for image in (batch.measured, batch.clean))
    return replace(batch, measured=measured, clean=clean, noise_level=batch.noise_level * factor)
