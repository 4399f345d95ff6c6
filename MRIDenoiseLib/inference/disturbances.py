"""Parts of a volume that are not evenly lit tissue with scanner noise; the networks have to see something else there.

One of them is reception: surface coils make the rim of a body many times as bright as its depth, and a smooth profile is found to
divide out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.image.body import BRIGHTEST, Body, faint_threshold, noise_without_signal

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
SLICES = 12
LEAST_WIPED = 0.01
"""The part of the image that must have one and the same dark value for that value to count as wiped."""
SQUARE = np.ones((3, 3))
"""One value over such a square is not a coincidence: noise varies from pixel to pixel."""


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


@dataclass(frozen=True, eq=False)
class Disturbances:
    """The disturbances of a volume, found once; their pixels are computed slice by slice, so that no second volume is in memory.

    Args:
        wiped: the value of air, skull or face that was wiped out; None where nothing was.
        noisy_air: whether there is noise as bright as tissue outside the body, see :class:`MRIDenoiseLib.image.body.Body`.
        ceiling: what is brighter is letters or spikes, in the volume's units; infinite where nothing is.
        reception: the profile of brightness that has to be divided out, or None.
    """

    wiped: float | None = None
    noisy_air: bool = False
    ceiling: float = float("inf")
    reception: Reception | None = None

    @property
    def none(self) -> bool:
        """Whether the networks can be shown the volume as it is."""
        return self.wiped is None and not self.noisy_air and self.ceiling == float("inf") and self.reception is None

    def empty(self, image: np.ndarray) -> np.ndarray:
        """Where a slice (rows, columns) shows nothing that could be cleaned: wiped out, or noise as bright as tissue; bool."""
        empty = np.zeros(image.shape, bool)
        if self.wiped is not None:
            empty |= _constant(image, self.wiped)
        if self.noisy_air:
            empty |= noise_without_signal(image)
        return empty

    def sentences(self) -> list[str]:
        """What the user should know about them."""
        found = []
        if self.noisy_air:
            found.append(
                "Outside the body this image holds noise as bright as tissue, as in a quotient of two images; it was left as it is."
            )
        if self.ceiling < float("inf"):
            found.append("Some voxels are far brighter than any tissue, like burned-in letters or spikes; they were left as they are.")
        if self.reception is not None:
            found.append(
                f"The body is up to {self.reception.ratio:.0f} times as bright near the coil as in its depth: the brightness was evened "
                "out while the noise was removed, and then restored."
            )
        return found


def find_wiped(voxels: np.ndarray, body: Body) -> float | None:
    """The value that fills wiped-out regions of a volume (slices, rows, columns), mostly zero; None where there are none.

    Only dark values count: bright tissue that hit the end of the scale is tissue.
    """
    chosen = np.unique(np.linspace(0, len(voxels) - 1, SLICES).round().astype(int))
    found: dict[float, int] = {}
    for image in voxels[chosen]:
        flat = ndimage.maximum_filter(image, 3) == ndimage.minimum_filter(image, 3)
        for value, count in zip(*np.unique(image[flat & (image <= max(body.threshold, 0.0))], return_counts=True), strict=True):
            found[float(value)] = found.get(float(value), 0) + int(count)
    if not found:
        return None
    value = max(found, key=lambda each: found[each])
    return value if found[value] >= LEAST_WIPED * len(chosen) * voxels[0].size else None


def occupied(voxels: np.ndarray, wiped: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Which rows, and which columns, of a volume (slices, rows, columns) show anything but the wiped value in any slice; bool."""
    rows, columns = (np.full(size, wiped is None) for size in voxels.shape[1:])
    if wiped is not None:
        for image in voxels:
            shown = ~_constant(image, wiped)
            rows |= shown.any(axis=1)
            columns |= shown.any(axis=0)
    return rows, columns


def _constant(image: np.ndarray, value: float) -> np.ndarray:
    return ndimage.binary_opening(image == value, SQUARE)
