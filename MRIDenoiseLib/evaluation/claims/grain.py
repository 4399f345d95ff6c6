"""How much of what a sampler adds follows its seed and not the image: grain, which no anatomy asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Grain(NamedTuple):
    """What follows the seed.

    Args:
        share: of the mean square of what the sampler changed, 0 (every seed gives the same) to 1 (nothing but grain).
        deviation: its standard deviation, in the units of the images.
        changed: root mean square of all that the sampler changed, in the same units.
    """

    share: float
    deviation: float
    changed: float


def grain(samples: Sequence[np.ndarray], start: np.ndarray, where: np.ndarray) -> Grain:
    """Compare a sampler's answers to several seeds.

    Each answer is start + anatomy + grain, of which the last alone differs between seeds; its variance at a pixel is the
    sample variance over seeds there (a one-way analysis of variance with random effects).

    Args:
        samples: the answers, arrays of one shape, at least two.
        start: what the sampler set out from, the same shape.
        where: bool, the same shape; the pixels that count.

    Raises:
        ValueError: fewer than two samples, or no pixel counts.
    """
    if len(samples) < 2 or not where.any():
        raise ValueError("grain needs two samples or more, and pixels that count")
    changes = np.stack([np.asarray(sample, dtype=np.float64)[where] - start[where] for sample in samples])
    between = float(changes.var(axis=0, ddof=1).mean())
    whole = float((changes**2).mean())
    return Grain(between / whole if whole else 0.0, between**0.5, whole**0.5)
