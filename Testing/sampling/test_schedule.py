"""The forward process holds the noise it says it holds."""

import pytest
import torch
from diffusers import DDIMScheduler

from MRIDenoiseLib.sampling import Schedule, SharedNoise


def test_the_last_state_is_pure_noise(schedule):
    assert schedule.amplitudes(len(schedule) - 1) == (0.0, 1.0)


@pytest.mark.parametrize("timestep", [0, 250, 500, 999])
def test_the_state_has_the_variance_of_its_timestep(schedule, timestep):
    noise = torch.randn(400_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state = schedule.add_noise(torch.full_like(noise, 0.7), noise, timestep)
    alpha_bar = float(schedule.alpha_bar[timestep])
    assert float(state.var()) == pytest.approx(1 - alpha_bar, rel=0.01)
    assert float(state.mean()) == pytest.approx(0.7 * alpha_bar**0.5, abs=0.01)


def test_the_grid_descends_from_the_last_timestep_to_the_smallest(schedule):
    assert schedule.timesteps(1) == [999]
    assert schedule.timesteps(5, 199) == [999, 799, 599, 399, 199]
    grid = schedule.timesteps(800, 200)
    assert grid == sorted(set(grid), reverse=True) and grid[-1] == 200


@pytest.mark.parametrize("steps", [0, 801])
def test_more_steps_than_timesteps_are_refused(schedule, steps):
    with pytest.raises(ValueError, match="steps"):
        schedule.timesteps(steps, 200)


def test_a_schedule_for_another_kind_of_network_is_refused():
    with pytest.raises(ValueError, match="epsilon"):
        Schedule.from_scheduler(DDIMScheduler(prediction_type="epsilon"))


def test_a_noise_field_depends_on_seed_and_index_only():
    noise = SharedNoise((40, 24), 7, torch.device("cpu"))
    fields = [noise(i) for i in range(3)]
    torch.manual_seed(99)
    assert torch.equal(noise(1), fields[1])
    assert not torch.equal(fields[0], fields[1])
    assert not torch.equal(SharedNoise((40, 24), 8, torch.device("cpu"))(1), fields[1])
    stacked = torch.cat(fields)
    assert stacked.shape == (3, 1, 40, 24)
    assert abs(float(stacked.mean())) < 0.1 and abs(float(stacked.std()) - 1) < 0.05
