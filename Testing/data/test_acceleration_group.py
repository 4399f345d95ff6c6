"""The word for an acceleration, and the number behind it."""

import math

import pytest

from MRIDenoiseLib.data.cases import Acceleration, group
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.volume import Acquisition, AcquisitionField


def acquisition(nex: float | None = None, parallel: float | None = None) -> Acquisition:
    return Acquisition(averages=AcquisitionField(nex), parallel_imaging=AcquisitionField(parallel))


@pytest.mark.parametrize(
    ("ratio", "word"),
    [(1.1, "1.5x"), (1.5, "1.5x"), (1.73, "1.5x"), (1.74, "2x"), (2.0, "2x"), (2.44, "2x"), (2.46, "3x"), (3.0, "3x"), (6.0, "3x")],
)
def test_the_nearest_group_on_a_logarithmic_scale_has_its_borders_at_root_three_and_root_six(ratio: float, word: str):
    assert group(ratio) == word


@pytest.mark.parametrize("ratio", [1.09, 1.0, 0.5])
def test_what_is_hardly_faster_belongs_to_no_group(ratio: float):
    assert group(ratio) is None


@pytest.mark.parametrize("ratio", [0.0, -2.0, math.nan, math.inf])
def test_an_impossible_acceleration_is_refused(ratio: float):
    with pytest.raises(InputError):
        group(ratio)


def test_averages_and_parallel_imaging_multiply_into_the_ratio_and_stay_apart():
    found = Acceleration.between(acquisition(1, 3), acquisition(2, 2))
    assert (found.nex_fast, found.nex_full, found.parallel_fast, found.parallel_full) == (1, 2, 3, 2)
    assert found.ratio == 3


def test_the_scan_times_say_more_than_the_factors_and_the_user_more_than_both():
    fast, full = acquisition(1, 1), acquisition(2, 1)
    assert Acceleration.between(fast, full, durations=(60.0, 150.0)).ratio == 2.5
    assert Acceleration.between(fast, full, durations=(60.0, None)).ratio == 2
    given = Acceleration.between(fast, full, durations=(60.0, 150.0), given=1.5)
    assert (given.ratio, given.nex_full, given.source) == (1.5, 2, "user")


def test_more_than_any_scan_is_accelerated_is_refused_wherever_it_comes_from():
    for fast, full, durations in ((1, 20, (None, None)), (1, 1, (1.0, 17.0))):
        with pytest.raises(InputError, match="times as fast"):
            Acceleration.between(acquisition(fast), acquisition(full), durations=durations)
    assert Acceleration.between(acquisition(1), acquisition(16)).ratio == 16


def test_a_header_without_the_parallel_factor_means_one_where_its_partner_has_it():
    assert Acceleration.between(acquisition(1, 2), acquisition(1)).ratio == 2
    assert "neither header" in Acceleration.between(acquisition(1), acquisition(2)).source


def test_without_averages_times_or_user_nothing_is_guessed():
    with pytest.raises(InputError, match="--acceleration"):
        Acceleration.between(acquisition(None, 2), acquisition(2, 1))
