"""Differences with an interval that knows that rows of one patient are no independent samples."""

import numpy as np
import pytest
from scipy import stats

from MRIDenoiseLib.statistics import (
    bootstrap,
    clustered_interval,
    clustered_median_interval,
    compare,
    paired_difference,
    spearman,
    subject_means,
)
from MRIDenoiseLib.statistics.bootstrap import RESAMPLINGS


def test_a_comparison_counts_what_it_says():
    found = compare([3.0, 2.0, 5.0, 1.0], [1.0, 2.5, 5.0, 0.5], ["a", "a", "b", "b"])
    assert (found.rows, found.won, found.worst, found.worst_row) == (4, 2, -0.5, 1)
    assert found.mean == pytest.approx(0.5)
    assert found.low <= found.mean <= found.high


def test_the_interval_is_that_of_every_way_to_draw_the_subjects():
    values, subjects = [1.0, 1.0, 1.0, 5.0, 9.0, 9.0], ["a", "a", "a", "b", "c", "c"]
    sums, sizes = {"a": 3.0, "b": 5.0, "c": 18.0}, {"a": 3, "b": 1, "c": 2}
    draws = [(i, j, k) for i in "abc" for j in "abc" for k in "abc"]
    means = sorted(sum(sums[s] for s in draw) / sum(sizes[s] for s in draw) for draw in draws)
    # Each of the 27 draws is as likely: the ends of the interval are the outermost of them, 1 in 27 being more than 2.5 %.
    assert clustered_interval(values, subjects) == pytest.approx((means[0], means[-1]))


def test_a_subject_with_many_rows_counts_for_all_of_them():
    values = [0.0] * 9 * 15 + [1.0] * 15
    subjects = [f"a{k // 9}" for k in range(9 * 15)] + [f"b{k}" for k in range(15)]
    low, high = clustered_interval(values, subjects)
    assert low < 0.1 < high < 0.3, "the mean of all rows is 0.1, that of the subjects' means 0.5"


def test_many_rows_of_few_subjects_do_not_make_the_interval_narrow():
    rng = np.random.default_rng(0)
    of_subject = np.repeat(rng.normal(0, 1, 6), 50)
    values, subjects = of_subject + rng.normal(0, 0.1, 300), np.repeat(list("abcdef"), 50)
    clustered = np.ptp(clustered_interval(values, subjects))
    as_if_independent = np.ptp(clustered_interval(values, [str(k) for k in range(300)]))
    assert clustered > 4 * as_if_independent


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(20), 4)
    hits = 0
    for _ in range(60):
        low, high = clustered_interval(np.repeat(rng.normal(0, 1, 20), 4) + rng.normal(0, 0.5, 80), subjects)
        hits += low <= 0 <= high
    assert 50 <= hits <= 60


def test_the_same_seed_gives_the_same_interval_and_another_hardly_a_different_one():
    rng = np.random.default_rng(2)
    values, subjects = rng.normal(0, 1, 40), np.repeat(np.arange(10), 4)
    assert clustered_interval(values, subjects, seed=3) == clustered_interval(values, subjects, seed=3)
    assert clustered_interval(values, subjects, seed=3) != clustered_interval(values, subjects, seed=4)
    assert clustered_interval(values, subjects, seed=3) == pytest.approx(clustered_interval(values, subjects, seed=4), abs=0.05)


def test_one_subject_tells_nothing_about_others():
    low, high = clustered_interval([1.0, 2.0, 3.0], ["a"] * 3)
    assert low == high == pytest.approx(2)


def test_scores_of_different_rows_are_refused():
    with pytest.raises(ValueError, match="as many"):
        compare([1.0], [1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="as many"):
        compare([], [], [])


def row_by_row(statistic, owner, seed):
    """The interval as its definition has it: the drawn subjects' rows written down one after another."""
    rows = [np.flatnonzero(owner == subject) for subject in range(owner.max() + 1)]
    drawn = np.random.default_rng(seed).integers(0, len(rows), (RESAMPLINGS, len(rows)))
    return tuple(np.nanpercentile([statistic(np.concatenate([rows[k] for k in draw])) for draw in drawn], (2.5, 97.5)))


def test_the_median_s_interval_is_that_of_drawing_the_rows_themselves():
    rng = np.random.default_rng(5)
    values, subjects = rng.integers(0, 9, 31).astype(float), rng.integers(0, 12, 31)
    owner = np.unique(subjects, return_inverse=True)[1]
    assert clustered_median_interval(values, subjects, seed=1) == row_by_row(lambda rows: np.median(values[rows]), owner, 1)


def test_the_rank_correlation_s_interval_is_that_of_drawing_the_rows_themselves():
    rng = np.random.default_rng(6)
    first, subjects = rng.integers(0, 9, 31), rng.integers(0, 12, 31)
    second = first + rng.integers(0, 9, 31)
    owner = np.unique(subjects, return_inverse=True)[1]

    def of(rows):
        return np.corrcoef(stats.rankdata(first[rows]), stats.rankdata(second[rows]))[0, 1]

    found = spearman(first, second, subjects, seed=1)
    assert (found.low, found.high) == pytest.approx(row_by_row(of, owner, 1))


def test_many_subjects_are_drawn_in_parts_that_fit_the_memory(monkeypatch):
    values, subjects = np.random.default_rng(7).normal(0, 1, 60), np.repeat(np.arange(20), 3)
    at_once = [*clustered_interval(values, subjects), *clustered_median_interval(values, subjects)]
    monkeypatch.setattr(bootstrap, "_ROOM", 1000)
    assert [*clustered_interval(values, subjects), *clustered_median_interval(values, subjects)] == pytest.approx(at_once)


def test_a_subject_s_rows_become_one_number():
    means, names = subject_means(np.array([[1.0, 2], [3, 4], [5, 0]]), ["b", "a", "b"])
    assert list(names) == ["a", "b"] and means.tolist() == [[3, 4], [3, 1]]
    assert subject_means(np.array([1.0, 2, 6]), ["x", "y", "y"])[0].tolist() == [1, 4]


def test_a_paired_difference_leaves_out_what_is_missing_and_says_so():
    found = paired_difference([3.0, 2.0, np.nan, 4.0], [1.0, 2.0, 2.0, 3.0], ["a", "a", "b", "c"])
    assert (found.n, found.left_out, found.subjects) == (3, 1, 2)
    assert (found.median, found.mean) == (1.0, 1.0)
    assert found.median_low <= 1.0 <= found.median_high


def test_the_median_stays_at_zero_where_the_mean_does_not():
    found = paired_difference([1.0] * 4 + [0.0] * 16, [0.0] * 20)
    assert (found.median, found.median_low, found.median_high) == (0, 0, 0)
    assert found.mean == pytest.approx(0.2) and found.mean_low < 0.2 < found.mean_high


@pytest.mark.parametrize(("first", "reason"), [([np.nan, np.nan], "no complete pair"), ([1.0, np.nan], "one subject")])
def test_too_few_pairs_are_named(first, reason):
    assert reason in paired_difference(first, [0.0, 0.0]).reason
