"""Both images of a pair get one brightness, found where noise cannot mislead."""

import numpy as np
import pytest

from MRIDenoiseLib.data.preparation import match_gain
from MRIDenoiseLib.errors import InputError

SIGMA = 4.0


def body() -> np.ndarray:
    """A bright part, SNR 25, and a larger dark one, SNR 4, in air."""
    image = np.zeros((4, 128, 128))
    image[:, 20:108, 20:108] = 4 * SIGMA
    image[:, 30:60, 30:98] = 25 * SIGMA
    return image


def rician(image: np.ndarray, seed: int = 0) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *image.shape)) * SIGMA
    return np.hypot(image + real, imaginary).astype(np.float32)


def test_a_scaled_copy_is_brought_back_within_half_a_percent_although_most_of_the_body_lies_near_the_noise():
    clean, noisy = body(), rician(body())
    gain, matched = match_gain((3.7 * clean).astype(np.float32), noisy, mask=clean > 0)
    assert gain == pytest.approx(3.7, rel=0.005)
    assert matched.dtype == np.float32 and matched[:, 40:50, 40:90] == pytest.approx(25 * SIGMA, rel=0.005)


def test_the_gain_scales_with_either_image():
    clean, noisy = body().astype(np.float32), rician(body())
    gain, _ = match_gain(clean, noisy)
    assert match_gain(2 * clean, noisy)[0] == pytest.approx(2 * gain, rel=1e-6)
    assert match_gain(clean, 10 * noisy)[0] == pytest.approx(gain / 10, rel=1e-5)


def test_single_bright_voxels_do_not_pull_the_gain():
    clean, noisy = body(), rician(body())
    clean[:, 40:43, 40:43] *= 50
    assert match_gain(clean, noisy)[0] == pytest.approx(1, rel=0.005)


def test_an_image_that_drowns_in_noise_is_refused():
    with pytest.raises(InputError, match="above its noise"):
        match_gain(body(), rician(body() / 5))


def test_a_clean_image_of_another_place_is_refused():
    clean, noisy = body(), rician(body())
    clean[:, 20:108] = 0
    with pytest.raises(InputError, match="do not belong together"):
        match_gain(clean, noisy)
