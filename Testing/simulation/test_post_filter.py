"""The vendor's filters, rounding and unwarping do what their names say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.noise import acquire
from MRIDenoiseLib.simulation.post_filter import bilateral, diffused, median3, post_filter, quantise, warp
from MRIDenoiseLib.simulation.scene import Scene

WAVE = torch.tensor([[0.3, 0.8, 0.4], [1.9, 0.2, 0.9]])


def grainy_step(sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A strong edge without and with noise."""
    step = torch.zeros(1, 64, 64)
    step[..., 32:] = 1
    return step, step + sigma * torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0))


def test_unsharp_overshoots_at_edges_and_leaves_flat_regions():
    step = torch.zeros(1, 32, 32)
    step[..., 16:] = 1
    model = AcquisitionModel(post_filter="unsharp", post_filter_strength=0.6, post_filter_sigma=1.0)
    sharpened = post_filter(step + 1, model) - 1
    assert float(sharpened.max()) > 1.1 and float(sharpened.min()) < -0.1
    assert torch.allclose(sharpened[..., 24:], torch.ones(1, 32, 8), atol=1e-4)


def test_median_is_that_of_the_nine_pixels_around():
    image = torch.rand(2, 13, 17, generator=torch.Generator().manual_seed(0))
    expected = ndimage.median_filter(image.numpy(), size=(1, 3, 3), mode="nearest")
    assert np.array_equal(median3(image).numpy(), expected)


def test_median_removes_a_single_bright_pixel_and_its_strength_is_a_share():
    image = torch.zeros(1, 9, 9)
    image[0, 4, 4] = 1
    assert float(median3(image).max()) == 0
    half = post_filter(image, AcquisitionModel(post_filter="median", post_filter_strength=0.5))
    assert float(half[0, 4, 4]) == pytest.approx(0.5)


@pytest.mark.parametrize("smoothed", [diffused, bilateral])
def test_filters_that_keep_edges_smooth_grain_and_keep_a_strong_edge(smoothed):
    step, noisy = grainy_step(0.03)
    smooth = smoothed(noisy, 0.03)
    assert float((smooth - step).std()) < 0.7 * 0.03
    assert float(smooth[..., 32].mean() - smooth[..., 31].mean()) > 0.97
    coarse = smoothed(noisy, 3.0)
    assert float(coarse[..., 32].mean() - coarse[..., 31].mean()) < 0.7, "an edge below the noise is no edge"


def test_bilateral_weighs_a_disc_by_distance_and_brightness():
    image = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(1))
    weights, values = [], []
    for y in range(2, 7):
        for x in range(2, 7):
            distance2 = (y - 4) ** 2 + (x - 4) ** 2
            if distance2 <= 4:
                difference = float(image[0, y, x] - image[0, 4, 4]) / (2 * 0.15)
                weights.append(np.exp(-distance2 / 2 - difference**2 / 2))
                values.append(float(image[0, y, x]))
    assert len(weights) == 13
    assert float(bilateral(image, 0.15)[0, 4, 4]) == pytest.approx(np.average(values, weights=weights), rel=1e-5)


@pytest.mark.parametrize("kind", ["bilateral", "diffusion"])
def test_filters_that_keep_edges_take_their_share_and_leave_an_image_without_noise_alone(kind: str):
    step, noisy = grainy_step(0.03)
    model = AcquisitionModel(sigma=0.03, post_filter=kind, post_filter_strength=0.5)  # type: ignore[arg-type]
    whole = replace(model, post_filter_strength=1.0)
    assert torch.allclose(post_filter(noisy, model), (noisy + post_filter(noisy, whole)) / 2, atol=1e-6)
    assert torch.equal(post_filter(noisy, whole.partner()), noisy)
    assert float((post_filter(noisy, whole) - step).std()) < 0.7 * 0.03


def test_rounding_gives_whole_steps_and_does_not_clip_what_is_bright():
    image = torch.tensor([[[0.0, 0.1234567, 1.0, 3.7]]])
    rounded = quantise(image, 10)
    steps = rounded * (1023 / 3)
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert float((rounded - image).abs().max()) <= 0.5 * 3 / 1023 + 1e-6


def test_unwarping_brings_the_object_back_to_its_place():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
    image = (torch.exp(-8 * ((x - 0.2) ** 2 + (y + 0.1) ** 2)) + 0.4 * torch.exp(-200 * (x + 0.3) ** 2 - 60 * y**2)).unsqueeze(0)
    distorted = warp(image, WAVE, 1.5, 1)
    restored = warp(distorted, WAVE, 1.5, -1)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    moved = float((distorted - image)[inner].abs().max())
    assert float((restored - image)[inner].abs().max()) < 0.25 * moved
    assert moved > 0.02


def test_unwarping_blurs_noise_unevenly():
    model = AcquisitionModel(coils=1, noise_correlation=0.0, sigma=0.01, object_phase=0.0, unwarp=1.2)
    scene = replace(Scene.standard(model), wave=WAVE)
    std = acquire(torch.ones(200, 48, 48), model, torch.Generator().manual_seed(0), scene=scene).std(0)
    assert float(std.max() / std.min()) > 1.3
