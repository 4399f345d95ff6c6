"""The rows of every comparison: the same noise for all methods, as strong as it is said to be."""

import math

import pytest
import torch

from MRIDenoiseLib.simulation.kspace import window2d
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, benchmark_model, benchmark_row, rician_benchmark_sigma
from MRIDenoiseLib.simulation.scene import Scene


@pytest.mark.parametrize("name", BENCHMARK_ROWS)
def test_benchmark_noise_of_a_slice_is_the_same_whichever_others_are_made(name: str):
    image = torch.rand(5, 24, 24, generator=torch.Generator().manual_seed(1))
    whole = benchmark_row(name, image)
    assert torch.equal(whole[2:4], benchmark_row(name, image, slices=[2, 3]))
    assert not torch.equal(whole, benchmark_row(name, image, seed=12))
    noise = (whole - image) - (whole - image).mean()
    assert abs(float((noise[1] * noise[2]).mean() / noise[1:3].square().mean())) < 0.15


def test_benchmark_rows_are_as_strong_as_they_say():
    flat = torch.full((12, 64, 64), 0.8)
    assert float((benchmark_row("R", flat) - 0.8).std()) == pytest.approx(13 / 255, rel=0.03)
    assert float((benchmark_row("U", flat) - 0.8).std()) == pytest.approx(rician_benchmark_sigma(flat), rel=0.03)
    window_gain = float(window2d(64, 64, kind="raised_cosine", parameter=0.75).square().mean().sqrt())
    for name, sigma in (("M0.05", 0.05), ("M0.10", 0.10), ("L2-1.5", 0.04), ("L2-2", 0.04), ("L2-3", 0.04)):
        model = benchmark_model(name)
        analytic = Scene.standard(model).noise_std(model, 64, 64, torch.linspace(-0.5, 0.5, 12))
        least = sigma * math.sqrt(model.reduction / 2)
        assert 0.85 * least < float(analytic.mean()) < 2.2 * least
        # the difference of two draws holds noise alone, without the ringing of the object's phase at the border
        measured = float((benchmark_row(name, flat) - benchmark_row(name, flat, seed=12)).std()) / math.sqrt(2)
        assert measured == pytest.approx(window_gain * float(analytic.square().mean().sqrt()), rel=0.08)


def test_the_strength_of_row_u_is_uniform_over_volumes_and_not_changed_by_a_lesion():
    volumes = [torch.ones(1, height, width) for height in range(10, 40) for width in range(10, 30)]
    sigmas = torch.tensor([rician_benchmark_sigma(volume) for volume in volumes]) * 255
    assert 6 <= float(sigmas.min()) < 6.5 and 24.5 < float(sigmas.max()) <= 25
    assert float(sigmas.mean()) == pytest.approx(15.5, abs=1)
    assert float(sigmas.std()) == pytest.approx(19 / math.sqrt(12), rel=0.1)
    assert rician_benchmark_sigma(volumes[40], seed=12) != rician_benchmark_sigma(volumes[40])
    image = torch.full((3, 24, 24), 0.5)
    with_lesion = image.clone()
    with_lesion[1, 10:14, 10:14] = 0
    difference = benchmark_row("U", with_lesion) - benchmark_row("U", image)
    assert torch.equal(difference != 0, with_lesion != image)


def test_rows_that_do_not_exist_are_refused():
    for name in ("R", "U", "M0.2", "L2-7", ""):
        with pytest.raises(ValueError, match="no benchmark model"):
            benchmark_model(name)
    with pytest.raises(ValueError, match="no benchmark model"):
        benchmark_row("M0.2", torch.ones(1, 8, 8))
