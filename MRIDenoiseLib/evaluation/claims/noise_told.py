"""Is the noise told right? White and coarse noise of known strength on clean volumes, and what the model says of it.

The clean volumes hold noise of their own, so they are brought to a coarser grid first, where it is small, and what is left of
it counts as noise. A row whose own noise is above a third of what was added says little and does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.simulation.kspace import fft2, ifft2, window2d
from MRIDenoiseLib.simulation.noise import acquire_volume, level1, rician
from MRIDenoiseLib.simulation.presets import benchmark_model
from MRIDenoiseLib.simulation.random import seeded_generator
from MRIDenoiseLib.simulation.scene import Scene

STRENGTHS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15)
"""Of P99.5, the range in which the noise has to be told right."""
LARGEST_DEVIATION = 0.15
OWN_SHARE = 1 / 3
"""Of the added noise; a row with more noise of its own does not count."""


@dataclass(frozen=True)
class Told:
    """One row.

    Args:
        kind: one of :data:`KINDS`.
        true: root mean square of the whole noise in tissue: what was added, and what the volume had.
        told: what the model says, the same unit.
        counts: whether the volume's own noise is at most a third of what was added.
    """

    kind: str
    true: float
    told: float
    counts: bool

    @property
    def ratio(self) -> float:
        """Told over true; 1 is right."""
        return self.told / self.true

    @property
    def holds(self) -> bool:
        """Within 15 %."""
        return abs(self.ratio - 1) <= LARGEST_DEVIATION


def coarser(slices: np.ndarray, factor: float) -> np.ndarray:
    """The same anatomy on a grid coarser by ``factor`` within slices: the inner part of k-space.

    White noise of a pixel falls by the factor.

    Args:
        slices: magnitude (slices, rows, columns).
        factor: 1 or more.

    Returns:
        float32 with an even number of rows and columns.
    """
    sizes = [2 * min(size // 2, round(size / factor / 2)) for size in slices.shape[1:]]
    kspace = np.fft.fftshift(np.fft.fft2(slices, norm="forward"), axes=(1, 2))
    inner = tuple(slice(size // 2 - new // 2, size // 2 - new // 2 + new) for size, new in zip(slices.shape[1:], sizes, strict=True))
    image = np.fft.ifft2(np.fft.ifftshift(kspace[(slice(None), *inner)], axes=(1, 2)), norm="forward")
    return np.abs(image).astype(np.float32)


def _white(clean: Tensor, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
    return clean, rician(clean, sigma, seeded_generator(seed, "white", 0))


def _interpolated(factor: float) -> Callable[[Tensor, float, int], tuple[Tensor, Tensor]]:
    def add(clean: Tensor, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
        window = window2d(clean.shape[1], clean.shape[2], zero_fill=factor)
        reference = ifft2(fft2(clean.to(torch.complex64)) * window).abs()
        # What the window lets through of the noise shall have the strength asked for.
        scale = sigma / math.sqrt(float(window.square().mean()))
        return reference, level1(reference, scale, seeded_generator(seed, f"interpolated {factor:g}", 0), window=window)

    return add


def _sense(clean: Tensor, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
    model = replace(benchmark_model("L2-2"), sigma=sigma / math.sqrt(2), rounding_bits=None)
    scene = Scene.standard(model)
    reference, noisy = (acquire_volume(clean, acquisition, seed, scene=scene) for acquisition in (model.partner(), model))
    return reference, noisy


KINDS: dict[str, Callable[[Tensor, float, int], tuple[Tensor, Tensor]]] = {
    "white": _white,
    "interpolated 1.5": _interpolated(1.5),
    "interpolated 2": _interpolated(2.0),
    "SENSE 2": _sense,
}
"""Clean (slices, rows, columns), strength and seed -> the image without the noise and with it. Of interpolated images the
anatomy ends where the noise does in k-space; of ``SENSE 2`` the strength varies over the image and is about what was asked for."""


def told_row(
    clean: np.ndarray, kind: str, sigma: float, tell: Callable[[np.ndarray], float], *, own_noise: float = 0.0, seed: int = 0
) -> Told:
    """Add noise and ask.

    Args:
        clean: float32 (slices, rows, columns), P99.5 = 1.
        kind: one of :data:`KINDS`.
        sigma: strength of the noise, part of P99.5.
        tell: noisy slices -> the standard deviation of their noise.
        own_noise: of the clean slices, part of P99.5.
        seed: of the noise.
    """
    reference, noisy = (image.numpy() for image in KINDS[kind](torch.from_numpy(clean), sigma, seed))
    tissue = reference > FOREGROUND_THRESHOLD
    added = float(np.sqrt(np.square(noisy - reference, dtype=np.float64)[tissue].mean()))
    return Told(kind, math.hypot(added, own_noise), tell(noisy), own_noise <= OWN_SHARE * added)
