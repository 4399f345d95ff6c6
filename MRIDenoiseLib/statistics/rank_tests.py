"""Wilcoxon's signed-rank test of paired values, for scales of few points where ties and zeros are the rule.

Friedman's test: do several arms, rated on the same subjects, differ at all? And Kendall's W: how much do subjects agree in it?

Ranks of values that were computed: what differs by rounding only is equal.

Several tests at once: p values that keep the chance of any false alarm at the level stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt
from typing import Literal

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.result import Result, complete

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


EXACT_UP_TO = 200
"""Pairs that differ: up to here the distribution is computed, not approximated.

On a scale of few points nearly all ranks are tied, and their sum goes in steps so coarse that the normal approximation is too
sure of itself: of 18 differences up and 12 down by one point, p = 0.36 becomes 0.28.
"""

Zeros = Literal["pratt", "wilcoxon"]


@dataclass(frozen=True, kw_only=True)
class SignedRank(Result):
    """Wilcoxon's test over ``n`` pairs, those without a difference included.

    Args:
        positive, negative: sums of the ranks of pairs where the first is larger, and smaller.
        zeros: pairs without a difference.
        z: of the normal approximation, with continuity correction; NaN where p is exact.
        p: two-sided.
        effect: matched-pairs rank-biserial correlation, (positive - negative) / (positive + negative), -1 to 1.
    """

    positive: float
    negative: float
    zeros: int
    z: float
    p: float
    effect: float


def signed_rank(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    zeros: Zeros = "pratt",
    exact_up_to: int = EXACT_UP_TO,
) -> SignedRank:
    """Test whether paired differences lie around zero.

    Equal magnitudes get middle ranks. Under the hypothesis every rank is as likely positive as negative, given the ranks: the
    sum of the positive ones has the mean (sum r) / 2 and the variance (sum r^2) / 4, with which ties and zeros need no further
    correction. Up to ``exact_up_to`` pairs that differ, the distribution of that sum over all signs is computed.

    Args:
        first, second: a value a subject each; subjects that lack one are left out.
        zeros: ``"pratt"`` ranks pairs without a difference with the others and then leaves their ranks out (Pratt 1959);
            ``"wilcoxon"`` leaves them out before.
        exact_up_to: beyond so many pairs that differ, the normal approximation with continuity correction is used.

    Raises:
        ValueError: the columns are not of one length.
    """
    pairs, whole = complete(first, second)
    left_out, n = int((~whole).sum()), len(pairs)
    largest = float(np.max(np.abs(pairs), initial=0.0))
    differences = without_rounding_noise(pairs[:, 0] - pairs[:, 1], scale=largest)
    moved = differences != 0
    count = int(moved.sum())
    exact = count <= exact_up_to
    method = "Wilcoxon signed-rank test ({}; {})".format(
        "zeros after Pratt" if zeros == "pratt" else "zeros left out",
        "exact, given ties" if exact else "normal approximation, ties and continuity corrected",
    )
    if count == 0:
        return SignedRank(
            positive=0.0, negative=0.0, zeros=n, z=nan, p=1.0 if n else nan, effect=0.0 if n else nan,
            n=n, method=method, left_out=left_out, reason="no pair differs" if n else "there is no complete pair",
        )  # fmt: skip
    ranked = differences if zeros == "pratt" else differences[moved]
    ranks = stats.rankdata(np.abs(ranked))[ranked != 0]
    total, positive = float(ranks.sum()), float(ranks[ranked[ranked != 0] > 0].sum())
    if exact:
        z, p = nan, _exact(ranks, positive)
    else:
        distance = positive - total / 2
        z = float((distance - 0.5 * np.sign(distance)) / sqrt((ranks**2).sum() / 4))
        p = float(min(1.0, 2 * stats.norm.sf(abs(z))))
    return SignedRank(
        positive=positive,
        negative=total - positive,
        zeros=n - count,
        z=z,
        p=p,
        effect=(2 * positive - total) / total,
        n=n,
        method=method,
        left_out=left_out,
    )


def _exact(ranks: np.ndarray, positive: float) -> float:
    """Two-sided p over all signs of the ranks."""
    # Middle ranks are halves: twice them are whole numbers, over which the sums can be counted.
    doubled = np.rint(2 * ranks).astype(int)
    chance = np.zeros(int(doubled.sum()) + 1)
    chance[0] = 1.0
    for rank in doubled:
        with_it = np.zeros_like(chance)
        with_it[rank:] = chance[:-rank]
        chance = (chance + with_it) / 2
    at = round(2 * positive)
    return float(min(1.0, 2 * min(chance[: at + 1].sum(), chance[at:].sum())))


@dataclass(frozen=True, kw_only=True)
class Friedman(Result):
    """Friedman's test over ``n`` subjects.

    Args:
        statistic: chi squared, corrected for ties.
        degrees: of freedom, arms - 1.
        p: of the chi-squared approximation.
        w: Kendall's coefficient of concordance, chi squared / (n (arms - 1)): 0 no common order, 1 the same order in every
            subject.
        mean_ranks: of each arm, 1 is lowest.
    """

    statistic: float
    degrees: int
    p: float
    w: float
    mean_ranks: tuple[float, ...]


def friedman(table: np.ndarray) -> Friedman:
    """Test whether the arms differ.

    Ties within a subject get middle ranks, and chi squared is divided by 1 - sum (t^3 - t) / (n k (k^2 - 1)) over the groups of
    t equal values (Hollander & Wolfe 1999, equation 7.8).

    Args:
        table: subjects x arms; subjects that lack a value are left out.

    Raises:
        ValueError: there are not at least two arms.
    """
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"need a table of subjects by at least two arms, got the shape {table.shape}")
    rows, whole = complete(*np.asarray(table, dtype=float).T)
    n, k = rows.shape
    method = "Friedman test, tie-corrected chi squared; Kendall's W"
    left_out = int((~whole).sum())
    if n == 0:
        reason = "no subject has a value in every arm"
        return Friedman(
            statistic=nan, degrees=k - 1, p=nan, w=nan, mean_ranks=(nan,) * k, n=0, method=method, left_out=left_out, reason=reason
        )
    ranks = stats.rankdata(without_rounding_noise(rows), axis=1)
    mean_ranks = tuple(float(rank) for rank in ranks.mean(axis=0))
    # Of middle ranks: the sum of squares that ties remove is sum (t^3 - t) / 12.
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())
    if spread == 0:
        reason = "every subject has the same value in all arms"
        return Friedman(
            statistic=0.0, degrees=k - 1, p=1.0, w=0.0, mean_ranks=mean_ranks, n=n, method=method, left_out=left_out, reason=reason
        )
    between = float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    statistic = (k - 1) * between / spread
    if n == 1:
        p, reason = nan, "one subject is too few for the test"
    else:
        p, reason = float(stats.chi2.sf(statistic, k - 1)), ""
    return Friedman(
        statistic=statistic,
        degrees=k - 1,
        p=p,
        w=statistic / (n * (k - 1)),
        mean_ranks=mean_ranks,
        n=n,
        method=method,
        left_out=left_out,
        reason=reason,
    )


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """p times the number of tests really made, at most 1; NaN, a test that could not be made, stays and does not count."""
    made = sum(not isnan(p) for p in p_values)
    return tuple(nan if isnan(p) else min(1.0, made * p) for p in p_values)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's (1979) step-down adjustment: never larger than :func:`bonferroni`; NaN stays and does not count."""
    order = sorted((p, place) for place, p in enumerate(p_values) if not isnan(p))
    adjusted, least = [nan] * len(p_values), 0.0
    for step, (p, place) in enumerate(order):
        least = max(least, min(1.0, (len(order) - step) * p))
        adjusted[place] = least
    return tuple(adjusted)
