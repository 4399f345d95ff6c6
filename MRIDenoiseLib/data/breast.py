"""fastMRI breast: a golden-angle stack of stars over two and a half minutes, reconstructed from all of its spokes.

Layout (Solomon et al. 2024, doi 10.48550/arXiv.2406.05270): ``kspace`` is float32 with the axes (partitions, coils, samples,
spokes, real and imaginary part), or those in the opposite order; its attributes tell which partition is the middle one and
how many slices the scanner would interpolate to. The files tell no field of view, so the published protocol's is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from scipy import fft

from MRIDenoiseLib.data.cases import Check
from MRIDenoiseLib.data.radial import RadialGrid
from MRIDenoiseLib.data.raw import RawHeader, acquisition_of, attribute, dataset, opened, values, volume_of
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Volume

PIXEL = 1.0
"""mm, in the plane."""
INTERPOLATED_SPACING = 1.1
"""mm between the slices that the scanner would interpolate to."""
CENTRE_PARTITION = 32
"""Counted from 1, where the file does not tell."""
IMAGES = 192
_SLICES_AT_ONCE = 4


def read_breast(path: Path, check: Check) -> Volume:
    """The image of the whole acquisition, root sum of squares over the coils.

    It has as many slices as were measured, the half that partial Fourier left out counted in, rather than the scanner's
    interpolated ones: an interpolated slice tells a network nothing that its neighbours do not.

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
    said = attribute(kspace, name)
    number = positive(said)
    if said and (number is None or not number.is_integer()):
        raise InputError(f"its attribute {name} is not a whole number; download it again")
    return int(number) if number else otherwise


def _add_squares(squares: np.ndarray, slices: np.ndarray, grid: RadialGrid, check: Check) -> None:
    for first in range(0, len(slices), _SLICES_AT_ONCE):
        check()
        part = slice(first, first + _SLICES_AT_ONCE)
        squares[part] += np.square(np.abs(grid.images(slices[part])))
