"""How much better one method is than another, with the uncertainty that few patients leave, and whether the two are equal enough.

A large p value of a test for a difference does not show that things are equal; two one-sided tests may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.bootstrap import clustered_interval, clustered_median_interval
from MRIDenoiseLib.statistics.result import Result, complete, owners

Verdict = Literal["yes", "no", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """A method against another, row by row; positive where the method is better.

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
        theirs: those of the other.
        subjects: whose row it is.
        seed: of the bootstrap.

    Raises:
        ValueError: there are no rows, or the numbers of rows differ.
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
        reason="one subject shows nothing about others, so the intervals have no width" if count == 1 else "",
    )


@dataclass(frozen=True, kw_only=True)
class Equivalence(Result):
    """Whether the mean difference over ``n`` subjects lies within a margin.

    Args:
        mean: of first - second.
        margin: the largest difference that does not matter, in the units of the values.
        p: below alpha the two are equivalent; NaN of the bootstrap, which has an interval only.
        low, high: (1 - 2 alpha) interval of the mean.
        verdict: ``"yes"`` where the interval lies inside the margin, ``"no"`` where all of it lies outside, else ``"undecided"``.
    """

    mean: float
    margin: float
    p: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class NonInferiority(Result):
    """A one-sided paired t test over ``n`` subjects.

    Args:
        mean: of first - second, where more is better.
        margin: how much worse the first may be.
        p: below alpha the first is not worse by more than the margin.
        low: the (1 - alpha) lower bound of the mean.
        verdict: ``"yes"`` where the bound lies above -margin; ``"no"`` where even the (1 - alpha) upper bound lies below it.
    """

    mean: float
    margin: float
    p: float
    low: float
    verdict: Verdict


def equivalence(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, margin: float, alpha: float = 0.05
) -> Equivalence:
    """Two one-sided paired t tests (Schuirmann 1987) that the mean difference lies within a margin that was set beforehand.

    Args:
        first, second: a value a subject each; subjects that lack one are left out.
        margin: above 0, in the units of the values.
        alpha: chance to call equivalent what differs by the margin.

    Raises:
        ValueError: the margin is not positive, or the columns are not of one length.
    """
    differences, left_out = _differences(first, second, margin)
    n = len(differences)
    method = f"two one-sided paired t tests (TOST), margin ±{margin:g}, {100 * (1 - 2 * alpha):g} % interval"
    error, reason = _standard_error(differences)
    if reason:
        return _undecided(differences, margin, method, left_out, reason)
    mean, half = float(differences.mean()), float(stats.t.ppf(1 - alpha, n - 1)) * error
    return Equivalence(
        mean=mean,
        margin=margin,
        p=float(stats.t.sf((margin - abs(mean)) / error, n - 1)),
        low=mean - half,
        high=mean + half,
        verdict=_verdict(mean - half, mean + half, margin),
        n=n,
        method=method,
        left_out=left_out,
    )


def bootstrap_equivalence(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, margin: float, alpha: float = 0.05, seed: int = 0
) -> Equivalence:
    """The same by the bootstrap interval of the mean, which assumes no normal distribution; arguments as for :func:`equivalence`."""
    differences, left_out = _differences(first, second, margin)
    n = len(differences)
    method = f"bootstrap interval inside the margin ±{margin:g}, {100 * (1 - 2 * alpha):g} % percentile interval over subjects"
    _, reason = _standard_error(differences)
    if reason:
        return _undecided(differences, margin, method, left_out, reason)
    low, high = clustered_interval(differences, np.arange(n), seed, 1 - 2 * alpha)
    mean, verdict = float(differences.mean()), _verdict(low, high, margin)
    return Equivalence(mean=mean, margin=margin, p=nan, low=low, high=high, verdict=verdict, n=n, method=method, left_out=left_out)


def non_inferiority(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, margin: float, alpha: float = 0.05
) -> NonInferiority:
    """Test whether the first is at most a margin worse, where more is better; arguments and errors as for :func:`equivalence`."""
    differences, left_out = _differences(first, second, margin)
    n = len(differences)
    method = f"one-sided paired t test of non-inferiority, margin {margin:g}"
    mean = float(differences.mean()) if n else nan
    error, reason = _standard_error(differences)
    if reason:
        return NonInferiority(
            mean=mean, margin=margin, p=nan, low=nan, verdict="undecided", n=n, method=method, left_out=left_out, reason=reason
        )
    half = float(stats.t.ppf(1 - alpha, n - 1)) * error
    p = float(stats.t.sf((mean + margin) / error, n - 1))
    verdict: Verdict = "yes" if mean - half > -margin else "no" if mean + half < -margin else "undecided"
    return NonInferiority(mean=mean, margin=margin, p=p, low=mean - half, verdict=verdict, n=n, method=method, left_out=left_out)


def _differences(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, margin: float) -> tuple[np.ndarray, int]:
    if not margin > 0:
        raise ValueError(f"the margin must be above 0, got {margin}")
    pairs, whole = complete(first, second)
    return pairs[:, 0] - pairs[:, 1], int((~whole).sum())


def _standard_error(differences: np.ndarray) -> tuple[float, str]:
    """Of the mean, and why there is none: without a spread the t test would be certain of anything after two subjects."""
    n = len(differences)
    if n < 2:
        return nan, f"{n or 'no'} complete pair is too few"
    error = float(differences.std(ddof=1)) / sqrt(n)
    if error <= 1e-12 * max(1.0, float(np.abs(differences).max())):
        return nan, f"all {n} differences are equal, so that nothing is known about their spread"
    return error, ""


def _undecided(differences: np.ndarray, margin: float, method: str, left_out: int, reason: str) -> Equivalence:
    n = len(differences)
    mean = float(differences.mean()) if n else nan
    return Equivalence(
        mean=mean, margin=margin, p=nan, low=nan, high=nan, verdict="undecided", n=n, method=method, left_out=left_out, reason=reason
    )


def _verdict(low: float, high: float, margin: float) -> Verdict:
    if -margin < low and high < margin:
        return "yes"
    return "no" if low > margin or high < -margin else "undecided"
