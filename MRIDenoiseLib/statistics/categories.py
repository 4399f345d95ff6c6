"""How far two readings of ordered categories agree: weighted kappa, and Gwet's AC2 for when one category dominates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np

from MRIDenoiseLib.statistics.bootstrap import interval_of_sums
from MRIDenoiseLib.statistics.result import Result, complete, owners

Weights = Literal["quadratic", "linear", "none"]


@dataclass(frozen=True, kw_only=True)
class CategoryAgreement(Result):
    """Agreement beyond chance over ``n`` images.

    Args:
        value: 1 where the readings agree in full, 0 where as much as by chance.
        low, high: 95 % bootstrap interval that draws whole subjects.
        observed, by_chance: weighted agreement, 0 to 1.
    """

    value: float
    low: float
    high: float
    observed: float
    by_chance: float


def weighted_kappa(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    categories: Sequence[float],
    *,
    weights: Weights = "quadratic",
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> CategoryAgreement:
    """Cohen's (1968) weighted kappa: chance agreement from how often each reading uses each category.

    Args:
        first, second: a category an image each; NaN where a rating is missing.
        categories: all there are, in order.
        weights: how much a disagreement counts by its distance in categories.
        subjects: whose image it is; without it each is another subject's.
        seed: of the bootstrap.

    Raises:
        ValueError: a rating is none of the categories, or the columns are not of one length.
    """

    def chance(part: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.einsum("bi,ij,bj->b", part.sum(axis=2), weight, part.sum(axis=1))

    name = f"Cohen's kappa, {weights} weights" if weights != "none" else "Cohen's kappa"
    return _agreement(first, second, categories, weights, subjects, seed, chance, name)


def gwet_ac2(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    categories: Sequence[float],
    *,
    weights: Weights = "quadratic",
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> CategoryAgreement:
    """Gwet's (2008) coefficient, AC1 without weights: it stays high where nearly all images are of one category.

    Chance agreement is (sum of all weights) / (q (q - 1)) times the sum of p (1 - p), with p the mean use of each of the q
    categories. Arguments and errors as for :func:`weighted_kappa`.
    """

    def chance(part: np.ndarray, weight: np.ndarray) -> np.ndarray:
        use = (part.sum(axis=1) + part.sum(axis=2)) / 2
        return weight.sum() / (len(weight) * (len(weight) - 1)) * (use * (1 - use)).sum(axis=1)

    name = f"Gwet's AC2, {weights} weights" if weights != "none" else "Gwet's AC1"
    return _agreement(first, second, categories, weights, subjects, seed, chance, name)


def _agreement(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    categories: Sequence[float],
    weights: Weights,
    subjects: Sequence[str] | np.ndarray | None,
    seed: int,
    chance: Callable[[np.ndarray, np.ndarray], np.ndarray],
    name: str,
) -> CategoryAgreement:
    pairs, whole = complete(first, second)
    owner = owners(subjects, whole)
    size = len(categories)
    if size < 2 or not np.isin(pairs, categories).all():
        raise ValueError(f"every rating must be one of the categories {list(categories)}, of which there are at least two")
    weight = _weight(size, weights)
    places = [np.searchsorted(categories, column) for column in pairs.T]
    cells = np.zeros((len(pairs), size * size))
    cells[np.arange(len(pairs)), places[0] * size + places[1]] = 1

    def coefficient(sums: np.ndarray) -> np.ndarray:
        part = sums.reshape(-1, size, size) / sums.sum(axis=1)[:, None, None]
        observed, expected = np.einsum("bij,ij->b", part, weight), chance(part, weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), nan)

    method = f"{name}, 95 % percentile bootstrap drawing whole subjects"
    left_out = int((~whole).sum())
    if len(pairs) == 0:
        reason = "no image has both ratings"
        return CategoryAgreement(
            value=nan, low=nan, high=nan, observed=nan, by_chance=nan, n=0, method=method, left_out=left_out, reason=reason
        )
    total = cells.sum(axis=0)[None]
    part = total.reshape(1, size, size) / len(pairs)
    value = float(coefficient(total)[0])
    reason = "both readings use one category only, so that they could not but agree" if np.isnan(value) else ""
    low, high = (nan, nan) if reason else interval_of_sums(cells, owner, coefficient, seed)
    return CategoryAgreement(
        value=value,
        low=low,
        high=high,
        observed=float((part[0] * weight).sum()),
        by_chance=float(chance(part, weight)[0]),
        n=len(pairs),
        method=method,
        left_out=left_out,
        reason=reason,
    )


def _weight(size: int, weights: Weights) -> np.ndarray:
    """Agreement of categories i and j, 1 on the diagonal."""
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / (size - 1)
    return {"quadratic": 1 - distance**2, "linear": 1 - distance, "none": (distance == 0).astype(float)}[weights]
