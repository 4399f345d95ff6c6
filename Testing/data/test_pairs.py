"""Fast and full images find each other by what they show, and where they do not, the reason is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_files import body, dicom, nifti, quiet, rician

from MRIDenoiseLib.data.cases import Case, Dropped
from MRIDenoiseLib.data.pairs import find_pairs
from MRIDenoiseLib.data.preparation import Refused, make
from MRIDenoiseLib.errors import InputError, SettingsError


def found(tmp_path: Path, acceleration: float | None = 2.0, inclusive: int | None = None) -> tuple[list[Case], dict[str, str]]:
    """Cases, and label -> reason of the rest."""
    listed = find_pairs(tmp_path / "fast", tmp_path / "full", acceleration, inclusive, quiet)
    return [one for one in listed if isinstance(one, Case)], {one.label: one.reason for one in listed if isinstance(one, Dropped)}


def series(tmp_path: Path, side: str, number: int, brightness: float = 1.0, **changes: Any) -> None:
    dicom(tmp_path / side / "p" / str(number), brightness * body(4, 16), f"1.2.{number}.{len(side)}{ord(side[1])}", **changes)


def test_files_of_one_name_are_a_pair_and_others_are_told(tmp_path: Path) -> None:
    for name, brightness in (("fast/p1/t1.nii", 1), ("full/p1/t1.nii.gz", 2), ("fast/p1/t2.nii", 1), ("full/p2/t1.nii", 1)):
        nifti(tmp_path / name, brightness * body(4, 16))
    (case,), dropped = found(tmp_path)
    (pair,) = case.pairs()
    assert np.allclose(pair.clean.voxels, 2 * pair.noisy.voxels)
    assert case.subject == "p1" and pair.gt_kind == "independent" and pair.acceleration.ratio == 2
    assert dropped == {"fast 2": "no file(s) of the full scan have its name", "full 2": "no accelerated image belongs to it"}


def test_files_without_headers_need_to_be_told_the_acceleration(tmp_path: Path) -> None:
    for side in ("fast", "full"):
        nifti(tmp_path / side / "p1" / "t1.nii", body(4, 16))
    with pytest.raises(SettingsError, match="give --acceleration"):
        found(tmp_path, acceleration=None)


def test_a_series_is_paired_with_the_one_of_its_contrast_and_echo(tmp_path: Path) -> None:
    series(tmp_path, "fast", 1, EchoTime=30)
    series(tmp_path, "full", 1, 2, EchoTime=31)
    series(tmp_path, "full", 2, 3, EchoTime=90, SeriesDescription="t2 sag")
    (case,), dropped = found(tmp_path)
    (pair,) = case.pairs()
    assert np.allclose(pair.clean.voxels, 2 * pair.noisy.voxels, atol=1.5)
    assert list(dropped) == ["full 2"]
    assert case.subject == "12345" and case.study == "1.2.3.1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PatientID": "999"}, "no full series of this patient"),
        ({"EchoTime": 36}, "no full series of this contrast has about this echo time"),
        ({"BodyPartExamined": "SHOULDER"}, "no full series of this patient shows this organ"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "no full series of this contrast is of the same kind of image"),
        ({"first": 3}, "no full series of this contrast covers these slices"),
        ({"ContrastBolusAgent": "Gadovist"}, "no full series of this contrast was taken without a contrast agent"),
        ({"InversionTime": 180}, "no full series of this contrast has this inversion time"),
        ({"RepetitionTime": 4500}, "no full series of this contrast has about this repetition time and flip angle"),
        ({"FlipAngle": 70}, "no full series of this contrast has about this repetition time and flip angle"),
    ],
)
def test_a_series_that_shows_something_else_is_no_partner(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    timing = {"FlipAngle": 150, "InversionTime": 150}
    series(tmp_path, "fast", 1, **timing)
    series(tmp_path, "full", 1, **(timing | changes))
    cases, dropped = found(tmp_path)
    assert not cases and dropped["fast 1"] == reason and "full 1" in dropped


def test_of_several_that_fit_the_description_decides_and_a_draw_is_left_to_the_user(tmp_path: Path) -> None:
    series(tmp_path, "fast", 1, SeriesDescription="pd tse sag left fast")
    series(tmp_path, "full", 1, 2, SeriesDescription="pd tse sag right")
    series(tmp_path, "full", 2, 3, SeriesDescription="pd tse sag left")
    (case,), dropped = found(tmp_path)
    assert np.allclose(next(case.pairs()).clean.voxels, 3 * next(case.pairs()).noisy.voxels, atol=2) and list(dropped) == ["full 1"]
    series(tmp_path, "full", 3, 4, SeriesDescription="pd tse sag left")
    cases, dropped = found(tmp_path)
    assert not cases and "3 full series fit it equally well" in dropped["fast 1"]


def test_a_series_that_lies_in_both_folders_is_not_its_own_partner(tmp_path: Path) -> None:
    for side in ("fast", "full"):
        dicom(tmp_path / side, body(4, 16), "1.2.3")
    cases, dropped = found(tmp_path)
    assert not cases and dropped["fast 1"] == "no full series of this patient but itself"


def test_a_file_that_lies_in_both_folders_is_refused_when_its_voxels_are_seen(tmp_path: Path) -> None:
    noisy = rician(body(6, 48), 25, 1)
    for side, scale in (("fast", 1), ("full", 3)):
        nifti(tmp_path / side / "p1" / "t1.nii", scale * noisy)
    (case,), _ = found(tmp_path)
    with pytest.raises(Refused, match="the same as the accelerated one"):
        make(next(case.pairs()), 0, lambda *_: None)


def test_a_full_file_of_several_volumes_is_not_taken_for_its_first(tmp_path: Path) -> None:
    nifti(tmp_path / "fast" / "p1" / "t1.nii", body(4, 16))
    nifti(tmp_path / "full" / "p1" / "t1.nii", np.stack([body(4, 16)] * 3))
    cases, dropped = found(tmp_path)
    assert not cases and dropped["fast 1"] == "the full file of its name holds 3 volumes; export one volume"


def test_timing_that_differs_a_little_or_is_in_one_header_only_is_no_obstacle(tmp_path: Path) -> None:
    series(tmp_path, "fast", 1, RepetitionTime=2600, InversionTime=150, FlipAngle=None, ContrastBolusAgent="Gadovist")
    series(tmp_path, "full", 1, RepetitionTime=3000, InversionTime=155, FlipAngle=160, ContrastBolusAgent="Dotarem")
    cases, dropped = found(tmp_path)
    assert len(cases) == 1 and not dropped


@pytest.mark.parametrize(("fast", "full"), [("pd sag r fast", "pd sag right"), ("pd tra P>A", "pd tra"), ("pd i", "pd fa")])
def test_single_letters_of_a_description_are_no_kind_of_image(tmp_path: Path, fast: str, full: str) -> None:
    series(tmp_path, "fast", 1, SeriesDescription=fast)
    series(tmp_path, "full", 1, SeriesDescription=full)
    cases, dropped = found(tmp_path)
    assert len(cases) == 1 and not dropped


def test_an_acceleration_beyond_any_scanner_is_not_believed(tmp_path: Path) -> None:
    series(tmp_path, "fast", 1, AcquisitionDuration=2.0)
    series(tmp_path, "full", 1, AcquisitionDuration=120.0)
    cases, dropped = found(tmp_path, acceleration=None)
    assert not cases and "60 times as fast" in dropped["fast 1"]


def test_one_full_series_may_serve_several_fast_ones(tmp_path: Path) -> None:
    series(tmp_path, "fast", 1, SeriesDescription="pd sag x2")
    series(tmp_path, "fast", 2, SeriesDescription="pd sag x3")
    series(tmp_path, "full", 1)
    cases, dropped = found(tmp_path)
    assert len(cases) == 2 and not dropped


def test_the_acceleration_comes_from_the_averages_of_the_two_headers(tmp_path: Path) -> None:
    series(tmp_path, "fast", 1, NumberOfAverages=2)
    series(tmp_path, "full", 1, NumberOfAverages=3)
    (case,), _ = found(tmp_path, acceleration=None)
    acceleration = next(case.pairs()).acceleration
    assert (acceleration.ratio, acceleration.nex_fast, acceleration.nex_full) == (1.5, 2, 3)


def test_headers_that_do_not_tell_the_acceleration_drop_the_pair_and_say_what_to_do(tmp_path: Path) -> None:
    for side in ("fast", "full"):
        series(tmp_path, side, 1, NumberOfAverages=None)
    cases, dropped = found(tmp_path, acceleration=None)
    assert not cases and "give --acceleration" in dropped["fast 1"]


def test_an_average_that_holds_the_fast_scan_is_called_inclusive(tmp_path: Path) -> None:
    for side in ("fast", "full"):
        nifti(tmp_path / side / "p1" / "t1.nii", body(4, 16))
    (case,), _ = found(tmp_path, inclusive=3)
    (pair,) = case.pairs()
    assert (pair.gt_kind, pair.repeats) == ("inclusive", 3)


def test_a_fast_series_of_several_volumes_is_sent_to_repeats(tmp_path: Path) -> None:
    nifti(tmp_path / "fast" / "p1" / "t1.nii", np.stack([body(4, 16)] * 2))
    nifti(tmp_path / "full" / "p1" / "t1.nii", body(4, 16))
    cases, dropped = found(tmp_path)
    assert not cases and "export one volume, or take mridenoise prepare repeats" in dropped["fast 1"]


@pytest.mark.parametrize(("acceleration", "inclusive"), [(0.5, None), (float("nan"), None), (99.0, None), (2.0, 1)])
def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, acceleration: float, inclusive: int | None) -> None:
    with pytest.raises(SettingsError):
        found(tmp_path, acceleration, inclusive)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    nifti(tmp_path / "fast" / "p1" / "t1.nii", body(4, 16))
    (tmp_path / "full").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        found(tmp_path)
