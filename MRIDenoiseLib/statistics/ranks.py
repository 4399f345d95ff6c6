"""Ranks of values that were computed: what differs by rounding only is equal."""

from __future__ import annotations

import numpy as np

_DIGITS = 10


def without_rounding_noise(values: np.ndarray, scale: float | None = None) -> np.ndarray:
    """The values in units of the largest, to ten digits.

    The averages of three readers' 2, 2, 3 and 3, 2, 2 may differ in the sixteenth digit. Ranks would take that for a
    difference.

    Args:
        values: any shape, finite.
        scale: what the digits count from; by default the largest magnitude.
    """
    largest = float(np.max(np.abs(values), initial=0.0)) if scale is None else scale
    return np.round(values / largest, _DIGITS) if largest > 0 else np.zeros_like(values, dtype=float)
