"""Intraclass correlation and weighted kappa against the tables they were published with."""

from math import isnan, nan
from typing import get_args

import numpy as np
import pytest

from MRIDenoiseLib.statistics import band, gwet_ac2, intraclass, weighted_kappa
from MRIDenoiseLib.statistics.intraclass import Form

# Shrout & Fleiss (1979), Psychological Bulletin 86: 420, table 2: six targets, four judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
# Their table 4, and the intervals that the formulas of McGraw & Wong (1996) give (as the R package psych prints them).
PUBLISHED = {
    "1,1": (0.17, -0.133, 0.723),
    "A,1": (0.29, 0.019, 0.761),
    "C,1": (0.71, 0.342, 0.946),
    "1,k": (0.44, -0.884, 0.912),
    "A,k": (0.62, 0.071, 0.927),
    "C,k": (0.91, 0.676, 0.986),
}


@pytest.mark.parametrize("form", get_args(Form))
def test_the_six_coefficients_of_shrout_and_fleiss(form):
    found = intraclass(SHROUT_FLEISS, form)
    value, low, high = PUBLISHED[form]
    assert found.value == pytest.approx(value, abs=0.005)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.001)
    assert (found.n, found.raters) == (6, 4)


def test_the_f_tests_of_shrout_and_fleiss():
    assert intraclass(SHROUT_FLEISS, "1,1").p == pytest.approx(0.16477, abs=1e-5)
    assert intraclass(SHROUT_FLEISS, "A,1").statistic == pytest.approx(11.03, abs=0.01)
    assert intraclass(SHROUT_FLEISS, "A,1").p == pytest.approx(0.000135, abs=1e-6)


def test_a_stricter_rater_lowers_absolute_agreement_but_not_consistency():
    strict = SHROUT_FLEISS - [0, 0, 0, 3]
    assert intraclass(strict, "C,1").value == pytest.approx(intraclass(SHROUT_FLEISS, "C,1").value)
    agreeing = np.column_stack([SHROUT_FLEISS[:, 0], SHROUT_FLEISS[:, 0] + [0, 0, 1, 0, -1, 0]])
    assert intraclass(agreeing + [0, 2], "A,1").value < intraclass(agreeing, "A,1").value - 0.2
    assert intraclass(agreeing + [0, 2], "C,1").value == pytest.approx(intraclass(agreeing, "C,1").value)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        table = rng.normal(0, 1, (20, 1)) + rng.normal(0, 0.5, (20, 2))
        found = intraclass(table, "A,1")
        hits += found.low <= 0.8 <= found.high
    assert 181 <= hits <= 199


def test_several_images_of_a_subject_widen_the_interval():
    rng = np.random.default_rng(1)
    of_subject = np.repeat(rng.normal(0, 1, (8, 1)), 10, axis=0)
    table, subjects = of_subject + rng.normal(0, 0.3, (80, 2)), np.repeat(np.arange(8), 10)
    apart, together = intraclass(table), intraclass(table, subjects=subjects)
    assert apart.value == together.value
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    assert "bootstrap" in together.method and "bootstrap" not in apart.method


def test_full_agreement_is_1_and_says_why_it_has_no_interval():
    found = intraclass(np.array([[1, 1], [2, 2], [4, 4]]))
    assert found.value == 1 and isnan(found.low) and "agree in full" in found.reason


def test_readers_a_constant_apart_are_consistent_in_full_and_the_reason_is_said():
    found = intraclass(np.array([[1, 2], [2, 3], [4, 5]]), "A,1")
    assert 0.5 < found.value < 1 and "constant" in found.reason
    assert intraclass(np.array([[1, 2], [2, 3], [4, 5]]), "C,1").value == 1


