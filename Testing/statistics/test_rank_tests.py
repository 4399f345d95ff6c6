"""Friedman, Wilcoxon and their adjustments against textbooks, against every possible sign, and against scipy."""

from itertools import product
from math import isnan, nan

import numpy as np
import pytest
from scipy import stats

from MRIDenoiseLib.statistics import bonferroni, friedman, holm, signed_rank

# Conover, Practical Nonparametric Statistics (3rd edition), section 5.8: twelve homeowners rank four grasses.
GRASSES = [
    [4, 3, 2, 1], [4, 2, 3, 1], [3, 1.5, 1.5, 4], [3, 1, 2, 4], [4, 2, 1, 3], [2, 2, 2, 4],
    [1, 3, 2, 4], [2, 4, 1, 3], [3.5, 1, 2, 3.5], [4, 1, 3, 2], [4, 2, 3, 1], [3.5, 1, 2, 3.5],
]  # fmt: skip

# Hollander & Wolfe, Nonparametric Statistical Methods (1973), table 7.1: rounding first base, three ways, 22 players.
FIRST_BASE = [
    [5.40, 5.50, 5.55], [5.85, 5.70, 5.75], [5.20, 5.60, 5.50], [5.55, 5.50, 5.40], [5.90, 5.85, 5.70], [5.45, 5.55, 5.60],
    [5.40, 5.40, 5.35], [5.45, 5.50, 5.35], [5.25, 5.15, 5.00], [5.85, 5.80, 5.70], [5.25, 5.20, 5.10], [5.65, 5.55, 5.45],
    [5.60, 5.35, 5.45], [5.05, 5.00, 4.95], [5.50, 5.50, 5.40], [5.45, 5.55, 5.50], [5.55, 5.55, 5.35], [5.45, 5.50, 5.55],
    [5.50, 5.45, 5.25], [5.65, 5.60, 5.40], [5.70, 5.65, 5.55], [6.30, 6.30, 6.25],
]  # fmt: skip

# Conover, section 5.7: aggressiveness of twelve pairs of twins; one pair is equal and four share their rank with another.
FIRST_BORN = [86, 71, 77, 68, 91, 72, 77, 91, 70, 71, 88, 87]
SECOND_BORN = [88, 77, 76, 64, 96, 72, 65, 90, 65, 80, 81, 72]

# Hollander & Wolfe, table 3.1: depression before and after a tranquiliser.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]


def test_friedman_of_the_grasses_with_ties():
    found = friedman(np.array(GRASSES))
    assert found.statistic == pytest.approx(8.0973, abs=5e-5)
    assert (found.degrees, found.n) == (3, 12)
    assert found.p == pytest.approx(0.0440, abs=1e-4)
    assert np.multiply(found.mean_ranks, 12) == pytest.approx([38, 23.5, 24.5, 34])


def test_friedman_of_the_base_runners():
    found = friedman(np.array(FIRST_BASE))
    assert found.statistic == pytest.approx(11.143, abs=5e-4)
    assert found.p == pytest.approx(0.003805, abs=5e-7)
    assert found.w == pytest.approx(11.143 / 44, abs=1e-4)


def test_friedman_is_scipys_on_four_point_scores():
    rng = np.random.default_rng(0)
    for n in (2, 7, 40):
        table = rng.integers(1, 5, (n, 4))
        expected = stats.friedmanchisquare(*table.T)
        found = friedman(table)
        assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_w_is_1_where_all_subjects_order_the_arms_alike_and_0_where_the_orders_cancel():
    assert friedman(np.array([[1, 2, 3]] * 5)).w == pytest.approx(1)
    assert friedman(np.array([[1, 2, 3], [3, 1, 2], [2, 3, 1]])).w == pytest.approx(0)


def test_equal_arms_have_p_1_and_a_reason():
    found = friedman(np.full((6, 3), 4.0))
    assert (found.statistic, found.p, found.w) == (0, 1, 0)
    assert "same value" in found.reason


def test_averages_that_differ_by_rounding_are_ties():
    one, other = (0.1 + 0.2) / 3, 0.3 / 3
    assert one != other
    assert friedman(np.array([[one, other, 1.0]] * 4)).mean_ranks == (1.5, 1.5, 3.0)
    assert signed_rank([one, 1.0], [other, 0.0]).zeros == 1


def test_friedman_leaves_out_incomplete_subjects_and_counts_them():
    table = np.array(GRASSES)
    table = np.vstack([table, [1, nan, 3, 4]])
    found = friedman(table)
    assert (found.n, found.left_out) == (12, 1)
    assert found.statistic == pytest.approx(8.0973, abs=5e-5)


def test_friedman_of_nobody_and_of_one_gives_a_reason_and_no_p():
    assert "no subject" in friedman(np.full((3, 3), nan)).reason
    alone = friedman(np.array([[1.0, 2.0, 3.0]]))
    assert isnan(alone.p) and "one subject" in alone.reason


