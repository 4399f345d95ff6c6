"""The flow's network: stands still untrained, counts in units of the noise, sees what it says it sees, and is small."""

import pytest
import torch

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import compact, flops, parameter_count
from MRIDenoiseLib.models.flow import NOISE_FLOOR, FlowNetwork, noise_unit
from MRIDenoiseLib.models.nbnet import NBNet

SMALL = {"channels": (4, 6), "text_dim": 16, "film_width": 8}


def told(batch: int = 2, noise_level: float = 0.1) -> Conditioning:
    generator = torch.Generator().manual_seed(1)
    return Conditioning(
        text=torch.randn(batch, 3, 16, generator=generator),
        text_mask=torch.ones(batch, 3, dtype=torch.bool),
        acceleration=torch.full((batch,), 2.0),
        noise_level=torch.full((batch,), noise_level),
        slice_spacing=torch.full((batch,), 3.0),
    )


def images(rows: int = 24, columns: int = 24) -> list[torch.Tensor]:
    """z_t, m and y of two slices."""
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(2, 1, rows, columns, generator=generator) for _ in range(3)]


def trained(**changes) -> FlowNetwork:
    """As after some training: a head that is not zero."""
    torch.manual_seed(0)
    network = FlowNetwork(**SMALL | changes).eval()
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.requires_grad_(False)


HALF = torch.full((2,), 0.5)


@pytest.mark.parametrize("posterior", [False, True])
def test_before_any_training_nothing_moves(posterior):
    velocity = FlowNetwork(**SMALL, posterior=posterior)(*images(), HALF, told())
    assert velocity.shape == (2, 1, 24, 24) and not velocity.any()


@pytest.mark.parametrize("patch_size", [1, 2])
def test_slices_of_any_size_come_out_as_large_as_they_went_in(patch_size):
    network = trained(patch_size=patch_size)
    assert network(*images(21, 35), HALF, told()).shape == (2, 1, 21, 35)


def test_the_papers_flow_sees_its_state_alone_and_one_of_the_posterior_the_mean_and_the_measurement_too():
    state, mean, measured = images()
    for posterior in (False, True):
        network = trained(posterior=posterior)
        plain = network(state, mean, measured, HALF, told())
        for other in ((state, mean + 0.1, measured), (state, mean, measured + 0.1)):
            assert torch.equal(plain, network(*other, HALF, told())) != posterior
        assert not torch.equal(plain, network(state + 0.1, mean, measured, HALF, told()))


@pytest.mark.parametrize("change", ["time", "noise level", "text"])
def test_it_is_told_the_time_the_noise_and_the_text(change):
    network, conditioning = trained(), told()
    plain = network(*images(), HALF, conditioning)
    other = told(noise_level=0.2) if change == "noise level" else conditioning.without_text() if change == "text" else conditioning
    assert not torch.allclose(plain, network(*images(), 0.6 * HALF if change == "time" else HALF, other), atol=1e-5)


def test_the_velocity_counts_in_units_of_the_noise():
    class Constant(FlowNetwork):
        def _unet(self, features, embedding):
            return torch.ones(len(features), 4, *features.shape[-2:])

    for level in (0.0, 0.05, 0.4):
        velocity = Constant(**SMALL)(*images(), HALF, told(noise_level=level))
        assert torch.allclose(velocity, torch.tensor((level**2 + NOISE_FLOOR**2) ** 0.5))
    assert noise_unit(torch.zeros(1)) == NOISE_FLOOR, "a slice without noise still has a unit"


def test_the_compact_one_is_small_beside_the_regression_network():
    flow, restoration = FlowNetwork(**compact().arguments("flow")), NBNet(**compact().arguments("restoration"))
    assert 300_000 < parameter_count(flow) < 800_000
    image, conditioning = torch.zeros(1, restoration.config.in_channels, 128, 128), told(1)
    conditioning = Conditioning(torch.zeros(1, 3, 64), *(getattr(conditioning, name) for name in list(conditioning.__dict__)[1:]))
    one = image[:, :1]
    assert flops(flow, one, one, one, HALF[:1], conditioning) < 0.5 * flops(restoration, image, conditioning)


@pytest.mark.parametrize("wrong", [{"channels": (4,)}, {"channels": (4, 0)}, {"film_width": 0}, {"start_noise": 0.0}])
def test_sizes_that_make_no_network_are_refused(wrong):
    with pytest.raises(ValueError, match=r"width|start_noise"):
        FlowNetwork(**SMALL | wrong)
