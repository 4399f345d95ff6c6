"""Equivalence has to be shown: few subjects show nothing."""

from math import isnan, nan

import numpy as np
import pytest

from MRIDenoiseLib.statistics import bootstrap_equivalence, equivalence, non_inferiority


def _pairs(n: int, shift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose mean difference is the shift exactly, with a standard deviation of 0.8 points."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, n)
    noise = 0.8 * (noise - noise.mean()) / noise.std(ddof=1)
    first = rng.integers(1, 5, n).astype(float)
    return first, first - shift + noise


def test_no_effect_is_undecided_with_5_subjects_and_equivalent_with_500():
    for test in (equivalence, bootstrap_equivalence):
        few, many = test(*_pairs(5), margin=0.25), test(*_pairs(500), margin=0.25)
        assert few.mean == pytest.approx(0, abs=1e-12) and few.verdict == "undecided"
        assert many.verdict == "yes"
    assert equivalence(*_pairs(5), margin=0.25).p > 0.05
    assert equivalence(*_pairs(500), margin=0.25).p < 1e-6


def test_both_intervals_are_nearly_the_same():
    tests, bootstrap = equivalence(*_pairs(80), margin=0.25), bootstrap_equivalence(*_pairs(80), margin=0.25)
    assert (bootstrap.low, bootstrap.high) == pytest.approx((tests.low, tests.high), abs=0.01)
    assert isnan(bootstrap.p)


def test_a_large_difference_is_not_equivalent():
    found = equivalence(*_pairs(100, 1.0), margin=0.25)
    assert found.verdict == "no" and found.p > 0.99 and found.low > 0.25


def test_the_interval_lies_inside_the_margin_exactly_when_p_is_below_alpha():
    for shift in np.linspace(-0.4, 0.4, 33):
        found = equivalence(*_pairs(60, shift), margin=0.25)
        assert (found.verdict == "yes") == (found.p < 0.05)


def test_it_is_statsmodels():
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    first, second = _pairs(30, 0.1)
    assert equivalence(first, second, margin=0.3).p == pytest.approx(weightstats.ttost_paired(first, second, -0.3, 0.3)[0])


def test_a_difference_as_large_as_the_margin_is_called_equivalent_no_more_often_than_alpha():
    rng = np.random.default_rng(1)
    claims = sum(equivalence(0.25 + rng.normal(0, 0.5, 60), np.zeros(60), margin=0.25).verdict == "yes" for _ in range(400))
    assert 6 <= claims <= 36, "5 % of 400 are 20"


def test_being_better_is_not_inferior_but_not_equivalent_either():
    better = _pairs(100, 1.0)
    assert non_inferiority(*better, margin=0.25).verdict == "yes"
    assert non_inferiority(*better[::-1], margin=0.25).verdict == "no"
    assert equivalence(*better, margin=0.25).verdict == "no"
    assert non_inferiority(*_pairs(5), margin=0.25).verdict == "undecided"


@pytest.mark.parametrize(
    ("first", "reason"), [([1, 1, 1], "all 3 differences are equal"), ([2, nan, nan], "1 complete pair"), ([nan] * 3, "no complete pair")]
)
def test_without_a_spread_nothing_is_claimed(first, reason):
    for test in (equivalence, bootstrap_equivalence, non_inferiority):
        found = test(first, [1, 1, 1], margin=0.25)
        assert found.verdict == "undecided" and isnan(found.p) and reason in found.reason


@pytest.mark.parametrize("margin", [0.0, -0.25, nan])
def test_a_margin_has_to_be_set(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalence([1, 2], [1, 2], margin=margin)
