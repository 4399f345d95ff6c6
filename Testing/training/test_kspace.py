"""Windows, partial Fourier and the vendor's filters do what their names say."""

import math
from dataclasses import replace

import pytest
import torch

from MRIDenoiseLib.training.acquisition_model import AcquisitionModel
from MRIDenoiseLib.training.kspace import apodisation, fft2, partial_fourier, window2d
from MRIDenoiseLib.training.post_filter import diffused, median3, post_filter, quantise, warp


def blob(size: int = 64) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    return torch.exp(-8 * ((x - 0.2) ** 2 + (y + 0.1) ** 2)) + 0.4 * torch.exp(-200 * (x + 0.3) ** 2 - 60 * y**2)


def test_raised_cosine_is_one_up_to_its_start_half_at_the_middle_and_zero_at_nyquist():
    at = torch.tensor([0.0, 0.75, 0.875, 1.0, 1.2, -0.875])
    expected = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0, 0.5])
    assert torch.allclose(apodisation(at, "raised_cosine", 0.75), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["none", "hann", "tukey", "fermi", "gaussian", "raised_cosine"])
def test_every_window_keeps_the_mean_and_never_amplifies(kind: str):
    window = window2d(32, 30, kind=kind, parameter=0.7, corner_cut=True, zero_fill=1.3)  # type: ignore[arg-type]
    assert float(window[0, 0]) == pytest.approx(1.0, abs=1e-6)
    assert float(window.max()) <= 1 + 1e-6 and float(window.min()) >= 0
    assert float(window[16, 15]) == 0


def test_zero_fill_keeps_the_acquired_share_of_k_space_and_corner_cut_the_ellipse():
    assert float(window2d(200, 200, zero_fill=2.0).mean()) == pytest.approx(0.25, rel=1e-6)
    assert float(window2d(200, 200, corner_cut=True).mean()) == pytest.approx(math.pi / 4, rel=0.01)


def test_homodyne_restores_what_zero_filling_blurs_although_the_object_has_a_phase():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    image = blob() + ((x.abs() < 0.5) & ((y * 8).floor() % 2 == 0) & (y.abs() < 0.8)).float()
    kspace = fft2(torch.polar(image, 0.8 * torch.cos(math.pi * x) + 0.5 * torch.cos(math.pi * y)))
    rms = {
        method: float((partial_fourier(kspace, 0.65, method, 1.0).abs() - image).square().mean().sqrt())
        for method in ("zero_fill", "homodyne")
    }
    assert rms["homodyne"] < 0.5 * rms["zero_fill"]
    assert torch.allclose(partial_fourier(kspace, 1.0, "homodyne").abs(), image, atol=1e-5)


def test_partial_fourier_noise_loses_the_lines_that_were_not_acquired():
    noise = torch.view_as_complex(torch.randn(200, 64, 64, 2, generator=torch.Generator().manual_seed(0)))
    power = torch.view_as_real(partial_fourier(fft2(noise), 0.75, "zero_fill")).square().sum(-1).mean() / 2
    assert float(power) == pytest.approx(0.75, abs=0.02)


def test_unsharp_overshoots_at_edges_and_leaves_flat_regions():
    step = torch.zeros(1, 32, 32)
    step[..., 16:] = 1
    model = AcquisitionModel(post_filter="unsharp", post_filter_strength=0.6, post_filter_sigma=1.0)
    sharpened = post_filter(step + 1, model) - 1
    assert float(sharpened.max()) > 1.1 and float(sharpened.min()) < -0.1
    assert torch.allclose(sharpened[..., 24:], torch.ones(1, 32, 8), atol=1e-4)


def test_median_removes_a_single_bright_pixel_and_its_strength_is_a_share():
    image = torch.zeros(1, 9, 9)
    image[0, 4, 4] = 1
    assert float(median3(image).max()) == 0
    half = post_filter(image, AcquisitionModel(post_filter="median", post_filter_strength=0.5))
    assert float(half[0, 4, 4]) == pytest.approx(0.5)


def test_diffusion_smooths_grain_and_keeps_a_strong_edge():
    step = torch.zeros(1, 64, 64)
    step[..., 32:] = 1
    noisy = step + 0.03 * torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0))
    smooth = diffused(noisy, 0.03)
    assert float((smooth - step).std()) < 0.7 * 0.03
    assert float(smooth[..., 32].mean() - smooth[..., 31].mean()) > 0.97


def test_rounding_gives_whole_steps_and_does_not_clip_what_is_bright():
    image = torch.tensor([[[0.0, 0.1234567, 1.0, 3.7]]])
    rounded = quantise(image, 10)
    steps = rounded * (1023 / 3)
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert float((rounded - image).abs().max()) <= 0.5 * 3 / 1023 + 1e-6


def test_unwarping_brings_the_object_back_to_its_place():
    image = blob(96).unsqueeze(0)
    wave = torch.tensor([[0.3, 0.8, 0.4], [1.9, 0.2, 0.9]])
    distorted = warp(image, wave, 1.5, 1)
    restored = warp(distorted, wave, 1.5, -1)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    moved = float((distorted - image)[inner].abs().max())
    assert float((restored - image)[inner].abs().max()) < 0.25 * moved
    assert moved > 0.02


def test_unwarping_blurs_noise_unevenly():
    model = AcquisitionModel(coils=1, noise_correlation=0.0, sigma=0.01, object_phase=0.0, unwarp=1.2)
    from MRIDenoiseLib.training.noise import Scene, acquire

    scene = replace(Scene.standard(model), wave=torch.tensor([[0.3, 0.8, 0.4], [1.9, 0.2, 0.9]]))
    std = acquire(torch.ones(200, 48, 48), model, torch.Generator().manual_seed(0), scene=scene).std(0)
    assert float(std.max() / std.min()) > 1.3
