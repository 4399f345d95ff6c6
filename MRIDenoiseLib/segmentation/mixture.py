"""Gaussian classes over log intensities: what they look like, found from how much of each voxel is theirs.

No class is more likely than another before a voxel is looked at. (With shares as weights, a class that starts to lose voxels
loses more: of grey and white matter that differ little, one swallows the other, and its place goes to a tail of the histogram.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

BINS = 4096
K_MEANS_ROUNDS = 100
NARROWEST = 1e-3
"""Least standard deviation of a class, in log intensity: a tenth of a per cent of the signal."""
FIXED_POINT = 2.0**32
"""Sums are taken over whole multiples of 1 / this, and so do not depend on the order of the voxels."""
SMALLEST_SHARE = 1e-6
"""A class with less keeps its last mean and width: nothing is left to find them from."""


class Mixture(NamedTuple):
    """K classes in the order of their means.

    Args:
        means: K, in log intensity.
        widths: K standard deviations.
        shares: K, parts of all voxels, summing to 1.
    """

    means: np.ndarray
    widths: np.ndarray
    shares: np.ndarray

    def costs(self, values: np.ndarray) -> np.ndarray:
        """-log density, up to a constant; float32 (K, *values.shape)."""
        each = zip(self.means, self.widths, strict=True)
        return np.stack([(np.square((values - mean) / width) / 2 + math.log(width)).astype(np.float32) for mean, width in each])

    def updated(self, values: np.ndarray, posteriors: np.ndarray) -> Mixture:
        """Means, widths and shares as the posteriors weigh the values.

        Args:
            values: N.
            posteriors: K x N.
        """
        totals = np.array([_sum(weights) for weights in posteriors])
        shares = totals / totals.sum()
        means, widths = self.means.copy(), self.widths.copy()
        for k in np.flatnonzero(shares > SMALLEST_SHARE):
            means[k] = _sum(posteriors[k] * values) / totals[k]
            widths[k] = max(math.sqrt(_sum(posteriors[k] * np.square(values - means[k])) / totals[k]), NARROWEST)
        return Mixture(means, widths, shares)

    def ordered(self) -> tuple[Mixture, np.ndarray]:
        """The same in the order of the means, and the place where each class went."""
        order = np.argsort(self.means, kind="stable")
        return Mixture(self.means[order], self.widths[order], self.shares[order]), np.argsort(order)


def posteriors(costs: np.ndarray) -> np.ndarray:
    """The probability of every label: exp(-cost), summing to 1 over the first axis."""
    weights = np.exp(costs.min(axis=0) - costs)
    weights /= weights.sum(axis=0)
    return weights


def first_mixture(values: np.ndarray, classes: int, rounds: int) -> Mixture:
    """A mixture fitted to the histogram of the values, places left aside: k-means from even quantiles, then EM.

    Args:
        values: N log intensities, of at least ``classes`` different values.
        classes: K.
        rounds: of EM.
    """
    counts, edges = np.histogram(values, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    means = np.quantile(values, (np.arange(classes) + 0.5) / classes)
    means += np.arange(classes) * (edges[1] - edges[0])  # apart, where many values are equal
    for _ in range(K_MEANS_ROUNDS):
        nearest = np.searchsorted((means[1:] + means[:-1]) / 2, centres)
        sizes = np.bincount(nearest, counts, classes)
        moved = np.where(sizes > 0, np.bincount(nearest, counts * centres, classes) / np.maximum(sizes, 1), means)
        if np.array_equal(moved, means):
            break
        means = moved
    squares = np.bincount(nearest, counts * np.square(centres - means[nearest]), classes)
    widths = np.maximum(np.sqrt(squares / np.maximum(sizes, 1)), max(NARROWEST, edges[1] - edges[0]))
    mixture = Mixture(means, widths, np.maximum(sizes, 1) / np.maximum(sizes, 1).sum())
    for _ in range(rounds):
        mixture = mixture.updated(centres, posteriors(mixture.costs(centres)) * counts)
    return mixture.ordered()[0]


def _sum(values: np.ndarray) -> float:
    return float(np.rint(values * FIXED_POINT).astype(np.int64).sum()) / FIXED_POINT
