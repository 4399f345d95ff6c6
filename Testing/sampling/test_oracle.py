"""Every sampler reaches, with the exact denoiser, what theory says it must, within 0.2 dB."""

import pytest

from MRIDenoiseLib.sampling import ddim, fidelity_guided, posterior_mean


def identity(image, conditioning):
    return image


def guided(world, **options):
    image = fidelity_guided(world.denoiser, identity, world.noisy, None, world.schedule, noise=world.noise, limits=world.limits, **options)
    return world.psnr(image)


def test_the_noisy_image_itself_is_26_dB(world):
    assert world.psnr(world.noisy) == pytest.approx(26.0, abs=0.1)


def test_one_call_at_the_last_timestep_is_the_posterior_mean(world):
    image = posterior_mean(world.denoiser, world.noisy, None, world.schedule, noise=world.noise, limits=world.limits)
    assert world.psnr(image) == pytest.approx(31.1, abs=0.2)
    assert world.psnr((world.noisy + image) / 2) == pytest.approx(29.2, abs=0.2)


def test_one_sample_is_three_decibels_worse_than_the_mean(world):
    image = ddim(world.denoiser, world.noisy, None, world.schedule, noise=world.noise, steps=1000, limits=world.limits)
    assert world.psnr(image) == pytest.approx(28.1, abs=0.2)


def test_the_mean_of_eight_samples_regains_most_of_it(world):
    image = posterior_mean(world.denoiser, world.noisy, None, world.schedule, noise=world.noise, samples=8, steps=200, limits=world.limits)
    assert world.psnr(image) == pytest.approx(30.6, abs=0.2)


@pytest.mark.parametrize(("fidelity", "expected"), [(0.0, 31.1), (0.05, 31.1), (0.25, 30.7), (1.0, 29.2)])
@pytest.mark.parametrize("steps", [10, 50])
def test_tuned_mode_converges_to_the_blend_its_weights_ask_for(world, fidelity, expected, steps):
    assert guided(world, fidelity=fidelity, steps=steps) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(("steps", "expected"), [(10, 28.2), (200, 25.8)])
def test_paper_mode_gets_worse_with_more_steps(world, steps, expected):
    assert guided(world, mode="paper", steps=steps) == pytest.approx(expected, abs=0.2)


def test_a_gentler_adam_with_a_stronger_prior_is_near_the_posterior_mean(world):
    assert guided(world, mode="paper", steps=10, prior_weight=4, learning_rate=0.02) == pytest.approx(30.8, abs=0.2)


# Where the reference's grid of timesteps ends is not written down; the last few decide these long runs, and t = 5 gives its figures.
@pytest.mark.parametrize(("prior_weight", "steps", "expected", "t_min"), [(0.25, 200, 26.5, 5), (1.0, 200, 27.7, 5), (16.0, 10, 30.8, 0)])
def test_gradient_descent_keeps_the_noise_when_the_likelihood_is_strong(world, prior_weight, steps, expected, t_min):
    psnr = guided(world, fidelity=1.0, prior_weight=prior_weight, steps=steps, t_min=t_min)
    assert psnr == pytest.approx(expected, abs=0.2)


def test_an_image_without_noise_comes_back(quiet_world):
    assert guided(quiet_world, steps=10) > 45
    mean = posterior_mean(quiet_world.denoiser, quiet_world.noisy, None, quiet_world.schedule, noise=quiet_world.noise)
    assert quiet_world.psnr(mean) > 45
