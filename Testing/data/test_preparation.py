"""The voxels of a record: the noisy ones as they came, the clean ones where and as bright as the noisy ones are."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pair_files import body, rician, volume
from scipy import ndimage

from MRIDenoiseLib.data.cases import Acceleration, Pair
from MRIDenoiseLib.data.preparation import Made, Refused, make
from MRIDenoiseLib.data.zero_fill import resize

DEPTH, SIZE = 8, 96
TRUTH = body(DEPTH, SIZE)
SIGMA = 25.0


def pair(noisy: np.ndarray, clean: np.ndarray, **changes: Any) -> Pair:
    told: dict[str, Any] = {"gt_kind": "independent", "repeats": 1, "acceleration": Acceleration(2.0)}
    return Pair(volume(noisy), volume(clean), **(told | changes))


def made(given: Pair) -> Made:
    return make(given, 0, lambda *_: None)


def test_the_noisy_voxels_stay_bit_for_bit_and_a_pair_that_lies_still_is_not_interpolated() -> None:
    noisy = rician(TRUTH, SIGMA, 1)
    found = made(pair(noisy, TRUTH))
    assert found.noisy.tobytes() == noisy.tobytes()
    assert np.allclose(found.clean * found.gain, TRUTH, rtol=1e-6)
    assert found.alignment is not None and found.alignment.translation == (0, 0, 0) and found.fill_factor == (1, 1)


def test_a_clean_volume_of_other_brightness_is_brought_to_the_noisy_ones() -> None:
    found = made(pair(rician(TRUTH, SIGMA, 1), 3.7 * TRUTH))
    assert found.gain == pytest.approx(3.7, rel=0.01)
    assert np.allclose(found.clean, TRUTH, rtol=0.01, atol=1)
    assert found.scale == pytest.approx(np.percentile(TRUTH[TRUTH > 300], 99.5), rel=0.05) and found.noise_level == pytest.approx(
        SIGMA, rel=0.3
    )


def test_the_clean_volumes_own_noise_is_measured_in_the_noisy_ones_units() -> None:
    clean, noisier = (made(pair(rician(TRUTH, SIGMA, 1), 3.7 * rician(TRUTH, part * SIGMA, 2))).own_noise for part in (0.0, 0.5))
    texture = clean
    assert np.sqrt(noisier**2 - texture**2) == pytest.approx(0.5 * SIGMA, rel=0.2)


def test_a_clean_volume_that_moved_is_moved_back_and_the_noisy_one_is_not() -> None:
    noisy = rician(TRUTH, SIGMA, 1)
    moved = np.stack([ndimage.shift(part, (1.6, -2.3), order=5) for part in TRUTH]).clip(0)
    found = made(pair(noisy, moved))
    inner = ndimage.binary_erosion(TRUTH > 300, iterations=6, structure=np.ones((1, 3, 3)))
    before, after = (float(np.abs(image - TRUTH)[inner].mean()) for image in (moved, found.clean))
    assert after < 0.35 * before
    assert found.noisy.tobytes() == noisy.tobytes()
    assert found.alignment is not None
    assert found.alignment.translation == pytest.approx((0, 1.6, -2.3), abs=0.2) and found.alignment.ncc_after > found.alignment.ncc_before


def test_the_two_roles_are_not_alike() -> None:
    noisy, moved = rician(TRUTH, SIGMA, 1), np.roll(TRUTH, 2, axis=2)
    swapped = made(pair(moved, noisy))
    assert swapped.noisy.tobytes() == moved.tobytes() and not np.array_equal(swapped.clean, noisy)


def test_a_clean_volume_with_a_finer_matrix_comes_to_the_noisy_grid_through_k_space() -> None:
    noisy = rician(TRUTH, SIGMA, 1)
    fine = resize(TRUTH, (2 * SIZE, 2 * SIZE))
    given = pair(noisy, fine)
    found = made(replace(given, clean=volume(fine, (4.0, 0.5, 0.5))))
    assert found.fill_factor == (0.5, 0.5) and found.clean.shape == noisy.shape
    assert np.allclose(found.clean, TRUTH, atol=0.03 * TRUTH.max())


def test_only_what_the_clean_volume_covers_is_in_the_mask() -> None:
    noisy = rician(TRUTH, SIGMA, 1)
    given = pair(noisy, TRUTH)
    found = made(replace(given, clean=volume(TRUTH[:6, :, :70])))
    assert found.mask[:6, :, :70].mean() > 0.3 and not found.mask[6:].any() and not found.mask[:, :, 70:].any()
    assert not found.clean[6:].any() and not found.clean[:, :, 70:].any()


def test_slices_come_first_whatever_the_orientation() -> None:
    noisy = np.ascontiguousarray(np.moveaxis(rician(TRUTH, SIGMA, 1), 0, 2))
    clean = np.ascontiguousarray(np.moveaxis(TRUTH, 0, 2))
    given = Pair(volume(noisy, (1, 1, 4)), volume(clean, (1, 1, 4)), "independent", 1, Acceleration(2.0))
    found = made(given)
    assert np.array_equal(found.noisy, np.moveaxis(noisy, 2, 0)) and found.mask.shape == (DEPTH, SIZE, SIZE)
    assert np.allclose(found.clean * found.gain, TRUTH, rtol=1e-6)


def test_volumes_of_two_patients_are_refused_and_shown() -> None:
    shown = []
    other = rician(900 - 700.0 * (body(DEPTH, SIZE, seed=5) > 600), SIGMA / 10, 2)
    with pytest.raises(Refused) as caught:
        make(pair(rician(TRUTH, SIGMA, 1), other), 0, lambda *seen: shown.append(seen))
    assert caught.value.step == "alignment" and caught.value.reason
    assert len(shown) == 1 and not shown[0][3].accepted


def test_where_noise_hides_the_brightness_repeats_are_taken_as_they_are_and_separate_scans_are_refused() -> None:
    drowned = rician(0.2 * TRUTH, 30, 1)
    with pytest.raises(Refused, match="10 times above its noise") as caught:
        made(pair(drowned, TRUTH))
    assert caught.value.step == "brightness"
    assert made(pair(drowned, 0.2 * TRUTH, gt_kind="leave_one_out", repeats=3)).gain == 1


def test_repeats_of_different_brightness_are_no_repeats() -> None:
    noisy = rician(TRUTH, SIGMA, 1)
    with pytest.raises(Refused, match="brightness") as caught:
        made(pair(noisy, 2 * TRUTH, gt_kind="leave_one_out", repeats=3))
    assert caught.value.step == "brightness"
    assert made(pair(noisy, 2 * TRUTH)).gain == pytest.approx(2, rel=0.01), "separate scans may differ"


def test_the_noise_of_the_fast_scan_is_taken_out_of_an_average_that_holds_it() -> None:
    repeats = np.stack([TRUTH + np.random.default_rng(k).normal(0, SIGMA, TRUTH.shape) for k in range(3)]).astype(np.float32)
    found = made(pair(repeats[0], repeats.mean(axis=0), gt_kind="inclusive", repeats=3))
    inner = TRUTH > 300
    own, other = ((image - TRUTH)[inner] for image in (repeats[0], found.clean))
    assert found.gt_kind == "leave_one_out" and abs(np.corrcoef(own, other)[0, 1]) < 0.02
    with_it = np.corrcoef(own, (repeats.mean(axis=0) - TRUTH)[inner])[0, 1]
    assert with_it == pytest.approx(1 / np.sqrt(3), abs=0.02)


def test_an_average_that_had_to_be_moved_stays_inclusive() -> None:
    moved = np.stack([ndimage.shift(part, (1.6, -2.3), order=5) for part in TRUTH]).clip(0)
    assert made(pair(rician(TRUTH, SIGMA, 1), moved, gt_kind="inclusive", repeats=3)).gt_kind == "inclusive"


def test_a_simulated_pair_is_neither_moved_nor_rescaled() -> None:
    noisy = np.roll(1.5 * rician(TRUTH, SIGMA, 1), 3, axis=2)
    found = made(pair(noisy, TRUTH, noise="simulated"))
    assert np.array_equal(found.clean, TRUTH) and found.gain == 1 and found.alignment is None


def test_an_image_is_no_reference_for_itself_in_whatever_units() -> None:
    noisy = rician(TRUTH, SIGMA, 1)
    for clean in (noisy.copy(), np.rint(3 * noisy)):
        with pytest.raises(Refused, match="the same as the accelerated one") as caught:
            made(pair(noisy, clean))
        assert caught.value.step == "reference"
    assert made(pair(noisy, rician(TRUTH, 2.0, 2))).gt_kind == "independent"
