"""Two hundred simulated studies each: the analysis finds what was put in, and errs as often as it says."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from MRIDenoiseLib.reader_study.analysis.arms import ArmTests, decide
from MRIDenoiseLib.reader_study.analysis.power import SimulatedReaders
from MRIDenoiseLib.statistics import intraclass

STUDIES = 200
ALPHA = 0.05
ARMS = ("noisy", "ours", "reference")


def read(mean_scores: tuple[float, ...], subjects: int, seed: int, readers: int = 2, **how: float) -> np.ndarray:
    """Studies x subjects x readers x arms."""
    model = SimulatedReaders(**how)  # type: ignore[arg-type]
    return model.read(mean_scores, studies=STUDIES, subjects=subjects, readers=readers, seed=seed)[..., 0]


def analysed(tables: np.ndarray, margin: float = 0.25) -> list[ArmTests]:
    return [decide(table.mean(axis=1), ARMS, "reference", ALPHA, margin) for table in tables]


def bounds(rate: float) -> tuple[int, int]:
    """Between these lie 99.9 % of the counts of a rate."""
    return int(stats.binom.ppf(0.0005, STUDIES, rate)), int(stats.binom.ppf(0.9995, STUDIES, rate))


@pytest.mark.parametrize(("subjects", "seed"), [(15, 10), (40, 11)])
def test_equal_arms_are_called_different_no_more_often_than_alpha(subjects, seed):
    found = analysed(read((2.6, 2.6, 2.6), subjects, seed))
    low, high = bounds(ALPHA)
    any_pair = sum(any(pair.direction != "no difference shown" for pair in one.pairs) for one in found)
    by_holm = sum(any(pair.holm < ALPHA for pair in one.pairs) for one in found)
    # Exact tests on a scale of few points, with Bonferroni, stay below alpha: there is no lower bound.
    assert any_pair <= high and by_holm <= high
    assert low <= sum(one.friedman.p < ALPHA for one in found) <= high


def test_without_adjustment_equal_arms_would_be_called_different_too_often():
    found = analysed(read((2.6, 2.6, 2.6), 40, 11))
    assert sum(any(pair.test.p < ALPHA for pair in one.pairs) for one in found) > STUDIES * ALPHA


def test_one_reader_or_three_change_nothing_in_the_error_rate():
    for readers, seed in ((1, 12), (3, 13)):
        found = analysed(read((2.6, 2.6, 2.6), 25, seed, readers))
        assert sum(any(pair.direction != "no difference shown" for pair in one.pairs) for one in found) <= bounds(ALPHA)[1]


def test_a_known_difference_is_found_in_the_right_direction():
    found = analysed(read((2.2, 2.8, 3.1), 40, 14))
    shown = {(pair.first, pair.second): [one.pairs[number].direction for one in found] for number, pair in enumerate(found[0].pairs)}
    assert shown["noisy", "ours"].count("lower") > 0.95 * STUDIES
    assert shown["noisy", "reference"].count("lower") > 0.99 * STUDIES
    # Of 0.3 points the half of studies at most gets hold, and none the wrong way round.
    assert 0.2 * STUDIES < shown["ours", "reference"].count("lower") < 0.9 * STUDIES
    assert shown["ours", "reference"].count("higher") <= 1


def test_a_difference_as_large_as_the_margin_is_called_equivalent_no_more_often_than_stated():
    found = analysed(read((2.2, 2.75, 3.0), 60, 15))
    ours = [one.pairs[2] for one in found]
    assert (ours[0].first, ours[0].second) == ("ours", "reference")
    claims = sum(pair.equivalence.verdict == "yes" for pair in ours)
    # Two arms are held against the reference, each at half of alpha.
    assert found[0].equivalence_alpha == ALPHA / 2
    assert claims <= bounds(ALPHA / 2)[1]
    # A margin that is wider makes the same difference equivalent: the bound above is no accident of a test that never claims.
    wide = [one.pairs[2].equivalence.verdict for one in analysed(read((2.2, 2.75, 3.0), 60, 15), margin=0.6)]
    assert wide.count("yes") > 0.9 * STUDIES


def test_equal_arms_become_equivalent_with_subjects_and_not_with_few():
    few, many = (analysed(read((2.2, 3.0, 3.0), subjects, 16)) for subjects in (8, 120))
    assert sum(one.pairs[2].equivalence.verdict == "yes" for one in few) < 0.1 * STUDIES
    assert sum(one.pairs[2].equivalence.verdict == "yes" for one in many) > 0.9 * STUDIES
    assert all(one.pairs[1].equivalence.verdict == "no" for one in many), "noisy is 0.8 points below the reference"


def test_the_readers_agreement_is_found_again():
    """The coefficient of very many images is the truth that the intervals of small studies have to cover."""
    model = SimulatedReaders(strictness=0.0)
    truth = intraclass(model.read((2.6,), studies=1, subjects=60_000, readers=2, seed=17)[0, :, :, 0, 0]).value
    tables = read((2.6,), 40, 18, strictness=0.0)[..., 0]
    found = [intraclass(table) for table in tables]
    covered = sum(one.low <= truth <= one.high for one in found)
    assert covered >= stats.binom.ppf(0.0005, STUDIES, 0.95) - 4, "the F interval is of normal values, and points are not"
    assert np.mean([one.value for one in found]) == pytest.approx(truth, abs=3 * np.std([one.value for one in found]) / sqrt(STUDIES))
