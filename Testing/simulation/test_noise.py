"""The noise has the statistics that physics says it has, and each test fails for a plausible wrong implementation."""

import math
from dataclasses import replace

import pytest
import torch

from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.kspace import fft2, window2d
from MRIDenoiseLib.simulation.noise import acquire, acquire_pair, acquire_volume, level1, rician
from MRIDenoiseLib.simulation.scene import Scene

ONE_COIL = AcquisitionModel(coils=1, noise_correlation=0.0, sigma=0.01, object_phase=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def radial_psd_error(noise: torch.Tensor, window: torch.Tensor, sigma: float) -> float:
    """Largest deviation of the radial power spectrum of noise (Z, H, W) from sigma^2 window^2, relative to its peak bin."""
    height, width = noise.shape[-2:]
    measured = torch.view_as_real(fft2(noise.to(torch.complex64))).square().sum(-1).mean(0) / sigma**2
    radius = (torch.fft.fftfreq(height).square().view(-1, 1) + torch.fft.fftfreq(width).square().view(1, -1)).sqrt()
    bins = (radius * 2 * 8).long()
    error = 0.0
    for b in range(int(bins.max())):
        expected = window.square()[bins == b].mean()
        if expected > 0.02:
            error = max(error, abs(float(measured[bins == b].mean() / expected) - 1))
        else:
            error = max(error, abs(float(measured[bins == b].mean() - expected)))
    return error


def test_rician_background_is_rayleigh():
    air = rician(torch.zeros(1_000_000), 0.1, generator())
    assert float(air.mean()) / 0.1 == pytest.approx(1.2533, rel=0.005)
    assert float(air.median()) / 0.1 == pytest.approx(1.1774, rel=0.005)
    assert float(air.std()) / 0.1 == pytest.approx(0.6551, rel=0.005)


def test_one_coil_acquisition_background_is_rayleigh():
    air = acquire(torch.zeros(100, 64, 64), ONE_COIL, generator(), scene=Scene.standard(ONE_COIL)) / ONE_COIL.sigma
    assert float(air.mean()) == pytest.approx(1.2533, rel=0.005)
    assert float(air.median()) == pytest.approx(1.1774, rel=0.005)
    assert float(air.std()) == pytest.approx(0.6551, rel=0.005)


@pytest.mark.parametrize("coils", [4, 8])
def test_root_of_sum_of_squares_has_the_chi_floor(coils: int):
    model = AcquisitionModel(coils=coils, noise_correlation=0.0, sigma=0.05, combine="rss")
    floor = math.sqrt(2) * math.exp(math.lgamma(coils + 0.5) - math.lgamma(coils)) * model.sigma
    acquired = acquire(torch.zeros(20, 48, 48), model, generator(), scene=Scene.standard(model))
    assert float(acquired.mean()) == pytest.approx(floor, rel=0.01)
    assert float(level1(torch.zeros(20, 48, 48), 0.05, generator(), coils=coils).mean()) == pytest.approx(floor, rel=0.01)


def test_high_signal_noise_has_standard_deviation_sigma():
    assert float(rician(torch.ones(500_000), 0.02, generator()).std()) == pytest.approx(0.02, rel=0.01)
    bright = acquire(torch.ones(100, 64, 64), ONE_COIL, generator(), scene=Scene.standard(ONE_COIL))
    assert float(bright.std()) == pytest.approx(ONE_COIL.sigma, rel=0.01)


@pytest.mark.parametrize("reduction", [1.0, 1.5, 2.0, 3.0])
def test_acquired_noise_follows_the_analytic_map(reduction: float):
    model = AcquisitionModel(coils=8, noise_correlation=0.3, sigma=0.003, reduction=reduction, receive_bias=0.7)
    scene = Scene.draw(model, generator(4))
    draws = acquire(torch.ones(2000, 24, 26), model, generator(), scene=scene)
    expected = scene.noise_std(model, 24, 26, torch.zeros(1))[0]
    ratio = draws.std(dim=0) / expected
    assert float(ratio.mean()) == pytest.approx(1, abs=0.01)
    assert float((ratio - 1).square().mean().sqrt()) < 0.03
    assert float(expected.max() / expected.min()) > 1.3, "a flat map would make this test blind"


def test_four_averages_halve_the_noise_and_magnitude_averaging_keeps_the_floor():
    once = replace(ONE_COIL, sigma=0.02)
    scene = Scene.standard(once)
    four = replace(once, nex=4)
    object_ = torch.ones(60, 64, 64)
    one_std, four_std = (float(acquire(object_, m, generator(), scene=scene).std()) for m in (once, four))
    assert four_std / one_std == pytest.approx(0.5, rel=0.02)
    air = torch.zeros(60, 64, 64)
    complex_floor = float(acquire(air, four, generator(), scene=scene).mean())
    magnitude_floor = float(acquire(air, replace(four, magnitude_averaging=True), generator(), scene=scene).mean())
    assert complex_floor == pytest.approx(1.2533 * 0.02 / 2, rel=0.01)
    assert magnitude_floor == pytest.approx(1.2533 * 0.02, rel=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        {"apodisation": "raised_cosine", "apodisation_parameter": 0.75},
        {"apodisation": "hann"},
        {"apodisation": "fermi", "apodisation_parameter": 0.7, "corner_cut": True},
        {"apodisation": "gaussian", "apodisation_parameter": 0.8},
        {"apodisation": "tukey", "apodisation_parameter": 0.6, "zero_fill": 1.5},
        {"apodisation": "hann", "combine": "rss"},
        {"apodisation": "hann", "reconstruction": "sense_acs"},
    ],
)
def test_noise_spectrum_is_the_window_squared(changes: dict):
    model = replace(ONE_COIL, **changes)
    acquired = acquire(torch.ones(1500, 48, 48), model, generator(), scene=Scene.standard(model))
    noise = acquired - acquired.mean(0)
    kind, parameter = model.apodisation, model.apodisation_parameter
    window = window2d(48, 48, kind=kind, parameter=parameter, corner_cut=model.corner_cut, zero_fill=model.zero_fill) * model.zero_fill
    assert radial_psd_error(noise, window, model.sigma) < 0.05
    white = rician(torch.ones(1500, 48, 48), model.sigma, generator()) - 1
    assert radial_psd_error(white, window, model.sigma) > 0.2, "white noise must not pass for this acquisition"


