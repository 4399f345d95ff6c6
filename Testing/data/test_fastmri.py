"""fastMRI's layouts are told apart, and each gives pairs that are honest about what was measured and what was simulated."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_files import body, coils, complex_noise, disc, hdf5, ismrmrd, kspace_of, quiet

from MRIDenoiseLib.data.cases import Case, Dropped
from MRIDenoiseLib.data.fastmri import Noise, find_fastmri
from MRIDenoiseLib.data.raw import root_sum_of_squares
from MRIDenoiseLib.errors import Cancelled, InputError, SettingsError

SIZE, DEPTH, COILS = 48, 5, 6
RADIAL_SIZE, SPOKES = 48, 120
HEADER = ismrmrd((2 * SIZE, SIZE), (SIZE, SIZE), (140, 140), (280, 140))
HARDLY_ANY = 1e-3
"""Noise that is nowhere seen but makes two averages two measurements."""
TOLD = {"acquisition": "CORPDFS_FBK", "max": 1.0, "norm": 1.0, "patient_id": "abc"}


def knee(path: Path, told: dict[str, Any] = TOLD, **changes: Any) -> np.ndarray:
    """A knee file, twice oversampled along the readout; returns its root sum of squares. A change of None leaves a part out."""
    images = np.zeros((DEPTH, COILS, 2 * SIZE, SIZE), np.complex64)
    images[:, :, SIZE // 2 : SIZE // 2 + SIZE] = body(DEPTH, SIZE)[:, None] * coils(COILS, SIZE)
    truth = root_sum_of_squares(images[:, :, SIZE // 2 : SIZE // 2 + SIZE], axis=1)
    data = {"kspace": kspace_of(images), "ismrmrd_header": HEADER, "reconstruction_rss": truth} | changes
    hdf5(path, told, **{name: value for name, value in data.items() if value is not None})
    return truth


def only_case(folder: Path, noise: Noise | None = None) -> Case:
    (case,) = find_fastmri(folder, noise or Noise(), quiet)
    assert isinstance(case, Case), case.reason
    return case


def reason(folder: Path) -> str:
    (dropped,) = find_fastmri(folder, Noise(), quiet)
    assert isinstance(dropped, Dropped)
    return dropped.reason


@pytest.mark.parametrize("stored", [True, False], ids=["as stored", "from k-space"])
def test_a_knees_image_is_the_clean_volume_and_the_noisy_one_is_simulated_from_it(tmp_path: Path, stored: bool) -> None:
    truth = knee(tmp_path / "a.h5", **({} if stored else {"reconstruction_rss": None}))
    case = only_case(tmp_path, Noise(acceleration=3.0))
    (pair,) = case.pairs()
    assert np.allclose(pair.clean.voxels, truth, rtol=1e-3, atol=0.5)
    assert (pair.noise, pair.gt_kind, pair.acceleration.ratio) == ("simulated", "independent", 3)
    inner = truth > 400
    assert 0.01 < (pair.noisy.voxels - truth)[inner].std() / truth[inner].mean() < 0.5
    assert pair.noisy.spacing == pytest.approx((4.5, 140 / SIZE, 140 / SIZE))
    told = pair.noisy.acquisition
    found = (told.organ.value, told.contrast.value, told.fat_suppression.value, told.plane.value, told.vendor.value)
    assert found == ("knee", "PDw", "fat-saturated", "coronal", "Siemens")
    assert (case.subject, case.model, case.source) == ("abc", "Skyra", "fastMRI knee")


def test_a_single_coils_knee_is_read_too(tmp_path: Path) -> None:
    image = body(DEPTH, SIZE)
    knee(tmp_path / "a.h5", kspace=kspace_of(image.astype(np.complex64)), reconstruction_rss=None)
    (pair,) = only_case(tmp_path).pairs()
    assert np.allclose(pair.clean.voxels, image, atol=0.5)


def test_a_brain_is_a_head(tmp_path: Path) -> None:
    knee(tmp_path / "a.h5", TOLD | {"acquisition": "AXFLAIR"})
    case = only_case(tmp_path)
    told = next(case.pairs()).noisy.acquisition
    assert (told.organ.value, told.contrast.value, told.plane.value) == ("head", "T2-FLAIR", "axial") and case.source == "fastMRI head"


def test_the_noise_follows_from_seed_and_file_and_differs_between_files(tmp_path: Path) -> None:
    for name in "ab":
        knee(tmp_path / f"{name}.h5")
    first, again = ([next(case.pairs()).noisy.voxels for case in find_fastmri(tmp_path, Noise(seed=1), quiet)] for _ in range(2))
    other = next(find_fastmri(tmp_path, Noise(seed=2), quiet)[0].pairs()).noisy.voxels
    assert np.array_equal(first[0], again[0]) and not np.array_equal(first[0], first[1]) and not np.array_equal(first[0], other)


def test_level_0_is_rician_noise_of_the_published_strengths(tmp_path: Path) -> None:
    drawn = [Noise(level=0).of(number) for number in range(200)]
    sigmas = [simulation.sigma for simulation in drawn]
    assert min(sigmas) >= 6 / 255 and max(sigmas) <= 25 / 255 and np.mean(sigmas) == pytest.approx(15.5 / 255, rel=0.05)
    assert {Noise().of(number).acceleration for number in range(50)} == {1.5, 2.0, 3.0}
    for wrong in ({"level": 1}, {"level": 0, "acceleration": 2.0}, {"acceleration": 9.0}):
        with pytest.raises(SettingsError):
            Noise(**wrong)


def prostate(path: Path, sigma: float, **changes: Any) -> np.ndarray:
    """Three averages of every other line, the second of the lines between; returns the root sum of squares without noise."""
    images = body(DEPTH, SIZE)[:, None] * coils(COILS, SIZE)
    averages = np.stack([kspace_of(images + complex_noise(images.shape, sigma, seed)) for seed in range(3)])
    reference = kspace_of(images)[..., SIZE // 2 - 12 : SIZE // 2 + 12]
    averages[(0, 2), ..., 1::2] = 0
    averages[1, ..., 0::2] = 0
    header = ismrmrd((SIZE, SIZE), (SIZE, SIZE), (160, 160), (160, 160))
    told = {"acquisition": "AXT2", "max": 1.0, "norm": 1.0, "patient_id": "p7"}
    data = {"kspace": averages, "calibration_data": reference, "ismrmrd_header": header}
    hdf5(path, told, **(data | {"reconstruction_rss": np.zeros((DEPTH, SIZE, SIZE))} | changes))
    return root_sum_of_squares(images, axis=1)


def test_without_noise_a_prostates_averages_are_complete_images(tmp_path: Path) -> None:
    truth = prostate(tmp_path / "a.h5", HARDLY_ANY)
    pairs = list(only_case(tmp_path).pairs())
    assert len(pairs) == 3
    for pair in pairs:
        error = (pair.noisy.voxels - truth)[truth > 300]
        assert np.sqrt(np.mean(error**2)) < 0.03 * truth[truth > 300].mean()


def test_each_average_of_a_prostate_is_paired_with_the_two_others(tmp_path: Path) -> None:
    truth = prostate(tmp_path / "a.h5", 30)
    case = only_case(tmp_path)
    pairs = list(case.pairs())
    perfect = prostate(tmp_path / "perfect" / "b.h5", HARDLY_ANY)
    unfolded = next(only_case(tmp_path / "perfect").pairs()).noisy.voxels
    assert np.allclose(perfect, truth)
    inner = truth > 400
    assert len(pairs) == 3 and case.source == "fastMRI prostate"
    for pair in pairs:
        own, other = ((image.voxels - unfolded)[inner] for image in (pair.noisy, pair.clean))
        assert abs(np.corrcoef(own, other)[0, 1]) < 0.15
        assert other.std() < 0.85 * own.std()
    told = pairs[0]
    assert (told.gt_kind, told.noise, told.acceleration.ratio, told.noisy.acquisition.organ.value) == (
        "leave_one_out",
        "measured",
        3,
        "prostate",
    )


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [((DEPTH, COILS, SIZE, 6), "too few lines"), ((DEPTH, COILS, 4, 24), "too few lines"), ((DEPTH - 1, COILS, SIZE, 24), "every slice")],
)
def test_a_prostate_without_enough_calibration_data_is_refused(tmp_path: Path, shape: tuple[int, ...], complaint: str) -> None:
    prostate(tmp_path / "a.h5", 10, calibration_data=np.ones(shape, np.complex64))
    with pytest.raises(InputError, match=complaint):
        next(only_case(tmp_path).pairs())


def test_a_prostate_with_another_sampling_is_refused(tmp_path: Path) -> None:
    prostate(tmp_path / "a.h5", 0, kspace=np.ones((3, DEPTH, COILS, SIZE, SIZE), np.complex64))
    with pytest.raises(InputError, match="every other line"):
        next(only_case(tmp_path).pairs())


@pytest.mark.parametrize("reversed_axes", [False, True])
def test_a_breast_is_gridded_from_all_of_its_spokes(tmp_path: Path, reversed_axes: bool) -> None:
    partitions, centre = 7, 3
    # A slab that is bright in its middle slices only: its k-space across the slices, times a disc's in the plane.
    profile = np.array([0, 0, 1, 2, 2, 1, 0, 0], np.float32)
    across = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(profile), norm="ortho"))[1:]
    plane = disc(RADIAL_SIZE, SPOKES, 0.3, 0.05, -0.1)
    measured = across[:, None, None] * plane
    both = np.stack([np.stack([part * weight for weight in (3, 4)]) for part in measured])
    stored = np.stack([both.real, both.imag], axis=-1).swapaxes(2, 3).astype(np.float32)
    path = hdf5(tmp_path / "fastMRI_breast_012_2.h5", kspace=stored.T if reversed_axes else stored)
    import h5py

    with h5py.File(path, "a") as file:
        file["kspace"].attrs["centerPartition"] = str(centre + 1)
        file["kspace"].attrs["imagesPerSlab"] = "16"
    assert both.shape == (partitions, 2, SPOKES, 2 * RADIAL_SIZE)
    case = only_case(tmp_path)
    pair = next(case.pairs())
    row, column = (np.mgrid[:RADIAL_SIZE, :RADIAL_SIZE] - RADIAL_SIZE // 2) / RADIAL_SIZE
    inner = np.hypot(row - 0.05, column + 0.1) < 0.25
    found = pair.clean.voxels[:, inner].mean(axis=1)
    expected = 5 * np.abs(np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(np.append(0, across)), norm="ortho")))
    assert np.allclose(found, expected, atol=0.15)
    assert pair.clean.spacing == pytest.approx((1.1 * 16 / 8, 1, 1))
    assert (case.subject, case.series, pair.noise) == ("fastMRI_breast_012", "fastMRI_breast_012_2", "simulated")
    assert pair.clean.acquisition.organ.value == "breast"


@pytest.mark.parametrize(
    ("told", "changes", "complaint"),
    [
        (TOLD, {"kspace": None}, "holds no k-space"),
        (TOLD, {"mask": np.ones(SIZE)}, "lines left out"),
        (TOLD, {"coil_sens_maps": np.ones(3)}, "diffusion"),
        (TOLD | {"acquisition": "COR_T1_LIVER"}, {}, "layout is not one"),
        ({**TOLD, "patient_id": ""}, {}, "does not name its patient"),
    ],
)
def test_what_cannot_be_used_is_dropped_with_a_reason(
    tmp_path: Path, told: dict[str, Any], changes: dict[str, Any], complaint: str
) -> None:
    knee(tmp_path / "a.h5", told, **changes)
    assert complaint in reason(tmp_path)


def test_a_damaged_file_is_dropped_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "Doe_Jane.h5").write_bytes(b"HDF?")
    assert "Doe" not in reason(tmp_path) and "damaged" in reason(tmp_path)


@pytest.mark.parametrize("lost", ["kspace", "reconstruction_rss", "mask"])
def test_a_file_whose_parts_are_of_another_kind_is_dropped_and_costs_no_other(tmp_path: Path, lost: str) -> None:
    knee(tmp_path / "a.h5")
    import h5py

    with h5py.File(tmp_path / "a.h5", "a") as file:
        if lost in file:
            del file[lost]
        file.create_group(lost)
    knee(tmp_path / "b.h5")
    first, second = find_fastmri(tmp_path, Noise(), quiet)
    assert isinstance(second, Case) and len(list(second.pairs())) == 1
    if isinstance(first, Case):
        with pytest.raises(InputError, match="holds no numbers"):
            next(first.pairs())


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_an_image_of_nothing_but_one_value_or_of_no_numbers_is_refused(tmp_path: Path, value: float) -> None:
    knee(tmp_path / "a.h5", reconstruction_rss=np.full((DEPTH, SIZE, SIZE), value, np.float32))
    with pytest.raises(InputError, match=r"not finite|same value"):
        next(only_case(tmp_path).pairs())


def breast(path: Path, centre: str) -> None:
    """Seven partitions of two coils, all their samples one."""
    import h5py

    hdf5(path, kspace=np.ones((7, 2, 2 * RADIAL_SIZE, SPOKES, 2), np.float32))
    with h5py.File(path, "a") as file:
        file["kspace"].attrs["centerPartition"] = centre


def test_a_breast_whose_attributes_make_no_sense_is_refused(tmp_path: Path) -> None:
    for told in ("half", "900", "2.5"):
        breast(tmp_path / "fastMRI_breast_012_2.h5", told)
        with pytest.raises(InputError, match=r"whole number|not among its 7"):
            next(only_case(tmp_path).pairs())


@pytest.mark.parametrize("kind", ["knee", "knee from k-space", "prostate", "breast"])
def test_reading_and_simulating_stop_when_told(tmp_path: Path, kind: str) -> None:
    if kind == "prostate":
        prostate(tmp_path / "a.h5", 10)
    elif kind == "breast":
        breast(tmp_path / "fastMRI_breast_012_2.h5", "4")
    else:
        knee(tmp_path / "a.h5", **({} if kind == "knee" else {"reconstruction_rss": None}))
    case = only_case(tmp_path)
    asked = 0

    def count() -> None:
        nonlocal asked
        asked += 1

    next(case.pairs(count))
    at_least = {"knee": DEPTH, "knee from k-space": 2 * DEPTH, "prostate": 4 * DEPTH, "breast": 4 + 8}[kind]
    assert asked >= at_least, "every slice, average and coil"

    def stop() -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        next(case.pairs(stop))


def test_a_header_without_a_field_of_view_is_refused_when_it_is_read(tmp_path: Path) -> None:
    knee(tmp_path / "a.h5", ismrmrd_header="<ismrmrdHeader/>")
    with pytest.raises(InputError, match="field of view"):
        next(only_case(tmp_path).pairs())


def test_a_folder_without_h5_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no .h5 files"):
        find_fastmri(tmp_path, Noise(), quiet)
