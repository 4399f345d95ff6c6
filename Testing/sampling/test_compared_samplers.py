"""What holds for DDPM, RED-diff, DPS and DPS with a learned degradation whatever the networks are."""

import pytest
import torch

from MRIDenoiseLib.errors import Cancelled
from MRIDenoiseLib.sampling import SharedNoise, blind_dps, ddpm, dps, fidelity_guided, posterior_mean, red_diff

SHAPE = (24, 20)
NOISE = SharedNoise(SHAPE, 3, torch.device("cpu"))


class Denoiser(torch.nn.Module):
    """A small denoiser of its own for every pixel and its neighbours; it remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(2, 1, 3, padding=1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.linspace(-0.2, 0.3, 18).view(1, 2, 3, 3))
        self.given = []

    def forward(self, state, measured, timestep, conditioning):
        self.given.append((state, measured, int(timestep[0])))
        seen = torch.zeros_like(state) if measured is None else measured[:, 1:2]
        return torch.tanh(self.layer(torch.cat([state, seen], dim=1)))


def bend(image, conditioning):
    """A degradation that is neither linear nor local."""
    return torch.tanh(1.3 * image) + 0.2 * image.roll(1, dims=-1) ** 2


@pytest.fixture
def denoiser():
    return Denoiser()


@pytest.fixture(scope="module")
def measured():
    return torch.rand(5, 3, *SHAPE, generator=torch.Generator().manual_seed(2)) * 2 - 1


def run(name, denoiser, measured, schedule, **options):
    given = {"noise": NOISE, "steps": 4} | options
    if name == "blind-dps":
        return blind_dps(denoiser, bend, measured, None, schedule, **given)
    return {"ddpm": ddpm, "dps": dps, "red-diff": red_diff}[name](denoiser, measured, None, schedule, **given)


NAMES = ["ddpm", "red-diff", "dps", "blind-dps"]


@pytest.mark.parametrize("name", NAMES)
def test_every_step_reports_the_same_things_and_they_stay_as_they_were(name, denoiser, measured, schedule):
    events, copies = [], []

    def callback(event):
        events.append(event)
        copies.append({key: value.clone() for key, value in event.items() if isinstance(value, torch.Tensor)})

    run(name, denoiser, measured, schedule, callback=callback)
    assert [set(event) for event in events] == [{"i", "steps", "t", "x", "denoised"}] * 4
    assert [event["i"] for event in events] == [0, 1, 2, 3] and {event["steps"] for event in events} == {4}
    assert [event["t"] for event in events] == schedule.timesteps(4)
    for event, copy in zip(events, copies, strict=True):
        assert event["x"].shape == event["denoised"].shape == (5, 1, *SHAPE)
        assert not event["x"].requires_grad and not event["denoised"].requires_grad
        assert torch.equal(event["x"], copy["x"]) and torch.equal(event["denoised"], copy["denoised"])


@pytest.mark.parametrize("name", NAMES)
def test_cancelling_in_the_callback_ends_the_run_at_once(name, denoiser, measured, schedule):
    def stop(event):
        if event["i"] == 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(name, denoiser, measured, schedule, callback=stop)
    assert len(denoiser.given) == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_decided_by_the_seed_and_hangs_on_no_graph(name, denoiser, measured, schedule):
    first, again = (run(name, denoiser, measured, schedule) for _ in range(2))
    other = run(name, denoiser, measured, schedule, noise=SharedNoise(SHAPE, 4, torch.device("cpu")))
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=1e-3)
    assert not first.requires_grad
    assert all(parameter.grad is None for parameter in denoiser.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_no_step_hands_its_graph_on_to_the_next(name, denoiser, measured, schedule):
    """Only DPS differentiates the denoiser, and only from its own step's state on."""
    run(name, denoiser, measured, schedule)
    assert len(denoiser.given) > 1
    for state, _, _ in denoiser.given:
        assert state.is_leaf and state.requires_grad == (name in ("dps", "blind-dps"))


@pytest.mark.parametrize("name", NAMES)
def test_estimates_stay_within_their_limits(name, measured, schedule):
    def wild(state, y, timestep, told):
        return 50 * state

    image = run(name, wild, measured, schedule, limits=(-1.0, 2.5))
    assert float(image.min()) >= -1 and float(image.max()) <= 2.5


@pytest.mark.parametrize("name", ["dps", "blind-dps"])
def test_the_pull_of_a_slice_does_not_depend_on_those_beside_it(name, denoiser, measured, schedule):
    """With one norm for the whole batch the pull of each of five slices would be less than half of that alone."""
    together = run(name, denoiser, measured, schedule, guidance=15.0)
    alone = torch.cat([run(name, denoiser, measured[i : i + 1], schedule, guidance=15.0) for i in range(5)])
    assert (together - alone).abs().max() < 1e-5
    unguided = run(name, denoiser, measured, schedule, guidance=0.0)
    assert (together - unguided).abs().max() > 0.1


