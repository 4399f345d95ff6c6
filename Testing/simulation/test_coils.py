"""Coils: the field of a loop, sensitivities of unit strength, and receivers whose noise is correlated and unequal."""

import pytest
import torch

from MRIDenoiseLib.simulation import sense
from MRIDenoiseLib.simulation.scene import random_array, ring_array, with_noise_correlation


def test_on_a_loops_axis_the_field_is_that_of_biot_and_savart():
    array = ring_array(1, distance=1.5, radius=0.8)
    field = array.fields(65, 65, torch.zeros(1))[0, 0, 32].abs()
    distance = 1.5 - torch.linspace(-1, 1, 65)
    expected = (distance**2 + 0.8**2) ** -1.5
    assert torch.allclose(field / field[32], expected / expected[32], rtol=0.02)


def test_sensitivities_have_unit_sum_of_squares_and_prewhitening_makes_noise_white():
    array = with_noise_correlation(ring_array(8), 0.4, 0.7, torch.linspace(0.8, 1.2, 8))
    s = array.sensitivities(16, 16, torch.zeros(1))
    assert torch.allclose(sense.strength(s), torch.ones(1, 16, 16), atol=1e-5)
    white = torch.randn(8, 20_000, 2, generator=torch.Generator().manual_seed(4))
    coloured = array.colouring @ torch.view_as_complex(white)
    covariance = coloured @ coloured.mH / 40_000
    index = torch.arange(8)
    scale = torch.linspace(0.8, 1.2, 8)
    expected = 0.4 ** (index.view(-1, 1) - index).abs() * scale.view(-1, 1) * scale
    assert torch.allclose(covariance.abs(), expected, atol=0.03)
    assert float(covariance[1, 0].angle()) == pytest.approx(0.7, abs=0.1)
    back = array.whitened(coloured.view(1, 8, 200, 100)).view(8, -1)
    assert torch.allclose(back @ back.mH / 40_000, torch.eye(8, dtype=torch.complex64), atol=0.03)


def test_random_receivers_have_unequal_noise_powers_within_a_fifth_and_the_asked_correlation():
    generator = torch.Generator().manual_seed(0)
    powers = []
    for correlation in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        colouring = random_array(16, correlation, generator).colouring
        covariance = colouring @ colouring.mH
        power = covariance.diagonal().real
        powers.append(power)
        neighbours = covariance.diagonal(1).abs() / (power[:-1] * power[1:]).sqrt()
        assert torch.allclose(neighbours, torch.full((15,), correlation), atol=1e-5)
    drawn = torch.cat(powers)
    assert 0.8 <= float(drawn.min()) < 0.82 and 1.18 < float(drawn.max()) <= 1.2


def test_receive_bias_weakens_the_depth():
    array = ring_array(8)
    flat, biased = (sense.strength(array.sensitivities(33, 33, torch.zeros(1), bias))[0] for bias in (0.0, 1.0))
    assert torch.allclose(flat, torch.ones(33, 33), atol=1e-5)
    assert float(biased[16, 16]) < 0.8 * float(biased[16, 2])
