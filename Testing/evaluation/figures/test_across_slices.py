"""Slices that do not fit together are found out, though each is as close to its reference as before."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.evaluation.figures import flicker_of_anatomy, psnr, reformatted_ssim, slice_flicker

SHAPE = (24, 40, 44)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return 1 + 4 * ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, SHAPE), 3)


@pytest.fixture(scope="module")
def noisy(truth) -> np.ndarray:
    return truth + np.random.default_rng(1).normal(0, 0.1, SHAPE)


INSIDE = np.ones(SHAPE, bool)


def test_the_noisy_image_has_one_a_perfect_one_none_and_a_part_of_the_noise_its_square(truth, noisy):
    for part in (0.0, 0.3, 1.0):
        assert slice_flicker(truth + part * (noisy - truth), truth, noisy, INSIDE) == pytest.approx(part**2)


def test_against_anatomy_the_flicker_of_noise_is_the_ratio_of_variances(truth, noisy):
    changes = np.var(np.diff(truth, axis=0))
    # The difference of two independent fields of variance 0.01.
    assert flicker_of_anatomy(noisy, truth, INSIDE) == pytest.approx(0.02 / changes, rel=0.03)
    assert flicker_of_anatomy(truth + 0.3, truth, INSIDE) == pytest.approx(0), "what is the same in every slice does not flicker"
    with pytest.raises(ValueError, match="all alike"):
        flicker_of_anatomy(noisy, np.ones(SHAPE), INSIDE)


def test_of_two_images_of_one_error_the_one_whose_slices_do_not_fit_flickers(truth, noisy):
    shade = 0.05 * np.sin(np.linspace(0, 3, SHAPE[0]))[:, None, None] * np.ones(SHAPE)
    smooth = truth + shade
    shuffled = truth + shade[np.random.default_rng(2).permutation(SHAPE[0])]
    assert psnr(smooth, truth, data_range=1) == pytest.approx(psnr(shuffled, truth, data_range=1))
    assert slice_flicker(shuffled, truth, noisy, INSIDE) > 5 * slice_flicker(smooth, truth, noisy, INSIDE)
    values = [reformatted_ssim(image, truth, data_range=1, mask=INSIDE) for image in (smooth, shuffled)]
    assert values[1] < values[0] - 0.005


def test_slices_in_the_wrong_order_are_found(truth, noisy):
    denoised = truth + 0.2 * (noisy - truth)
    shuffled = denoised[np.random.default_rng(3).permutation(SHAPE[0])]
    assert slice_flicker(shuffled, truth, noisy, INSIDE) > 5 * slice_flicker(denoised, truth, noisy, INSIDE)
    assert reformatted_ssim(shuffled, truth, data_range=1, mask=INSIDE) < 0.8 * reformatted_ssim(denoised, truth, data_range=1, mask=INSIDE)


def test_equal_volumes_are_perfect_in_reformats(truth):
    assert reformatted_ssim(truth, truth, data_range=1, mask=INSIDE) == pytest.approx(1)


def test_only_the_mask_counts(truth, noisy):
    mask = np.zeros(SHAPE, bool)
    mask[4:20, 10:30, 10:30] = True
    assert slice_flicker(np.where(mask, truth, 7), truth, noisy, mask) == 0


def test_what_has_no_neighbour_or_no_noise_is_refused(truth, noisy):
    with pytest.raises(ValueError, match="no neighbour"):
        slice_flicker(truth[:1], truth[:1], noisy[:1], INSIDE[:1])
    with pytest.raises(ValueError, match="no noise"):
        slice_flicker(truth, truth, truth, INSIDE)
    with pytest.raises(ValueError, match="mask"):
        slice_flicker(truth, truth, noisy, np.zeros(SHAPE, bool))
