"""Training pairs drawn without end: a place in a clean volume, an augmentation, an acquisition, its noise level."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.data.manifest import CleanVolume
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.simulation.augment import random_crop, random_flip
from MRIDenoiseLib.simulation.slabs import REACH, TARGETS, Slab, simulated_slab
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

T = TypeVar("T")

LONE_SLICE, LONE_PAIR = 0.15, 0.15
"""How often a slice is shown without neighbours, and how often with the nearest ones only, each twice."""
DROP_ACQUISITION_FIELD = 0.15
SMALLEST_NOISE = 1e-3
TRIES = 50


@dataclass(frozen=True)
class Batch:
    """B training pairs in network units (2 I / s - 1).

    Args:
        measured: B x 5 x H x W, the noisy slice in the centre and its noisy neighbours, two on each side.
        clean: B x 1 x H x W, the same slice acquired without noise by the same machine.
        body: B x 1 x H x W float, 1 inside the body (of the clean slice, for weighing the loss only).
        noise_level: B, standard deviation of the centre slice's noise in the body: the true one of a simulated pair, an
            estimate of a real one. Losses count in it; the networks are given what the noise estimator measures.
        acceleration: B.
        slice_spacing: B, mm.
        prompts: B texts.
    """

    measured: Tensor
    clean: Tensor
    body: Tensor
    noise_level: Tensor
    acceleration: Tensor
    slice_spacing: Tensor
    prompts: list[str]

    def to(self, device: torch.device) -> Batch:
        """The same on another device; the noise levels and prompts go along."""
        tensors: dict[str, Any] = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    @classmethod
    def of(cls, pairs: Sequence[TrainingPair]) -> Batch:
        """Pairs one by one, as a batch."""
        return cls(
            measured=torch.stack([pair.measured for pair in pairs]),
            clean=torch.stack([pair.clean for pair in pairs]),
            body=torch.stack([pair.body for pair in pairs]),
            noise_level=torch.tensor([pair.noise_level for pair in pairs]),
            acceleration=torch.tensor([pair.acceleration for pair in pairs]),
            slice_spacing=torch.tensor([pair.slice_spacing for pair in pairs]),
            prompts=[pair.prompt for pair in pairs],
        )

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """All pairs of several batches, in their order."""
        tensors = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in cls.__dataclass_fields__ if name != "prompts"}
        return cls(**tensors, prompts=[prompt for batch in batches for prompt in batch.prompts])

    def __getitem__(self, part: slice) -> Batch:
        """The pairs of the batch that ``part`` picks."""
        return Batch(*(getattr(self, name)[part] for name in self.__dataclass_fields__))


def neighbourhood(batch: Batch, slices: int) -> Tensor:
    """B x slices x H x W: the measured slice with as many of its neighbours as a network takes."""
    drawn = batch.measured.shape[1]
    return batch.measured[:, (drawn - slices) // 2 : (drawn + slices) // 2]


class TrainingPair(NamedTuple):
    """One row of a :class:`Batch`."""

    measured: Tensor
    clean: Tensor
    body: Tensor
    noise_level: float
    acceleration: float
    slice_spacing: float
    prompt: str


class EvenDraw(Generic[T]):
    """Draws items so that each group is seen in proportion to the square root of its size.

    One item alone is then not seen as often as eight together, and eight do not drown it.

    Args:
        items: what to draw from, each with the name of its group.
    """

    def __init__(self, items: Iterable[tuple[tuple[str, str], T]]) -> None:
        groups: dict[tuple[str, str], list[T]] = {}
        for name, item in items:
            groups.setdefault(name, []).append(item)
        self._groups = [groups[name] for name in sorted(groups)]
        self._weights = torch.tensor([math.sqrt(len(group)) for group in self._groups])

    def draw(self, generator: torch.Generator) -> T:
        """One item."""
        group = self._groups[int(torch.multinomial(self._weights, 1, generator=generator))]
        return group[int(torch.randint(len(group), (1,), generator=generator))]


def draw_batch(draw: Callable[[torch.Generator], TrainingPair | None], seed: int, index: int, batch_size: int) -> Batch:
    """Batch number ``index`` of a sampler: the pairs that ``draw`` gives, those that came to nothing drawn again.

    Raises:
        InputError: hardly any crop holds enough tissue.
    """
    return Batch.of(draw_several(draw, torch.Generator().manual_seed(seed * 1_000_003 + index), batch_size))


def draw_several(draw: Callable[[torch.Generator], T | None], generator: torch.Generator, count: int) -> list[T]:
    """``count`` of what ``draw`` gives, what came to nothing drawn again.

    Raises:
        InputError: hardly any crop holds enough tissue.
    """
    drawn: list[T] = []
    for _ in range(TRIES * count):
        if len(drawn) == count:
            break
        one = draw(generator)
        if one is not None:
            drawn.append(one)
    if len(drawn) < count:
        raise InputError("the crops hold too little tissue to measure their noise; train on larger crops")
    return drawn


def place_in_body(body: np.ndarray, generator: torch.Generator) -> tuple[int, int]:
    """Row and column of a pixel of the body (rows, columns), or of the middle where there is none."""
    places = body.nonzero()
    if not len(places[0]):
        return body.shape[0] // 2, body.shape[1] // 2
    k = int(torch.randint(len(places[0]), (1,), generator=generator))
    return int(places[0][k]), int(places[1][k])


def partial_prompt(acquisition: Acquisition, generator: torch.Generator) -> str:
    """An acquisition's text; now and then a field is left unknown, as it is in many real headers."""
    for name in ("vendor", "organ", "contrast", "plane", "acceleration"):
        if torch.rand(1, generator=generator) < DROP_ACQUISITION_FIELD:
            acquisition = replace(acquisition, **{name: AcquisitionField()})
    return describe(acquisition)


