"""What the uncertainty network learns: the scale on which the regression network's answer errs; nothing else of a model changes."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from training_cases import QuickBatches, tiny_networks, trained_before, weights

from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.files import files_of_parts
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.flow import noise_unit
from MRIDenoiseLib.training.objectives import AIR_WEIGHT, UncertaintyObjective
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run import train
from MRIDenoiseLib.training.start import begin_from_bundle, check_plan
from MRIDenoiseLib.training.text import Conditioner

STAGE = Stage("uncertainty", steps=3, batch_size=2, learning_rate=1e-2, ema=0.5, epoch_steps=2)


def quick(stage: Stage) -> QuickBatches:
    return QuickBatches()


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Saying(nn.Module):
    """In the network's place: answers one scale everywhere, and notes what it is shown."""

    def __init__(self, log_scale: float | torch.Tensor) -> None:
        super().__init__()
        self.config = tiny_networks()["uncertainty"].config
        self.log_scale = log_scale
        self.seen = []

    def forward(self, measured, estimate, conditioning):
        self.seen.append((measured, estimate, conditioning))
        return torch.zeros_like(estimate) + self.log_scale


class Erring(nn.Module):
    """In the regression network's place: the clean slices and an error."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.config = tiny_networks()["restoration"].config
        self.answer = answer

    def forward(self, image, conditioning):
        return self.answer


def loss(log_scale: float | torch.Tensor, error: torch.Tensor) -> float:
    batch, networks = QuickBatches().batch(0, 4), trained_before()
    text = Conditioner(networks.tokenizer, networks.text_encoder, "frozen")
    found = UncertaintyObjective(Saying(log_scale), Erring(batch.clean + error), text)(batch, generator())
    return float(found["uncertainty"])


def laplace(scale: torch.Tensor | float) -> torch.Tensor:
    """Errors of that mean absolute value, in units of the noise."""
    batch = QuickBatches().batch(0, 4)
    drawn = torch.distributions.Laplace(0.0, 1.0).icdf(torch.rand(batch.clean.shape, generator=generator()) * 0.999 + 0.0005)
    return drawn * scale * noise_unit(batch.noise_level).view(-1, 1, 1, 1)


def test_the_loss_is_the_likelihood_of_the_error_air_counting_little():
    batch, error = QuickBatches().batch(0, 4), laplace(1.0)
    weight = AIR_WEIGHT + (1 - AIR_WEIGHT) * batch.body
    absolute = error.abs() / noise_unit(batch.noise_level).view(-1, 1, 1, 1)
    expected = float((weight * (0.3 + absolute * math.exp(-0.3))).sum() / weight.sum())
    assert loss(0.3, error) == pytest.approx(expected, rel=1e-4)


def test_the_right_scale_has_the_smallest_loss_and_a_map_beats_one_scale():
    error = laplace(0.5)
    right = loss(math.log(0.5), error)
    assert right < min(loss(math.log(0.4), error), loss(math.log(0.65), error))
    halves = torch.ones(QuickBatches().batch(0, 4).clean.shape)
    halves[..., ::2] = 0.2
    error = laplace(halves)
    assert loss(halves.log(), error) < min(loss(math.log(scale), error) for scale in (0.2, 0.4, 0.6, 0.8, 1.0)) - 0.05


def test_only_the_network_itself_learns_and_it_sees_the_answer_of_the_regression_network():
    networks = trained_before()
    found = UncertaintyObjective.of(STAGE, networks)
    assert found.network is networks["uncertainty"] and found.relied_on()["restoration"] is networks["restoration"]
    assert not any(parameter.requires_grad for parameter in networks["restoration"].parameters())
    found(QuickBatches().batch(0, 2), generator())["uncertainty"].backward()
    assert networks["uncertainty"].head.weight.grad.abs().sum() > 0
    assert found.probe(QuickBatches().batch(0, 2), generator()).keys() == {"uncertainty"}


def test_a_model_without_it_gets_it_and_every_other_weight_stays_as_it_is(tmp_path):
    networks = trained_before()
    del networks["uncertainty"]
    before = write_bundle(tmp_path / "before", **vars(networks), card={"default_method": "regression"})
    recipe = Recipe(config="tiny", stages=(STAGE,))
    start = begin_from_bundle(before.path, recipe)
    check_plan(recipe, start)
    untrained = weights(start.networks["uncertainty"]).clone()
    trained = train(recipe, start.networks, quick, tmp_path / "run").networks
    after = write_bundle(tmp_path / "after", **vars(trained), card={"default_method": "regression"})
    old, new = (files_of_parts(Bundle.load(one.path).card["files"]) for one in (before, after))
    assert not torch.equal(weights(trained["uncertainty"]), untrained)
    changed = {name for name in new if old.get(name) != new[name] and name.endswith(".safetensors")}
    assert changed == {"uncertainty/diffusion_pytorch_model.safetensors"} and old.keys() < new.keys()
    assert after.calibration is None, "nobody has measured yet what its scales stand for"
    with pytest.raises(Exception, match="restoration"):
        check_plan(replace(recipe, stages=(Stage("restoration", steps=1),)), begin_from_bundle(after.path))
