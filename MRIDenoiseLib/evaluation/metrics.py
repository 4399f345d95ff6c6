"""How far an image is from its reference, with the data range said and never guessed."""

from __future__ import annotations

import math

import numpy as np

FOREGROUND_THRESHOLD = 0.08
"""Of the clean volume's P99.5: what lies above it counts as foreground in the tables."""


def psnr(image: np.ndarray, reference: np.ndarray, *, data_range: float, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(L^2 / MSE), with the squared error pooled over all voxels counted.

    Args:
        image: any shape.
        reference: the same shape.
        data_range: L, in the images' units.
        mask: bool, which voxels count; all when None.

    Returns:
        Decibels; infinity for equal images.

    Raises:
        ValueError: for shapes that differ, an empty mask or a range that is not positive.
    """
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, got {data_range}")
    error = np.square(np.asarray(image, np.float64) - reference)
    if mask is not None:
        if not mask.any():
            raise ValueError("the mask is empty")
        error = error[mask]
    mean = float(error.mean())
    return 10 * math.log10(data_range**2 / mean) if mean > 0 else math.inf
