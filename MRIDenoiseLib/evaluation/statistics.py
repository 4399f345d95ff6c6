"""How much better one method is than another over many rows, with the uncertainty that few patients leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLINGS = 10_000


@dataclass(frozen=True)
class Comparison:
    """A method against a rival, row by row; positive where the method is better.

    Args:
        rows: how many.
        mean: difference over all rows.
        low, high: 95 % interval of the mean, see :func:`clustered_interval`.
        worst: the smallest difference.
        worst_row: where that is, an index.
        won: on how many rows the method is better.
    """

    rows: int
    mean: float
    low: float
    high: float
    worst: float
    worst_row: int
    won: int


def compare(ours: Sequence[float], theirs: Sequence[float], subjects: Sequence[str], seed: int = 0) -> Comparison:
    """Compare the scores of the same rows.

    Args:
        ours: a score a row, more is better.
        theirs: the rival's.
        subjects: whose row it is.
        seed: of the bootstrap.

    Raises:
        ValueError: there are no rows, or not as many of each.
    """
    if not len(ours) == len(theirs) == len(subjects) > 0:
        raise ValueError(f"need as many scores as subjects, got {len(ours)}, {len(theirs)} and {len(subjects)}")
    difference = np.subtract(ours, theirs)
    low, high = clustered_interval(difference, subjects, seed)
    worst = int(np.argmin(difference))
    return Comparison(len(difference), float(difference.mean()), low, high, float(difference[worst]), worst, int((difference > 0).sum()))


def clustered_interval(values: Sequence[float] | np.ndarray, subjects: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the mean, drawing whole subjects: rows of one patient are no independent samples.

    Every resampling draws as many subjects as there are, with replacement, and takes the mean of all their rows
    (percentile method). With three subjects it can only be rough, and with one it has no width.

    Args:
        values: one a row.
        subjects: whose row it is.
        seed: of the draws.
    """
    _, owner = np.unique(np.asarray(subjects), return_inverse=True)
    count = int(owner.max()) + 1
    sums, sizes = np.bincount(owner, weights=values), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLINGS, count))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