@pytest.mark.parametrize(
    ("table", "reason"),
    [([[3, 3], [3, 3], [3, 3]], "all ratings are equal"), ([[1, 2]], "one image"), ([[1, nan], [nan, 2]], "no image")],
)
def test_what_tells_nothing_is_named(table, reason):
    found = intraclass(np.array(table, dtype=float))
    assert isnan(found.value) and reason in found.reason and found.band == ""


def test_images_without_a_rating_are_left_out_and_counted():
    found = intraclass(np.vstack([SHROUT_FLEISS, [1, nan, 2, 3]]), "A,k")
    assert (found.n, found.left_out) == (6, 1) and found.value == pytest.approx(0.62, abs=0.005)


def test_the_bands_begin_where_they_say():
    assert [band(value) for value in (0.49, 0.5, 0.75, 0.9, nan)] == ["poor", "moderate", "good", "excellent", ""]


def _readings(table):
    """A table of counts as two columns of categories."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return np.array(pairs).T


# Cohen (1960), Educational and Psychological Measurement 20: 37, table 1, as counts of 200.
COHEN = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]


def test_cohens_first_kappa():
    found = weighted_kappa(*_readings(COHEN), [0, 1, 2], weights="none")
    assert found.value == pytest.approx(0.49, abs=0.005)
    assert (found.observed, found.by_chance) == pytest.approx((0.70, 0.41))


def test_quadratic_kappa_by_hand():
    # Squared distances: 20 x 4 and 40 x 1 observed of 200; by chance from the margins (120, 60, 20) and (100, 60, 40).
    observed = (20 * 4 + 40) / 200
    chance = sum(r * c * (i - j) ** 2 for i, r in enumerate((120, 60, 20)) for j, c in enumerate((100, 60, 40))) / 200**2
    assert weighted_kappa(*_readings(COHEN), [0, 1, 2]).value == pytest.approx(1 - observed / chance)


def test_kappa_and_its_spread_are_statsmodels():
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    expected = inter_rater.cohens_kappa(COHEN, weights=np.arange(3) ** 2, wt="toeplitz")
    found = weighted_kappa(*_readings(COHEN), [0, 1, 2])
    assert found.value == pytest.approx(expected.kappa)
    assert (found.high - found.low) / 3.92 == pytest.approx(expected.std_kappa, rel=0.05)


def test_quadratic_kappa_is_nearly_the_intraclass_correlation():
    """Fleiss & Cohen (1973): the same but for terms of the order of 1 / n."""
    rng = np.random.default_rng(2)
    truth = rng.integers(1, 5, 5000)
    first, second = (np.clip(truth + rng.integers(-1, 2, 5000), 1, 4) for _ in range(2))
    assert weighted_kappa(first, second, [1, 2, 3, 4]).value == pytest.approx(intraclass(np.column_stack([first, second])).value, abs=1e-3)


def test_gwets_coefficient_stays_high_where_kappa_breaks_down():
    """Gwet (2008), British Journal of Mathematical and Statistical Psychology 61: 29: of 125, 118 agree on one category."""
    first, second = _readings([[118, 5], [2, 0]])
    assert weighted_kappa(first, second, [0, 1], weights="none").value == pytest.approx(-0.0234, abs=5e-5)
    assert gwet_ac2(first, second, [0, 1], weights="none").value == pytest.approx(0.9408, abs=5e-5)


def test_one_category_only_has_no_kappa_but_an_ac2():
    found = weighted_kappa([2] * 5, [2] * 5, [1, 2, 3, 4])
    assert isnan(found.value) and "one category" in found.reason
    assert gwet_ac2([2] * 5, [2] * 5, [1, 2, 3, 4]).value == 1


def test_missing_ratings_are_counted_and_unknown_ones_refused():
    assert weighted_kappa([1, nan, 3], [1, 2, 3], [1, 2, 3]).left_out == 1
    assert "no image" in weighted_kappa([nan], [2], [1, 2]).reason
    with pytest.raises(ValueError, match="categories"):
        weighted_kappa([5], [1], [1, 2, 3, 4])
