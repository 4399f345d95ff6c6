"""Where a volume shows the body rather than air; without torch, for whoever looks at images."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError

HISTOGRAM_BINS = 256


def body_mask(voxels: np.ndarray) -> np.ndarray:
    """Where there is tissue rather than air.

    Otsu's threshold on the volume blurred 5 x 5 within each slice.

    Args:
        voxels: float array (slices, rows, columns).

    Returns:
        A bool array of the same shape.

    Raises:
        InputError: when the volume holds values that are not numbers, or only one value.
    """
    # NaN comes through min and max, infinity is one of them; so no array of the volume's size is needed to find either.
    lowest, highest = voxels.min(), voxels.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise InputError("the image holds values that are not numbers (NaN or infinity); repair or re-export it first")
    if lowest == highest:
        raise InputError("the image has the same value everywhere, so it shows nothing")
    blurred = ndimage.uniform_filter(voxels, size=(1, 5, 5))
    return blurred > otsu_threshold(blurred)


def otsu_threshold(values: np.ndarray) -> float:
    """The threshold that best splits the values in two classes (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(centres[int(np.nanargmax(between[:-1]))])
