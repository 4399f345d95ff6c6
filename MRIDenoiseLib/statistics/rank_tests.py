"""Wilcoxon's signed-rank test of paired values, for scales of few points where ties and zeros are the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.ranks import without_rounding_noise
from MRIDenoiseLib.statistics.result import Result, complete

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
