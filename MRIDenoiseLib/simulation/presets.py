"""The noise presets of the comparisons: the same for every method, on every computer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.kspace import seeded_generator
from MRIDenoiseLib.simulation.noise import acquire_volume, rician
from MRIDenoiseLib.simulation.scene import Scene
from MRIDenoiseLib.volume import Volume

BRIGHT = 0.3
"""Relative to P99.5: in brighter tissue magnitude noise is practically Gaussian; the true noise is measured there."""


BENCHMARK_ROWS = ("R", "U", "M0.05", "M0.10", "L2-1.5", "L2-2", "L2-3")
"""The rows of every comparison, see :func:`benchmark_row`."""


RICIAN_SIGMA = 13 / 255


RICIAN_SIGMA_RANGE = (6 / 255, 25 / 255)


def benchmark_model(name: str) -> AcquisitionModel:
    """The level-2 model behind a row of :data:`BENCHMARK_ROWS` (all but the Rician ``R`` and ``U``).

    All rows: eight equal coils evenly around the image, noise correlation 0.15, known sensitivities, separable
    raised-cosine window from 0.75 Nyquist to 0 at Nyquist, SENSE, magnitude, no vendor filter. ``M0.05`` and ``M0.10``:
    complex noise of 0.05 and 0.10 in each coil, full sampling. ``L2-R``: reduction R along rows with complex noise of
    0.04, so 0.04 sqrt(R) times the g-factor in the image, stored with 12 bits. Complex noise of sigma means CN(0, sigma^2),
    E|n|^2 = sigma^2: sigma / sqrt(2) in each of the real and imaginary parts.
    """
    kind, _, number = name.partition("-") if name.startswith("L2-") else (name[:1], "", name[1:])
    models = BENCHMARK_ROWS[2:]
    if name not in models:
        raise ValueError(f"no benchmark model {name!r}; there are {', '.join(models)}")
    model = AcquisitionModel(coils=8, noise_correlation=0.15, apodisation="raised_cosine", apodisation_parameter=0.75, object_phase=math.pi)
    if kind == "M":
        return replace(model, sigma=float(number) / math.sqrt(2))
    return replace(model, sigma=0.04 / math.sqrt(2), reduction=float(number), rounding_bits=12)


def benchmark_row(name: str, image: Tensor, seed: int = 11, *, slices: Iterable[int] | None = None) -> Tensor:
    """A row of the comparisons: the noisy version of a volume, the same for every method.

    Args:
        name: one of :data:`BENCHMARK_ROWS`. ``R`` is Rician noise of 13/255, ``U`` Rician noise of a strength drawn for
            the volume from 6/255..25/255, see :func:`rician_benchmark_sigma`; for the others see :func:`benchmark_model`.
        image: (Z, H, W) the whole clean volume divided by the P99.5 of its positive voxels; Z is the acquired slice axis.
        seed: of the noise.
        slices: which slices to make; their noise does not depend on which others are made.
    """
    if name in ("R", "U"):
        sigma = RICIAN_SIGMA if name == "R" else rician_benchmark_sigma(image, seed)
        chosen = range(len(image)) if slices is None else slices
        return torch.stack([rician(image[k], sigma, seeded_generator(seed, name, k)) for k in chosen])
    model = benchmark_model(name)
    return acquire_volume(image, model, seed, scene=Scene.standard(model), slices=slices)


def rician_benchmark_sigma(image: Tensor, seed: int = 11) -> float:
    """The sigma of the row ``U`` for a volume: uniform in 6/255..25/255, decided by the seed and by the volume's shape.

    Not by its intensities: a lesion put into the volume must not change the noise around it.
    """
    low, high = RICIAN_SIGMA_RANGE
    generator = seeded_generator(seed, f"U sigma {tuple(image.shape)}", 0)
    return low + (high - low) * float(torch.rand(1, generator=generator, dtype=torch.float64))


def with_noise(volume: Volume, noise: str) -> Volume:
    """A clean volume with one of :data:`BENCHMARK_ROWS`, in units of its P99.5."""
    clean = np.ascontiguousarray(volume.stack / clean_scale(volume.stack), dtype=np.float32)
    return volume.with_stack(benchmark_row(noise, torch.from_numpy(clean)).numpy())
