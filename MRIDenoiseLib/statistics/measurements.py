"""How far two measurements of one quantity agree: rank correlation, Bland and Altman's limits, and Lin's concordance.

A correlation alone is not enough: it is also 1 where one measurement is twice the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import atanh, isnan, nan, sqrt, tanh

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.bootstrap import interval_of_draws, interval_of_sums
from MRIDenoiseLib.statistics.rank_tests import without_rounding_noise
from MRIDenoiseLib.statistics.result import CONFIDENCE, Result, complete, owners


@dataclass(frozen=True, kw_only=True)
class Correlation(Result):
    """A coefficient between -1 and 1 over ``n`` pairs.

    Args:
        value: the coefficient.
        low, high: 95 % interval.
        p: two-sided, that there is no correlation; NaN for Lin's concordance, for which such a test has no use.
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True)
class BlandAltman(Result):
    """The differences first - second over ``n`` pairs (Bland & Altman 1986).

    Args:
        bias: mean difference.
        bias_low, bias_high: its 95 % interval.
        deviation: standard deviation of the differences.
        lower, upper: limits of agreement, between which 95 % of the differences are expected.
        lower_low, lower_high, upper_low, upper_high: 95 % intervals of the limits.
    """

    bias: float
    bias_low: float
    bias_high: float
    deviation: float
    lower: float
    upper: float
    lower_low: float
    lower_high: float
    upper_low: float
    upper_high: float


