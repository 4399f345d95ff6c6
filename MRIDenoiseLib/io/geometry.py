"""Voxel grids in patient space: from the files' LPS to the library's RAS, and the checks every grid has to pass."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Left-posterior-superior (DICOM, ITK) to right-anterior-superior (NIfTI, Slicer) and back: its own inverse."""

SAME_PLACE = 0.1
"""Voxels that two grids' corners may lie apart and still be called one grid."""

_ORTHOGONAL_WITHIN = 2e-3
"""Largest cosine between two axes that rounding in a header explains (about 0.1 degree)."""


def ijk_to_ras(origin: np.ndarray, spacing: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The 4x4 matrix from voxel index (i, j, k, 1) to RAS mm.

    Args:
        origin: LPS mm of the centre of voxel (0, 0, 0).
        spacing: mm along (i, j, k).
        direction: 3x3; its columns are the unit LPS directions of i, j and k.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(direction, float) * np.asarray(spacing, float)
    matrix[:3, 3] = origin
    return LPS_TO_RAS @ matrix


def lps_parts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Origin (mm), spacing (mm) along (i, j, k) and direction (3x3 columns), all LPS, of an IJK-to-RAS matrix."""
    lps = LPS_TO_RAS @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return lps[:3, 3], spacing, lps[:3, :3] / spacing


def check_grid(matrix: np.ndarray, what: str) -> None:
    """Raise InputError unless the grid is finite and its axes are perpendicular and of positive spacing.

    Args:
        matrix: the 4x4 IJK-to-RAS matrix.
        what: how to name the source in front of the user.
    """
    if not np.isfinite(matrix).all():
        raise InputError(f"{what}: the position or orientation in the header is not a finite number; export the image again")
    with np.errstate(over="ignore"):
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if spacing.min() <= 1e-6 or spacing.max() > 1e4:
        raise InputError(f"{what}: the voxel size in the header is impossible; export the image again")
    if not is_straight(matrix):
        raise InputError(f"{what}: the image axes are not perpendicular (a sheared grid); resample it to a straight grid first")


def is_straight(matrix: np.ndarray) -> bool:
    """Whether the axes of an IJK-to-RAS matrix are perpendicular, but for the rounding of a header (about 0.1 degree)."""
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= _ORTHOGONAL_WITHIN)


def check_voxels(voxels: np.ndarray, what: str, *, constant: bool = False) -> None:
    """Raise InputError for voxels that cannot be used: none at all, NaN or infinite, or all the same.

    Args:
        voxels: float32, any shape.
        what: how to name the source in front of the user.
        constant: whether all the same will do.
    """
    if voxels.size == 0:
        raise InputError(f"{what} holds no voxels; export the image again")
    if not np.isfinite(voxels).all():
        raise InputError(f"{what} holds values that are not finite numbers (NaN or infinite); replace them and try again")
    if not constant and voxels.min() == voxels.max():
        raise InputError(f"{what} has the same value in every voxel, so it shows nothing")


def same_grid(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether two IJK-to-RAS matrices put the voxels of an array (z, y, x) of that shape at the same places.

    A tenth of a voxel is rounding in a header.
    """
    corners = np.array([[i, j, k, 1] for i in (0, shape[2] - 1) for j in (0, shape[1] - 1) for k in (0, shape[0] - 1)], float)
    apart = np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max()
    return bool(apart <= SAME_PLACE * np.linalg.norm(one[:3, :3], axis=0).min())


def on_grid_of(voxels: np.ndarray, matrix: np.ndarray, wanted: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Voxels in the axis order and directions of another grid that has the same points in space.

    One program stores a volume from the feet up, another from the head down; nothing is interpolated here.

    Args:
        voxels: (z, y, x).
        matrix: their IJK-to-RAS matrix.
        wanted: the IJK-to-RAS matrix of the result.
        shape: (z, y, x) of the result.

    Raises:
        InputError: the two grids have not the same points.
    """
    to_source = np.linalg.solve(matrix, wanted)
    axes = np.rint(to_source[:3, :3]).astype(int)
    # Column c shows along which axis of the source, and in which direction, the result's axis c runs; arrays count axes backwards.
    order = [2 - int(np.argmax(np.abs(axes[:, c]))) for c in (2, 1, 0)]
    if sorted(order) != [0, 1, 2] or not np.array_equal(np.abs(axes).sum(axis=0), [1, 1, 1]):
        raise InputError("the image does not lie on the grid of the one it came from")
    turned = voxels.transpose(order)
    for axis, c in enumerate((2, 1, 0)):
        if axes[:, c].sum() < 0:
            turned = np.flip(turned, axis)
    turn = np.eye(4)
    turn[:3, :3] = axes
    turn[:3, 3] = [0 if axes[row].sum() > 0 else size - 1 for row, size in enumerate(reversed(voxels.shape))]
    if turned.shape != tuple(shape) or not same_grid(matrix @ turn, wanted, tuple(shape)):
        raise InputError("the image does not lie on the grid of the one it came from")
    return np.ascontiguousarray(turned)
