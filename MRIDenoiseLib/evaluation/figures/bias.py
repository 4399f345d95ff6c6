"""Whether an image is brighter or darker than its reference, in all tissue and in its dark, middle and bright parts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

SMOOTHING = 1.5
"""Pixels over which the reference is smoothed before it separates dark from bright. Without this, voxels that its own noise made too
dark would count as dark, and every honest image would be too bright there."""


class Bias(NamedTuple):
    """Mean of image - reference in per cent of the mean of the reference.

    Args:
        overall: inside the whole mask.
        dark: in the darkest third of the mask.
        middle: in the third between.
        bright: in the brightest third.
    """

    overall: float
    dark: float
    middle: float
    bright: float


def bias(image: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> Bias:
    """The bias in tissue. A noisy magnitude image is too bright where there is little signal (Rician floor).

    Args:
        image: (slices, rows, columns).
        reference: the same shape and units.
        mask: bool, the same shape, tissue.

    Raises:
        ValueError: shapes that differ, or a mask with fewer than three voxels.
    """
    if not image.shape == reference.shape == mask.shape:
        raise ValueError(f"shapes differ: {image.shape}, {reference.shape} and {mask.shape}")
    if mask.sum() < 3:
        raise ValueError("the mask holds too few voxels")
    truth = reference[mask].astype(np.float64)
    error = image[mask] - truth
    smooth = ndimage.gaussian_filter(reference.astype(np.float64), (0, SMOOTHING, SMOOTHING))[mask]
    thirds = np.array_split(np.argsort(smooth, kind="stable"), 3)
    return Bias(*(float(100 * error[part].mean() / truth[part].mean()) for part in (slice(None), *thirds)))
