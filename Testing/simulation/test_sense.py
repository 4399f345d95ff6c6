"""SENSE by blocks is SENSE: compared with masked k-space, a dense solve, and coil-by-coil simulation."""

import math

import pytest
import torch

from MRIDenoiseLib.simulation import sense
from MRIDenoiseLib.simulation.scene import random_array


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sensitivities(height: int, width: int, coils: int = 8) -> torch.Tensor:
    array = random_array(coils, 0.3, generator(2))
    return array.whitened(array.sensitivities(height, width, torch.zeros(1)))


def white(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.view_as_complex(torch.randn(*shape, 2, generator=generator(seed)))


@pytest.mark.parametrize(("reduction", "period", "kept"), [(1.5, 3, 2), (2.0, 2, 1), (3.0, 3, 1), (4 / 3, 4, 3)])
def test_folding_is_masking_lines_in_k_space(reduction: float, period: int, kept: int):
    assert sense.sampling_pattern(reduction) == (period, kept)
    image = white((2, 3, 24, 10), 1)
    lines = torch.arange(24) % period < kept
    # a kept line k = period * n + j turns up with the phase that the inverse transform gives it
    by_fft = torch.fft.ifft(torch.fft.fft(image, dim=-2) * lines.view(-1, 1), dim=-2)
    assert torch.allclose(sense.fold(image, reduction), by_fft, atol=1e-5)


@pytest.mark.parametrize("reduction", [1.0, 1.5, 2.0, 3.0])
def test_unfolding_undoes_folding(reduction: float):
    s = sensitivities(24, 20)
    image = white((2, 24, 20), 3)
    assert torch.allclose(sense.unfold(sense.fold(image.unsqueeze(1) * s, reduction), s, reduction), image, atol=1e-3)


@pytest.mark.parametrize("reduction", [1.5, 2.0, 3.0])
def test_noise_map_equals_the_inverse_of_the_dense_encoding_matrix(reduction: float):
    height = 12
    period, kept = sense.sampling_pattern(reduction)
    s = sensitivities(height, 1)
    column = s[0, :, :, 0].to(torch.complex128)
    transform = torch.fft.fft(torch.eye(height, dtype=torch.complex128), dim=0, norm="ortho")
    encoding = torch.cat([transform[torch.arange(height) % period < kept] * coil for coil in column])
    covariance = torch.linalg.inv(encoding.mH @ encoding)
    expected = covariance.diagonal().real.sqrt().float()
    assert torch.allclose(sense.noise_std(s, reduction)[0, :, 0], expected, rtol=1e-3)


@pytest.mark.parametrize("reduction", [1.0, 1.5, 2.0, 3.0])
def test_coil_by_coil_noise_agrees_with_the_analytic_map_and_with_the_short_cut(reduction: float):
    draws = 2000
    s = sensitivities(12, 6)
    long_way = sense.unfold(sense.fold(white((draws, 8, 12, 6), 5), reduction), s, reduction)
    short_cut = sense.image_noise(s, reduction, white((draws, 12, 6), 6))
    analytic = sense.noise_std(s, reduction)[0]
    for noise in (long_way, short_cut):
        ratio = torch.view_as_real(noise).square().mean(dim=(0, -1)).sqrt() / analytic
        assert float((ratio - 1).square().mean().sqrt()) < 0.03
        assert float((ratio - 1).abs().max()) < 0.06
    period, _ = sense.sampling_pattern(reduction)
    covariances = [
        torch.einsum("zgp,zgq->gpq", sense.grouped(n, period), sense.grouped(n, period).conj()) / draws / 2 for n in (long_way, short_cut)
    ]
    scale = float(covariances[0].abs().mean())
    assert float((covariances[0] - covariances[1]).abs().mean()) < 0.06 * scale


def test_g_factor_is_one_without_undersampling_and_at_least_one_with_it():
    s = sensitivities(24, 24)
    # sqrt([G^-1]_ii [S^H Psi^-1 S]_ii / R)
    g1, g2, g3 = (sense.noise_std(s, r) * sense.strength(s) / math.sqrt(r) for r in (1.0, 2.0, 3.0))
    assert torch.allclose(g1, torch.ones(1, 24, 24), atol=1e-5)
    assert float(g2.min()) > 0.999 and float(g3.mean()) > float(g2.mean()) > 1


def test_reductions_that_no_short_pattern_has_are_refused():
    for wrong in (0.9, 7.0, 1.61803):
        with pytest.raises(ValueError):
            sense.sampling_pattern(wrong)
