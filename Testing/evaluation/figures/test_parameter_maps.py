"""Fits of T2 and ADC give back what was put in; the noise floor lengthens T2, and is taken out; deviations are of the reference."""

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.figures.parameter_maps import Deviation, decay_time, diffusion_coefficient, without_floor

TIMES = (6.3, 18.9, 31.6, 50.5)


def decays(t2: np.ndarray, amplitude: float = 1.0) -> np.ndarray:
    return np.stack([amplitude * np.exp(-time / t2) for time in TIMES])


def test_t2_without_noise_is_exact_in_any_unit():
    t2 = np.array([[15.0, 40.0], [80.0, 180.0]])
    assert decay_time(decays(t2), TIMES) == pytest.approx(t2, rel=1e-6)
    assert decay_time(decays(t2, 4000.0), TIMES) == pytest.approx(t2, rel=1e-6)
    assert decay_time(decays(t2)[[0, 3]], [TIMES[0], TIMES[3]]) == pytest.approx(t2, rel=1e-6)


def test_what_does_not_fall_has_no_end_and_what_is_not_there_no_t2():
    found = decay_time(np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 1.2]]), (10, 20))
    assert np.isinf(found[[0, 2]]).all() and np.isnan(found[1])


def rician(signal: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).normal(0, sigma, (2, *signal.shape))
    return np.hypot(signal + real, imaginary)


def test_an_unweighted_fit_would_be_misled_by_the_late_echo_and_the_floor_lengthens_t2():
    t2 = np.full(20000, 15.0)
    noisy = rician(decays(t2), 0.03, 0)
    logarithms = np.log(noisy)
    unweighted = -1 / np.polyfit(TIMES, logarithms.reshape(4, -1), 1)[0]
    weighted = np.median(decay_time(noisy, TIMES))
    assert abs(weighted / 15 - 1) < 0.05 < abs(np.median(unweighted) / 15 - 1)
    floorless = without_floor(np.square(noisy), 0.03)
    assert np.median(decay_time(floorless, TIMES)) < weighted > 15


def test_the_floor_is_taken_out_of_the_mean_square():
    noisy = rician(np.full(200000, 0.1), 0.08, 1)
    assert noisy.mean() > 0.125
    assert without_floor(np.square(noisy).mean(), 0.08) == pytest.approx(0.1, rel=0.02)
    assert without_floor(np.array([0.001]), 0.08) == 0


def test_adc():
    assert diffusion_coefficient(np.array([100.0, 0.0]), 100 * np.exp(-800 * np.array([1e-3, 1e-3])), 800) == pytest.approx(
        [1e-3, np.nan], nan_ok=True
    )


def test_deviations_are_in_per_cent_and_failed_fits_do_not_decide_the_spread():
    generator = np.random.default_rng(0)
    reference = np.repeat([20.0, 40.0, 80.0], 20000).reshape(3, 20000)
    found = reference * (1.03 + 0.1 * generator.normal(size=reference.shape))
    found[:, :100] = np.inf
    found[:, 100:120] = np.nan
    everywhere = np.ones(reference.shape, bool)
    flat = everywhere.copy()
    flat[1:] = False
    deviation = Deviation.of(found, reference, everywhere, flat)
    assert deviation.bias == pytest.approx(3, abs=0.3) and deviation.spread == pytest.approx(10, rel=0.03)
    assert deviation.flat == pytest.approx(10, rel=0.05)
    # What is too long in short places and too short in long ones has no bias on the whole.
    twisted = Deviation.of(reference * np.array([[1.1], [1.0], [0.9]]), reference, everywhere, flat)
    assert twisted.bias == pytest.approx(0) and twisted.thirds == pytest.approx((10, 0, -10))
    with pytest.raises(ValueError, match="no voxel"):
        Deviation.of(found, reference, everywhere, ~everywhere)
