"""That two things are equal enough: a large p value of a test for a difference does not show it, two one-sided tests may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.bootstrap import clustered_interval
from MRIDenoiseLib.statistics.result import Result, complete

Verdict = Literal["yes", "no", "undecided"]


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
