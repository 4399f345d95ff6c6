"""Friedman's test: do several arms, rated on the same subjects, differ at all? And Kendall's W: how much do subjects agree in it?"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.ranks import without_rounding_noise
from MRIDenoiseLib.statistics.result import Result, complete


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
    # Of middle ranks: the sum of squares that ties take away is sum (t^3 - t) / 12.
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
