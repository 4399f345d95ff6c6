"""Surface coils make the rim of a body many times as bright as its depth; this module finds a smooth profile to divide out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.image.body import BRIGHTEST, faint_threshold

CELLS = 64
"""Cells along the longer side of a slice, in which the brightness is averaged before anything else."""
REACH = 4.0
"""Cells over which the logarithm of the brightness is smoothed: organs' contrasts are finer, coils' profiles are not."""
REACH_ACROSS = 1.0
"""Slices, likewise."""
LEAST_WEIGHT = 0.05
"""The part of the smoothing's weight that must lie inside the body for the local mean to count."""
UNEVEN = 3.0
"""Times the middle of the body: if the rim is brighter, the profile is divided out; 38 ordinary volumes had 1.3 to 2.7."""
MOST = 10.0
"""The depth is made brighter by at most this factor, compared with the rim."""


@dataclass(frozen=True, eq=False)
class Reception:
    """A smooth profile of brightness, 1 where the image is brightest and never below 1 / :data:`MOST`.

    Args:
        log_profile: float32 (slices, rows of cells, columns of cells), the logarithm of the profile.
        cell: pixels along the side of a cell.
        ratio: how many times as bright as the darkest part of the body its brightest is (98th to 2nd percentile).
        amplification: by how much the noise of the body becomes stronger where the profile is divided out (root mean square).
    """

    log_profile: np.ndarray
    cell: int
    ratio: float
    amplification: float

    def of(self, index: int, shape: tuple[int, int]) -> np.ndarray:
        """The profile over a slice of that many rows and columns, float32."""
        places = [(np.arange(size) + 0.5) / self.cell - 0.5 for size in shape]
        grid = np.meshgrid(*places, indexing="ij")
        return np.exp(ndimage.map_coordinates(self.log_profile[index], grid, order=1, mode="nearest", prefilter=False)).astype(np.float32)


def find_reception(voxels: np.ndarray, ceiling: float) -> Reception | None:
    """The profile of a volume whose brightness is so uneven that one scale and one noise level cannot serve all of it, else None.

    The logarithm of the brightness is smoothed inside the body, found by a threshold that dark depths pass.

    Args:
        voxels: float array (slices, rows, columns).
        ceiling: what is brighter counts as this bright, see :class:`MRIDenoiseLib.image.body.Body`.
    """
    cell = max(1, -(-max(voxels.shape[1:]) // CELLS))
    cells = np.stack([_averaged(np.minimum(image, ceiling), cell) for image in voxels])
    if not (cells > 0).any():
        return None
    threshold = faint_threshold(cells[cells > 0])
    body = cells > threshold
    if not body.any():
        return None
    logarithm = np.log(np.maximum(cells, threshold))
    smooth = _smoothed(logarithm, body)
    # What smoothing flattens is mostly the steep rise at the rim: smooth what is left as well (Tukey's twicing).
    smooth += _smoothed(logarithm - smooth, body)
    low, middle, high = np.percentile(smooth[body], [100 - BRIGHTEST, 50, BRIGHTEST])
    if high - middle < np.log(UNEVEN):
        return None
    profile = np.clip(smooth - high, -np.log(MOST), 0.0).astype(np.float32)
    return Reception(profile, cell, float(np.exp(high - low)), float(np.sqrt(np.mean(np.exp(-2 * profile[body])))))


def _smoothed(values: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The local mean over the body; far from the body, the mean at the nearest place inside it."""
    reach = (REACH_ACROSS, REACH, REACH)
    weight = ndimage.gaussian_filter(body.astype(np.float64), reach)
    smooth = ndimage.gaussian_filter(np.where(body, values, 0.0), reach) / np.maximum(weight, LEAST_WEIGHT)
    nearest = ndimage.distance_transform_edt(weight < LEAST_WEIGHT, return_distances=False, return_indices=True)
    return smooth[tuple(nearest)]


def _averaged(image: np.ndarray, cell: int) -> np.ndarray:
    """Means over squares of ``cell`` x ``cell`` pixels; squares at the border are smaller."""
    starts = [np.arange(0, size, cell) for size in image.shape]
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), starts[0], axis=0), starts[1], axis=1)
    sizes = [np.diff(np.append(start, size)) for start, size in zip(starts, image.shape, strict=True)]
    return sums / np.outer(*sizes)
