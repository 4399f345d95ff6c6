"""Training pairs drawn without end: a place in a clean volume, an augmentation, an acquisition, its noise level."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.inference.slices import neighbours
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.prompt.acceleration import told_acceleration
from MRIDenoiseLib.training.acquisition_model import AcquisitionModel
from MRIDenoiseLib.training.augment import random_contrast, random_crop, random_flip, random_lesions
from MRIDenoiseLib.training.noise import acquire_pair, rician
from MRIDenoiseLib.training.volumes import CleanVolume
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

T = TypeVar("T")

NEW_CONTRAST = 0.5
LESIONS = 0.35
DROP_NEIGHBOURS = 0.3
DROP_ACQUISITION_FIELD = 0.15
SMALLEST_NOISE = 1e-3
LEAST_BODY = 200
"""Pixels of the body that a crop must hold."""
LEAST_SIGMA, MOST_SIGMA = 0.005, 0.15
TRIES = 50


@dataclass(frozen=True)
class Batch:
    """B training pairs in network units (2 I / s - 1).

    Args:
        measured: B x 3 x H x W, the noisy slice in the centre and its noisy neighbours.
        clean: B x 1 x H x W, the same slice acquired without noise by the same machine.
        body: B x 1 x H x W float, 1 inside the body (of the clean slice, for weighing the loss only).
        noise_level: B, standard deviation of the centre slice's noise in the body: the true one of a simulated pair, an
            estimate of a real one. Losses count in it; the networks are told what the noise estimator says.
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
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """All pairs of several batches, in their order."""
        tensors = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in cls.__dataclass_fields__ if name != "prompts"}
        return cls(**tensors, prompts=[prompt for batch in batches for prompt in batch.prompts])

    def __getitem__(self, part: slice) -> Batch:
        """The pairs of the batch that ``part`` picks."""
        return Batch(*(getattr(self, name)[part] for name in self.__dataclass_fields__))


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
    generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
    pairs: list[TrainingPair] = []
    for _ in range(TRIES * batch_size):
        pair = draw(generator)
        if pair is not None:
            pairs.append(pair)
        if len(pairs) == batch_size:
            break
    else:
        raise InputError("the crops hold too little tissue to tell their noise; train on larger crops")
    return Batch(
        measured=torch.stack([pair.measured for pair in pairs]),
        clean=torch.stack([pair.clean for pair in pairs]),
        body=torch.stack([pair.body for pair in pairs]),
        noise_level=torch.tensor([pair.noise_level for pair in pairs]),
        acceleration=torch.tensor([pair.acceleration for pair in pairs]),
        slice_spacing=torch.tensor([pair.slice_spacing for pair in pairs]),
        prompts=[pair.prompt for pair in pairs],
    )


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


class PairSampler:
    """Draws :class:`Batch` es; the same seed and position give the same batches.

    Args:
        volumes: what to draw from; organs and contrasts are drawn evenly, then a volume among those that fit.
        size: rows and columns of a crop.
        seed: of every choice.
    """

    def __init__(self, volumes: Sequence[CleanVolume], size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self._volumes = EvenDraw(((volume.row.organ, volume.row.contrast), volume) for volume in volumes)

    def batch(self, index: int, batch_size: int) -> Batch:
        """Batch number ``index``, of ``batch_size`` pairs.

        Raises:
            InputError: hardly any crop holds enough tissue.
        """
        return draw_batch(self._pair, self.seed, index, batch_size)

    def _pair(self, generator: torch.Generator) -> TrainingPair | None:
        """One pair, or None when the place drawn holds too little body to tell its noise."""
        volume = self._volumes.draw(generator)
        clean, spacing = self._slices(volume, generator)
        return simulated_pair(clean, volume.acquisition, spacing, generator)

    def _slices(self, volume: CleanVolume, generator: torch.Generator) -> tuple[Tensor, float]:
        """Three neighbouring slices (3 x size x size) around a place in the body, and their spacing in mm."""
        z = int(torch.randint(len(volume.slices), (1,), generator=generator))
        centre = place_in_body(volume.body[z], generator)
        slices = torch.from_numpy(neighbours(volume.slices, z, 3))
        slices = random_crop(slices, centre, self.size, generator)
        return random_flip(slices, generator).contiguous(), volume.slice_spacing


def simulated_pair(clean: Tensor, acquisition: Acquisition, spacing: float, generator: torch.Generator) -> TrainingPair | None:
    """A clean slice between its neighbours in a random contrast, acquired with a random noise.

    Args:
        clean: 3 x H x W, P99.5 = 1; at the ends of a volume the slice itself stands for the neighbour it lacks.
        acquisition: of the volume.
        spacing: mm between slices.
        generator: the source of every choice.

    Returns:
        The pair, or None where there is too little body to tell its noise.
    """
    repeated = [k for k in (0, 2) if torch.equal(clean[k], clean[1])]
    if torch.rand(1, generator=generator) < NEW_CONTRAST:
        clean = random_contrast(clean, generator)
        acquisition = replace(acquisition, contrast=AcquisitionField())
    if torch.rand(1, generator=generator) < LESIONS:
        clean = random_lesions(clean, generator)
    fast = random_acquisition(generator)
    if isinstance(fast, float):
        noisy, target = rician(clean, fast, generator), clean
        acceleration = 2.0
    else:
        noisy, target = acquire_pair(clean, fast, fast.partner(), generator, generator)
        acceleration = told_acceleration(fast.reduction * 2 / min(fast.nex, 2))
    # At the ends of a volume the slice stands in for the neighbour it lacks, noise and all, as at inference.
    noisy[repeated] = noisy[1].clone()
    body = (target[1:2] > 0.08).float()
    if body.sum() < LEAST_BODY:
        return None
    level = float(((noisy[1:2] - target[1:2]) * body).square().sum() / body.sum()) ** 0.5
    scale = math.exp(0.15 * float(torch.randn(1, generator=generator)))
    if torch.rand(1, generator=generator) < DROP_NEIGHBOURS:
        noisy = noisy[1:2].expand(3, -1, -1)
    measured, centre = (2 * image / scale - 1 for image in (noisy, target[1:2]))
    noise_level = max(2 * level / scale, SMALLEST_NOISE)
    acquisition = replace(acquisition, acceleration=AcquisitionField(acceleration, "simulation", "high"))
    return TrainingPair(measured, centre, body, noise_level, acceleration, spacing, partial_prompt(acquisition, generator))


def random_acquisition(generator: torch.Generator) -> AcquisitionModel | float:
    """A machine and protocol to simulate, or a number: the sigma of Rician noise (level 0, P99.5 = 1)."""
    kind, *draw = torch.rand(6, generator=generator).tolist()
    sigma = LEAST_SIGMA * (MOST_SIGMA / LEAST_SIGMA) ** draw[0]
    if kind < 0.2:
        return sigma
    if kind < 0.5:
        # Fully sampled coils with nothing but a k-space window: the noise most products store.
        coils = (1, 4, 8, 16)[int(draw[1] * 4)]
        return AcquisitionModel(
            coils=coils,
            noise_correlation=0.4 * draw[2],
            sigma=sigma,
            phase_axis=1 if draw[3] < 0.5 else 0,
            apodisation="raised_cosine",
            apodisation_parameter=0.5 + 0.45 * draw[4],
        )
    return AcquisitionModel.sample(generator)
