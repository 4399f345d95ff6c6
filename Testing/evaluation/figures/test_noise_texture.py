"""White noise is told from grain and from anatomy, and its spectrum has its variance."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.evaluation.figures import autocorrelation, neighbour_correlation, noise_power_spectrum
from MRIDenoiseLib.evaluation.figures.residual import LAG

SHAPE = (6, 128, 140)


@pytest.fixture(scope="module")
def white() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, SHAPE)


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    return np.repeat((np.hypot(y, x) < 0.85)[None], SHAPE[0], axis=0)


def test_white_noise_tells_nothing_of_its_neighbours(white, mask):
    found = autocorrelation(white, mask)
    assert found[LAG, LAG] == 1 and np.abs(np.delete(found.ravel(), found.size // 2)).max() < 0.02
    assert neighbour_correlation(white, mask) < 0.01


def test_noise_that_is_stronger_in_one_place_is_as_white(white, mask):
    uneven = white * np.linspace(0.2, 3, SHAPE[2])
    assert neighbour_correlation(uneven, mask) < 0.015
    plain = np.mean(uneven[:, :, 1:] * uneven[:, :, :-1]) / np.mean(uneven**2)
    assert autocorrelation(uneven, mask)[LAG, LAG + 1] == pytest.approx(plain, abs=0.03)


def test_the_correlation_of_a_known_filter_is_found(white, mask):
    # A mean of two neighbours in a row: r = 1/2 one to the side, 0 in every other direction.
    found = autocorrelation((white[:, :, 1:] + white[:, :, :-1]) / 2, mask[:, :, 1:])
    assert found[LAG, LAG + 1] == pytest.approx(0.5, abs=0.03) and found[LAG, LAG - 1] == pytest.approx(0.5, abs=0.03)
    assert abs(found[LAG + 1, LAG]) < 0.03 and abs(found[LAG, LAG + 2]) < 0.03


def test_anatomy_in_a_residual_is_seen_beside_noise(white, mask):
    stripes = np.broadcast_to(np.sin(np.arange(SHAPE[2])), SHAPE)
    assert neighbour_correlation(white + 0.7 * stripes, mask) > 5 * neighbour_correlation(white, mask)


def test_what_lies_outside_the_mask_and_the_strength_do_not_count(white, mask):
    spoilt = np.where(mask, 40 * white, 1e6 * np.arange(SHAPE[2]))
    assert autocorrelation(spoilt, mask) == pytest.approx(autocorrelation(np.where(mask, white, 0), mask), abs=1e-9)
    assert not autocorrelation(np.zeros(SHAPE), mask).any()


def test_the_spectrum_of_white_noise_is_flat_and_is_its_variance(white, mask):
    frequency, power = noise_power_spectrum(3 * white + 5, mask)
    assert frequency[0] > 0 and frequency[-1] < 0.5
    assert power[2:] == pytest.approx(9, rel=0.1) and power.mean() == pytest.approx(9, rel=0.03)


def test_the_spectrum_of_filtered_noise_is_the_filters(white, mask):
    frequency, power = noise_power_spectrum(ndimage.gaussian_filter(white, (0, 1, 1), mode="wrap"), mask)
    expected = np.exp(-((2 * np.pi * frequency) ** 2))
    kept = (expected > 0.05) & (frequency > 0.05)
    assert power[kept] == pytest.approx(expected[kept], rel=0.2)


def test_a_single_wave_lies_in_its_ring(mask):
    x = np.arange(SHAPE[2])
    frequency, power = noise_power_spectrum(np.broadcast_to(np.cos(2 * np.pi * 0.2 * x), SHAPE).copy(), mask)
    assert abs(frequency[power.argmax()] - 0.2) < 0.5 / len(frequency)


@pytest.mark.parametrize("measure", [autocorrelation, noise_power_spectrum])
def test_an_empty_mask_is_refused(measure, white):
    with pytest.raises(ValueError, match="mask"):
        measure(white, np.zeros(SHAPE, bool))
