"""GRAPPA: the right kernel, the right lines, the object back without noise, and noise as strong as the weights make it."""

import math
from dataclasses import replace

import pytest
import torch

from MRIDenoiseLib.simulation import grappa, sense
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.kspace import fft2, ifft2
from MRIDenoiseLib.simulation.noise import acquire
from MRIDenoiseLib.simulation.scene import Scene, ring_array

REDUCTIONS = [1.5, 2.0, 3.0]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def white(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.view_as_complex(torch.randn(*shape, 2, generator=generator(seed)))


def disc(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return ((x**2 + y**2) < 0.8).float() * (0.6 + 0.3 * torch.sin(9 * x) * torch.cos(7 * y))


def low_frequencies(kspace: torch.Tensor) -> torch.Tensor:
    """The 24 central lines with all their readout points, both in the order of frequency."""
    middle = kspace.shape[-2] // 2
    return torch.fft.fftshift(kspace, dim=(-2, -1))[:, :, middle - 12 : middle + 12]


def test_each_missing_line_is_made_of_the_two_acquired_before_and_the_two_after():
    assert grappa.source_lines(2, 1) == {1: (-3, -1, 1, 3)}
    assert grappa.source_lines(3, 1) == {1: (-4, -1, 2, 5), 2: (-5, -2, 1, 4)}
    assert grappa.source_lines(3, 2) == {2: (-2, -1, 1, 2)}


@pytest.mark.parametrize(("period", "kept"), [(2, 1), (3, 1), (3, 2)])
def test_there_are_five_by_four_weights_for_each_pair_of_coils_and_missing_line(period: int, kept: int):
    weights = grappa.calibrate(white(2, 6, 24, 32), period, kept)
    assert weights.shape == (2, period - kept, 5 * 4 * 6, 6)


@pytest.mark.parametrize(("period", "kept"), [(2, 1), (3, 1), (3, 2)])
def test_missing_lines_are_the_weighted_sum_written_out_and_acquired_ones_are_kept(period: int, kept: int):
    height, width, coils = 12, 7, 3
    kspace = white(1, coils, height, width, seed=1)
    weights = white(1, period - kept, 20 * coils, coils, seed=2)
    missing = torch.arange(height) % period >= kept
    filled = grappa.fill(torch.where(missing.view(-1, 1), torch.nan, kspace), weights, period, kept)
    assert torch.equal(filled[:, :, ~missing], kspace[:, :, ~missing])
    by_step = weights[0].view(period - kept, 5, 4, coils, coils)
    for row in missing.nonzero().flatten().tolist():
        line = row % period
        for column in (0, 3, 6):
            expected = torch.zeros(coils, dtype=torch.complex64)
            for s, step in enumerate((-2, -1, 0, 1, 2)):
                for o, offset in enumerate(grappa.source_lines(period, kept)[line]):
                    sample = kspace[0, :, (row + offset) % height, (column + step) % width]
                    expected += sample @ by_step[line - kept, s, o]
            assert torch.allclose(filled[0, :, row, column], expected, atol=1e-4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_without_noise_the_object_comes_back(reduction: float):
    period, kept = pattern = sense.sampling_pattern(reduction)
    s = ring_array(8).sensitivities(48, 48, torch.zeros(1))
    image = torch.polar(disc(48, 48), 2 * disc(48, 48).roll(5, 0))
    kspace = fft2(image * s)
    acquired = kspace * (torch.arange(48) % period < kept).view(-1, 1)
    kspace_filled = grappa.fill(acquired, grappa.calibrate(low_frequencies(kspace), *pattern), *pattern)
    inside = image.abs() > 0.1
    filled, folded = (
        float((sense.unfold(ifft2(k), s, 1.0)[0] - image)[inside].abs().square().mean().sqrt()) for k in (kspace_filled, acquired)
    )
    assert filled < 0.01
    assert folded > 0.1, "an object that does not fold would prove nothing"


@pytest.mark.parametrize("lines", [6, 2])
def test_too_few_reference_lines_are_refused(lines):
    with pytest.raises(ValueError, match="too few"):
        grappa.calibrate(white(1, 4, lines, 32), 2, 1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("combine", ["adaptive", "rss"])
@pytest.mark.parametrize("phase_axis", [0, 1])
def test_an_acquisition_with_grappa_shows_the_object(reduction: float, combine: str, phase_axis: int):
    image = disc(47, 50).unsqueeze(0)
    model = AcquisitionModel(coils=8, sigma=1e-5, reduction=reduction, reconstruction="grappa", combine=combine, phase_axis=phase_axis)  # type: ignore[arg-type]
    error = acquire(image, model, generator(), scene=Scene.standard(model)) - image
    assert float(error[image > 0.1].square().mean().sqrt()) < 0.02


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_noise_is_as_strong_as_the_weights_make_it_and_stronger_than_the_scan_time_alone_says(reduction: float, monkeypatch):
    size, coils = 24, 4
    fast = AcquisitionModel(coils=coils, noise_correlation=0.3, sigma=1e-3, reduction=reduction, reconstruction="grappa")
    scene = Scene.standard(fast)
    image = 0.5 + disc(size, size)
    period, kept = pattern = sense.sampling_pattern(reduction)
    s = scene.sensitivities(fast, size, size, torch.zeros(1))
    kspace = fft2(scene.complex_object(image[None], fast, torch.zeros(1)).unsqueeze(1) * s)
    weights = grappa.calibrate(low_frequencies(kspace), *pattern)

    # what a unit of noise in each acquired sample becomes in the image
    units = torch.eye(coils * size * size).view(-1, coils, size, size)
    acquired = (units * (torch.arange(size) % period < kept).view(-1, 1)).flatten(1).any(1)
    responses = sense.unfold(ifft2(grappa.fill(units[acquired].to(torch.complex64), weights, *pattern)), s, 1.0)
    expected = fast.sigma * responses.abs().square().sum(0).sqrt()
    full = scene.noise_std(replace(fast.partner(), nex=1.0), size, size, torch.zeros(1))[0]
    assert float((expected / full).mean()) > 1.02 * math.sqrt(reduction)

    with monkeypatch.context() as patch:
        patch.setattr(grappa, "calibrate", lambda *_: weights)
        draws = acquire(image.expand(2000, -1, -1), fast, generator(), scene=scene)
    ratio = draws.std(0) / expected
    assert float(ratio.mean()) == pytest.approx(1, abs=0.01)
    assert float((ratio - 1).square().mean().sqrt()) < 0.03

    own_calibration = acquire(image.expand(100, -1, -1), fast, generator(), scene=scene)
    assert 1.02 < float((own_calibration.std(0) / expected).mean()) < 1.2, "a noisy reference scan makes weights worse, not useless"
