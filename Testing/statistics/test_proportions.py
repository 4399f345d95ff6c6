"""Detection rates, sensitivity and specificity, the ROC curve's area, and preferences."""

from math import isnan, nan

import numpy as np
import pytest
from scipy import stats

from MRIDenoiseLib.statistics import accuracy, curve_area, rate, sign_test, wilson


def test_wilson_of_newcombe():
    """Newcombe (1998), Statistics in Medicine 17: 857, table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_sensitivity_and_specificity_of_a_table():
    called = [1] * 9 + [0] + [1] * 4 + [0] * 16
    truth = [1] * 10 + [0] * 20
    found = accuracy(called, truth)
    assert (found.sensitivity.value, found.specificity.value) == (0.9, 0.8)
    assert (found.sensitivity.n, found.specificity.n, found.n) == (10, 20, 30)
    assert (found.sensitivity.low, found.sensitivity.high) == wilson(9, 10)


def test_several_findings_of_a_patient_widen_the_interval():
    rng = np.random.default_rng(0)
    happened, subjects = np.repeat(rng.integers(0, 2, 10), 20), np.repeat(np.arange(10), 20)
    apart, together = rate(happened), rate(happened, subjects)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert "bootstrap" in together.method


def test_no_miss_at_all_still_has_an_interval_of_as_many_subjects():
    found = rate([1] * 40, np.repeat(np.arange(10), 4))
    assert found.value == 1 and (found.low, found.high) == wilson(10, 10)


def test_a_finding_that_nobody_has_leaves_sensitivity_open():
    found = accuracy([0, 1, 0], [0, 0, 0])
    assert isnan(found.sensitivity.value) and found.sensitivity.reason and found.specificity.value == pytest.approx(2 / 3)
    assert "nowhere" in curve_area([1, 2, 3], [0, 0, 0]).reason
    assert accuracy([nan, 1], [1, nan]).left_out == 2


def test_the_area_is_the_chance_that_the_positive_one_gets_more():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 60)
    certainty = np.clip(truth + rng.integers(1, 4, 60), 1, 4)
    expected = stats.mannwhitneyu(certainty[truth == 1], certainty[truth == 0]).statistic / ((truth == 1).sum() * (truth == 0).sum())
    found = curve_area(certainty, truth)
    assert found.value == pytest.approx(expected) and found.low < expected < found.high


def test_readings_are_0_or_1():
    with pytest.raises(ValueError, match="0 or 1"):
        rate([0, 3])
    with pytest.raises(ValueError, match="0 or 1"):
        accuracy([1], [2])


def test_the_sign_test_is_the_binomials():
    found = sign_test(12, 3, 5)
    assert found.p == pytest.approx(0.03515625)
    assert (found.share, found.n, found.draws) == (0.8, 15, 5)
    assert (found.low, found.high) == wilson(12, 15)


def test_draws_only_decide_nothing():
    assert sign_test(0, 0, 7).p == 1
    nothing = sign_test(0, 0)
    assert isnan(nothing.p) and "nothing" in nothing.reason
