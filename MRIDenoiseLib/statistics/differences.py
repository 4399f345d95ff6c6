"""How much better one method is than another over many rows, with the uncertainty that few patients leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from MRIDenoiseLib.statistics.bootstrap import clustered_interval, clustered_median_interval
from MRIDenoiseLib.statistics.result import Result, complete, owners


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


@dataclass(frozen=True, kw_only=True)
class PairedDifference(Result):
    """The first minus the second, over complete pairs.

    Args:
        median, median_low, median_high: median difference and its interval.
        mean, mean_low, mean_high: the same of the mean; on a scale of few points the median often stays at zero.
        subjects: whom the pairs are of.
    """

    median: float
    median_low: float
    median_high: float
    mean: float
    mean_low: float
    mean_high: float
    subjects: int


def paired_difference(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> PairedDifference:
    """Median and mean difference with 95 % bootstrap intervals that draw whole subjects.

    Args:
        first, second: a value a row; NaN where one is missing.
        subjects: whose row it is; without it every row is a subject of its own.
        seed: of the bootstrap.

    Raises:
        ValueError: the columns are not of one length.
    """
    pairs, whole = complete(first, second)
    whose = owners(subjects, whole)
    method = "median and mean difference, 95 % percentile bootstrap drawing whole subjects"
    left_out = int((~whole).sum())
    if len(pairs) == 0:
        return PairedDifference(
            median=nan, median_low=nan, median_high=nan, mean=nan, mean_low=nan, mean_high=nan, subjects=0,
            n=0, method=method, left_out=left_out, reason="there is no complete pair",
        )  # fmt: skip
    difference = pairs[:, 0] - pairs[:, 1]
    middle, average = clustered_median_interval(difference, whose, seed), clustered_interval(difference, whose, seed)
    count = len(np.unique(whose))
    return PairedDifference(
        median=float(np.median(difference)),
        median_low=middle[0],
        median_high=middle[1],
        mean=float(difference.mean()),
        mean_low=average[0],
        mean_high=average[1],
        subjects=count,
        n=len(pairs),
        method=method,
        left_out=left_out,
        reason="one subject tells nothing about others, so the intervals have no width" if count == 1 else "",
    )
