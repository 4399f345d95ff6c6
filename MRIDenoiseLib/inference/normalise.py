"""The scale of a volume, from the noisy volume alone: where the body is, and how bright it gets."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError

PERCENTILE = 99.5
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
    if not np.isfinite(voxels).all():
        raise InputError("the image holds values that are not numbers (NaN or infinity); repair or re-export it first")
    if voxels.min() == voxels.max():
        raise InputError("the image has the same value everywhere, so there is nothing to denoise")
    blurred = ndimage.uniform_filter(voxels, size=(1, 5, 5))
    return blurred > _otsu_threshold(blurred)


def intensity_scale(voxels: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The 99.5th percentile inside the body, in the volume's own units; it maps to +1 in network units.

    Args:
        voxels: float array (slices, rows, columns).
        mask: the body, if it is known already.

    Raises:
        InputError: as :func:`body_mask`, and when the body is not brighter than zero.
    """
    mask = body_mask(voxels) if mask is None else mask
    scale = float(np.percentile(voxels[mask], PERCENTILE)) if mask.any() else 0.0
    if scale <= 0:
        raise InputError("the image holds no positive signal, so its intensity scale cannot be found")
    return scale


def _otsu_threshold(values: np.ndarray) -> float:
    """The threshold that best splits the values in two classes (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(centres[int(np.nanargmax(between[:-1]))])