def spearman(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> Correlation:
    """Spearman's rank correlation with a bootstrap interval that draws whole subjects.

    Args:
        first, second: a value a row each; rows that lack one are left out.
        subjects: whose row it is; without it every row is a subject of its own.
        seed: of the bootstrap.

    Raises:
        ValueError: the columns are not of one length.
    """
    pairs, whole = complete(first, second)
    owner = owners(subjects, whole)
    n, left_out = len(pairs), int((~whole).sum())
    method = "Spearman's rank correlation, 95 % percentile bootstrap drawing whole subjects"
    reason = _why_not_correlated(pairs)
    if reason:
        return Correlation(value=nan, low=nan, high=nan, p=nan, n=n, method=method, left_out=left_out, reason=reason)
    levels = [np.unique(without_rounding_noise(column), return_inverse=True)[1] for column in pairs.T]

    def of(times: np.ndarray) -> np.ndarray:
        first_ranks, second_ranks = (_ranks(times, level) for level in levels)
        n_drawn = times.sum(axis=1, keepdims=True)
        first_ranks, second_ranks = (ranks - (n_drawn + 1) / 2 for ranks in (first_ranks, second_ranks))
        both = (times * first_ranks * second_ranks).sum(axis=1)
        return both / np.sqrt((times * first_ranks**2).sum(axis=1) * (times * second_ranks**2).sum(axis=1))

    value = min(1.0, max(-1.0, float(of(np.ones((1, n)))[0])))
    p = 0.0 if abs(value) > 1 - 1e-12 else float(2 * stats.t.sf(abs(value) * sqrt((n - 2) / (1 - value**2)), n - 2))
    low, high = interval_of_draws(of, owner, seed)
    return Correlation(value=value, low=low, high=high, p=p, n=n, method=method, left_out=left_out)


def lins_concordance(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> Correlation:
    """Lin's (1989) concordance: 2 cov / (var + var + (mean - mean)^2), with variances over n.

    The interval is by the z transform with the variance of Lin's correction (2000); where several pairs are of one subject, it is
    a bootstrap that draws whole subjects. Arguments and errors as for :func:`spearman`.
    """
    pairs, whole = complete(first, second)
    owner = owners(subjects, whole)
    n, left_out = len(pairs), int((~whole).sum())
    clustered = n > 0 and int(owner.max()) + 1 < n
    method = "Lin's concordance, 95 % interval by " + ("percentile bootstrap drawing whole subjects" if clustered else "z transform")
    reason = _why_not_correlated(pairs)
    if reason:
        return Correlation(value=nan, low=nan, high=nan, p=nan, n=n, method=method, left_out=left_out, reason=reason)
    x, y = (pairs - pairs.mean()).T
    terms = np.column_stack([np.ones(n), x, y, x * x, y * y, x * y])

    def of(sums: np.ndarray) -> np.ndarray:
        mean_x, mean_y, xx, yy, xy = (sums[:, k] / sums[:, 0] for k in range(1, 6))
        # The squared difference of the means is in the sum of squares already.
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * (xy - mean_x * mean_y) / (xx + yy - 2 * mean_x * mean_y)

    value = float(of(terms.sum(axis=0)[None])[0])
    if clustered:
        low, high = interval_of_sums(terms, owner, of, seed)
    else:
        low, high = _lins_interval(value, x, y)
    reason = "the measurements lie on one line, so the interval is not defined" if isnan(low) else ""
    return Correlation(value=value, low=low, high=high, p=nan, n=n, method=method, left_out=left_out, reason=reason)


def bland_altman(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    factor: float = 1.96,
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> BlandAltman:
    """Bias and limits of agreement, bias -+ ``factor`` standard deviations.

    The intervals are those of the paper: t, with a limit's standard error sqrt(3 / n) standard deviations. Where several pairs are
    of one subject, they are bootstrap intervals that draw whole subjects.

    Args:
        first, second: a value a row each; rows that lack one are left out.
        factor: 1.96; the paper of 1986 took 2.
        subjects: whose row it is; without it every row is a subject of its own.
        seed: of the bootstrap.

    Raises:
        ValueError: the columns are not of one length.
    """
    pairs, whole = complete(first, second)
    owner = owners(subjects, whole)
    n, left_out = len(pairs), int((~whole).sum())
    clustered = n > 0 and int(owner.max()) + 1 < n
    method = "Bland-Altman limits of agreement, 95 % intervals by " + ("percentile bootstrap drawing whole subjects" if clustered else "t")
    differences = pairs[:, 0] - pairs[:, 1]
    if n < 2:
        bias = float(differences.mean()) if n else nan
        return BlandAltman(
            bias=bias, bias_low=nan, bias_high=nan, deviation=nan, lower=nan, upper=nan, lower_low=nan, lower_high=nan, upper_low=nan,
            upper_high=nan, n=n, method=method, left_out=left_out, reason=f"{n or 'no'} complete pair is too few",
        )  # fmt: skip
    bias, deviation = float(differences.mean()), float(differences.std(ddof=1))
    places = (0.0, -factor, factor)
    if clustered:
        # Centred, so that the sums of squares keep their digits.
        centred = differences - bias
        terms = np.column_stack([np.ones(n), centred, centred**2])
        ends = [tuple(bias + end for end in interval_of_sums(terms, owner, _limit(place), seed)) for place in places]
    else:
        t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation
        halves = (t / sqrt(n), t * sqrt(3 / n), t * sqrt(3 / n))
        ends = [(bias + place * deviation - half, bias + place * deviation + half) for place, half in zip(places, halves, strict=True)]
    return BlandAltman(
        bias=bias,
        bias_low=ends[0][0],
        bias_high=ends[0][1],
        deviation=deviation,
        lower=bias - factor * deviation,
        upper=bias + factor * deviation,
        lower_low=ends[1][0],
        lower_high=ends[1][1],
        upper_low=ends[2][0],
        upper_high=ends[2][1],
        n=n,
        method=method,
        left_out=left_out,
    )


def _ranks(times: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Middle ranks of rows of which some are drawn several times and some never.

    Args:
        times: resamplings x rows.
        level: which of the ascending values each row has.
    """
    order = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[order], np.arange(int(level.max()) + 1))
    of_level = np.add.reduceat(times[:, order], starts, axis=1)
    return (np.cumsum(of_level, axis=1) - (of_level - 1) / 2)[:, level]


def _limit(place: float) -> Callable[[np.ndarray], np.ndarray]:
    """Mean plus ``place`` standard deviations, from the sums of 1, values and squares."""

    def of(sums: np.ndarray) -> np.ndarray:
        n, mean = sums[:, 0], sums[:, 1] / sums[:, 0]
        return mean + place * np.sqrt(np.maximum(sums[:, 2] - n * mean**2, 0.0) / (n - 1))

    return of


def _why_not_correlated(pairs: np.ndarray) -> str:
    if len(pairs) < 3:
        return f"{len(pairs) or 'no'} complete pair{'s' if len(pairs) == 2 else ''} {'are' if len(pairs) == 2 else 'is'} too few"
    if any(np.ptp(without_rounding_noise(column)) == 0 for column in pairs.T):
        return "one of the measurements has the same value everywhere"
    return ""


def _lins_interval(value: float, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """By the z transform, with the variance of Lin's note of correction (Biometrics 2000; 56: 324)."""
    n, r = len(x), float(np.corrcoef(x, y)[0, 1])
    if abs(value) > 1 - 1e-12 or abs(r) > 1 - 1e-12 or r == 0 or isnan(r):
        return nan, nan
    shift = float((x.mean() - y.mean()) ** 2 / (x.std() * y.std()))
    spread = (1 - r**2) * value**2 / ((1 - value**2) * r**2)
    moved = 2 * value**3 * (1 - value) * shift / (r * (1 - value**2) ** 2) - value**4 * shift**2 / (2 * r**2 * (1 - value**2) ** 2)
    variance = (spread + moved) / (n - 2)
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * sqrt(max(variance, 0.0))
    return tanh(atanh(value) - half), tanh(atanh(value) + half)