def test_zero_filling_keeps_the_strength_and_correlates_neighbours_as_a_sinc():
    model = replace(ONE_COIL, zero_fill=1.6)
    noise = acquire(torch.ones(100, 80, 80), model, generator(), scene=Scene.standard(model)) - 1
    assert float(noise.std()) == pytest.approx(model.sigma, rel=0.02)
    lag1 = float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean())
    assert lag1 == pytest.approx(math.sin(math.pi / 1.6) / (math.pi / 1.6), abs=0.03)


def test_level1_noise_has_the_grain_of_its_window_and_the_strength_of_its_map():
    window = window2d(48, 48, kind="tukey", parameter=0.5)
    noise = level1(torch.ones(1500, 48, 48), 0.01, generator(), window=window) - 1
    assert radial_psd_error(noise, window, 0.01) < 0.05
    g_map = torch.linspace(1, 3, 48).expand(48, 48)
    measured = level1(torch.ones(1500, 48, 48), 0.01, generator(), g_map=g_map, nex=4).std(dim=0)
    assert torch.allclose(measured.mean(0), 0.005 * g_map[0], rtol=0.02)


def test_noise_of_clean_and_noisy_partner_is_independent():
    fast = AcquisitionModel(coils=4, sigma=0.02, reduction=2.0)
    noisy, clean = acquire_pair(torch.ones(64, 64, 64), fast, fast.partner(3.0), generator(1), generator(2))
    a, b = (image - image.mean(0) for image in (noisy, clean))
    assert abs(float((a * b).mean() / (a.std() * b.std()))) < 0.01


def test_both_images_of_a_pair_are_of_the_same_scene():
    fast = AcquisitionModel(coils=8, sigma=0.002, reduction=2.0, receive_bias=1.0, unwarp=1.5, partial_fourier="zero_fill")
    fast = replace(fast, partial_fourier_fraction=0.7)
    full = fast.partner(3.0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing="ij")
    image = (0.6 + 0.3 * torch.sin(9 * x) * torch.cos(7 * y)).expand(400, -1, -1)
    pair = acquire_pair(image, fast, full, generator(1), generator(2))
    # blur by zero filling depends on the object's phase, unwarping on the wave, the noise's map on the coils
    first, second = (a.mean(0) for a in pair)
    other = acquire_pair(image, fast, full, generator(3), generator(2))[1].mean(0)
    assert float((first - second).abs().mean()) < 0.2 * float((first - other).abs().mean())
    plain = replace(fast, unwarp=0.0, partial_fourier="none")
    scene = Scene.draw(plain, generator(1))
    pair = acquire_pair(image, plain, plain.partner(3.0), generator(1), generator(2))
    for model, acquired in zip((plain, plain.partner(3.0)), pair, strict=True):
        ratio = acquired.std(0) / scene.noise_std(model, 48, 48, torch.zeros(1))[0]
        assert float((ratio - 1).square().mean().sqrt()) < 0.05


def test_volume_coils_vary_along_it():
    model = AcquisitionModel(coils=8, sigma=0.02, reduction=3.0)
    scene = Scene.draw(model, generator(3))
    first, last = (scene.noise_std(model, 24, 24, torch.tensor([z])) for z in (-0.5, 0.5))
    assert float((first / last - 1).abs().max()) > 0.02
    assert acquire_volume(torch.ones(4, 24, 24), model, 0, scene=scene).shape == (4, 24, 24)
