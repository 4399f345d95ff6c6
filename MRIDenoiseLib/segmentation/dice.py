"""How much two segmentations agree: the Dice coefficient."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from MRIDenoiseLib.errors import InputError


class Agreement(NamedTuple):
    """Dice of one segmentation with a reference.

    Args:
        classes: of each class, 2 |A and B| / (|A| + |B|); NaN where neither has it, 0 where one has.
        mean: over the classes that at least one has; NaN where none has any.
    """

    classes: tuple[float, ...]
    mean: float


def dice(labels: np.ndarray, reference: np.ndarray, classes: int) -> Agreement:
    """Dice of labels 1 to ``classes``; a label means the same in both, because classes are ordered by brightness.

    Args:
        labels: whole numbers, any shape.
        reference: the same shape.
        classes: how many; label 0 is background and does not count.

    Raises:
        InputError: the shapes differ.
    """
    if labels.shape != reference.shape:
        raise InputError("the two segmentations differ in shape; compare segmentations of one grid")
    found = tuple(_dice(labels == k, reference == k) for k in range(1, classes + 1))
    known = [value for value in found if not math.isnan(value)]
    return Agreement(found, float(np.mean(known)) if known else math.nan)


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    sizes = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / sizes if sizes else math.nan
