"""The samplers that ours is compared with reach, with the exact denoiser, what theory says they must, within 0.2 dB."""

import pytest
import torch
from linear_theory import expected_ddpm, expected_dps, expected_red_diff

from MRIDenoiseLib.sampling import blind_dps, ddpm, dps, fidelity_guided, red_diff


def sampled(world, sampler, *networks, **options):
    image = sampler(world.denoiser, *networks, world.noisy, None, world.schedule, noise=world.noise, limits=world.limits, **options)
    return world.psnr(image)


def blurring(world):
    """A degradation that is a Gaussian blur, and its transfer function."""
    f = torch.fft.fftfreq(world.power.shape[0], dtype=torch.float64)
    transfer = torch.exp(-40 * (f[:, None] ** 2 + f[None, :] ** 2))
    return (lambda image, conditioning: torch.fft.ifft2(torch.fft.fft2(image) * transfer).real), transfer


def test_a_sample_of_ddpm_is_three_decibels_worse_than_the_posterior_mean(world):
    """Not quite on a thousand steps: each goes by the estimate as if it were certain, which takes a little of the spread away."""
    assert expected_ddpm(world, 1000) == pytest.approx(28.1, abs=0.3)
    assert sampled(world, ddpm, steps=1000) == pytest.approx(expected_ddpm(world, 1000), abs=0.2)


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 50])
def test_ddpm_on_a_coarse_grid_ends_where_its_recursion_says(world, steps):
    assert sampled(world, ddpm, steps=steps) == pytest.approx(expected_ddpm(world, steps), abs=0.2)


def test_one_step_of_ddpm_is_the_posterior_mean(world):
    assert sampled(world, ddpm, steps=1) == pytest.approx(31.1, abs=0.2)


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize(("steps", "guidance"), [(10, 1.0), (10, 20.0), (100, 5.0), (1000, 1.0)])
def test_dps_ends_where_its_recursion_says(world, steps, guidance, conditional):
    found = sampled(world, dps, steps=steps, guidance=guidance, conditional=conditional)
    assert found == pytest.approx(expected_dps(world, steps, guidance, conditional=conditional), abs=0.2)


@pytest.mark.parametrize(("steps", "guidance", "conditional"), [(10, 20.0, True), (100, 5.0, True), (100, 5.0, False)])
def test_blind_dps_ends_where_the_recursion_with_its_degradation_says(world, steps, guidance, conditional):
    blur, transfer = blurring(world)
    found = sampled(world, blind_dps, blur, steps=steps, guidance=guidance, conditional=conditional)
    expected = expected_dps(world, steps, guidance, conditional=conditional, blur=transfer)
    assert found == pytest.approx(expected, abs=0.2)
    assert abs(expected - expected_dps(world, steps, guidance, conditional=conditional)) > 0.25  # the degradation matters here


def test_theory_tells_guidance_from_none_and_its_strengths_apart(world):
    """Otherwise agreeing with it would prove nothing."""
    values = [expected_dps(world, 100, guidance) for guidance in (0.0, 5.0, 20.0)]
    assert min(abs(a - b) for a, b in zip(values, values[1:], strict=False)) > 0.5
    assert abs(expected_dps(world, 100, 5.0, conditional=False) - values[1]) > 0.4


@pytest.mark.parametrize(("fidelity", "prior_weight", "steps", "t_min"), [(0.25, 1.0, 10, 200), (1.0, 0.25, 20, 0), (0.0, 1.0, 30, 50)])
def test_red_diff_ends_where_its_recursion_says(world, fidelity, prior_weight, steps, t_min):
    options = {"steps": steps, "fidelity": fidelity, "prior_weight": prior_weight, "t_min": t_min}
    found = sampled(world, red_diff, mode="tuned", **options)
    assert found == pytest.approx(expected_red_diff(world, **options), abs=0.2)


@pytest.mark.parametrize(("steps", "expected"), [(10, 28.2), (200, 25.8)])
def test_red_diff_as_published_gets_worse_with_more_steps(world, steps, expected):
    assert sampled(world, red_diff, steps=steps) == pytest.approx(expected, abs=0.2)


def test_red_diff_is_fidelity_guidance_without_a_degradation(world):
    def none(image, conditioning):
        return image

    given = {"noise": world.noise, "limits": world.limits, "steps": 4, "mode": "paper"}
    ours = fidelity_guided(world.denoiser, none, world.noisy, None, world.schedule, **given)
    assert torch.equal(red_diff(world.denoiser, world.noisy, None, world.schedule, **given), ours)


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_ddpm_and_dps_give_an_image_without_noise_back(quiet_world, steps):
    assert sampled(quiet_world, ddpm, steps=steps) > 45
    assert sampled(quiet_world, dps, steps=steps, guidance=1.0) > 45
