"""A Gaussian blur at its best setting: the control that every denoiser has to beat, since blurring alone raises PSNR."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

TRUNCATE = 3.0
"""Standard deviations at which the Gaussian ends."""


class Blur(NamedTuple):
    """Standard deviations of a Gaussian: in pixels within slices, in slices across them (0 leaves slices apart)."""

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
