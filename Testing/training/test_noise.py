"""The noise has the statistics that physics says it has, and each test fails for a plausible wrong implementation."""

import math
from dataclasses import replace

import pytest
import torch

from MRIDenoiseLib.training.kspace import fft2, window2d
from MRIDenoiseLib.training.noise import (
    BENCHMARK_ROWS,
    AcquisitionModel,
    Scene,
    acquire,
    acquire_pair,
    acquire_volume,
    benchmark_model,
    benchmark_row,
    level1,
    rician,
)

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
    ],
)
def test_noise_spectrum_is_the_window_squared(changes: dict):
    model = replace(ONE_COIL, **changes)
    noise = acquire(torch.ones(1500, 48, 48), model, generator(), scene=Scene.standard(model)) - 1
    window = window2d(48, 48, kind=model.apodisation, parameter=model.apodisation_parameter, corner_cut=model.corner_cut)
    assert radial_psd_error(noise, window, model.sigma) < 0.05
    white = rician(torch.ones(1500, 48, 48), model.sigma, generator()) - 1
    assert radial_psd_error(white, window, model.sigma) > 0.2, "white noise must not pass for this acquisition"


def test_level1_noise_has_the_grain_of_its_window_and_the_strength_of_its_map():
    window = window2d(48, 48, kind="tukey", parameter=0.5)
    noise = level1(torch.ones(1500, 48, 48), 0.01, generator(), window=window) - 1
    assert radial_psd_error(noise, window, 0.01) < 0.05
    g_map = torch.linspace(1, 3, 48).expand(48, 48)
    measured = level1(torch.ones(1500, 48, 48), 0.01, generator(), g_map=g_map, nex=4).std(dim=0)
    assert torch.allclose(measured.mean(0), 0.005 * g_map[0], rtol=0.02)


def test_zero_filling_keeps_the_strength_and_correlates_neighbours_as_a_sinc():
    model = replace(ONE_COIL, zero_fill=1.6)
    noise = acquire(torch.ones(100, 80, 80), model, generator(), scene=Scene.standard(model)) - 1
    assert float(noise.std()) == pytest.approx(model.sigma, rel=0.02)
    lag1 = float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean())
    assert lag1 == pytest.approx(math.sin(math.pi / 1.6) / (math.pi / 1.6), abs=0.03)


def test_noise_of_clean_and_noisy_partner_is_independent():
    fast = AcquisitionModel(coils=4, sigma=0.02, reduction=2.0)
    flat = torch.ones(64, 64, 64)
    noisy, clean = acquire_pair(flat, fast, fast.partner(3.0), generator(1), generator(2))
    a, b = (image - image.mean(0) for image in (noisy, clean))
    assert abs(float((a * b).mean() / (a.std() * b.std()))) < 0.01
    again, _ = acquire_pair(flat, fast, fast.partner(3.0), generator(1), generator(3))
    # the same scene: the strength of the noise has the same map although the noise is another
    strength = torch.stack([noisy.std(0).flatten(), again.std(0).flatten()])
    assert float(torch.corrcoef(strength)[0, 1]) > 0.3


def test_partner_scans_longer_by_the_acceleration_and_by_default_has_no_noise():
    fast = AcquisitionModel(coils=8, sigma=0.04, reduction=2.0, nex=1.0)
    full = fast.partner(3.0)
    assert full.reduction == 1 and full.relative_time / fast.relative_time == pytest.approx(3.0)
    assert fast.image_sigma / full.image_sigma == pytest.approx(math.sqrt(3.0))
    flat = torch.ones(2, 32, 32)
    assert float((acquire(flat, fast.partner(), generator()) - flat).abs().max()) < 1e-5


