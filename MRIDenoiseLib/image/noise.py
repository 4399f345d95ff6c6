"""How much noise a volume that stands for the truth has of its own, said rather too low than too high."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

WINDOW = 15
"""Rows and columns of the windows in which the noise is looked at."""
FLATTEST = 10
"""Percentile over the windows: nearly all hold some anatomy, the lowest ones next to none."""


def reference_noise(slices: np.ndarray, foreground: np.ndarray) -> float:
    """The standard deviation of the noise in the flattest places of a clean volume, in the image's own units.

    Looked at is the finest diagonal detail (a - b - c + d) / 2 of each 2 x 2 pixels, which has the strength of white noise and
    the least of anatomy (Immerkaer 1996): its mean square in windows inside the foreground, of which the lowest tenth counts.
    The noise estimate that a model is told (:mod:`MRIDenoiseLib.inference.noise_level`) is right for noisy volumes, but in a
    clean one it takes texture for noise. Here anatomy adds less, and noise that zero filling or a filter keeps out of the
    finest detail is missed, so that a correction by this estimate takes out too little rather than too much.

    Args:
        slices: float array (slices, rows, columns) across the acquired plane.
        foreground: bool, the same shape.

    Returns:
        The standard deviation; 0 where no window fits into the foreground.
    """
    values = slices.astype(np.float64)
    detail = (values[:, 1:, 1:] - values[:, 1:, :-1] - values[:, :-1, 1:] + values[:, :-1, :-1]) / 2
    body = foreground[:, 1:, 1:] & foreground[:, 1:, :-1] & foreground[:, :-1, 1:] & foreground[:, :-1, :-1]
    power = ndimage.uniform_filter(detail**2, (0, WINDOW, WINDOW))
    inside = ndimage.binary_erosion(body, np.ones((1, WINDOW, WINDOW)))
    return float(np.sqrt(max(0.0, np.percentile(power[inside], FLATTEST)))) if inside.any() else 0.0
