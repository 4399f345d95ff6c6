"""PSNR means what its definition says."""

import math

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.metrics import psnr


def test_gaussian_noise_has_the_psnr_of_its_definition():
    noise = np.random.default_rng(0).normal(0, 0.05, (100, 400))
    reference = np.full(noise.shape, 0.5)
    assert psnr(reference + noise, reference, data_range=1.0) == pytest.approx(20 * math.log10(1 / 0.05), abs=0.05)


def test_brightness_of_image_reference_and_range_together_changes_nothing():
    rng = np.random.default_rng(1)
    image, reference = rng.random((2, 30, 30))
    assert psnr(7 * image, 7 * reference, data_range=7) == pytest.approx(psnr(image, reference, data_range=1))


def test_only_the_mask_counts():
    image, reference, mask = np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4), bool)
    image[0, 0], image[1, 1], mask[1] = 5.0, 0.1, True
    assert psnr(image, reference, data_range=1, mask=mask) == pytest.approx(10 * math.log10(4 / 0.01))


def test_equal_images_are_infinitely_good_and_nonsense_is_refused():
    image = np.ones((3, 3))
    assert psnr(image, image, data_range=1) == math.inf
    with pytest.raises(ValueError, match="shapes"):
        psnr(image, image[:2], data_range=1)
    with pytest.raises(ValueError, match="range"):
        psnr(image, image, data_range=0)
    with pytest.raises(ValueError, match="mask"):
        psnr(image, image, data_range=1, mask=image > 2)
