"""How far several raters agree on numbers: the intraclass correlations of McGraw & Wong (1996)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Literal

import numpy as np
from scipy import stats

from MRIDenoiseLib.statistics.bootstrap import interval_of_sums
from MRIDenoiseLib.statistics.result import CONFIDENCE, Result, complete, owners

Form = Literal["1,1", "1,k", "A,1", "A,k", "C,1", "C,k"]
"""1: one-way; A: two-way, absolute agreement; C: two-way, consistency. Then: one rater's reliability, or that of the mean of all k."""


_BANDS = ((0.9, "excellent"), (0.75, "good"), (0.5, "moderate"))


@dataclass(frozen=True, kw_only=True)
class IntraclassCorrelation(Result):
    """An intraclass correlation over ``n`` images.

    Args:
        form: which.
        value: 1 where raters agree in full; may be negative.
        low, high: 95 % interval.
        statistic, p: F test that raters do not agree at all.
        raters: how many.
        band: see :func:`band`.
    """

    form: Form
    value: float
    low: float
    high: float
    statistic: float
    p: float
    raters: int
    band: str


@dataclass(frozen=True)
class _MeanSquares:
    """Of an analysis of variance, one number or one a resampling.

    Args:
        rows: between images.
        columns: between raters.
        error: what is left.
        within: between and left together, per image.
        n, k: images and raters.
    """

    rows: np.ndarray
    columns: np.ndarray
    error: np.ndarray
    within: np.ndarray
    n: np.ndarray
    k: int


def intraclass(
    table: np.ndarray, form: Form = "A,1", subjects: Sequence[str] | np.ndarray | None = None, seed: int = 0
) -> IntraclassCorrelation:
    """Estimate an intraclass correlation.

    The interval is that of the F distribution (McGraw & Wong 1996, table 7), which takes images as independent. Where several
    are of one subject, it is a bootstrap that draws whole subjects instead. Two-way mixed and two-way random models give the
    same numbers; what differs is whether they describe only these raters or others too.

    Args:
        table: images x raters; images that lack a rating are left out.
        form: which.
        subjects: whose each image is; without it each is another subject's.
        seed: of the bootstrap.

    Raises:
        ValueError: there are not at least two raters.
    """
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"need a table of images by at least two raters, got the shape {table.shape}")
    rows, whole = complete(*np.asarray(table, dtype=float).T)
    owner = owners(subjects, whole)
    clustered = len(owner) > 0 and int(owner.max()) + 1 < len(owner)
    n, k = rows.shape
    interval = "percentile bootstrap drawing whole subjects" if clustered else "F"
    method = f"ICC({form}), 95 % interval by {interval}"
    left_out = int((~whole).sum())

    def without(reason: str) -> IntraclassCorrelation:
        return IntraclassCorrelation(
            form=form, value=nan, low=nan, high=nan, statistic=nan, p=nan, raters=k, band="", n=n, method=method, left_out=left_out,
            reason=reason,
        )  # fmt: skip

    if n < 2:
        return without("one image is too few" if n else "no image has all ratings")
    # Centred, so that the sums of squares keep their digits.
    centred = rows - rows.mean()
    if float(np.abs(centred).max()) <= 1e-12 * max(1.0, float(np.abs(rows).max())):
        return without("all ratings are equal, so there is nothing that raters could agree about")
    terms = _terms(centred)
    squares = _mean_squares(terms.sum(axis=0)[None], k)
    value = float(_coefficient(squares, form)[0])
    if isnan(value):
        return without("images do not differ more than ratings of one image, and the coefficient has no finite value")
    statistic, p = _f_test(squares, form)
    reason = ""
    if clustered:
        low, high = interval_of_sums(terms, owner, lambda sums: _coefficient(_mean_squares(sums, k), form), seed)
    else:
        low, high = _f_interval(squares, form)
        if isnan(low):
            what = "agree in full" if value == 1 else "differ by a constant only"
            reason = f"raters {what}, so the interval is not defined"
    return IntraclassCorrelation(
        form=form,
        value=value,
        low=low,
        high=high,
        statistic=statistic,
        p=p,
        raters=k,
        band=band(value),
        n=n,
        method=method,
        left_out=left_out,
        reason=reason,
    )


