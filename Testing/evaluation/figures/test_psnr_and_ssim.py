"""The measures mean what their definitions say."""

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from MRIDenoiseLib.evaluation.figures import FASTMRI, WANG, mean_slice_psnr, noise_corrected_psnr, psnr, ssim


def test_gaussian_noise_has_the_psnr_of_its_definition():
    noise = np.random.default_rng(0).normal(0, 0.05, (100, 400))
    reference = np.full(noise.shape, 0.5)
    assert psnr(reference + noise, reference, data_range=1.0) == pytest.approx(20 * math.log10(1 / 0.05), abs=0.05)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_brightness_of_image_reference_and_range_together_changes_nothing(measure):
    image, reference = np.random.default_rng(1).random((2, 3, 30, 30))
    assert measure(7 * image, 7 * reference, data_range=7) == pytest.approx(measure(image, reference, data_range=1))


def test_only_the_mask_counts():
    image, reference, mask = np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4), bool)
    image[0, 0], image[1, 1], mask[1] = 5.0, 0.1, True
    assert psnr(image, reference, data_range=1, mask=mask) == pytest.approx(10 * math.log10(4 / 0.01))


def test_equal_images_are_infinitely_good():
    image = np.ones((1, 20, 20))
    assert psnr(image, image, data_range=1) == math.inf
    assert ssim(image, image, data_range=1) == 1


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_nonsense_is_refused(measure):
    image = np.ones((2, 20, 20))
    with pytest.raises(ValueError, match="shapes"):
        measure(image, image[:1], data_range=1)
    with pytest.raises(ValueError, match="range"):
        measure(image, image, data_range=0)
    with pytest.raises(ValueError, match="mask"):
        measure(image, image, data_range=1, mask=image > 2)


def test_a_range_is_never_guessed():
    image = np.ones((1, 20, 20))
    for measure in (psnr, ssim, mean_slice_psnr):
        with pytest.raises(TypeError, match="data_range"):
            measure(image, image)


def test_whole_slices_have_scikit_images_own_values_in_both_conventions():
    image, reference = np.random.default_rng(7).random((2, 3, 40, 33))
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for convention, own in ((WANG, wang), (FASTMRI, {})):
        expected = np.mean([structural_similarity(a, b, data_range=1.3, **own) for a, b in zip(image, reference, strict=True)])
        assert ssim(image, reference, data_range=1.3, convention=convention) == pytest.approx(expected, abs=1e-6)
    assert ssim(image, reference, data_range=1.3) == ssim(image, reference, data_range=1.3, convention=WANG)
    assert abs(ssim(image, reference, data_range=1.3, convention=FASTMRI) - ssim(image, reference, data_range=1.3)) > 1e-3


def test_a_mean_of_decibels_lies_above_the_decibels_of_the_mean_and_is_that_of_its_slices():
    reference = np.zeros((2, 10, 10))
    image = reference + np.array([0.1, 0.01])[:, None, None]
    assert mean_slice_psnr(image, reference, data_range=1) == pytest.approx((20 + 40) / 2)
    assert psnr(image, reference, data_range=1) == pytest.approx(-10 * math.log10((0.01 + 0.0001) / 2))


def by_definition(image: np.ndarray, reference: np.ndarray, row: int, column: int, data_range: float) -> float:
    """SSIM of one pixel, written out as in Wang et al. 2004."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    a, b = (picture[row - 5 : row + 6, column - 5 : column + 6] for picture in (image, reference))
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    variance_a, variance_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
    covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))


def test_ssim_of_a_pixel_is_that_of_its_definition():
    image, reference = np.random.default_rng(2).random((2, 2, 25, 25))
    mask = np.zeros(image.shape, bool)
    mask[1, 12, 9] = True
    assert ssim(image, reference, data_range=1.4, mask=mask) == pytest.approx(by_definition(image[1], reference[1], 12, 9, 1.4), abs=1e-9)


def test_ssim_is_taken_slice_by_slice_and_averaged_over_the_mask():
    image, reference = np.random.default_rng(3).random((2, 4, 30, 40))
    mask = np.random.default_rng(4).random(image.shape) < 0.2
    window = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    maps = np.stack([structural_similarity(a, b, **window)[1] for a, b in zip(image, reference, strict=True)])
    assert ssim(image, reference, data_range=1.0, mask=mask) == pytest.approx(maps[mask].mean(), abs=1e-9)


def test_ssim_falls_with_noise_and_air_would_hide_it():
    body = np.zeros((1, 60, 60))
    body[:, 20:40, 20:40] = 0.7
    noisy, noisier = (body + (body > 0) * np.random.default_rng(5).normal(0, sigma, body.shape) for sigma in (0.05, 0.1))
    values = [ssim(image, body, data_range=1, mask=body > 0) for image in (noisy, noisier)]
    assert values[1] < values[0] < 0.75
    assert ssim(noisier, body, data_range=1) > values[0] + 0.1


SIGMA_E, SIGMA_N = 0.03, 0.05


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(truth, reference, noisy): smooth anatomy, the same with noise of its own, and that with more noise."""
    rng = np.random.default_rng(6)
    truth = 0.5 + 6 * ndimage.gaussian_filter(rng.normal(0, 0.3, (8, 128, 128)), (0, 4, 4))
    reference = truth + rng.normal(0, SIGMA_E, truth.shape)
    return truth, reference, reference + rng.normal(0, SIGMA_N, truth.shape)