def seldom_all_neighbours(noisy: Tensor, generator: torch.Generator) -> Tensor:
    """2 n + 1 slices as they are, now and then the middle one alone, or the nearest two repeated, as inference meets them too."""
    draw = float(torch.rand(1, generator=generator))
    reach = 0 if draw < LONE_SLICE else 1 if draw < LONE_SLICE + LONE_PAIR else len(noisy)
    middle = len(noisy) // 2
    return noisy[(torch.arange(len(noisy)) - middle).clamp(-reach, reach) + middle]


def slab_pair(slab: Slab, target: int, generator: torch.Generator) -> TrainingPair:
    """One slice of a slab as a training pair in network units: brightness, neighbours and the text's gaps are its own."""
    scale = math.exp(0.15 * float(torch.randn(1, generator=generator)))
    noisy = seldom_all_neighbours(slab.around(target), generator)
    return TrainingPair(
        measured=2 * noisy / scale - 1,
        clean=2 * slab.clean[target, None] / scale - 1,
        body=slab.body(target)[None],
        noise_level=max(2 * slab.noise_level(target) / scale, SMALLEST_NOISE),
        acceleration=slab.acceleration,
        slice_spacing=slab.slice_spacing,
        prompt=partial_prompt(slab.acquisition, generator),
    )


def simulated_pair(clean: Tensor, acquisition: Acquisition, spacing: float, generator: torch.Generator) -> TrainingPair | None:
    """A clean slice among its neighbours, acquired as in :func:`MRIDenoiseLib.simulation.slabs.simulated_slab`.

    Args:
        clean: N x H x W, N odd and the slice in the middle; P99.5 = 1, H = W.
        acquisition: of the volume.
        spacing: mm between slices.
        generator: the source of every choice.

    Returns:
        The pair, or None where there is too little body to measure its noise.
    """
    middle = len(clean) // 2
    slab = simulated_slab(clean, [middle], acquisition, spacing, generator)
    return None if slab is None else slab_pair(slab, middle, generator)


class PairSampler:
    """Draws :class:`Batch` es; the same seed and position give the same batches.

    Batches ``TARGETS`` k to ``TARGETS`` (k + 1) - 1 share their acquisitions: each takes another slice of the same slabs. Requested one
    after the other, they are simulated only once.

    Args:
        volumes: what to draw from; organs and contrasts are drawn evenly, then a volume among those that fit.
        size: rows and columns of a crop.
        seed: of every choice.
    """

    def __init__(self, volumes: Sequence[CleanVolume], size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self._volumes = EvenDraw(((volume.row.organ, volume.row.contrast), volume) for volume in volumes)
        self._group = -1
        self._generator = torch.Generator()
        self._slabs: list[list[TrainingPair]] = []

    def batch(self, index: int, batch_size: int) -> Batch:
        """Batch number ``index``, of ``batch_size`` pairs.

        Raises:
            InputError: hardly any crop holds enough tissue.
        """
        group, member = divmod(index, TARGETS)
        if group != self._group:
            self._group, self._slabs = group, []
            self._generator = torch.Generator().manual_seed(self.seed * 1_000_003 + group)
        missing = batch_size - len(self._slabs)
        if missing > 0:
            # One after the other out of one generator: how many were requested before changes none of them.
            self._slabs += draw_several(self._pairs, self._generator, missing)
        return Batch.of([pairs[member] for pairs in self._slabs[:batch_size]])

    def _pairs(self, generator: torch.Generator) -> list[TrainingPair] | None:
        """All pairs of one slab, or None when the place drawn holds too little body to measure its noise."""
        volume = self._volumes.draw(generator)
        depth = len(volume.slices)
        # Away from the ends, so that the neighbouring slices exist where there are as many.
        z = min(max(int(torch.randint(depth, (1,), generator=generator)), min(1, depth // 2)), max(depth - 2, depth // 2))
        wanted = [min(max(z + k - TARGETS // 2, 0), depth - 1) for k in range(TARGETS)]
        first, last = max(wanted[0] - REACH, 0), min(wanted[-1] + REACH, depth - 1)
        place = place_in_body(volume.body[z], generator)
        slices = torch.from_numpy(np.asarray(volume.slices[first : last + 1], dtype=np.float32))
        view = random_crop(slices, place, self.size, generator, least=volume.coarsening).contiguous()
        targets = [k - first for k in wanted]
        slab = simulated_slab(view, targets, volume.acquisition, volume.slice_spacing, generator)
        return None if slab is None else [_turned(slab_pair(slab, k, generator), generator) for k in targets]


def _turned(pair: TrainingPair, generator: torch.Generator) -> TrainingPair:
    """The same mirrored or turned at random, all its images alike."""
    state = generator.get_state()
    measured, clean, body = (random_flip(part, generator.set_state(state)).contiguous() for part in (pair.measured, pair.clean, pair.body))
    return pair._replace(measured=measured, clean=clean, body=body)