def band(value: float) -> str:
    """The usual word (Koo & Li 2016): poor below 0.5, moderate below 0.75, good below 0.9, excellent from there on."""
    return "" if isnan(value) else next((word for least, word in _BANDS if value >= least), "poor")


def _terms(table: np.ndarray) -> np.ndarray:
    """What has to be summed over images: 1, all ratings squared, the squared sum of an image, and the ratings of each rater."""
    return np.column_stack([np.ones(len(table)), (table**2).sum(axis=1), table.sum(axis=1) ** 2, table])


def _mean_squares(sums: np.ndarray, k: int) -> _MeanSquares:
    """The two-way analysis of variance of those sums (resamplings x terms)."""
    n, squares, of_rows, raters = sums[:, 0], sums[:, 1], sums[:, 2] / k, sums[:, 3:]
    correction = raters.sum(axis=1) ** 2 / (n * k)
    total, rows, columns = squares - correction, of_rows - correction, (raters**2).sum(axis=1) / n - correction
    # Rounding must not make the rest of a perfect agreement differ from zero.
    error = np.where(total - rows - columns < 1e-12 * squares, 0.0, total - rows - columns)
    columns = np.where(columns < 1e-12 * squares, 0.0, columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _MeanSquares(
            rows / (n - 1), columns / (k - 1), error / ((n - 1) * (k - 1)), (columns + error) / (n * (k - 1)), n, k
        )  # fmt: skip


def _coefficient(ms: _MeanSquares, form: Form) -> np.ndarray:
    k, n = ms.k, ms.n
    with np.errstate(divide="ignore", invalid="ignore"):
        if form == "1,1":
            found = (ms.rows - ms.within) / (ms.rows + (k - 1) * ms.within)
        elif form == "1,k":
            found = (ms.rows - ms.within) / ms.rows
        elif form == "A,1":
            found = (ms.rows - ms.error) / (ms.rows + (k - 1) * ms.error + k * (ms.columns - ms.error) / n)
        elif form == "A,k":
            found = (ms.rows - ms.error) / (ms.rows + (ms.columns - ms.error) / n)
        elif form == "C,1":
            found = (ms.rows - ms.error) / (ms.rows + (k - 1) * ms.error)
        else:
            found = (ms.rows - ms.error) / ms.rows
    return np.where(np.isfinite(found), found, nan)


def _f_test(squares: _MeanSquares, form: Form) -> tuple[float, float]:
    rows, rest = float(squares.rows[0]), float((squares.within if form.startswith("1") else squares.error)[0])
    if rest == 0:
        return nan, nan
    n, k = int(squares.n[0]), squares.k
    return rows / rest, float(stats.f.sf(rows / rest, n - 1, n * (k - 1) if form.startswith("1") else (n - 1) * (k - 1)))


def _f_interval(squares: _MeanSquares, form: Form) -> tuple[float, float]:
    """Of one rater's coefficient after the formulas of table 7; that of the mean follows by Spearman and Brown's."""
    rows, columns, error, within = (float(part[0]) for part in (squares.rows, squares.columns, squares.error, squares.within))
    n, k, upper = int(squares.n[0]), squares.k, (1 + CONFIDENCE) / 2
    if (within if form.startswith("1") else error) == 0:
        return nan, nan
    if form.startswith("A"):
        r = float(_coefficient(squares, "A,1")[0])
        if r == 1:
            return nan, nan
        a, b = k * r / (n * (1 - r)), 1 + k * r * (n - 1) / (n * (1 - r))
        v = (a * columns + b * error) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
        down, up = stats.f.ppf(upper, n - 1, v), stats.f.ppf(upper, v, n - 1)
        rest = k * columns + (k * n - k - n) * error
        low, high = n * (rows - down * error) / (down * rest + n * rows), n * (up * rows - error) / (rest + n * up * rows)
    else:
        ratio = rows / (within if form.startswith("1") else error)
        degrees = n * (k - 1) if form.startswith("1") else (n - 1) * (k - 1)
        least, most = ratio / stats.f.ppf(upper, n - 1, degrees), ratio * stats.f.ppf(upper, degrees, n - 1)
        low, high = (least - 1) / (least + k - 1), (most - 1) / (most + k - 1)
    if form.endswith("k"):
        low, high = (k * end / (1 + (k - 1) * end) for end in (low, high))
    return float(low), float(high)
