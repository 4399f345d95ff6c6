"""Simulated readers have the agreement and the differences that were asked for."""

import numpy as np
import pytest
from simulated_study import as_scores

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.analysis.power import SimulatedReaders
from MRIDenoiseLib.statistics import intraclass


def test_arms_have_the_mean_scores_asked_for():
    # A single reader's strictness would move all arms.
    table = SimulatedReaders(strictness=0.0).read((1.8, 2.5, 3.4), studies=1, subjects=40_000, readers=1, seed=0)
    assert table.mean(axis=(0, 1, 2, 4)) == pytest.approx((1.8, 2.5, 3.4), abs=0.02)
    assert set(np.unique(table)) == {1, 2, 3, 4}


@pytest.mark.parametrize("agreement", [0.6, 0.9])
def test_readers_agree_as_asked_where_the_scale_is_fine(agreement):
    readers = SimulatedReaders(agreement=agreement, of_subject=0.5, strictness=0.1, spread=80, lowest=0, highest=1000)
    tables = readers.read((500.0,), studies=60, subjects=60, readers=6, seed=1)[:, :, :, 0, 0]
    # Of one study the six readers' strictness is what it is: the truth holds over studies.
    squares = [intraclass(table, "A,1") for table in tables]
    assert np.mean([one.value for one in squares]) == pytest.approx(agreement, abs=0.03)


def test_points_cost_agreement():
    fine = SimulatedReaders(spread=80, lowest=0, highest=1000).read((500.0,), studies=1, subjects=3000, readers=2, seed=2)
    coarse = SimulatedReaders().read((2.5,), studies=1, subjects=3000, readers=2, seed=2)
    assert intraclass(coarse[0, :, :, 0, 0]).value < intraclass(fine[0, :, :, 0, 0]).value - 0.03


def test_the_same_seed_gives_the_same_study_and_another_another():
    readers = SimulatedReaders()
    one, same, other = (readers.read((2.0, 3.0), studies=2, subjects=5, readers=2, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_scores_name_every_reading_once_and_leave_gaps_out():
    table = SimulatedReaders().read((2.0, 3.0), studies=1, subjects=3, readers=2, seed=5, times=2)[0].astype(float)
    table[0, 0, 0, 1] = np.nan
    scores = as_scores(table, ("noisy", "ours"), "image_quality")
    assert len(scores) == 3 * 2 * 2 * 2 - 1
    assert len({(one.reader, one.subject, one.arm, one.repeat) for one in scores}) == len(scores)
    found = next(one for one in scores if (one.reader, one.subject, one.arm, one.repeat) == ("R2", "S003", "ours", 1))
    assert found.value == table[2, 1, 1, 1]


@pytest.mark.parametrize("parts", [{"agreement": 0.4}, {"agreement": 0.99, "strictness": 0.05}, {"spread": 0.0}, {"lowest": 4}])
def test_readers_that_cannot_be_are_refused(parts):
    with pytest.raises(SettingsError):
        SimulatedReaders(**parts)


@pytest.mark.parametrize("score", [1, 4, 0.5])
def test_a_mean_score_outside_the_scale_is_refused(score):
    with pytest.raises(SettingsError, match="between 1 and 4"):
        SimulatedReaders().quality(score)