@pytest.mark.parametrize("reduction", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("phase_axis", [0, 1])
def test_without_noise_and_windows_the_image_comes_back(reduction: float, phase_axis: int):
    image = torch.rand(2, 33, 29)
    model = AcquisitionModel(coils=8, sigma=0.0, reduction=reduction, phase_axis=phase_axis, receive_bias=1.0)  # type: ignore[arg-type]
    assert torch.allclose(acquire(image, model, generator()), image, atol=1e-5)


def test_g_factor_makes_undersampled_noise_stronger_along_the_phase_axis_only():
    image = torch.ones(400, 24, 24)
    model = AcquisitionModel(coils=4, sigma=0.003, reduction=2.0)
    scene = Scene.standard(model)
    rows = acquire(image, model, generator(), scene=scene).std(0)
    columns = acquire(image, replace(model, phase_axis=1), generator(), scene=scene).std(0)
    assert float(rows.mean()) > math.sqrt(2) * 0.003
    analytic = scene.noise_std(model, 24, 24, torch.zeros(1))[0]
    assert float(torch.corrcoef(torch.stack([rows.flatten(), analytic.flatten()]))[0, 1]) > 0.7
    assert float(torch.corrcoef(torch.stack([columns.T.flatten(), analytic.flatten()]))[0, 1]) > 0.7


def test_sensitivities_from_reference_lines_return_a_smooth_object_nearly_and_noise_as_strong():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    image = torch.exp(-3 * (x**2 + y**2)).expand(200, -1, -1).contiguous()
    model = AcquisitionModel(coils=8, sigma=0.002, reduction=2.0, calibration="acs")
    scene = Scene.standard(model)
    draws = acquire(image, model, generator(), scene=scene)
    inside = image[0] > 0.3
    assert float((draws.mean(0) - image[0])[inside].abs().max()) < 0.03
    expected = scene.noise_std(model, 64, 64, torch.zeros(1))[0]
    assert float((draws.std(0) / expected)[inside].mean()) == pytest.approx(1, abs=0.1)


def test_random_models_cover_every_option_and_give_finite_images():
    g = generator(5)
    image = torch.rand(1, 24, 24)
    seen: dict[str, set] = {}
    for _ in range(120):
        model = AcquisitionModel.sample(g)
        for name in ("coils", "reduction", "combine", "calibration", "partial_fourier", "apodisation", "post_filter", "rounding_bits"):
            seen.setdefault(name, set()).add(getattr(model, name))
        assert 0.005 <= model.image_sigma <= 0.15
        noisy, clean = acquire_pair(image, model, model.partner(2.0), g, g)
        assert noisy.shape == clean.shape == image.shape
        assert torch.isfinite(noisy).all() and float(noisy.min()) >= 0
    counts = {name: len(values) for name, values in seen.items()}
    assert counts == {
        "coils": 7,
        "reduction": 4,
        "combine": 2,
        "calibration": 2,
        "partial_fourier": 3,
        "apodisation": 6,
        "post_filter": 4,
        "rounding_bits": 3,
    }


def test_one_seed_replays_model_scene_and_noise():
    image = torch.rand(1, 24, 24)
    first, second = (AcquisitionModel.sample(generator(7)) for _ in range(2))
    assert first == second
    assert torch.equal(acquire(image, first, generator(8)), acquire(image, second, generator(8)))
    assert not torch.equal(acquire(image, first, generator(8)), acquire(image, first, generator(9)))


def test_impossible_acquisitions_are_refused():
    for wrong in (
        {"coils": 1, "reduction": 2.0},
        {"combine": "rss", "reduction": 2.0},
        {"reduction": 0.5},
        {"nex": 0.0},
        {"zero_fill": 0.5},
    ):
        with pytest.raises(ValueError):
            AcquisitionModel(**wrong)
    model = AcquisitionModel(coils=4)
    with pytest.raises(ValueError, match="same coils"):
        acquire_pair(torch.rand(1, 8, 8), model, replace(model, coils=8), generator(), generator())


@pytest.mark.parametrize("name", BENCHMARK_ROWS)
def test_benchmark_noise_of_a_slice_is_the_same_whichever_others_are_made(name: str):
    image = torch.rand(5, 24, 24, generator=generator(1))
    whole = benchmark_row(name, image)
    assert torch.equal(whole[2:4], benchmark_row(name, image, slices=[2, 3]))
    assert not torch.equal(whole, benchmark_row(name, image, seed=12))
    noise = (whole - image) - (whole - image).mean()
    assert abs(float((noise[1] * noise[2]).mean() / noise[1:3].square().mean())) < 0.15


def test_benchmark_rows_are_as_strong_as_they_say():
    flat = torch.full((12, 64, 64), 0.8)
    assert float((benchmark_row("R", flat) - 0.8).std()) == pytest.approx(13 / 255, rel=0.03)
    window_gain = float(window2d(64, 64, kind="raised_cosine", parameter=0.75).square().mean().sqrt())
    for name, sigma in (("M0.05", 0.05), ("M0.10", 0.10), ("L2-1.5", 0.04), ("L2-2", 0.04), ("L2-3", 0.04)):
        model = benchmark_model(name)
        analytic = Scene.standard(model).noise_std(model, 64, 64, torch.linspace(-0.5, 0.5, 12))
        least = sigma * math.sqrt(model.reduction / 2)
        assert 0.85 * least < float(analytic.mean()) < 2.2 * least
        # the difference of two draws holds noise alone, without the ringing of the object's phase at the border
        measured = float((benchmark_row(name, flat) - benchmark_row(name, flat, seed=12)).std()) / math.sqrt(2)
        assert measured == pytest.approx(window_gain * float(analytic.square().mean().sqrt()), rel=0.08)


def test_volume_coils_vary_along_it():
    model = AcquisitionModel(coils=8, sigma=0.02, reduction=3.0)
    scene = Scene.draw(model, generator(3))
    first, last = (scene.noise_std(model, 24, 24, torch.tensor([z])) for z in (-0.5, 0.5))
    assert float((first / last - 1).abs().max()) > 0.02
    assert acquire_volume(torch.ones(4, 24, 24), model, 0, scene=scene).shape == (4, 24, 24)
