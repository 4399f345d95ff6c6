"""Golden-angle radial k-space to images, by gridding: what fastMRI's breast data needs.

Every spoke runs through the middle of k-space and is turned by 180/1.618 degrees against the one before. Its samples,
weighted by the area each stands for, are spread over a grid twice as fine as the image with a Kaiser-Bessel kernel
(Jackson 1991, doi 10.1109/42.97598; Beatty 2005, doi 10.1109/TMI.2005.848376), and the grid is transformed.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft, sparse

GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
OVERSAMPLING = 2
WIDTH = 4
"""Grid points that a sample is spread over, along each axis."""

_SHAPE = math.pi * math.sqrt((WIDTH / OVERSAMPLING) ** 2 * (OVERSAMPLING - 0.5) ** 2 - 0.8)
"""Kernel parameter beta of Beatty's equation 5."""


class RadialGrid:
    """The way from golden-angle spokes to an image, worked out once for all slices and coils.

    Args:
        spokes: how many, in the order they were measured.
        samples: of each, twice oversampled, the middle one at zero frequency.
    """

    def __init__(self, spokes: int, samples: int) -> None:
        self.size = samples // 2
        radius = (np.arange(samples) - samples // 2) / 2
        angle = np.arange(spokes) * math.pi / GOLDEN_RATIO
        places = np.stack([np.outer(turn, radius).ravel() for turn in (np.cos(angle), np.sin(angle))])
        # The half ring that a sample stands for; in the middle the end term of the trapezoidal rule (Euler and Maclaurin).
        area = np.where(radius == 0, 1 / 24, np.abs(radius) / 2) * math.pi / spokes
        self._spread = _spreading(places, OVERSAMPLING * self.size) @ sparse.diags(np.tile(area, spokes))
        middle = _spreading(np.zeros((2, 1)), OVERSAMPLING * self.size)
        self._kernel = self._transformed(middle.toarray()).real

    def images(self, kspace: np.ndarray) -> np.ndarray:
        """Complex images (..., size, size) of k-space (..., spokes, samples); a unit density of spins has the value 1."""
        *lead, spokes, samples = kspace.shape
        grid = self._spread @ kspace.reshape(-1, spokes * samples).T
        return (self._transformed(grid) / self._kernel).reshape(*lead, self.size, self.size).astype(np.complex64)

    def _transformed(self, grid: np.ndarray) -> np.ndarray:
        """(grid points, images) to (images, size, size): the middle of the inverse Fourier transform."""
        fine = OVERSAMPLING * self.size
        images = grid.T.reshape(-1, fine, fine)
        axes = (1, 2)
        images = fft.fftshift(fft.ifft2(fft.ifftshift(images, axes=axes), axes=axes, norm="forward"), axes=axes)
        first = (fine - self.size) // 2
        return images[:, first : first + self.size, first : first + self.size]


def _spreading(places: np.ndarray, fine: int) -> sparse.csr_array:
    """Sparse (fine * fine, samples): how much of each sample at ``places`` (2, samples; cycles a field of view) each point gets."""
    at = places * OVERSAMPLING + fine // 2
    nearest = np.floor(at).astype(int) - WIDTH // 2 + 1
    points, weights = [], []
    for step in range(WIDTH):
        points.append((nearest + step) % fine)
        inside = np.clip(1 - (2 * (nearest + step - at) / WIDTH) ** 2, 0, None)
        weights.append(np.i0(_SHAPE * np.sqrt(inside)) / np.i0(_SHAPE))
    rows = [points[a][0] * fine + points[b][1] for a in range(WIDTH) for b in range(WIDTH)]
    values = [weights[a][0] * weights[b][1] for a in range(WIDTH) for b in range(WIDTH)]
    columns = np.tile(np.arange(places.shape[1]), WIDTH**2)
    return sparse.csr_array((np.concatenate(values), (np.concatenate(rows), columns)), shape=(fine * fine, places.shape[1]))
