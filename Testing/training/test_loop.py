"""Training: every network learns on a tiny problem, gradients go where they should, and a stopped run goes on exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.models.configs import build_networks, tiny
from MRIDenoiseLib.training.loop import Recipe, averaged_networks, train
from MRIDenoiseLib.training.objectives import JointObjective
from MRIDenoiseLib.training.samples import PairSampler
from MRIDenoiseLib.training.volumes import CleanVolume, ManifestRow, manifest_acquisition
from MRIDenoiseLib.volume import Acquisition

RECIPE = Recipe(config="tiny", steps=6, crop=64, batch_size=2, learning_rate=1e-3)


@pytest.fixture(scope="module")
def volumes() -> list[CleanVolume]:
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    slices = np.stack([np.where(np.hypot(x, y) < 0.9, 0.6 + 0.3 * np.sin(9 * x + 0.2 * k), 0.0) for k in range(4)]).astype(np.float32)
    row = ManifestRow("v.nii", "made here", "none", "head", "T1w", "Siemens", "s")
    return [CleanVolume(slices, slices > 0.1, 3.0, manifest_acquisition(row, Acquisition()), row)]


def weights(networks) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in JointObjective(networks).parameters()])


def test_a_stopped_run_goes_on_to_the_same_weights(volumes, tmp_path):
    whole = train(RECIPE, volumes, tmp_path / "whole")
    # The learning rate follows the length of the plan: stop the long plan itself by taking its state at three steps.
    stopped = _train_and_stop(volumes, tmp_path / "stopped", at=3)
    assert not torch.equal(weights(stopped), weights(whole))
    resumed = train(RECIPE, volumes, tmp_path / "stopped")
    assert torch.allclose(weights(resumed), weights(whole), atol=1e-6)


def _train_and_stop(volumes, run, at: int):
    """Run the plan, but stop after ``at`` steps as a kill right behind a checkpoint would."""

    class Stopping(PairSampler):
        def batch(self, index: int, batch_size: int):
            if index == at:
                raise KeyboardInterrupt
            return super().batch(index, batch_size)

    import MRIDenoiseLib.training.loop as loop

    original, seconds = loop.PairSampler, loop.CHECKPOINT_SECONDS
    loop.PairSampler, loop.CHECKPOINT_SECONDS = Stopping, -1
    try:
        with pytest.raises(KeyboardInterrupt):
            train(RECIPE, volumes, run)
    finally:
        loop.PairSampler, loop.CHECKPOINT_SECONDS = original, seconds
    return averaged_networks(RECIPE, run).networks


def test_the_averaged_weights_on_disk_are_those_returned(volumes, tmp_path):
    networks = train(replace(RECIPE, steps=2), volumes, tmp_path)
    again = averaged_networks(RECIPE, tmp_path)
    assert again.steps == 2 and torch.equal(weights(networks), weights(again.networks))
    assert again.facts["files"] == ["v.nii"] and again.facts["processes"] == 1
    with pytest.raises(SettingsError, match="another recipe"):
        train(replace(RECIPE, seed=1), volumes, tmp_path)


def test_losses_fall_on_a_problem_small_enough(volumes):
    torch.manual_seed(0)
    objective = JointObjective(build_networks(tiny()))
    batch = PairSampler(volumes, 64, seed=0).batch(0, 4)
    optimizer = torch.optim.Adam(objective.parameters(), lr=5e-3)

    def step() -> dict[str, float]:
        losses = objective(batch, torch.Generator().manual_seed(1))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        return {name: loss.item() for name, loss in losses.items()}

    first = step()
    last = [step() for _ in range(30)][-1]
    assert set(first) == {"restoration", "denoiser", "degradation"}
    # The degradation network cannot predict noise, only what is systematic: its loss has a high floor.
    assert last["restoration"] < 0.9 * first["restoration"]
    assert last["denoiser"] < 0.9 * first["denoiser"]
    assert last["degradation"] < 0.99 * first["degradation"]


def test_no_loss_of_the_degradation_network_reaches_the_restoration_network(volumes):
    objective = JointObjective(build_networks(tiny()))
    for parameters in objective.parameters():
        parameters.data += 0.02 * torch.randn_like(parameters)
    batch = PairSampler(volumes, 64, seed=0).batch(0, 2)
    objective(batch, torch.Generator().manual_seed(1))["degradation"].backward()
    assert all(p.grad is None for p in objective.restoration.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.degradation.parameters())


def test_crops_too_small_to_tell_their_noise_are_refused(volumes):
    with pytest.raises(InputError, match="larger crops"):
        PairSampler(volumes, 16, seed=0).batch(0, 1)


def test_a_recipe_with_a_misspelt_key_or_configuration_is_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("config: compact\nlerning_rate: 1\n")
    with pytest.raises(SettingsError, match="lerning_rate"):
        Recipe.read(path)
    for unfit in ("huge", "paper"):
        path.write_text(f"config: {unfit}\n")
        with pytest.raises(SettingsError, match=unfit):
            Recipe.read(path)
    with pytest.raises(SettingsError, match="no checkpoint"):
        averaged_networks(RECIPE, tmp_path)
