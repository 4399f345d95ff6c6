"""The scale of a volume: of a noisy one the brightness of its body, of a clean one the brightness of its signal."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask

PERCENTILE = 99.5
TOLERATED_NEGATIVE_SHARE = 0.01


def intensity_scale(voxels: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The 99.5th percentile inside the body, in the volume's own units; it maps to +1 in network units.

    Args:
        voxels: float array (slices, rows, columns).
        mask: the body, if it is known already.

    Raises:
        InputError: as :func:`body_mask`, and when the body is not brighter than zero.
    """
    mask = body_mask(voxels) if mask is None else mask
    # The body's voxels are a copy already, which may be sorted in place.
    scale = float(np.percentile(voxels[mask], PERCENTILE, overwrite_input=True)) if mask.any() else 0.0
    if scale <= 0:
        raise InputError("the image holds no positive signal, so its intensity scale cannot be found")
    return scale


def clean_scale(voxels: np.ndarray) -> float:
    """The 99.5th percentile of the positive voxels: the unit of every noise level here and in the benchmark rows.

    Raises:
        InputError: when the volume holds values that are not numbers, holds no signal, or is not a magnitude image.
    """
    if not np.isfinite(voxels).all():
        raise InputError("the image holds values that are not numbers (NaN or infinity); repair or re-export it first")
    positive = voxels[voxels > 0]
    if positive.size == 0:
        raise InputError("the image holds no positive signal, so it shows nothing; give a magnitude image")
    scale = float(np.percentile(positive, PERCENTILE))
    if (voxels < -0.02 * scale).mean() > TOLERATED_NEGATIVE_SHARE:
        raise InputError("the image has negative values, so it is not a magnitude image; give the magnitude images of the series")
    return scale
