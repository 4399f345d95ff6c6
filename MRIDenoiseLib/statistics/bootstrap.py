"""Bootstrap that draws whole subjects: rows of one patient are no independent samples.

Every resampling draws as many subjects as there are, with replacement, and takes all their rows. Intervals are by the
percentile method (Efron & Tibshirani 1993, chapter 13). With three subjects they can only be rough, and with one they have no
width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from MRIDenoiseLib.statistics.result import CONFIDENCE

RESAMPLINGS = 10_000
_ROOM = 4_000_000
"""How many numbers are worked on at once."""


def clustered_interval(
    values: Sequence[float] | np.ndarray, subjects: Sequence[str] | np.ndarray, seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of the mean of all rows.

    Args:
        values: one a row.
        subjects: whose row it is.
        seed: of the draws.
        confidence: how often the interval is to hold the truth.
    """
    owner = np.unique(np.asarray(subjects), return_inverse=True)[1]
    columns = np.stack([np.asarray(values, dtype=float), np.ones(len(owner))], axis=1)
    return interval_of_sums(columns, owner, lambda sums: sums[:, 0] / sums[:, 1], seed, confidence)


def clustered_median_interval(
    values: Sequence[float] | np.ndarray, subjects: Sequence[str] | np.ndarray, seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of the median of all rows; arguments as for :func:`clustered_interval`."""
    owner = np.unique(np.asarray(subjects), return_inverse=True)[1]
    order = np.argsort(np.asarray(values, dtype=float), kind="stable")
    ascending = np.asarray(values, dtype=float)[order]
    medians = []
    for counts in _draws(int(owner.max()) + 1, seed, room=len(order)):
        # How many drawn rows lie at or below each value: the median is where half of them do.
        below = np.cumsum(counts[:, owner[order]], axis=1)
        half = below[:, -1:] / 2
        medians.append((ascending[np.argmax(below >= half, axis=1)] + ascending[np.argmax(below > half, axis=1)]) / 2)
    return percentile_interval(np.concatenate(medians), confidence)


def interval_of_sums(
    columns: np.ndarray,
    owner: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of a statistic that is a function of sums over rows: a mean, a proportion, kappa, a variance ratio.

    Args:
        columns: rows x terms; what is summed over the drawn rows.
        owner: the number of each row's subject, from 0.
        statistic: resamplings x terms -> one number a resampling; NaN where it is undefined.
        seed: of the draws.
        confidence: how often the interval is to hold the truth.
    """
    of_subject = np.stack([np.bincount(owner, weights=column) for column in columns.T], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = [statistic(counts @ of_subject) for counts in _draws(len(of_subject), seed)]
    return percentile_interval(np.concatenate(found), confidence)


def interval_of_rows(
    statistic: Callable[[np.ndarray], float],
    owner: np.ndarray,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    resamplings: int = 2_000,
) -> tuple[float, float]:
    """Interval of a statistic that needs the drawn rows themselves, such as a rank correlation.

    Args:
        statistic: numbers of the drawn rows (some several times) -> a number; NaN where it is undefined.
        owner: the number of each row's subject, from 0.
        seed: of the draws.
        confidence: how often the interval is to hold the truth.
        resamplings: how many; each costs a call.
    """
    rows = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])
    drawn = np.random.default_rng(seed).integers(0, len(rows), (resamplings, len(rows)))
    return percentile_interval(np.array([statistic(np.concatenate([rows[k] for k in draw])) for draw in drawn]), confidence)


def percentile_interval(found: np.ndarray, confidence: float) -> tuple[float, float]:
    """The middle part of what the resamplings gave; those in which the statistic is undefined do not count."""
    known = found[~np.isnan(found)]
    if known.size == 0:
        return float("nan"), float("nan")
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(known, (tail, 100 - tail))
    return float(low), float(high)


def _draws(subjects: int, seed: int, room: int = 0) -> Iterator[np.ndarray]:
    """How often each subject is drawn: parts of resamplings x subjects, small enough for the memory."""
    drawn = np.random.default_rng(seed).integers(0, subjects, (RESAMPLINGS, subjects))
    step = max(1, _ROOM // max(subjects, room))
    for first in range(0, RESAMPLINGS, step):
        part = drawn[first : first + step]
        places = part + subjects * np.arange(len(part))[:, None]
        yield np.bincount(places.ravel(), minlength=subjects * len(part)).reshape(len(part), subjects)
