"""Slabs: neighbouring slices of a clean volume acquired at once, by one simulated machine, for several training pairs.

A pair needs the slice's neighbours on both sides. Adjacent slices share them, so each of three pairs from one slab costs less
than half of what a single pair costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.prompt.acceleration import clamped_acceleration
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.augment import random_contrast, random_lesions, random_outline, random_reception
from MRIDenoiseLib.simulation.noise import acquire_pair, rician
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

REACH = 2
"""Neighbours on each side that a pair shows."""
TARGETS = 3
"""Neighbouring slices of a slab that become pairs."""
NEW_CONTRAST = 0.5
LESIONS = 0.35
RECEPTION = 0.2
"""How often the object is seen through a coil whose fading was corrected afterwards, so that noise varies over the image."""
WIPED = 0.2
FILLED = 0.4
"""How often an image is zero-filled that its protocol would not zero-fill; with the windows and filters of scanners, at least half
of all noise is then coarser than a pixel."""
ONE_DIRECTION = 0.25
"""Part of the zero-filled images that are filled along one direction only."""
RESAMPLED = 0.1
"""How often the stored image was brought to a finer grid afterwards, as viewers and archives do."""
FINEST, COARSEST = 1.1, 2.0
"""Grids: how many times finer than what was acquired."""
LEAST_BODY = 200
"""Pixels of the body that a target must hold."""
BODY = 0.08
"""Relative to P99.5: what is brighter belongs to the body."""
LEAST_SIGMA, MOST_SIGMA = 0.005, 0.15


@dataclass(frozen=True)
class Slab:
    """D neighbouring slices as a scanner stored them, and what they show without noise; P99.5 of the clean volume = 1.

    Args:
        noisy: D x H x W.
        clean: D x H x W, acquired without noise by the same machine.
        acquisition: for the prompt; the acceleration is the simulated one.
        acceleration: 1.5 to 3.
        slice_spacing: mm.
    """

    noisy: Tensor
    clean: Tensor
    acquisition: Acquisition
    acceleration: float
    slice_spacing: float

    def around(self, target: int) -> Tensor:
        """2 REACH + 1 noisy slices, ``target`` in the middle; a missing one at an end is the nearest slice, with the same noise."""
        return self.noisy[np.clip(np.arange(target - REACH, target + REACH + 1), 0, len(self.noisy) - 1)]

    def body(self, target: int) -> Tensor:
        """H x W float, 1 inside the body."""
        return (self.clean[target] > BODY).float()

    def noise_level(self, target: int) -> float:
        """Standard deviation of a slice's noise inside the body."""
        body = self.body(target)
        return float(((self.noisy[target] - self.clean[target]) * body).square().sum() / body.sum()) ** 0.5


def simulated_slab(
    clean: Tensor, targets: Sequence[int], acquisition: Acquisition, spacing: float, generator: torch.Generator
) -> Slab | None:
    """Clean slices in a random contrast, acquired by a random machine and stored as images are.

    Args:
        clean: D x H x W, P99.5 = 1, H = W.
        targets: the slices that are to become pairs.
        acquisition: of the volume.
        spacing: mm between slices.
        generator: the source of every choice.

    Returns:
        The slab, or None where a target has too little body to measure its noise.
    """
    if torch.rand(1, generator=generator) < NEW_CONTRAST:
        clean = random_contrast(clean, generator)
        acquisition = replace(acquisition, contrast=AcquisitionField())
    if torch.rand(1, generator=generator) < LESIONS:
        clean = random_lesions(clean, generator)
    gain = random_reception(clean.shape[-1], generator) if torch.rand(1, generator=generator) < RECEPTION else None
    fast = random_acquisition(generator)
    noisy, target = _acquired(clean if gain is None else clean / gain, fast, generator)
    if gain is not None:
        noisy, target = noisy * gain, target * gain
    if torch.rand(1, generator=generator) < RESAMPLED:
        noisy, target = resampled(torch.stack([noisy, target]), generator)
    if torch.rand(1, generator=generator) < WIPED:
        kept = random_outline(target, generator)
        noisy, target = noisy * kept, target * kept
    acceleration = 2.0 if isinstance(fast, float) else clamped_acceleration(fast.reduction * 2 / min(fast.nex, 2))
    described = replace(acquisition, acceleration=AcquisitionField(acceleration, "simulation", "high"))
    slab = Slab(noisy, target, described, acceleration, spacing)
    return None if min(float(slab.body(k).sum()) for k in targets) < LEAST_BODY else slab


