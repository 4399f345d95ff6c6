"""The scale of a volume, from the noisy volume alone: how bright its body gets."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask

PERCENTILE = 99.5


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
