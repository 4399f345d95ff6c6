"""What holds for the samplers whatever the networks are."""

import pytest
import torch

from MRIDenoiseLib.errors import Cancelled
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling import SharedNoise, blind_dps, ddim, ddpm, dps, fidelity_guided, posterior_mean, red_diff, regression, sharpened
from MRIDenoiseLib.sampling.fidelity_guided import fidelity_gradient

SHAPE = (32, 48)
NOISE = SharedNoise(SHAPE, 3, torch.device("cpu"))


def bend(image, conditioning):
    """A degradation that is neither linear nor local."""
    return torch.tanh(1.3 * image) + 0.2 * image.roll(1, dims=-1) ** 2


@pytest.fixture(scope="module")
def networks(small_networks):
    return small_networks


@pytest.fixture(scope="module")
def measured():
    return torch.rand(8, 3, *SHAPE, generator=torch.Generator().manual_seed(2)) * 2 - 1


def conditioning(batch):
    generator = torch.Generator().manual_seed(5)
    one = Conditioning(
        text=torch.randn(1, 4, 16, generator=generator),
        text_mask=torch.ones(1, 4, dtype=torch.bool),
        acceleration=torch.tensor([2.0]),
        noise_level=torch.tensor([0.1]),
        slice_spacing=torch.tensor([4.0]),
    )
    return one.expand(batch)


