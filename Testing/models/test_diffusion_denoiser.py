"""The conditional denoiser: what it may see, what it may change, and that text enters as a no-op."""

import pytest
import torch

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import compact, flops, paper, parameter_count, tiny
from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser, grain


def conditioning(batch: int, width: int = 16, noise: float = 0.1) -> Conditioning:
    generator = torch.Generator().manual_seed(5)
    return Conditioning(
        text=torch.randn(batch, 16, width, generator=generator),
        text_mask=torch.arange(16).expand(batch, 16) < 9,
        acceleration=torch.full((batch,), 2.0),
        noise_level=torch.full((batch,), noise),
        slice_spacing=torch.full((batch,), 3.0),
    )


def trained(**changes: object) -> DiffusionDenoiser:
    """A denoiser whose zero-initialised layers hold something, as after training."""
    torch.manual_seed(0)
    network = DiffusionDenoiser(**{**tiny().arguments("denoiser"), **changes}).eval()
    for weights in network.parameters():
        weights.data += 0.05 * torch.randn_like(weights)
    return network


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 1, 24, 20, generator=generator), torch.randn(2, 3, 24, 20, generator=generator)


@torch.no_grad()
def test_an_untrained_residual_denoiser_returns_the_measured_slice(images):
    state, measured = images
    network = DiffusionDenoiser(**tiny().arguments("denoiser"))
    assert torch.equal(network(state, measured, 999, conditioning(2)), measured[:, 1:2])


@torch.no_grad()
def test_no_noise_means_no_change_whatever_the_weights(images):
    state, measured = images
    given = trained()(state, measured, 999, conditioning(2, noise=0.0))
    assert torch.allclose(given, measured[:, 1:2], atol=1e-6)


@torch.no_grad()
def test_text_is_a_no_op_at_the_start_and_not_after_training(images):
    state, measured = images
    torch.manual_seed(0)
    fresh = DiffusionDenoiser(**{**tiny().arguments("denoiser"), "residual": False}).eval()
    said = conditioning(2)
    assert torch.equal(fresh(state, measured, 500, said), fresh(state, measured, 500, said.without_text()))
    network = trained()
    assert not torch.allclose(network(state, measured, 500, said), network(state, measured, 500, said.without_text()), atol=1e-5)


@torch.no_grad()
def test_padding_tokens_do_not_matter(images):
    state, measured = images
    said = conditioning(2)
    noise = torch.where(said.text_mask.unsqueeze(-1), 0.0, 100 * torch.randn_like(said.text))
    other = Conditioning(said.text + noise, said.text_mask, said.acceleration, said.noise_level, said.slice_spacing)
    network = trained()
    assert torch.allclose(network(state, measured, 500, said), network(state, measured, 500, other), atol=1e-5)


@torch.no_grad()
def test_state_and_measurement_are_not_interchangeable(images):
    state, measured = images
    network = trained(neighbours=0, residual=False)
    one = measured[:, :1]
    assert not torch.allclose(network(state, one, 500, conditioning(2)), network(one, state, 500, conditioning(2)), atol=1e-3)


@torch.no_grad()
def test_neighbouring_slices_are_seen(images):
    state, measured = images
    other = measured.clone()
    other[:, 0] += 1
    network = trained()
    assert not torch.allclose(network(state, measured, 999, conditioning(2)), network(state, other, 999, conditioning(2)), atol=1e-3)


@torch.no_grad()
def test_a_dropped_measurement_leaves_an_estimate_from_the_state_alone(images):
    state, _ = images
    network = trained()
    estimate = network(state, None, 500, conditioning(2))
    assert not torch.allclose(estimate, network(state.flip(-1), None, 500, conditioning(2)), atol=1e-3)
    assert network(state, None, 500, conditioning(2, noise=0.0)).abs().max() > 1e-3, "its unit is the image's, not the noise's"


