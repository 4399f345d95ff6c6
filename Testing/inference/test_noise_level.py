"""The noise estimate is right for white and for filtered noise, and does not take anatomy for noise."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.image.noise import estimate_noise_level


@pytest.fixture(scope="module")
def phantom() -> np.ndarray:
    """Smooth tissue with borders as sharp as a pixel, P99.5 about 1, air around it; (8, 160, 144)."""
    y, x = np.mgrid[-1:1:160j, -1:1:144j]
    slices = []
    for k in range(8):
        image = np.where(np.hypot(x, y) < 0.85, 0.5, 0.0)
        image[np.hypot(x - 0.3, y + 0.02 * k) < 0.3] = 0.95
        image[np.hypot(x + 0.35, y - 0.2) < 0.2] = 0.25
        slices.append(image * (1 + 0.1 * x))
    return ndimage.gaussian_filter(np.stack(slices), (0, 0.6, 0.6)).astype(np.float32)


def magnitude(clean: np.ndarray, sigma: float, window: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Complex noise on ``clean``, through a k-space window if given; also the noise's true standard deviation."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, sigma, (2, *clean.shape))
    if window is not None:
        noise = np.fft.ifft2(np.fft.fft2(noise) * window).real
    return np.hypot(clean + noise[0], noise[1]).astype(np.float32), float(noise.std())


@pytest.mark.parametrize("sigma", [2 / 255, 5 / 255, 13 / 255, 25 / 255, 40 / 255])
def test_white_noise_is_measured_within_a_tenth(phantom, sigma):
    noisy, true = magnitude(phantom, sigma)
    assert estimate_noise_level(noisy) == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("sigma", [5 / 255, 13 / 255, 25 / 255])
def test_noise_behind_a_k_space_window_is_measured_within_a_tenth(phantom, sigma):
    frequency = [np.abs(np.fft.fftfreq(n)) / 0.5 for n in phantom.shape[1:]]
    roll = [np.where(f < 0.75, 1, 0.5 + 0.5 * np.cos(np.pi * (f - 0.75) / 0.25)) for f in frequency]
    noisy, true = magnitude(phantom, sigma, np.outer(*roll))
    assert estimate_noise_level(noisy) == pytest.approx(true, rel=0.1)


def test_a_noise_free_phantom_has_next_to_no_noise(phantom):
    assert estimate_noise_level(phantom) < 0.002


def test_the_estimate_follows_the_units(phantom):
    noisy, _ = magnitude(phantom, 0.05)
    assert estimate_noise_level(40 * noisy) == pytest.approx(40 * estimate_noise_level(noisy), rel=1e-4)


def test_a_slice_that_is_nearly_all_air_does_not_decide(phantom):
    noisy, true = magnitude(phantom, 0.05)
    noisy[0] = np.abs(noisy[0] - phantom[0]) * 20
    assert estimate_noise_level(noisy) == pytest.approx(true, rel=0.15)


def test_a_body_too_small_in_any_one_slice_is_measured_on_all_of_them(phantom):
    """As in spinal-cord diffusion images: 36 x 96 pixels, a few hundred of them body."""
    y, x = np.mgrid[-1:1:36j, -2.6:2.6:96j]
    clean = np.where(np.hypot(x, y) < 0.5, 0.8, 0.0)[None].repeat(15, axis=0)
    noisy, true = magnitude(ndimage.gaussian_filter(clean, (0, 0.8, 0.8)), 0.06)
    assert estimate_noise_level(noisy) == pytest.approx(true, rel=0.3)
    assert estimate_noise_level(noisy[:2]) == 0.0, "two such slices are too little to tell"