DENOISERS = {
    "the noisy image itself": lambda noisy, truth: noisy,
    "a light blur": lambda noisy, truth: ndimage.gaussian_filter(noisy, (0, 0.6, 0.6)),
    "a strong blur": lambda noisy, truth: ndimage.gaussian_filter(noisy, (0, 2.0, 2.0)),
    "a median": lambda noisy, truth: ndimage.median_filter(noisy, (1, 3, 3)),
    "a quarter of the noise": lambda noisy, truth: (noisy + 3 * truth) / 4,
    "nearly the truth": lambda noisy, truth: truth + 0.1 * (ndimage.gaussian_filter(truth, (0, 9, 9)) - truth) + 0.01,
}


@pytest.mark.parametrize("denoiser", DENOISERS.values(), ids=DENOISERS.keys())
def test_the_noise_of_the_reference_can_be_taken_out_without_knowing_the_truth(scene, denoiser):
    truth, reference, noisy = scene
    image = denoiser(noisy, truth)
    true = psnr(image, truth, data_range=1)
    told = noise_corrected_psnr(image, reference, noisy, data_range=1, reference_noise=SIGMA_E)
    assert told == pytest.approx(true, abs=0.15)
    assert abs(psnr(image, reference, data_range=1) - true) > 0.3, "else there would be nothing to correct"


def test_the_order_of_two_denoisers_can_turn_round_by_the_correction(scene):
    truth, reference, noisy = scene
    # One keeps the reference's noise in, the other takes all noise out and is a little off.
    keeper = reference + 0.4 * (noisy - reference)
    cleaner = truth + 0.01
    assert psnr(keeper, reference, data_range=1) > psnr(cleaner, reference, data_range=1)
    kept, cleaned = (noise_corrected_psnr(o, reference, noisy, data_range=1, reference_noise=SIGMA_E) for o in (keeper, cleaner))
    assert cleaned > kept + 3


def test_a_share_of_noise_that_is_bright_everywhere_is_no_noise(scene):
    _, reference, noisy = scene
    plain, shifted = (
        noise_corrected_psnr(reference + 0.3, reference, y, data_range=1, reference_noise=SIGMA_E) for y in (noisy, noisy + 0.2)
    )
    assert shifted == pytest.approx(plain)


def test_the_correction_knows_only_the_mask_and_leaves_nothing_of_the_truth(scene):
    truth, reference, noisy = scene
    mask = np.zeros(truth.shape, bool)
    mask[2:6, 30:90, 30:90] = True
    spoilt = np.where(mask, noisy, 9.0)
    known = {"data_range": 1.0, "reference_noise": SIGMA_E, "mask": mask}
    assert noise_corrected_psnr(spoilt, reference, noisy, **known) == noise_corrected_psnr(noisy, reference, noisy, **known)
    assert noise_corrected_psnr(truth, reference, noisy, data_range=1.0, reference_noise=1.01 * SIGMA_E) == math.inf


def test_the_correction_refuses_a_noisy_image_without_noise(scene):
    _, reference, _ = scene
    with pytest.raises(ValueError, match="no noise"):
        noise_corrected_psnr(reference, reference, reference, data_range=1, reference_noise=0.1)