@torch.no_grad()
@pytest.mark.parametrize("size", [(24, 20), (7, 5), (33, 64)])
def test_any_size_comes_back_in_its_size(size):
    state, measured = torch.randn(1, 1, *size), torch.randn(1, 3, *size)
    assert trained()(state, measured, 10, conditioning(1)).shape == state.shape


@torch.no_grad()
def test_a_slice_does_not_depend_on_its_batch(images):
    state, measured = images
    network, said = trained(), conditioning(2)
    together = network(state, measured, 700, said)
    alone = network(state[1:], measured[1:], 700, said[1:])
    assert torch.allclose(together[1:], alone, atol=1e-4)


def test_every_attention_has_the_channels_a_head_it_was_asked_for():
    with torch.device("meta"):
        network = DiffusionDenoiser()
    heads = [(m.heads, m.to_q.weight.shape[0]) for m in network.modules() if type(m).__name__ == "Attention"]
    assert heads and all(width // count == 64 for count, width in heads)


def test_a_width_that_the_norm_groups_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="norm_groups"):
        DiffusionDenoiser(widths=(48, 50), norm_groups=16)


def test_compact_fits_its_budget():
    network = DiffusionDenoiser(**compact().arguments("denoiser"))
    image = torch.zeros(1, 1, 256, 256)
    operations = flops(network, image, torch.zeros(1, 3, 256, 256), torch.tensor([999]), conditioning(1, 64), image)
    assert operations <= 20e9


def test_the_papers_unet_has_the_size_the_specification_derives():
    with torch.device("meta"):
        network = DiffusionDenoiser(**paper().arguments("denoiser"))
    assert parameter_count(network) == pytest.approx(230.4e6, rel=0.01)


@torch.no_grad()
def test_at_pure_noise_the_estimate_depends_on_the_measurement_alone(images):
    state, measured = images
    network, said = trained(), conditioning(2)
    other = torch.randn_like(state)
    assert torch.allclose(network(state, measured, 999, said), network(other, measured, 999, said), atol=1e-6)
    assert not torch.allclose(network(state, measured, 500, said), network(other, measured, 500, said), atol=1e-3)


def test_grain_is_the_noise_in_units_of_its_level():
    noise = 0.07 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    shown = grain(0.4 + noise, torch.tensor([0.07]))
    assert float(shown.std()) == pytest.approx((1 - 1 / 25) ** 0.5, rel=0.05)
    assert float(grain(torch.full((1, 1, 9, 9), 0.4), torch.tensor([0.07])).abs().max()) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("timestep", [999, 0])
def test_an_untrained_informed_denoiser_returns_what_regression_answered_whatever_it_is_shown(images, timestep):
    state, measured = images
    mean = torch.randn_like(state)
    network = DiffusionDenoiser(**tiny().arguments("denoiser"), informed=True)
    assert torch.equal(network(state, measured, timestep, conditioning(2), mean), mean)


@torch.no_grad()
def test_what_an_informed_denoiser_adds_is_in_units_of_the_noise_and_depends_on_the_answer(images):
    state, measured = images
    mean, network = measured[:, 1:2] + 0.1 * torch.randn_like(state), trained(informed=True)
    assert torch.allclose(network(state, measured, 999, conditioning(2, noise=0.0), mean), mean, atol=1e-6)
    added, other = (network(state, measured, 999, conditioning(2), m) - m for m in (mean, mean.flip(-1)))
    assert added.abs().max() > 1e-3 and not torch.allclose(added, other, atol=1e-3), "it sees the answer it refines"


@torch.no_grad()
def test_without_a_measurement_an_informed_denoiser_knows_no_answer(images):
    state, measured = images
    network = trained(informed=True)
    alone = network(state, None, 500, conditioning(2))
    assert torch.equal(alone, network(state, None, 500, conditioning(2), torch.randn_like(state)))
    with pytest.raises(ValueError, match="needs the regression network's answer"):
        network(state, measured, 500, conditioning(2))
    with pytest.raises(ValueError, match="must be residual"):
        DiffusionDenoiser(**tiny().arguments("denoiser") | {"residual": False}, informed=True)