def random_acquisition(generator: torch.Generator) -> AcquisitionModel | float:
    """A machine and protocol to simulate, or a number: the sigma of Rician noise (level 0, P99.5 = 1)."""
    kind, *draw = torch.rand(6, generator=generator).tolist()
    sigma = LEAST_SIGMA * (MOST_SIGMA / LEAST_SIGMA) ** draw[0]
    if kind < 0.2:
        fast: AcquisitionModel | float = sigma
    elif kind < 0.5:
        # Fully sampled coils with nothing but a k-space window: the noise most products store.
        coils = (1, 4, 8, 16)[int(draw[1] * 4)]
        fast = AcquisitionModel(
            coils=coils,
            noise_correlation=0.4 * draw[2],
            sigma=sigma,
            phase_axis=1 if draw[3] < 0.5 else 0,
            apodisation="raised_cosine",
            apodisation_parameter=0.5 + 0.45 * draw[4],
        )
    else:
        fast = AcquisitionModel.sample(generator)
    return _often_filled(fast, generator)


def resampled(images: Tensor, generator: torch.Generator) -> Tensor:
    """The middle of images on a finer grid of the same size, by linear or cubic interpolation in one direction or both.

    Args:
        images: M x N x H x W; all are treated alike.
        generator: the source of the choice.
    """
    kind, direction, *factors = torch.rand(4, generator=generator).tolist()
    finer = [FINEST + (COARSEST - FINEST) * factor for factor in factors]
    if direction < 2 * ONE_DIRECTION:
        finer[direction < ONE_DIRECTION] = 1.0
    height, width = images.shape[-2:]
    rows, columns = (max(8, round(size / factor)) for size, factor in zip((height, width), finer, strict=True))
    top, left = (height - rows) // 2, (width - columns) // 2
    seen = images[..., top : top + rows, left : left + columns]
    mode = "bilinear" if kind < 0.5 else "bicubic"
    return functional.interpolate(seen, (height, width), mode=mode, align_corners=False).clamp_min(0)


def _acquired(clean: Tensor, fast: AcquisitionModel | float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    if isinstance(fast, float):
        return rician(clean, fast, generator), clean
    return acquire_pair(clean, fast, fast.partner(), generator, generator)


def _often_filled(fast: AcquisitionModel | float, generator: torch.Generator) -> AcquisitionModel | float:
    """The same acquisition, sometimes zero-filled: by an arbitrary factor, along one direction or both."""
    draw, direction, rows, columns = torch.rand(4, generator=generator).tolist()
    if draw >= FILLED or (not isinstance(fast, float) and fast.zero_fill > 1):
        return fast
    model = AcquisitionModel(coils=1, noise_correlation=0.0, sigma=fast) if isinstance(fast, float) else fast
    row_fill, column_fill = (FINEST + (COARSEST - FINEST) * draw for draw in (rows, columns))
    if direction < ONE_DIRECTION:
        return replace(model, zero_fill=row_fill, readout_fill=1.0)
    if direction < 2 * ONE_DIRECTION:
        return replace(model, readout_fill=column_fill)
    # The two directions mostly share one factor: pixels are square.
    return replace(model, zero_fill=row_fill, readout_fill=column_fill if direction < 3 * ONE_DIRECTION else None)
