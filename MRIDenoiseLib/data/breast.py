"""fastMRI breast: a golden-angle stack of stars over two and a half minutes, reconstructed from all of its spokes.

Layout (Solomon et al. 2024, doi 10.48550/arXiv.2406.05270): ``kspace`` is float32 with the axes (partitions, coils, samples,
spokes, real and imaginary part), or those in the opposite order; its attributes give the middle partition and
the number of slices the scanner would interpolate to. The files give no field of view, so the published protocol's is used.

Golden-angle radial k-space to images, by gridding: what fastMRI's breast data needs.

Every spoke runs through the middle of k-space and is turned by 180/1.618 degrees against the one before. Its samples,
weighted by the area each stands for, are spread over a grid twice as fine as the image with a Kaiser-Bessel kernel
(Jackson 1991, doi 10.1109/42.97598; Beatty 2005, doi 10.1109/TMI.2005.848376), and the grid is transformed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from scipy import fft, sparse

from MRIDenoiseLib.data.cases import Check
from MRIDenoiseLib.data.raw import RawHeader, acquisition_of, attribute, dataset, opened, values, volume_of
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Volume

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


PIXEL = 1.0
"""mm, in the plane."""
INTERPOLATED_SPACING = 1.1
"""mm between the slices that the scanner would interpolate to."""
CENTRE_PARTITION = 32
"""Counted from 1, where the file does not give it."""
IMAGES = 192
_SLICES_AT_ONCE = 4


def read_breast(path: Path, check: Check) -> Volume:
    """The image of the whole acquisition, root sum of squares over the coils.

    It has as many slices as were measured, the half that partial Fourier left out counted in, rather than the scanner's
    interpolated ones: an interpolated slice gives a network nothing that its neighbours do not.

    Args:
        path: of the file.
        check: called for every few slices of every coil; raises :class:`Cancelled` to stop.

    Raises:
        InputError: the file is damaged.
    """
    with opened(path) as file:
        kspace = dataset(file, "kspace")
        partitions, coils, samples, spokes, _ = kspace.shape if is_radial(kspace) == "last" else kspace.shape[::-1]
        centre = _whole(kspace, "centerPartition", CENTRE_PARTITION) - 1
        if not 0 <= centre < partitions:
            raise InputError(f"the middle partition of {path.name} is not among its {partitions}; download it again")
        reach = max(centre + 1, partitions - centre)
        grid = RadialGrid(spokes, samples)
        squares = np.zeros((2 * reach, grid.size, grid.size), np.float32)
        for coil in range(coils):
            check()
            _add_squares(squares, _slices(kspace, coil, reach - centre, 2 * reach), grid, check)
        spacing = INTERPOLATED_SPACING * _whole(kspace, "imagesPerSlab", IMAGES) / (2 * reach)
    header = RawHeader(vendor="Siemens", field_strength=3.0)
    acquisition = acquisition_of(header, organ="breast", contrast="T1w", fat="fat-saturated", plane="axial")
    return volume_of(np.sqrt(squares), (spacing, PIXEL, PIXEL), acquisition)


def is_radial(kspace: h5py.Dataset) -> Literal["first", "last"] | None:
    """Where the real and imaginary part lie among the axes of breast data; None for other data."""
    if kspace.ndim != 5 or kspace.dtype.kind != "f":
        return None
    return "last" if kspace.shape[-1] == 2 else "first" if kspace.shape[0] == 2 else None


def _slices(kspace: h5py.Dataset, coil: int, before: int, count: int) -> np.ndarray:
    """Complex (slices, spokes, samples) of one coil: the partitions transformed, their middle one at the middle."""
    every = slice(None)
    parts = values(kspace, every, coil) if is_radial(kspace) == "last" else values(kspace, every, every, every, coil).T
    measured = (parts[..., 0] + 1j * parts[..., 1]).swapaxes(1, 2).astype(np.complex64)
    full = np.zeros((count, *measured.shape[1:]), np.complex64)
    full[before : before + len(measured)] = measured
    return fft.fftshift(fft.ifft(fft.ifftshift(full, axes=0), axis=0, norm="ortho"), axes=0)


def _whole(kspace: h5py.Dataset, name: str, otherwise: int) -> int:
    """An attribute that is a positive whole number; ``otherwise`` where it is not there."""
    value = attribute(kspace, name)
    number = positive(value)
    if value and (number is None or not number.is_integer()):
        raise InputError(f"its attribute {name} is not a whole number; download it again")
    return int(number) if number else otherwise


def _add_squares(squares: np.ndarray, slices: np.ndarray, grid: RadialGrid, check: Check) -> None:
    for first in range(0, len(slices), _SLICES_AT_ONCE):
        check()
        part = slice(first, first + _SLICES_AT_ONCE)
        squares[part] += np.square(np.abs(grid.images(slices[part])))
