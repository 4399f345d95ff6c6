"""Raw data: what the header says, images without oversampling, and repetitions that are averaged before magnitudes are taken."""

from pathlib import Path

import numpy as np
import pytest
from pair_files import body, coils, complex_noise, hdf5, ismrmrd, kspace_of

from MRIDenoiseLib.data.m4raw import aligned_in_phase, noisy_and_clean, repetition_pairs
from MRIDenoiseLib.data.raw import (
    RawHeader,
    acquisition_of,
    attribute,
    coil_images,
    cropped,
    dataset,
    has,
    opened,
    read_header,
    root_sum_of_squares,
    values,
)
from MRIDenoiseLib.errors import InputError

SIZE = 64


def test_the_header_tells_matrix_pixels_machine_and_parallel_imaging(tmp_path: Path) -> None:
    text = ismrmrd((128, 70), (64, 64), (160, 128), (320, 140))
    with opened(hdf5(tmp_path / "a.h5", ismrmrd_header=text)) as file:
        header = read_header(file)
    assert header == RawHeader((64, 64), (2.5, 2.0), 140.0, 4.5, 2.8936, "SIEMENS", "Skyra", 2.0)
    acquisition = acquisition_of(header, organ="knee", contrast="PDw", fat=None, plane="coronal")
    assert (acquisition.vendor.value, acquisition.field_strength.value, acquisition.parallel_imaging.value) == ("Siemens", 2.8936, 2.0)
    assert acquisition.fat_suppression.value is None


def test_a_file_without_a_header_is_read_and_a_broken_header_is_refused(tmp_path: Path) -> None:
    with opened(hdf5(tmp_path / "a.h5", kspace=np.zeros(3))) as file:
        assert read_header(file) == RawHeader()
    with (
        opened(hdf5(tmp_path / "b.h5", ismrmrd_header="<ismrmrdHeader>")) as file,
        pytest.raises(InputError, match="header cannot be read"),
    ):
        read_header(file)


def test_a_file_that_is_no_hdf5_and_one_that_lacks_a_part_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"not at all")
    with pytest.raises(InputError, match="not a raw data file"), opened(tmp_path / "a.h5"):
        pass
    with opened(hdf5(tmp_path / "b.h5", {"said": b"\xff"}, other=1, words="k-space", empty=np.ones((0, 4)))) as file:
        for missing in ("kspace", "words", "other", "empty"):
            with pytest.raises(InputError, match=r"b\.h5 (is damaged|holds no numbers)"):
                dataset(file, missing)
        assert attribute(file, "said") and not attribute(file, "unsaid") and has(file, "other") and not has(file, "kspace")


@pytest.mark.parametrize("fault", [RuntimeError, TypeError, ValueError, OSError, KeyError])
def test_whatever_the_library_raises_on_a_damaged_file_is_told_and_faults_of_ours_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    import h5py

    def broken(*arguments: object) -> None:
        raise fault("Unable to synchronously open object (bad object header)")

    with opened(hdf5(tmp_path / "a.h5", kspace=np.ones((2, 3)))) as file:
        stored = dataset(file, "kspace")
        monkeypatch.setattr(h5py.Dataset, "__getitem__", broken)
        with pytest.raises(InputError, match=r"a\.h5 is damaged"):
            values(stored)
        monkeypatch.setattr(h5py.Group, "__getitem__", broken)
        with pytest.raises(InputError, match=r"a\.h5 is damaged"):
            dataset(file, "kspace")
    with pytest.raises(fault), opened(hdf5(tmp_path / "b.h5", other=1)):
        raise fault("ours")


def test_parts_of_a_data_set_are_chosen_as_numpy_does(tmp_path: Path) -> None:
    numbers = np.arange(24.0).reshape(2, 3, 4)
    with opened(hdf5(tmp_path / "a.h5", kspace=numbers)) as file:
        stored = dataset(file, "kspace")
        assert np.array_equal(values(stored), numbers) and np.array_equal(values(stored, 1), numbers[1])
        assert np.array_equal(values(stored, slice(None), 2), numbers[:, 2])


