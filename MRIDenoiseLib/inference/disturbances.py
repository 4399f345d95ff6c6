"""Parts of a volume that are not evenly lit tissue with scanner noise; the networks have to see something else there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.image.body import Body, noise_without_signal
from MRIDenoiseLib.inference.reception import Reception

SLICES = 12
LEAST_WIPED = 0.01
"""The part of the image that must have one and the same dark value for that value to count as wiped."""
SQUARE = np.ones((3, 3))
"""One value over such a square is not a coincidence: noise varies from pixel to pixel."""


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
