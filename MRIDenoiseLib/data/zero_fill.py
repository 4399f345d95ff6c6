"""Another matrix for the same field of view, by padding or cropping k-space, as a scanner does it.

Scanners fill k-space with zeros to show a finer matrix than they measured, and two scans of a pair are seldom filled alike.
Padding and cropping k-space changes the matrix without inventing anything, where interpolation would blur the anatomy and
the noise. The values are those of the same trigonometric polynomial at other places, so a constant image keeps its value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import signal

from MRIDenoiseLib.volume import Volume


def resize(slices: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Slices with another matrix; sample (0, 0) stays where it is and the field of view keeps its size.

    The Nyquist line of an even matrix belongs half to either end of k-space, so that the result is real. White noise keeps
    its standard deviation when k-space is padded, but its neighbours become correlated: lag one by sinc(old / new).

    Args:
        slices: real magnitudes (..., rows, columns).
        shape: rows and columns of the result, each larger or smaller than before.

    Returns:
        float32 (..., rows, columns), not below zero.
    """
    resized = slices.astype(np.float64)
    for axis, size in zip((-2, -1), shape, strict=True):
        if size != resized.shape[axis]:
            # It halves the Nyquist line when it pads and adds its two halves when it crops.
            resized = signal.resample(resized, size, axis=axis)
    return np.maximum(resized, 0).astype(np.float32)


def resized_affine(ijk_to_ras: np.ndarray, old: tuple[int, int, int], new: tuple[int, int, int]) -> np.ndarray:
    """The voxel-to-patient matrix after :func:`resize`: finer or coarser steps from the same first voxel.

    The centre of voxel (0, 0, 0) stays, not the outer edge of the first pixel, which is what programs that keep the edges of
    the picture would move to; taking the one for the other is an error of half the difference between the pixel sizes.

    Args:
        ijk_to_ras: 4 x 4, from (i, j, k, 1) to RAS mm.
        old: shape (z, y, x) before.
        new: shape (z, y, x) after.
    """
    steps = np.array(old[::-1]) / np.array(new[::-1])
    return ijk_to_ras @ np.diag([*steps, 1.0])


def resize_volume(volume: Volume, matrix: tuple[int, int]) -> Volume:
    """A volume whose acquired slices have another matrix.

    Args:
        volume: any orientation; slices are resized across ``volume.slice_axis``.
        matrix: the new size of the two in-plane axes, in their order in ``volume.voxels``.

    Returns:
        The same field of view. Without DICOM headers, because those describe the old matrix.
    """
    voxels = volume.unstacked(resize(volume.stack, matrix))
    affine = resized_affine(volume.ijk_to_ras, volume.voxels.shape, voxels.shape)
    return replace(volume, voxels=np.ascontiguousarray(voxels), ijk_to_ras=affine, headers=(), unmeasured=None, nifti=None)


def matching_matrix(volume: Volume, target: Volume) -> tuple[int, int]:
    """The matrix with which a volume's pixels come nearest to another's pixel size, for :func:`resize_volume`.

    Args:
        volume: whose matrix is to change.
        target: whose in-plane pixel size to take, along the direction that is most parallel.
    """
    steps = target.ijk_to_ras[:3, [2 - axis for axis in _in_plane(target)]]
    spacing = np.linalg.norm(steps, axis=0)
    sizes = []
    for axis in _in_plane(volume):
        step = volume.ijk_to_ras[:3, 2 - axis]
        wanted = spacing[np.argmax(np.abs(step @ (steps / spacing)))]
        sizes.append(max(round(volume.voxels.shape[axis] * float(np.linalg.norm(step) / wanted)), 1))
    return sizes[0], sizes[1]


def fill_factor(volume: Volume, matrix: tuple[int, int]) -> tuple[float, float]:
    """New matrix / old matrix along the two in-plane axes: above 1 zeros were filled in, below 1 k-space was cut."""
    rows, columns = (size / volume.voxels.shape[axis] for size, axis in zip(matrix, _in_plane(volume), strict=True))
    return rows, columns


def _in_plane(volume: Volume) -> list[int]:
    """The two axes of ``volume.voxels`` that lie in its acquired slices."""
    return [axis for axis in range(3) if axis != volume.slice_axis]