def samplers(networks, schedule):
    return {
        "fidelity-guided": lambda y: fidelity_guided(
            networks["denoiser"], networks["degradation"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3, fidelity=0.2
        ),
        "paper": lambda y: fidelity_guided(
            networks["denoiser"], networks["degradation"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3, mode="paper"
        ),
        "posterior-mean": lambda y: posterior_mean(networks["denoiser"], y, conditioning(len(y)), schedule, noise=NOISE, samples=2),
        "ddim": lambda y: ddim(networks["denoiser"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3),
        "regression": lambda y: regression(networks["restoration"], y, conditioning(len(y))),
        "sharpened": lambda y: sharpened(
            networks["restoration"], networks["flow"], y, conditioning(len(y)), noise=NOISE, start_noise=0.1, samples=2, sharpness=0.7
        ),
        "ddpm": lambda y: ddpm(networks["denoiser"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3),
        "red-diff": lambda y: red_diff(networks["denoiser"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3),
        "dps": lambda y: dps(networks["denoiser"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3, guidance=10),
        "dps, unconditional": lambda y: dps(
            networks["denoiser"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3, guidance=10, conditional=False
        ),
        "blind-dps": lambda y: blind_dps(
            networks["denoiser"], networks["degradation"], y, conditioning(len(y)), schedule, noise=NOISE, steps=3, guidance=10
        ),
    }


NAMES = tuple(samplers(None, None))


@pytest.mark.parametrize("name", NAMES)
def test_a_slice_comes_out_the_same_alone_and_in_a_batch(networks, schedule, measured, name):
    sample = samplers(networks, schedule)[name]
    together = sample(measured)
    alone = torch.cat([sample(measured[i : i + 1]) for i in range(len(measured))])
    assert together.shape == (8, 1, *SHAPE)
    assert (together - alone).abs().max() < 1e-4
    assert (together - measured[:, 1:2]).abs().max() > 1e-2  # the networks did something
    assert torch.equal(together, sample(measured))


def test_the_fidelity_gradient_is_half_that_of_the_squared_residual():
    generator = torch.Generator().manual_seed(4)
    mu, target = torch.randn(2, 2, 1, 9, 7, generator=generator, dtype=torch.float64)
    leaf = mu.clone().requires_grad_(True)
    (0.5 * ((bend(leaf, None) - target) ** 2).sum()).backward()
    assert (fidelity_gradient(bend, mu, target, None) - leaf.grad).abs().max() < 1e-12


def test_the_pull_of_the_prior_is_the_denoisers_error_in_its_noise(schedule):
    """RED-diff's linear weighting: (sigma/alpha)(eps_hat - eps) = mu - x0, whatever the denoiser says."""
    generator = torch.Generator().manual_seed(6)
    mu, estimate, noise = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    signal, sigma = schedule.amplitudes(400)
    noise_hat = (schedule.add_noise(mu, noise, 400) - signal * estimate) / sigma
    assert (sigma / signal * (noise_hat - noise) - (mu - estimate)).abs().max() < 1e-12


def test_the_denoiser_never_sees_a_graph_and_no_weight_gets_a_gradient(networks, schedule, measured):
    seen = []

    def denoiser(state, y, timestep, told):
        seen.append(torch.is_grad_enabled() or state.requires_grad)
        return networks["denoiser"](state, y, timestep, told)

    result = fidelity_guided(denoiser, networks["degradation"], measured[:1], conditioning(1), schedule, noise=NOISE, steps=3, fidelity=0.2)
    assert seen == [False] * 3 and not result.requires_grad
    assert all(p.grad is None for network in (networks["denoiser"], networks["degradation"]) for p in network.parameters())


def test_one_step_without_fidelity_is_the_denoisers_own_estimate(networks, schedule, measured):
    def unused(image, told):
        raise AssertionError("a weight of zero needs no degradation")

    guided = fidelity_guided(
        networks["denoiser"], unused, measured, conditioning(8), schedule, noise=NOISE, steps=1, fidelity=0.0, prior_weight=0.7
    )
    once = posterior_mean(networks["denoiser"], measured, conditioning(8), schedule, noise=NOISE)
    state = NOISE(0).expand(8, 1, *SHAPE)
    with torch.no_grad():
        direct = networks["denoiser"](state, measured, torch.full((8,), 999), conditioning(8)).clamp(-1, 1.5)
    assert (guided - once).abs().max() < 1e-6
    assert torch.equal(once, direct)


def test_more_fidelity_brings_the_degraded_result_nearer_to_the_measurement(world):
    distances = []
    for fidelity in (0.0, 0.1, 0.3, 1.0, 3.0):
        image = fidelity_guided(
            world.denoiser, bend, world.noisy, None, world.schedule, noise=world.noise, steps=20, fidelity=fidelity, limits=world.limits
        )
        distances.append(float((bend(image, None) - world.noisy).norm()))
    assert distances == sorted(distances, reverse=True) and distances[-1] < 0.8 * distances[0]


def test_a_step_of_adam_moves_every_pixel_by_its_learning_rate(networks, schedule, measured):
    y = measured[:2] * 0.5
    result = fidelity_guided(
        networks["denoiser"], networks["degradation"], y, conditioning(2), schedule, noise=NOISE, steps=1, mode="paper"
    )
    assert ((result - y[:, 1:2]).abs() - 0.1).abs().quantile(0.95) < 1e-3


def test_estimates_stay_within_their_limits(schedule, measured):
    def wild(state, y, timestep, told):
        return 50 * state

    for image in (
        ddim(wild, measured, None, schedule, noise=NOISE, steps=4, limits=(-1.0, 2.5)),
        fidelity_guided(wild, bend, measured, None, schedule, noise=NOISE, steps=4, limits=(-1.0, 2.5)),
    ):
        assert float(image.min()) >= -1 and float(image.max()) <= 2.5


def test_the_callback_counts_every_network_call_and_can_end_the_run(networks, schedule, measured):
    events = []
    posterior_mean(networks["denoiser"], measured[:1], conditioning(1), schedule, noise=NOISE, samples=3, steps=2, callback=events.append)
    assert [event["i"] for event in events] == list(range(6))
    assert {event["steps"] for event in events} == {6}
    assert [event["t"] for event in events] == [999, 0] * 3

    calls = []

    def stop(event):
        calls.append(event["i"])
        if event["i"] == 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fidelity_guided(
            networks["denoiser"], networks["degradation"], measured[:1], conditioning(1), schedule, noise=NOISE, steps=9, callback=stop
        )
    assert calls == [0, 1]


def test_eight_views_make_regression_turn_with_the_slice(networks, measured):
    said = conditioning(len(measured))

    def all_views(y):
        return regression(networks["restoration"], y, said, samples=8)

    plain = all_views(measured)
    assert torch.allclose(all_views(measured.flip(-1)), plain.flip(-1), atol=1e-5)
    assert torch.allclose(all_views(measured.transpose(-1, -2)), plain.transpose(-1, -2), atol=1e-5)
    one = regression(networks["restoration"], measured, said)
    assert not torch.allclose(regression(networks["restoration"], measured.flip(-1), said), one.flip(-1), atol=1e-4)


def test_views_of_a_network_that_changes_nothing_change_nothing(measured):
    for samples in range(1, 9):
        same = regression(lambda y, _: y[:, 1:2].clone(), measured, None, samples=samples, limits=(-9, 9))
        assert torch.allclose(same, measured[:, 1:2], atol=1e-6)