def test_dps_without_guidance_is_ddpm(denoiser, measured, schedule):
    assert torch.equal(run("dps", denoiser, measured, schedule, guidance=0.0), run("ddpm", denoiser, measured, schedule))


def test_one_step_is_the_denoisers_own_estimate(denoiser, measured, schedule):
    once = posterior_mean(denoiser, measured, None, schedule, noise=NOISE)
    assert torch.equal(run("ddpm", denoiser, measured, schedule, steps=1), once)
    assert torch.equal(run("dps", denoiser, measured, schedule, steps=1, guidance=0.0), once)
    assert torch.allclose(run("red-diff", denoiser, measured, schedule, steps=1, mode="tuned", fidelity=0.0), once, atol=1e-6)


@pytest.mark.parametrize("name", ["dps", "blind-dps"])
def test_one_step_goes_down_the_gradient_of_the_distance(name, measured, schedule):
    """Against finite differences of ||y - f(x0(x_t))||, in double precision, for one image."""

    def denoiser(state, y, timestep, told):
        return torch.tanh(0.4 * state + 0.3 * state.roll(1, dims=-2) + 0.2 * y[:, 1:2])

    degradation = bend if name == "blind-dps" else (lambda image, told: image)
    y = measured[:1].double()
    start = NOISE(0).double()

    def distance(state):
        return float((y[:, 1:2] - degradation(denoiser(state, y, None, None), None)).norm())

    zeta, nudge = 0.3, 1e-6
    found = run(name, denoiser, y, schedule, steps=1, guidance=zeta, noise=lambda index: start, limits=(-9.0, 9.0))
    pulled = (denoiser(start, y, None, None) - found) / zeta
    for place in ((0, 0), (7, 13), (23, 19)):
        ahead, behind = start.clone(), start.clone()
        ahead[0, 0, place[0], place[1]] += nudge
        behind[0, 0, place[0], place[1]] -= nudge
        assert float(pulled[0, 0, place[0], place[1]]) == pytest.approx((distance(ahead) - distance(behind)) / (2 * nudge), abs=1e-7)


def test_guidance_brings_the_degraded_result_nearer_to_the_measurement(world):
    distances = []
    for guidance in (0.0, 0.5, 1.0, 2.0):
        options = {"noise": world.noise, "steps": 20, "guidance": guidance, "conditional": False, "limits": world.limits}
        image = blind_dps(world.denoiser, bend, world.noisy, None, world.schedule, **options)
        distances.append(float((bend(image, None) - world.noisy).norm()))
    assert distances == sorted(distances, reverse=True) and distances[-1] < 0.5 * distances[0]


def test_an_unconditional_prior_never_sees_the_measurement(denoiser, measured, schedule):
    run("dps", denoiser, measured, schedule, conditional=False)
    assert denoiser.given and all(seen is None for _, seen, _ in denoiser.given)


def test_the_first_step_is_taken_without_dividing_by_the_missing_signal(measured, schedule):
    """A denoiser that ignores the state, as an exact one does at t = T-1, gets no pull and gives no infinities."""

    def constant(state, y, timestep, told):
        return 0.5 * y[:, 1:2] + 0 * state

    image = run("dps", constant, measured, schedule, guidance=5.0)
    assert torch.allclose(image, 0.5 * measured[:, 1:2], atol=1e-6)


def test_a_step_back_has_the_variance_of_the_forward_process(schedule):
    """x_s drawn from q(x_s | x_t, x_0) with x_t drawn from q(x_t | x_0) is distributed as q(x_s | x_0)."""
    generator = torch.Generator().manual_seed(1)
    image, first, second = torch.randn(3, 400_000, generator=generator, dtype=torch.float64)
    for t, s in ((999, 700), (700, 300), (300, 0)):
        state = schedule.add_noise(image, first, t)
        mean, spread = schedule.step_back(state, image, t, s)
        signal, sigma = schedule.amplitudes(s)
        rest = mean + spread * second - signal * image
        assert float(rest.std()) == pytest.approx(sigma, rel=0.01)
        assert abs(float((rest * image).mean())) < 0.01


def test_red_diff_takes_its_published_settings_when_none_are_given(denoiser, measured, schedule):
    def none(image, told):
        return image

    adam = fidelity_guided(denoiser, none, measured, None, schedule, noise=NOISE, steps=4, mode="paper", fidelity=1.0, prior_weight=0.25)
    assert torch.equal(run("red-diff", denoiser, measured, schedule), adam)
