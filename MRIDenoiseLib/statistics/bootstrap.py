"""Bootstrap that draws whole subjects: rows of one patient are not independent samples.

Every resampling draws as many subjects as there are, with replacement, and takes all their rows. Intervals are by the
percentile method (Efron & Tibshirani 1993, chapter 13). With three subjects they can only be rough, and with one they have no
width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

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

    def median(times: np.ndarray) -> np.ndarray:
        # How many drawn rows lie at or below each value: the median is where half of them do.
        below = np.cumsum(times[:, order], axis=1)
        half = below[:, -1:] / 2
        return (ascending[np.argmax(below >= half, axis=1)] + ascending[np.argmax(below > half, axis=1)]) / 2

    return interval_of_draws(median, owner, seed, confidence)


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


def interval_of_draws(
    statistic: Callable[[np.ndarray], np.ndarray], owner: np.ndarray, seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of a statistic that needs to know how often each row is drawn, such as a median or a rank correlation.

    Args:
        statistic: resamplings x rows, how often each is drawn -> one number a resampling; NaN where it is undefined.
        owner: the number of each row's subject, from 0.
        seed: of the draws.
        confidence: how often the interval is to hold the truth.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = [statistic(counts[:, owner]) for counts in _draws(int(owner.max()) + 1, seed, room=len(owner))]
    return percentile_interval(np.concatenate(found), confidence)


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
    step = max(1, _ROOM // max(subjects, room))
    if subjects * RESAMPLINGS <= _ROOM:
        counts = _counts_of_few(subjects, seed)
        yield from (counts[first : first + step] for first in range(0, RESAMPLINGS, step))
    else:
        drawn = _drawn(subjects, seed)
        yield from (_counts(drawn[first : first + step], subjects) for first in range(0, RESAMPLINGS, step))


@lru_cache(maxsize=8)
def _counts_of_few(subjects: int, seed: int) -> np.ndarray:
    """All at once; cached, because an analysis needs the same draws again and again."""
    counts = _counts(_drawn(subjects, seed), subjects)
    counts.setflags(write=False)
    return counts


def _drawn(subjects: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, subjects, (RESAMPLINGS, subjects))


def _counts(drawn: np.ndarray, subjects: int) -> np.ndarray:
    places = drawn + subjects * np.arange(len(drawn))[:, None]
    return np.bincount(places.ravel(), minlength=subjects * len(drawn)).reshape(len(drawn), subjects).astype(float)