def test_wilcoxon_of_the_twins_with_a_zero_and_ties():
    exact = signed_rank(SECOND_BORN, FIRST_BORN, zeros="wilcoxon")
    assert (exact.positive, exact.negative, exact.zeros) == (24.5, 41.5, 1)
    approximate = signed_rank(SECOND_BORN, FIRST_BORN, zeros="wilcoxon", exact_up_to=0)
    # Conover's sum of ranks over the root of the sum of their squares is -17 / sqrt(505); ours is nearer to zero by the correction.
    assert approximate.z == pytest.approx((-17 / 2 + 0.5) / (np.sqrt(505) / 2))
    assert approximate.p / 2 == pytest.approx(0.238, abs=5e-4)


def test_wilcoxon_of_the_depression_scores():
    found = signed_rank(BEFORE, AFTER)
    assert found.positive == 40
    assert found.p == pytest.approx(0.0390625)
    assert found.effect == pytest.approx(35 / 45)


@pytest.mark.parametrize("zeros", ["pratt", "wilcoxon"])
def test_the_exact_p_is_that_of_all_signs(zeros):
    differences = np.array([0, 0, 1, -1, 1, 1, 2, -2, 3, 0, 2])
    found = signed_rank(differences, np.zeros(11), zeros=zeros)
    ranks = stats.rankdata(np.abs(differences))[differences != 0] - (0 if zeros == "pratt" else 3)
    sums = np.array([np.dot(signs, ranks) for signs in product((0, 1), repeat=8)])
    assert found.positive == ranks[differences[differences != 0] > 0].sum()
    assert found.p == pytest.approx(min(1, 2 * min((sums >= found.positive).mean(), (sums <= found.positive).mean())))


@pytest.mark.parametrize(("zeros", "scipys"), [("pratt", "pratt"), ("wilcoxon", "wilcox")])
def test_the_approximation_is_scipys(zeros, scipys):
    rng = np.random.default_rng(1)
    first, second = rng.integers(1, 5, 400), rng.integers(1, 5, 400)
    expected = stats.wilcoxon(first, second, zero_method=scipys, correction=True, method="asymptotic")
    found = signed_rank(first, second, zeros=zeros)
    assert "normal approximation" in found.method
    assert (min(found.positive, found.negative), found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_exact_and_approximate_p_come_together_where_differences_are_fine():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.2, 1, 120), rng.normal(0, 1, 120)
    exact, approximate = signed_rank(first, second), signed_rank(first, second, exact_up_to=0)
    assert "exact" in exact.method and exact.p == pytest.approx(approximate.p, rel=0.02)


def test_on_one_point_differences_the_exact_p_is_the_binomials_and_the_approximation_too_sure():
    differences = np.array([1.0] * 18 + [-1.0] * 12 + [0.0] * 30)
    exact, approximate = (signed_rank(differences, np.zeros(60), exact_up_to=limit) for limit in (200, 0))
    assert exact.p == pytest.approx(stats.binomtest(18, 30).pvalue)
    assert approximate.p < 0.95 * exact.p


def test_pratts_zeros_weaken_a_finding_of_few_pairs_less_than_leaving_them_out_hides_them():
    differences = [0.0] * 10 + [1.0] * 5
    pratt, dropped = signed_rank(differences, [0.0] * 15), signed_rank(differences, [0.0] * 15, zeros="wilcoxon")
    # The ranks are 13 each and not 3 each; the signs, on which p rests, are the same.
    assert (pratt.positive, dropped.positive) == (65, 15)
    assert pratt.p == dropped.p == pytest.approx(2 / 2**5)


def test_no_difference_at_all_has_p_1_and_no_pair_none():
    same = signed_rank([2, 3, 4], [2, 3, 4])
    assert (same.p, same.zeros, same.n) == (1, 3, 3) and "no pair differs" in same.reason
    none = signed_rank([nan], [1])
    assert isnan(none.p) and none.left_out == 1 and none.reason


def test_swapping_the_arms_turns_the_effect_and_keeps_p():
    there, back = signed_rank(BEFORE, AFTER), signed_rank(AFTER, BEFORE)
    assert there.effect == -back.effect and there.p == back.p


def test_bonferroni_counts_the_tests_really_made():
    assert bonferroni([0.01, nan, 0.04]) == pytest.approx((0.02, nan, 0.08), nan_ok=True)
    assert bonferroni([0.6, 0.7]) == (1, 1)


def test_holm_by_hand():
    # 4 x 0.005, then 3 x 0.01, then 2 x 0.03, and 0.04 may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([nan, 0.01, 0.04]) == pytest.approx((nan, 0.02, 0.04), nan_ok=True)
    assert holm([]) == ()


def test_holm_lies_between_p_and_bonferroni():
    rng = np.random.default_rng(3)
    for _ in range(20):
        p = rng.uniform(0, 0.3, 6)
        assert np.all(p <= holm(p)) and np.all(np.array(holm(p)) <= np.array(bonferroni(p)) + 1e-15)


def test_holm_and_bonferroni_are_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(4).uniform(0, 0.2, 7)
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])
    assert bonferroni(p) == pytest.approx(multitest.multipletests(p, method="bonferroni")[1])
