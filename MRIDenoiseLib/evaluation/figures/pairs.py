"""What a comparison of two images asks of them: one shape, a range that is said, a mask that holds something."""

from __future__ import annotations

import numpy as np

FOREGROUND_THRESHOLD = 0.08
"""Of the clean volume's P99.5: what lies above it counts as foreground in the tables."""


def check_pair(image: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None) -> None:
    """Raise ValueError for shapes that differ, a range that is not positive or an empty mask.

    Args:
        image: any shape.
        reference: the same shape.
        data_range: L, in the images' units.
        mask: bool, which voxels count; all when None.
    """
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, got {data_range}")
    if mask is not None and mask.shape != reference.shape:
        raise ValueError(f"shapes differ: {mask.shape} of the mask and {reference.shape}")
    if mask is not None and not mask.any():
        raise ValueError("the mask is empty")
