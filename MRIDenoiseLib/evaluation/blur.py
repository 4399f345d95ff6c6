"""A Gaussian blur at its best setting: the control that every denoiser has to beat, since blurring alone raises PSNR."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.image.native_noise import Places

TRUNCATE = 3.0
"""Standard deviations at which the Gaussian ends."""

WIDEST = 6.0
"""Pixels: the widest Gaussian within slices that is tried for the noise that is left."""
HALVINGS = 14


class Blur(NamedTuple):
    """Standard deviations of a Gaussian: in pixels within slices, in slices across them (0 does not mix slices)."""

    in_plane: float
    across: float

    def __str__(self) -> str:
        return f"sigma {self.in_plane:g} px" + (f", {self.across:g} slices" if self.across else "")

    def __call__(self, slices: np.ndarray) -> np.ndarray:
        """The blurred (slices, rows, columns) array."""
        return ndimage.gaussian_filter(slices, (self.across, self.in_plane, self.in_plane), mode="nearest", truncate=TRUNCATE)

    def of_slice(self, slices: np.ndarray, index: int) -> np.ndarray:
        """One slice (rows, columns) of the blurred array, without the work for the others."""
        reach = math.ceil(TRUNCATE * self.across)
        first = max(0, index - reach)
        return self(slices[first : index + reach + 1])[index - first]


BLURS = tuple(Blur(in_plane, across) for across in (0.0, 0.4, 0.6, 0.9) for in_plane in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5))
"""Every setting tried, in two and in three dimensions. The best is chosen with knowledge of the reference, which no user has."""


def remaining_noise(error: np.ndarray, flat: np.ndarray) -> float:
    """The standard deviation of an error (slices, rows, columns) where ``flat`` is True; a constant shift is not noise."""
    return float(error[flat].std(dtype=np.float64))


def equally_clean_blur(noisy: np.ndarray, result: np.ndarray, clean: np.ndarray, tissue: np.ndarray) -> Blur:
    """The blur within slices that leaves as much noise in flat tissue as a result does: the cost of the same smoothness for a blur.

    For this choice only the blurred noise counts; the blur is then judged by what it does to anatomy.

    Args:
        noisy: (slices, rows, columns).
        result: of a denoiser, the same shape and units.
        clean: without noise, the same.
        tissue: bool, the same shape.

    Returns:
        The blur. Its standard deviation is 0, so that it changes nothing, where the result holds as much noise as before or more.

    Raises:
        InputError: there is no tissue.
    """
    flat = Places.of(clean, tissue).flat
    wanted = remaining_noise(result - clean, flat)
    noise = np.asarray(noisy, np.float64) - clean
    low, high = 0.0, WIDEST
    if wanted >= remaining_noise(noise, flat):
        return Blur(0.0, 0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if remaining_noise(Blur(middle, 0.0)(noise), flat) > wanted else (low, middle)
    return Blur(round(high, 3), 0.0)