def test_oversampling_is_cut_off_and_lines_left_out_are_filled_to_square_pixels() -> None:
    image = body(1, SIZE)[0].astype(np.complex64)
    wide = np.zeros((2 * SIZE, SIZE), np.complex64)
    wide[SIZE // 2 : SIZE // 2 + SIZE] = image
    kspace = kspace_of(wide)
    header = RawHeader(matrix=(SIZE, SIZE), pixel=(2.0, 2.0), encoded_columns_mm=2.0 * SIZE)
    assert np.allclose(coil_images(kspace, header), image, atol=0.05)
    fewer = coil_images(kspace[:, 8:-8], header)
    assert fewer.shape == (SIZE, SIZE)
    assert np.allclose(fewer, coil_images(np.pad(kspace[:, 8:-8], [(0, 0), (8, 8)]), header), atol=0.05)


def test_cropping_keeps_the_middle_and_never_pads() -> None:
    image = np.arange(36.0).reshape(6, 6)
    assert np.array_equal(cropped(image, (2, 4)), image[2:4, 1:5])
    assert cropped(image, (8, 8)).shape == (6, 6) and cropped(image, None).shape == (6, 6)


@pytest.fixture(scope="module")
def repetitions() -> np.ndarray:
    """(3, 4, 64, 64): three repetitions of one object, each with a phase drift of its own."""
    clean = body(1, SIZE)[0] * coils(4, SIZE)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    drifts = [np.exp(1j * (k + 2 * k * x - k * y)) for k in range(3)]
    return np.stack([clean * drift + complex_noise(clean.shape, 30, k) for k, drift in enumerate(drifts)]).astype(np.complex64)


def test_repetitions_are_averaged_without_loss_of_signal_although_their_phase_drifts(repetitions: np.ndarray) -> None:
    truth = root_sum_of_squares(body(1, SIZE)[0] * coils(4, SIZE))
    noisy, clean = noisy_and_clean([repetitions])
    inner = body(1, SIZE)[0] > 300
    assert noisy.shape == clean.shape == (3, 1, SIZE, SIZE) and clean.dtype == np.float32
    ratio = clean[:, 0][:, inner] / truth[inner]
    assert np.median(ratio) == pytest.approx(1, abs=0.02)
    unaligned = root_sum_of_squares(repetitions[1:].mean(axis=0))
    assert np.median(unaligned[inner] / truth[inner]) < 0.9, "without the alignment there is a loss"


def test_the_complex_average_lowers_the_noise_floor_that_magnitudes_keep(repetitions: np.ndarray) -> None:
    noisy, clean = noisy_and_clean([repetitions])
    air = body(1, SIZE)[0] == 0
    assert clean[0, 0, air].mean() < 0.85 * noisy[:, 0][1:].mean(axis=0)[air].mean()


def test_a_reference_does_not_depend_on_the_repetition_it_is_for(repetitions: np.ndarray) -> None:
    for number in range(3):
        other = repetitions.copy()
        other[number] = 5 * other[number].conj() + complex_noise(other[number].shape, 200, 9)
        before, after = (noisy_and_clean([stack])[1][number] for stack in (repetitions, other))
        assert np.abs(after - before).max() < 1e-4 * before.max()


def test_the_repetition_that_the_others_are_aligned_to_stays_as_it_is(repetitions: np.ndarray) -> None:
    assert np.allclose(aligned_in_phase(repetitions, 1)[1], repetitions[1])


def test_pairs_of_repetitions_tell_their_acceleration_and_the_noise_of_the_reference(repetitions: np.ndarray) -> None:
    noisy, clean = noisy_and_clean([repetitions] * 4)
    acquisition = acquisition_of(RawHeader(parallel=2.0), organ="head", contrast="T1w", fat=None, plane="axial")
    pairs = list(repetition_pairs(noisy, clean, (6.0, 0.9, 0.8), acquisition))
    assert len(pairs) == 3 and pairs[1].noisy.spacing == pytest.approx((6.0, 0.9, 0.8))
    assert (pairs[0].acceleration.ratio, pairs[0].acceleration.nex_full, pairs[0].acceleration.parallel_fast) == (3, 3, 2)
    assert pairs[0].gt_kind == "leave_one_out" and pairs[0].reference_noise == pytest.approx(30 / np.sqrt(2), rel=0.25)
