"""From the object to the image: undersampling, reconstruction and combination, the same on every device."""

import math
from dataclasses import replace

import pytest
import torch

from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.noise import acquire
from MRIDenoiseLib.simulation.scene import Scene


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
    image = torch.exp(-3 * (x**2 + y**2)).expand(80, -1, -1).contiguous()
    model = AcquisitionModel(coils=8, sigma=0.002, reduction=2.0, reconstruction="sense_acs")
    scene = Scene.standard(model)
    draws = acquire(image, model, generator(), scene=scene)
    inside = image[0] > 0.3
    assert float((draws.mean(0) - image[0])[inside].abs().max()) < 0.03
    expected = scene.noise_std(model, 64, 64, torch.zeros(1))[0]
    assert float((draws.std(0) / expected)[inside].mean()) == pytest.approx(1, abs=0.1)


def test_an_acquisition_without_noise_draws_nothing():
    image = torch.rand(1, 24, 24, generator=generator())
    for changes in ({}, {"combine": "rss"}, {"reduction": 2.0, "reconstruction": "grappa"}):
        model = replace(AcquisitionModel(coils=4, sigma=0.0), **changes)
        g = generator(3)
        before = g.get_state()
        acquire(image, model, g, scene=Scene.standard(model))
        assert torch.equal(g.get_state(), before)


@pytest.mark.parametrize("combine", ["adaptive", "rss"])
def test_receivers_with_correlated_noise_are_combined_as_said(combine: str):
    """Adaptive combination whitens the noise first and does better; the plain root of the sum of squares does not."""
    model = AcquisitionModel(coils=8, noise_correlation=0.5, sigma=0.004, combine=combine, object_phase=0.0)  # type: ignore[arg-type]
    scene = Scene.draw(model, generator(1))
    std = acquire(torch.ones(1000, 16, 16), model, generator(), scene=scene).std(0)
    s = scene.array.sensitivities(16, 16, torch.zeros(1))[0].flatten(1)
    covariance = scene.array.colouring @ scene.array.colouring.mH
    if combine == "adaptive":
        expected = ((s.conj() * (torch.linalg.inv(covariance) @ s)).sum(0).real).rsqrt()
    else:
        expected = (s.conj() * (covariance @ s)).sum(0).real.sqrt()
    ratio = std.flatten() / (model.sigma * expected)
    assert float(ratio.mean()) == pytest.approx(1, abs=0.01)
    assert float((ratio - 1).square().mean().sqrt()) < 0.03


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "changes",
    [
        {"apodisation": "fermi", "corner_cut": True, "zero_fill": 1.3, "unwarp": 1.0, "receive_bias": 0.7, "post_filter": "median"},
        {"reduction": 3.0, "partial_fourier": "homodyne", "partial_fourier_fraction": 0.7, "phase_axis": 1, "post_filter": "bilateral"},
        {"reduction": 1.5, "reconstruction": "sense_acs", "partial_fourier": "pocs", "partial_fourier_fraction": 0.7},
        {"reduction": 2.0, "reconstruction": "grappa", "post_filter": "diffusion", "nex": 2.0, "magnitude_averaging": True},
        {"reduction": 2.0, "reconstruction": "grappa", "combine": "rss", "post_filter": "unsharp"},
        {"combine": "rss", "apodisation": "hann"},
    ],
)
def test_a_cpu_generator_gives_the_same_image_on_the_gpu(changes: dict):
    model = replace(AcquisitionModel(coils=8, sigma=0.03, post_filter_strength=0.5), **changes)
    image = torch.rand(3, 48, 50, generator=generator())
    z = torch.tensor([-0.2, 0.0, 0.2])
    here, there = (acquire(image.to(device), model, generator(4), z=z) for device in ("cpu", "cuda"))
    assert there.is_cuda
    assert torch.allclose(there.cpu(), here, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_generator_gives_noise_of_the_same_strength():
    model = AcquisitionModel(coils=8, sigma=0.01, reduction=2.0)
    image = torch.ones(400, 24, 24)
    scene = Scene.standard(model)
    here = acquire(image, model, generator(), scene=scene)
    there = acquire(image.cuda(), model, torch.Generator("cuda").manual_seed(0), scene=scene)
    assert float(there.std(0).mean()) == pytest.approx(float(here.std(0).mean()), rel=0.02)
