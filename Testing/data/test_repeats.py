"""Repeats are found wherever they lie, and each is compared with the mean of the others, which does not hold its noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_files import body, dicom, nifti, quiet, rician

from MRIDenoiseLib.data.cases import Case, Dropped
from MRIDenoiseLib.data.repeats import find_repeats
from MRIDenoiseLib.errors import Cancelled, InputError, SettingsError

REPEATS = 4


@pytest.fixture(scope="module")
def measured() -> np.ndarray:
    return np.stack([rician(body(), 40, seed) for seed in range(REPEATS)])


def test_each_volume_of_a_file_is_compared_with_the_mean_of_the_others(tmp_path: Path, measured: np.ndarray) -> None:
    """A file does not tell its averages, so none are made up."""
    nifti(tmp_path / "p1" / "four.nii", measured)
    (case,) = find_repeats(tmp_path, None, None, quiet)
    assert isinstance(case, Case)
    pairs = list(case.pairs())
    for number, pair in enumerate(pairs):
        assert np.array_equal(pair.noisy.voxels, measured[number])
        assert np.allclose(pair.clean.voxels, np.delete(measured, number, axis=0).mean(axis=0), rtol=1e-5)
        assert (pair.gt_kind, pair.repeats) == ("leave_one_out", REPEATS)
        assert (pair.acceleration.ratio, pair.acceleration.nex_fast, pair.acceleration.nex_full) == (4, None, None)


def test_the_noise_of_a_repeat_is_independent_of_that_of_its_reference(tmp_path: Path, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "four.nii", measured)
    (case,) = find_repeats(tmp_path, None, None, quiet)
    pair = next(case.pairs())
    inner = body() > 400
    own, other = (image.voxels[inner] - body()[inner] for image in (pair.noisy, pair.clean))
    assert abs(np.corrcoef(own, other)[0, 1]) < 4 / np.sqrt(inner.sum())
    assert pair.reference_noise == pytest.approx(other.std(), rel=0.1)


def test_chosen_volumes_are_repeats_and_the_others_are_not(tmp_path: Path, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "four.nii", np.concatenate([measured, 3 * measured[:2]]))
    (case,) = find_repeats(tmp_path, "1, 3-4", None, quiet)
    pairs = list(case.pairs())
    assert len(pairs) == 3
    assert np.allclose(pairs[0].clean.voxels, measured[2:4].mean(axis=0), rtol=1e-5)


def test_conditions_that_come_again_are_cases_of_their_own(tmp_path: Path, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "four.nii", measured)
    cases = find_repeats(tmp_path, None, 2, quiet)
    assert [case.label for case in cases] == ["image 1, condition 1", "image 1, condition 2"]
    second = list(cases[1].pairs())
    assert len(second) == 2 and np.array_equal(second[0].noisy.voxels, measured[1]) and np.array_equal(second[0].clean.voxels, measured[3])
    assert len({case.series for case in cases}) == 2


def test_series_measured_alike_are_repeats_and_a_single_one_is_not(tmp_path: Path, measured: np.ndarray) -> None:
    for number in range(3):
        dicom(tmp_path / str(number), measured[number], f"1.2.{number}", SeriesNumber=number)
    dicom(tmp_path / "other", measured[3], "1.2.9", EchoTime=90)
    cases = find_repeats(tmp_path, None, None, quiet)
    (case,) = (one for one in cases if isinstance(one, Case))
    pairs = list(case.pairs())
    assert len(pairs) == 3 and np.allclose(pairs[0].clean.voxels, measured[1:3].mean(axis=0), atol=1)
    assert pairs[0].acceleration.nex_fast == 2 and pairs[0].acceleration.nex_full == 6
    assert [(one.label, one.step) for one in cases if isinstance(one, Dropped)] == [("image 4", "matching")]


def test_repeats_on_different_grids_are_refused(tmp_path: Path, measured: np.ndarray) -> None:
    for number in range(2):
        dicom(tmp_path / str(number), measured[number, :, :63, :63], f"1.2.{number}", turned=number == 1)
    (case,) = find_repeats(tmp_path, None, None, quiet)
    with pytest.raises(InputError, match="one grid"):
        next(case.pairs())


@pytest.mark.parametrize(("which", "cycle"), [("1", None), ("0,2", None), ("a-b", None), ("1,,2", None), (None, 0), ("1,2", 2)])
def test_choices_that_make_no_sense_are_refused(tmp_path: Path, which: str | None, cycle: int | None, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "four.nii", measured[:2, :3, :8, :8])
    with pytest.raises(SettingsError):
        find_repeats(tmp_path, which, cycle, quiet)


@pytest.mark.parametrize(("which", "cycle"), [("1,7", None), (None, 4), (None, 9)])
def test_volumes_that_are_not_there_are_told(tmp_path: Path, which: str | None, cycle: int | None, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "four.nii", measured[:, :3, :8, :8])
    (dropped,) = find_repeats(tmp_path, which, cycle, quiet)
    assert isinstance(dropped, Dropped) and "it holds 4 volumes" in dropped.reason


def test_a_condition_that_comes_once_costs_no_other_condition(tmp_path: Path, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "five.nii", np.concatenate([measured, 2 * measured[:1]]))
    first, second, third = find_repeats(tmp_path, None, 3, quiet)
    assert isinstance(first, Case) and isinstance(second, Case) and len(list(second.pairs())) == 2
    assert isinstance(third, Dropped) and third.label == "image 1, condition 3" and "measured once" in third.reason


def test_a_series_that_was_exported_twice_is_no_repeat(tmp_path: Path, measured: np.ndarray) -> None:
    for folder in ("a", "b"):
        dicom(tmp_path / folder, measured[0], "1.2.3")
    found = list(find_repeats(tmp_path, None, None, quiet))
    assert found and all(isinstance(one, Dropped) for one in found)


def test_two_equal_repeats_are_refused(tmp_path: Path, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "four.nii", measured[[0, 1, 0]])
    for number in (0, 1):
        dicom(tmp_path / str(number), measured[0], f"1.2.{number}", PatientID="another")
    cases = [case for case in find_repeats(tmp_path, None, None, quiet) if isinstance(case, Case)]
    assert len(cases) == 2
    for case in cases:
        with pytest.raises(InputError, match="its own reference"):
            next(case.pairs())


@pytest.mark.parametrize(
    "changes",
    [{"RepetitionTime": 3100}, {"InversionTime": 150}, {"FlipAngle": 20}, {"ContrastBolusAgent": "Gadovist"}, {"NumberOfAverages": 4}],
)
def test_series_that_were_measured_in_another_way_are_no_repeats(tmp_path: Path, measured: np.ndarray, changes: dict[str, Any]) -> None:
    dicom(tmp_path / "a", measured[0], "1.2.3")
    dicom(tmp_path / "b", measured[1], "1.2.4", **changes)
    found = list(find_repeats(tmp_path, None, None, quiet))
    assert found and all(isinstance(one, Dropped) for one in found)


def test_single_files_are_told_to_be_joined(tmp_path: Path, measured: np.ndarray) -> None:
    for number in (0, 1):
        nifti(tmp_path / f"sub-1_run-{number}_T1w.nii", measured[number])
    found = list(find_repeats(tmp_path, None, None, quiet))
    assert found
    for one in found:
        assert isinstance(one, Dropped) and "join the repeats" in one.reason


def test_reading_stops_between_two_repeats(tmp_path: Path, measured: np.ndarray) -> None:
    nifti(tmp_path / "p1" / "four.nii", measured)
    (case,) = find_repeats(tmp_path, None, None, quiet)
    assert isinstance(case, Case)
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        next(case.pairs(stop))
