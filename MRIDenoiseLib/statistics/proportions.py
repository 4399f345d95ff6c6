"""How often something is so: detection rates, sensitivity and specificity, and which of two was preferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.bootstrap import clustered_interval, interval_of_sums
from MRIDenoiseLib.statistics.result import CONFIDENCE, Result, complete, owners


@dataclass(frozen=True, kw_only=True)
class Rate(Result):
    """A proportion of ``n`` readings.

    Args:
        hits: in how many it was so.
        value: hits / n.
        low, high: 95 % interval.
    """

    hits: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Accuracy(Result):
    """Readings against the truth.

    Args:
        sensitivity: of the positive ones, how many were called so.
        specificity: of the negative ones, how many were called so.
    """

    sensitivity: Rate
    specificity: Rate


@dataclass(frozen=True, kw_only=True)
class SignTest(Result):
    """Which of two came out ahead, over ``n`` subjects without ties.

    Args:
        wins, losses, draws: of the first.
        p: two-sided, exact binomial.
        share: wins / (wins + losses), with its 95 % interval (Wilson).
    """

    wins: int
    losses: int
    draws: int
    p: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class CurveArea(Result):
    """Area under the ROC curve of an ordered certainty, over ``n`` readings.

    Args:
        value: chance that a positive one gets the higher certainty, a tie counting half.
        low, high: 95 % bootstrap interval that draws whole subjects.
    """

    value: float
    low: float
    high: float


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's (1927) score interval of a proportion; NaN where n is 0."""
    if n == 0:
        return nan, nan
    z = float(stats.norm.ppf((1 + confidence) / 2))
    middle, half = hits + z * z / 2, z * np.sqrt(hits * (n - hits) / n + z * z / 4)
    return max(0.0, float((middle - half) / (n + z * z))), min(1.0, float((middle + half) / (n + z * z)))


def rate(happened: Sequence[float] | np.ndarray, subjects: Sequence[str] | np.ndarray | None = None, seed: int = 0) -> Rate:
    """A proportion with Wilson's interval, or, where several readings are of one subject, the bootstrap's.

    The bootstrap has no width where all readings are alike; Wilson's interval over the subjects replaces it there.

    Args:
        happened: 1 or 0 a reading; NaN where it is missing.
        subjects: whose reading it is; without it each is another subject's.
        seed: of the bootstrap.

    Raises:
        ValueError: something is neither 0 nor 1, or there are not as many subjects.
    """
    rows, whole = complete(happened)
    owner = owners(subjects, whole)
    values = rows[:, 0]
    if not np.isin(values, (0, 1)).all():
        raise ValueError("a reading must be 0 or 1")
    n, hits, left_out = len(values), int(values.sum()), int((~whole).sum())
    if n == 0:
        reason = "there is no reading"
        return Rate(hits=0, value=nan, low=nan, high=nan, n=0, method="proportion", left_out=left_out, reason=reason)
    count = int(owner.max()) + 1
    if count < n and 0 < hits < n:
        low, high = clustered_interval(values, owner, seed)
        method = "proportion, 95 % percentile bootstrap drawing whole subjects"
    else:
        low, high = wilson(hits * count // n, count)
        method = "proportion, 95 % Wilson interval" + (" over the subjects" if count < n else "")
    return Rate(hits=hits, value=hits / n, low=low, high=high, n=n, method=method, left_out=left_out)


def accuracy(
    called: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> Accuracy:
    """Sensitivity and specificity.

    Args:
        called: 1 where a reading reports the finding, 0 where not, NaN where missing.
        truth: the same of the reference.
        subjects: whose reading it is; without it each is another subject's.
        seed: of the bootstrap.

    Raises:
        ValueError: something is neither 0 nor 1, or the columns are not of one length.
    """
    pairs, whole = complete(called, truth)
    owner = owners(subjects, whole)
    if not np.isin(pairs, (0, 1)).all():
        raise ValueError("a reading must be 0 or 1")
    positive = pairs[:, 1] == 1
    return Accuracy(
        sensitivity=rate(pairs[positive, 0], owner[positive], seed),
        specificity=rate(1 - pairs[~positive, 0], owner[~positive], seed),
        n=len(pairs),
        method="sensitivity and specificity",
        left_out=int((~whole).sum()),
    )


def curve_area(
    certainty: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> CurveArea:
    """Area under the ROC curve of a certainty with few levels.

    Args:
        certainty: a reading each, higher is surer; NaN where missing.
        truth: 1 or 0.
        subjects: whose reading it is; without it each is another subject's.
        seed: of the bootstrap.

    Raises:
        ValueError: the columns are not of one length.
    """
    pairs, whole = complete(certainty, truth)
    owner = owners(subjects, whole)
    levels, level = np.unique(pairs[:, 0], return_inverse=True)
    size, n = len(levels), len(pairs)
    # How many readings of each level are positive, and how many negative.
    cells = np.zeros((n, 2 * size))
    cells[np.arange(n), level + size * (pairs[:, 1] == 1)] = 1

    def area(sums: np.ndarray) -> np.ndarray:
        negative, positive = sums[:, :size], sums[:, size:]
        below = np.cumsum(negative, axis=1) - negative / 2
        return (positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))

    method = "area under the ROC curve, 95 % percentile bootstrap drawing whole subjects"
    left_out, positives = int((~whole).sum()), int((pairs[:, 1] == 1).sum())
    if positives in (0, n):
        reason = "there is no reading" if n == 0 else f"the finding is {'nowhere' if positives == 0 else 'everywhere'}"
        return CurveArea(value=nan, low=nan, high=nan, n=n, method=method, left_out=left_out, reason=reason)
    low, high = interval_of_sums(cells, owner, area, seed)
    return CurveArea(value=float(area(cells.sum(axis=0)[None])[0]), low=low, high=high, n=n, method=method, left_out=left_out)


def sign_test(wins: int, losses: int, draws: int = 0) -> SignTest:
    """Test whether wins and losses are as likely (the same as McNemar's exact test of discordant pairs)."""
    n = wins + losses
    method = "exact sign test (binomial), share with 95 % Wilson interval"
    if n == 0:
        reason = "there are draws only" if draws else "nothing was compared"
        p = 1.0 if draws else nan
        return SignTest(wins=0, losses=0, draws=draws, p=p, share=nan, low=nan, high=nan, n=0, method=method, reason=reason)
    low, high = wilson(wins, n)
    p = float(stats.binomtest(wins, n).pvalue)
    return SignTest(wins=wins, losses=losses, draws=draws, p=p, share=wins / n, low=low, high=high, n=n, method=method)
