"""Sharpening: at one end the posterior mean itself, at the other what theory says of the exact flow, and a straight line between."""

import math

import pytest
import torch

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling import SharedNoise, regression, sharpened

START = 0.1


def told(level: float, batch: int = 6) -> Conditioning:
    one = torch.ones(batch, dtype=torch.float64)
    return Conditioning(torch.zeros(batch, 1, 1), torch.zeros(batch, 1, dtype=torch.bool), 2 * one, level * one, 3 * one)


class ExactFlow:
    """The velocities that a flow would learn in a Gaussian world; its posterior mean is Wiener's filter.

    With C the power of clean images in a Fourier mode, W C that of their means and A = W C + sigma_s^2 s^2 that of what the flow
    starts from, E[x - z_0 | z_t] is a multiple of z_t; beside the mean and the measurement, of z_t - m.
    """

    def __init__(self, world, posterior=False):
        self.power, self.posterior = world.power, posterior
        self.share = world.power / (world.power + world.sigma**2)
        self.start = (START * world.sigma) ** 2

    def mean(self, image, conditioning):
        return torch.fft.ifft2(torch.fft.fft2(image) * self.share).real

    def velocity(self, state, mean, measured, time, conditioning):
        t = float(time[0])
        if self.posterior:
            spread = self.power * (1 - self.share)
            ahead = (t * spread - (1 - t) * self.start) / ((1 - t) ** 2 * self.start + t**2 * spread)
            return torch.fft.ifft2(torch.fft.fft2(state - mean) * ahead).real
        kept = self.share * self.power
        begin = kept + self.start
        ahead = t * self.power + (1 - 2 * t) * kept - (1 - t) * begin
        return torch.fft.ifft2(torch.fft.fft2(state) * ahead / ((1 - t) ** 2 * begin + t**2 * self.power + 2 * t * (1 - t) * kept)).real


def run(world, exact, **options):
    given = {"noise": world.noise, "start_noise": START, "limits": world.limits} | options
    return sharpened(exact.mean, exact.velocity, world.noisy, told(world.sigma), **given)


def texture(world, image):
    """The power of an image in parts of that of clean ones, in the third of the spectrum where the noise leaves a tenth to a half."""
    share = world.power / (world.power + world.sigma**2)
    fine = (share > 0.1) & (share < 0.5)
    power = torch.fft.fft2(image).abs().square().mean(dim=(0, 1))
    return float(power[fine].sum() / torch.fft.fft2(world.clean).abs().square().mean(dim=(0, 1))[fine].sum())


def test_the_mean_lacks_texture_and_the_flow_brings_all_of_it_back(world):
    exact = ExactFlow(world)
    assert texture(world, run(world, exact, sharpness=0)) < 0.35
    assert texture(world, run(world, exact, sharpness=1, steps=200)) == pytest.approx(1, abs=0.03)


def test_the_flow_from_the_mean_errs_less_than_a_sample_of_the_posterior_which_errs_twice_as_much_as_the_mean(world):
    mean = world.psnr(run(world, ExactFlow(world), sharpness=0))
    sample = world.psnr(run(world, ExactFlow(world, posterior=True), sharpness=1, steps=400))
    nearest = world.psnr(run(world, ExactFlow(world), sharpness=1, steps=400))
    assert sample == pytest.approx(mean - 10 * math.log10(2), abs=0.15)
    # Of all ways to images as sharp as clean ones the best keeps W's square root of every mode (Freirich et al. 2021).
    share = ExactFlow(world).share
    best = 10 * math.log10(4 / float((2 * world.power * (1 - share.sqrt())).mean()))
    assert best - 0.3 < nearest < best + 0.1 and nearest > sample + 0.5


@pytest.mark.parametrize(("steps", "least"), [(1, 0.75), (2, 0.85), (4, 0.9)])
def test_few_steps_bring_most_of_the_texture_back(world, steps, least):
    assert least < texture(world, run(world, ExactFlow(world), sharpness=1, steps=steps)) < 1.03


def test_on_a_straight_path_one_step_arrives_where_four_do(world):
    exact = ExactFlow(world)
    aim = world.clean.roll(3, dims=-1)
    begin = exact.mean(world.noisy, None) + START * world.sigma * world.noise(0)

    def straight(state, mean, measured, time, conditioning):
        return aim - begin

    options = {"noise": world.noise, "start_noise": START, "limits": world.limits, "sharpness": 1.0}
    ends = [sharpened(exact.mean, straight, world.noisy, told(world.sigma), steps=steps, **options) for steps in (1, 4)]
    assert torch.allclose(ends[0], ends[1], atol=1e-12) and torch.allclose(ends[0], aim, atol=1e-12)


def test_without_sharpness_it_is_the_mean_bit_for_bit_and_the_flow_is_never_asked(world):
    def never(*asked):
        raise AssertionError("the mean needs no flow")

    exact = ExactFlow(world)
    events = []
    options = {"samples": 4, "limits": (-0.5, 0.5)}
    mean = regression(exact.mean, world.noisy, None, **options)
    found = sharpened(
        exact.mean, never, world.noisy, told(0.1), noise=never, start_noise=START, sharpness=0.0, callback=events.append, **options
    )
    assert torch.equal(found, mean) and [(event["i"], event["steps"]) for event in events] == [(k, 4) for k in range(4)]


def test_between_the_ends_it_is_a_straight_line(world):
    exact = ExactFlow(world)
    mean, half, quarter, full = (run(world, exact, sharpness=a) for a in (0.0, 0.5, 0.25, 1.0))
    assert torch.allclose(half, (mean + full) / 2, atol=1e-12) and torch.allclose(quarter, 0.75 * mean + 0.25 * full, atol=1e-12)
    assert not torch.allclose(mean, full, atol=1e-2)


def test_nothing_leaves_the_limits_however_wild_the_flow(world):
    def wild(state, mean, measured, time, conditioning):
        return 1e3 * torch.sign(state)

    options = {"noise": world.noise, "start_noise": START, "limits": (-0.4, 0.6)}
    for sharpness in (0.3, 1.0):
        image = sharpened(ExactFlow(world).mean, wild, world.noisy, told(0.1), sharpness=sharpness, **options)
        assert float(image.min()) >= -0.4 and float(image.max()) <= 0.6


def test_every_slice_starts_with_the_same_field_as_strong_as_its_own_noise(world):
    noise = SharedNoise(tuple(world.noisy.shape[-2:]), 5, torch.device("cpu"))
    states = []

    def watch(state, mean, measured, time, conditioning):
        states.append((state - mean, float(time[0])))
        return torch.zeros_like(state)

    levels = torch.linspace(0.05, 0.3, 6, dtype=torch.float64)
    conditioning = told(1.0)
    conditioning = Conditioning(conditioning.text, conditioning.text_mask, conditioning.acceleration, levels, conditioning.slice_spacing)
    sharpened(ExactFlow(world).mean, watch, world.noisy, conditioning, noise=noise, start_noise=START, steps=2, limits=world.limits)
    assert torch.allclose(states[0][0], START * levels.view(-1, 1, 1, 1) * noise(0))
    assert [time for _, time in states] == [0.25, 0.75], "the middles of two steps"


def test_the_callback_counts_the_views_and_then_the_flows_calls(world):
    events = []
    run(world, ExactFlow(world), samples=3, steps=2, callback=events.append)
    assert [event["i"] for event in events] == list(range(5)) and {event["steps"] for event in events} == {5}
    assert [event["t"] for event in events] == [0, 0, 0, 0.25, 0.75]
