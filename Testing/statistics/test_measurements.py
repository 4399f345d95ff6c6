"""Rank correlation, limits of agreement and concordance of two measurements."""

from math import isnan, nan

import numpy as np
import pytest
from scipy import stats

from MRIDenoiseLib.statistics import bland_altman, lins_concordance, spearman

# Bland & Altman (1986), Lancet i: 307, table: peak expiratory flow (l/min), first measurement with each meter.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI_WRIGHT = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 259, 477, 259, 350, 451]


def test_the_flow_meters_of_bland_and_altman():
    found = bland_altman(WRIGHT, MINI_WRIGHT, factor=2)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.deviation == pytest.approx(38.8, abs=0.05)
    assert (found.lower, found.upper) == pytest.approx((-79.7, 75.5), abs=0.1)
    assert (found.bias_low, found.bias_high) == pytest.approx((-22.0, 17.8), abs=0.1)
    assert (found.lower_low, found.lower_high) == pytest.approx((-114.3, -45.1), abs=0.2)
    assert (found.upper_low, found.upper_high) == pytest.approx((40.9, 110.1), abs=0.2)
    assert found.n == 17


def test_95_percent_of_the_differences_lie_within_the_limits():
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, 20_000)
    found = bland_altman(first, first - 0.3 + rng.normal(0, 0.2, 20_000))
    assert (found.bias, found.lower, found.upper) == pytest.approx((0.3, 0.3 - 0.392, 0.3 + 0.392), abs=0.01)


def test_the_concordance_of_the_flow_meters():
    """0.943, as Stata's concord (Steichen & Cox 1998) gives for these data."""
    found = lins_concordance(WRIGHT, MINI_WRIGHT)
    assert found.value == pytest.approx(0.943, abs=5e-4)
    assert found.low < found.value < found.high


def test_concordance_by_its_formula():
    rng = np.random.default_rng(1)
    x, y = rng.normal(5, 1, 30), rng.normal(6, 2, 30)
    expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert lins_concordance(x, y).value == pytest.approx(expected)


@pytest.mark.parametrize("bias", [0.0, 0.6])
def test_the_interval_of_the_concordance_covers_the_truth_about_as_often_as_it_says(bias):
    rng = np.random.default_rng(2)
    truth = 2 / (1 + 1.25 + bias**2)
    hits = 0
    for _ in range(200):
        x = rng.normal(0, 1, 40)
        found = lins_concordance(x, x + bias + rng.normal(0, 0.5, 40))
        hits += found.low <= truth <= found.high
    assert 179 <= hits <= 199


def test_bootstrap_and_z_transform_give_like_intervals():
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 200)
    y = x + 0.2 + rng.normal(0, 0.5, 200)
    alone = lins_concordance(x, y)
    twice = lins_concordance(np.tile(x, 2), np.tile(y, 2), subjects=np.tile(np.arange(200), 2))
    assert twice.value == pytest.approx(alone.value)
    assert (twice.low, twice.high) == pytest.approx((alone.low, alone.high), abs=0.015)


def test_twice_the_value_correlates_in_full_but_does_not_agree():
    x = np.linspace(0.2, 1.0, 20)
    assert spearman(x, 2 * x).value == 1
    assert lins_concordance(x, 2 * x).value < 0.5
    assert bland_altman(2 * x, x).bias == pytest.approx(0.6)


def test_spearman_is_scipys_also_with_ties():
    rng = np.random.default_rng(4)
    x = rng.integers(0, 6, 25)
    y = x + rng.integers(0, 4, 25)
    expected = stats.spearmanr(x, y)
    found = spearman(x, y)
    assert (found.value, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.low < found.value < found.high


def test_discs_of_few_patients_widen_the_interval():
    rng = np.random.default_rng(5)
    of_subject = np.repeat(rng.normal(0, 1, 8), 10)
    x, y = of_subject + rng.normal(0, 0.2, 80), np.repeat(rng.normal(0, 0.7, 8), 10) + of_subject
    apart, together = spearman(x, y), spearman(x, y, np.repeat(np.arange(8), 10))
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([1, 1, 1], [1, 2, 3], "same value everywhere"),
        ([1, 2], [1, 2], "2 complete pairs are too few"),
        ([nan] * 3, [1] * 3, "no complete pair"),
    ],
)
def test_what_tells_nothing_is_named(x, y, reason):
    for measure in (spearman, lins_concordance):
        found = measure(x, y)
        assert isnan(found.value) and reason in found.reason
    assert "too few" in bland_altman([1, nan], [1, 2]).reason


def test_equal_measurements_agree_in_full():
    assert lins_concordance([1, 2, 3, 4], [1, 2, 3, 4]).value == 1
    found = bland_altman([1, 2, 3], [1, 2, 3])
    assert (found.bias, found.lower, found.upper) == (0, 0, 0)
