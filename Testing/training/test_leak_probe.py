"""The leak probe: hidden noise is found, honest networks are left in peace, and a useless one is called useless."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.training.leak_probe import leak_probe, verdict

SIGMA = 0.1
CONDITIONING = Conditioning(torch.zeros(4, 1, 1), torch.ones(4, 1, dtype=torch.bool), torch.ones(4), torch.full((4,), SIGMA), torch.ones(4))


def pairs(shift: float = 0.0) -> Batch:
    """Four slices, the left half of each air; Gaussian noise of standard deviation SIGMA, and ``shift`` added in air."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
    clean = torch.stack([0.5 * torch.sin(5 * x + k) * torch.cos(4 * y) for k in range(4)]).unsqueeze(1)
    body = (x > 0).float().expand_as(clean)
    clean = torch.where(body > 0, clean, -1.0)
    measured = clean + SIGMA * torch.randn(clean.shape, generator=generator) + shift * (1 - body)
    # Neighbours unlike the centre: a probe that took one of them would see no noise that is its own.
    others = [clean + SIGMA * torch.randn(clean.shape, generator=generator) for _ in range(2)]
    return Batch(
        torch.cat([others[0], measured, others[1]], 1), clean, body, torch.full((4,), SIGMA), torch.ones(4), torch.ones(4), [""] * 4
    )


def smooth(image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    """An honest restoration: a mean of 5 x 5, which keeps 1/25 of the noise."""
    return functional.avg_pool2d(functional.pad(image, (2, 2, 2, 2), mode="replicate"), 5, stride=1)


def identity(image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    return image


def hiding(strength: float):
    """A restoration that writes the noise it took away behind the last visible digit, and the degradation that reads it there."""

    def digits(image: torch.Tensor) -> torch.Tensor:
        return (image * 32).round() / 32

    def restoration(image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        visible = digits(smooth(image, conditioning))
        return visible + strength * (image - visible)

    def degradation(image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        return digits(image) + (image - digits(image)) / strength

    return restoration, degradation


def test_honest_networks_are_left_in_peace():
    probe = leak_probe(smooth, identity, pairs(), CONDITIONING)
    assert probe["noise_kept"] == probe["noise_rebuilt"] == pytest.approx(1 / 25, abs=0.01)
    assert probe["error_from_clean"] == probe["error_of_identity"] == pytest.approx(math.sqrt(2 / math.pi), rel=0.01)
    assert probe["error_from_estimate"] > 0.7 and abs(probe["rounding_change"]) < 0.002
    assert probe["correlation"] < 0.5
    assert "No hidden noise" in verdict(probe)[-1]


@pytest.mark.parametrize("strength", [0.002, 0.01])
def test_noise_hidden_too_faint_to_be_seen_is_found(strength):
    probe = leak_probe(*hiding(strength), pairs(), CONDITIONING)
    assert abs(probe["noise_kept"]) < 0.1 and probe["noise_rebuilt"] > 0.9
    assert probe["correlation"] > 0.95
    assert probe["error_from_estimate"] < 0.1 * probe["error_from_clean"]
    assert probe["rounding_change"] > 0.1
    found = " ".join(verdict(probe))
    assert "hidden noise" in found and "8 bit" in found and "No hidden" not in found


def test_what_the_degradation_network_adds_of_its_own_accord_is_no_leak():
    generator = torch.Generator().manual_seed(5)

    def grainy(image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        return image + SIGMA * torch.randn(image.shape, generator=generator)

    probe = leak_probe(smooth, grainy, pairs(), CONDITIONING)
    # Invented noise is unlike the slice's own: it makes the error larger, not smaller.
    assert abs(probe["correlation"]) < 0.3 and probe["error_from_estimate"] > 1
    assert probe["likelihood_gain"] < -0.2 and "of no use" in verdict(probe)[0]


def test_a_systematic_difference_that_the_network_predicts_is_no_leak():
    batch = pairs()
    measured = batch.measured - batch.clean + smooth(batch.clean, CONDITIONING) + 0.1 * batch.clean
    blurred = replace(batch, measured=measured)

    def blur(image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        return smooth(image, conditioning) + 0.1 * image

    probe = leak_probe(smooth, blur, blurred, CONDITIONING)
    assert probe["noise_rebuilt"] < probe["noise_kept"] + 0.02
    assert "beats the identity" in verdict(probe)[0] and "No hidden noise" in verdict(probe)[1]


def test_networks_that_do_nothing_yet_are_not_called_a_leak():
    probe = leak_probe(identity, identity, pairs(), CONDITIONING)
    assert probe["noise_kept"] == pytest.approx(1, abs=1e-5) and probe["correlation"] == pytest.approx(1, abs=1e-5)
    lines = verdict(probe)
    assert "does not beat the identity" in lines[0] and "it is unknown" in lines[1] and len(lines) == 2


def test_the_likelihood_gain_is_that_of_a_laplace_distribution_fitted_to_each_slice():
    batch = pairs(shift=0.3)

    def with_floor(image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        return torch.where(image < -0.9, image + 0.3, image)

    probe = leak_probe(smooth, with_floor, batch, CONDITIONING)
    residuals = batch.measured[:, 1:2] - torch.stack([with_floor(batch.clean, CONDITIONING), batch.clean])
    fits = [[torch.distributions.Laplace(0.0, image.abs().mean()).log_prob(image).mean() for image in model] for model in residuals]
    expected = torch.tensor(fits[0]).mean() - torch.tensor(fits[1]).mean()
    assert probe["likelihood_gain"] == pytest.approx(float(expected), abs=1e-5)
    assert probe["likelihood_gain"] > 0.5 and probe["beats_identity"] == 1
    assert probe["likelihood_gain_body"] == pytest.approx(0, abs=1e-6)
    assert "noise floor of air alone" in verdict(probe)[0]


def test_a_gain_of_next_to_nothing_does_not_count():
    probe = leak_probe(smooth, lambda image, conditioning: torch.where(image < -0.9, image + 0.001, image), pairs(0.002), CONDITIONING)
    assert 0 < probe["likelihood_gain"] < 0.005 and probe["beats_identity"] == 0


def test_an_empty_probe_says_so():
    assert verdict({}) == ["The degradation network was not probed for hidden noise."]
