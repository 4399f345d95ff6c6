"""M4Raw: repetitions of one scan, file by file, become noisy volumes with references that were averaged before magnitudes."""

from pathlib import Path

import numpy as np
import pytest
from pair_files import body, coils, complex_noise, hdf5, ismrmrd, kspace_of, quiet

from MRIDenoiseLib.data.cases import Case, Dropped
from MRIDenoiseLib.data.m4raw import find_m4raw
from MRIDenoiseLib.data.raw import root_sum_of_squares
from MRIDenoiseLib.errors import Cancelled, InputError

SIZE, DEPTH = 48, 5


def scan(folder: Path, name: str, seed: int, size: int = SIZE, header: str | None = None) -> None:
    """One repetition in the data set's own layout: the full file's attributes and data sets."""
    images = body(DEPTH, size)[:, None] * coils(4, size)
    images = images + complex_noise(images.shape, 40, seed)
    data = {"kspace": kspace_of(images), "reconstruction_rss": root_sum_of_squares(images, axis=1)}
    text = header or ismrmrd((size, size), (size, size), (240, 240), (240, 240))
    attributes = {"acquisition": "AXT1", "max": 1.0, "patient_id": "88448eec274d"}
    hdf5(folder / f"{name}.h5", attributes, ismrmrd_header=text, **data)


def test_every_repetition_is_paired_with_the_average_of_the_others(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        scan(tmp_path / "multicoil_train", f"2022061003_T10{number}", number)
    (case,) = find_m4raw(tmp_path, quiet)
    assert isinstance(case, Case) and case.subject == "2022061003" and case.label == "scan 1"
    pairs = list(case.pairs())
    inner = body(DEPTH, SIZE) > 400
    truth = root_sum_of_squares(body(DEPTH, SIZE)[:, None] * coils(4, SIZE), axis=1)
    errors = [(pair.noisy.voxels - truth)[inner].std() for pair in pairs]
    references = [(pair.clean.voxels - truth)[inner].std() for pair in pairs]
    assert len(pairs) == 3 and np.mean(references) == pytest.approx(np.mean(errors) / np.sqrt(2), rel=0.1)
    for pair in pairs:
        own, other = ((image.voxels - truth)[inner] for image in (pair.noisy, pair.clean))
        assert abs(np.corrcoef(own, other)[0, 1]) < 0.1, "a label that includes the input would show 0.7"


def test_the_noisy_volume_is_the_data_sets_own_reconstruction(tmp_path: Path) -> None:
    for number in (1, 2):
        scan(tmp_path, f"a_FLAIR0{number}", number)
    (case,) = find_m4raw(tmp_path, quiet)
    assert isinstance(case, Case)
    first = next(case.pairs())
    import h5py

    with h5py.File(tmp_path / "a_FLAIR01.h5") as file:
        assert np.allclose(first.noisy.voxels, file["reconstruction_rss"][()], rtol=1e-3, atol=0.1)


def test_geometry_and_acquisition_come_from_the_header_or_the_published_protocol(tmp_path: Path) -> None:
    for number in (1, 2):
        scan(tmp_path, f"a_T20{number}", number)
        scan(tmp_path, f"b_T20{number}", number, header="<ismrmrdHeader/>")
    for case, field in zip(find_m4raw(tmp_path, quiet), (2.8936, 0.3), strict=True):
        assert isinstance(case, Case)
        pair = next(case.pairs())
        assert pair.noisy.spacing == pytest.approx((6.0, 240 / SIZE, 240 / SIZE))
        told = pair.noisy.acquisition
        assert (told.organ.value, told.contrast.value, told.plane.value, told.field_strength.value) == ("head", "T2w", "axial", field)
        assert pair.noisy.slice_axis == 0 and pair.repeats == 2 and pair.acceleration.ratio == 2


def test_scans_are_told_apart_by_subject_and_contrast_and_a_single_one_is_dropped(tmp_path: Path) -> None:
    for name in ("a_T101", "a_T102", "a_T201", "b_T101", "b_T102", "notes"):
        hdf5(tmp_path / f"{name}.h5", kspace=np.zeros((1, 1, 4, 4), np.complex64))
    cases = find_m4raw(tmp_path, quiet)
    assert [(one.label, type(one)) for one in cases] == [("scan 1", Case), ("scan 2", Dropped), ("scan 3", Case), ("file 6", Dropped)]
    assert isinstance(cases[3], Dropped) and "its name is not one of M4Raw's" in cases[3].reason


def test_repetitions_of_different_sizes_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    scan(tmp_path, "a_T101", 1)
    scan(tmp_path, "a_T102", 2, size=32)
    (case,) = find_m4raw(tmp_path, quiet)
    assert isinstance(case, Case)
    with pytest.raises(InputError, match="differ in size"):
        next(case.pairs())
    (tmp_path / "a_T102.h5").write_bytes((tmp_path / "a_T101.h5").read_bytes()[:3000])
    with pytest.raises(InputError, match="damaged"):
        next(case.pairs())


def test_a_folder_without_such_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.h5").touch()
    with pytest.raises(InputError, match="no M4Raw files"):
        find_m4raw(tmp_path, quiet)


def test_a_second_copy_of_the_data_doubles_nothing(tmp_path: Path) -> None:
    for folder in ("train", "copy"):
        for number in (1, 2):
            scan(tmp_path / folder, f"a_T10{number}", number)
    case, *copies = find_m4raw(tmp_path, quiet)
    assert isinstance(case, Case) and len(list(case.pairs())) == 2
    assert [(one.label, one.step) for one in copies if isinstance(one, Dropped)] == [("file 3", "listing"), ("file 4", "listing")]


def test_a_copy_under_another_number_is_refused(tmp_path: Path) -> None:
    for number in (1, 2):
        scan(tmp_path, f"a_T10{number}", 1)
    (case,) = find_m4raw(tmp_path, quiet)
    assert isinstance(case, Case)
    with pytest.raises(InputError, match="its own reference"):
        next(case.pairs())


def test_reading_stops_between_two_slices(tmp_path: Path) -> None:
    for number in (1, 2):
        scan(tmp_path, f"a_T10{number}", number)
    (case,) = find_m4raw(tmp_path, quiet)
    assert isinstance(case, Case)
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == DEPTH:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        next(case.pairs(stop))
