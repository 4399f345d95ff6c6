"""How good a map of uncertainty is: what its intervals cover, how wide they are, and whether it is high where the error is large."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

PATCH = 8
"""Rows and columns of the patches in which a map is compared with the error."""
LEAST_IN_PATCH = 0.5
"""The part of a patch that must count."""
FEWEST_PATCHES = 8


def coverage(error: np.ndarray, half_width: np.ndarray, where: np.ndarray) -> float:
    """The share of the pixels whose error lies within the interval, 0 to 1; 0.9 is right for a 90 % interval.

    Args:
        error: result minus truth.
        half_width: the same shape and units.
        where: bool, the same shape; the pixels that count.
    """
    return float((np.abs(error[where]) <= half_width[where]).mean())


def factor_at(wanted: float, ratios: Sequence[np.ndarray]) -> float:
    """The factor by which a map has to be multiplied to cover a share of the pixels, every image counting alike.

    Args:
        wanted: the share, 0 to 1.
        ratios: of each image: absolute error over map, at the pixels that count. A map of ones gives the one constant half-width.
    """
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in ratios])
    values = np.concatenate(ratios)
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / len(ratios)
    return float(values[order][min(int(np.searchsorted(reached, wanted)), len(values) - 1)])


def patch_rms(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Root mean square over the patches of 8 x 8 pixels of which at least half count, (patches,).

    Args:
        image: (slices, rows, columns).
        where: bool, the same shape; the pixels that count.
    """
    squares, counted = (_patches(part).sum(axis=(-2, -1)) for part in (np.where(where, image, 0).astype(np.float64) ** 2, where))
    enough = counted >= LEAST_IN_PATCH * PATCH**2
    return np.sqrt(squares[enough] / counted[enough])


def rank_correlation(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """Spearman's, over patches, between the root mean squares of a map and of the error; NaN for fewer than eight patches.

    Args:
        one: the map (slices, rows, columns).
        other: the error, the same shape.
        where: bool, the same shape; the pixels that count.
    """
    first, second = patch_rms(one, where), patch_rms(other, where)
    if len(first) < FEWEST_PATCHES or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(stats.spearmanr(first, second).statistic)


def best_rank_correlation(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """What :func:`rank_correlation` would be for a map that knew the expected error of every patch; NaN as there.

    The error of a patch is its expected error times chance. Two errors from the same anatomy and independent noise have only the
    expected one in common, so their correlation is the square of that of either with it (Spearman's correction for attenuation,
    1904). A map may be better still if it sees from the noisy image in which patches chance was unkind.

    Args:
        one: the error with one noise (slices, rows, columns).
        other: the error with another noise, as strong.
        where: bool, the same shape; the pixels that count.
    """
    return math.sqrt(max(0.0, found)) if math.isfinite(found := rank_correlation(one, other, where)) else math.nan


def _patches(image: np.ndarray) -> np.ndarray:
    """(slices, rows of patches, columns of patches, PATCH, PATCH); what does not fill a patch is left out."""
    rows, columns = image.shape[1] // PATCH, image.shape[2] // PATCH
    cut = image[:, : rows * PATCH, : columns * PATCH].reshape(len(image), rows, PATCH, columns, PATCH)
    return cut.transpose(0, 1, 3, 2, 4)
