"""The noise of a clean volume is measured where there is no anatomy, and rather too low than too high."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.image.noise import estimate_noise_level, reference_noise


@pytest.fixture(scope="module")
def anatomy() -> tuple[np.ndarray, np.ndarray]:
    """(slices, foreground): a disc with fine texture in all but a quarter of it."""
    y, x = np.mgrid[0:160, 0:150]
    disc = np.hypot(y - 80, x - 75) < 65
    texture = np.random.default_rng(0).normal(0, 0.1, (4, 160, 150))
    texture = ndimage.gaussian_filter(texture, (0, 0.6, 0.6)) * ~((y > 80) & (x > 75))
    return np.where(disc, 0.6 + texture, 0.0), np.repeat(disc[None], 4, axis=0)


@pytest.mark.parametrize("sigma", [0.01, 0.03])
def test_white_noise_is_measured_beside_texture_edges_and_air(anatomy, sigma):
    slices, foreground = anatomy
    noisy = slices + np.random.default_rng(1).normal(0, sigma, slices.shape)
    assert reference_noise(noisy, foreground) == pytest.approx(sigma, rel=0.1)
    assert estimate_noise_level(noisy) > 1.1 * reference_noise(noisy, foreground)


def test_texture_alone_is_no_noise(anatomy):
    slices, foreground = anatomy
    assert reference_noise(slices, foreground) < 0.002


def test_noise_outside_the_foreground_does_not_count(anatomy):
    slices, foreground = anatomy
    noise = np.random.default_rng(2).normal(0, 0.02, slices.shape)
    inside, outside = (reference_noise(slices + noise * where, foreground) for where in (foreground, ~foreground))
    assert inside == pytest.approx(0.02, rel=0.1) and outside < 0.002


def test_filtered_noise_is_said_too_low_and_never_too_high(anatomy):
    slices, foreground = anatomy
    noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(0, 1, slices.shape), (0, 0.5, 0.5))
    found = reference_noise(slices + 0.02 * noise / noise.std(), foreground)
    assert 0.004 < found < 0.019


def test_a_body_without_room_for_a_window_tells_nothing(anatomy):
    slices, _ = anatomy
    thin = np.zeros(slices.shape, bool)
    thin[:, 80:90] = True
    assert reference_noise(slices, thin) == 0.0
