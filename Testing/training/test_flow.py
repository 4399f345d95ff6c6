"""What the flow learns: straight from the regression network's answer to the clean slice; and how it comes into a model."""

import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn
from training_cases import QuickBatches, tiny_networks, trained_before, weights

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.files import files_of_parts
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.training.objectives import FlowObjective
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run import train, trained_so_far
from MRIDenoiseLib.training.start import begin_as_kept, begin_from_bundle, check_plan
from MRIDenoiseLib.training.text import Conditioner

FLOW = Stage("flow", steps=3, batch_size=2, learning_rate=1e-2, ema=0.5, epoch_steps=2)
RESTORATION = Stage("restoration", steps=2, batch_size=2, learning_rate=1e-3, ema=0.5, text="whole")
RECIPE = Recipe(config="tiny", stages=(RESTORATION, FLOW))


def quick(stage: Stage) -> QuickBatches:
    return QuickBatches()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def objective(flow: nn.Module | None = None) -> FlowObjective:
    networks = trained_before()
    text = Conditioner(networks.tokenizer, networks.text_encoder, "frozen")
    return FlowObjective(flow or networks["flow"], networks["restoration"], text)


class Watching(nn.Module):
    """In the flow's place: notes what it is shown and answers with ``answer`` of it."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.config = tiny_networks()["flow"].config
        self.answer = answer
        self.seen = []

    def forward(self, state, mean, measured, time, conditioning):
        self.seen.append((state, mean, measured, time, conditioning))
        return self.answer(*self.seen[-1])


def test_the_loss_is_zero_for_the_velocity_that_leads_straight_to_the_clean_slice():
    batch = QuickBatches().batch(0, 4)

    def perfect(state, mean, measured, time, conditioning):
        # z_t = (1 - t) z_0 + t x: from where it is, in the time that is left.
        return (batch.clean - state) / (1 - time).view(-1, 1, 1, 1)

    watching = Watching(perfect)
    assert float(objective(watching)(batch, generator())["flow"]) < 1e-6
    state, mean, measured, time, conditioning = watching.seen[0]
    assert torch.equal(measured, batch.measured[:, 1:2]) and ((time > 0) & (time < 1)).all() and len(set(time.tolist())) == 4
    start = (state - time.view(-1, 1, 1, 1) * batch.clean) / (1 - time).view(-1, 1, 1, 1)
    strength = (start - mean).std(dim=(1, 2, 3)) / conditioning.noise_level
    assert torch.allclose(strength, torch.tensor(watching.config.start_noise), rtol=0.1)


def test_where_the_flow_stands_still_the_loss_is_the_error_of_the_mean_and_of_the_noise_put_into_it():
    batch = QuickBatches().batch(0, 4)
    watching = Watching(lambda state, *_: torch.zeros_like(state))
    loss = float(objective(watching)(batch, generator())["flow"])
    state, mean, _, time, _ = watching.seen[0]
    start = (state - time.view(-1, 1, 1, 1) * batch.clean) / (1 - time).view(-1, 1, 1, 1)
    weight = 0.1 + 0.9 * batch.body
    expected = (weight * (start - batch.clean).square() / (batch.noise_level.square() + 1e-4).view(-1, 1, 1, 1)).mean()
    assert loss == pytest.approx(float(expected), rel=1e-4)
    assert not torch.equal(mean, batch.measured[:, 1:2]), "the mean is the restoration network's answer"


def test_nothing_but_the_flow_learns_and_it_learns_a_problem_small_enough():
    learning = objective()
    before = weights(learning.restoration, learning.text)
    batch = QuickBatches().batch(0, 4)
    optimizer = torch.optim.Adam([p for p in learning.parameters() if p.requires_grad], 5e-3)
    losses = []
    for _ in range(40):
        loss = learning(batch, generator())["flow"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert torch.equal(weights(learning.restoration, learning.text), before)
    assert all((p.grad is not None) == p.requires_grad for p in learning.parameters())
    assert learning.probe(batch, generator())["flow"] == pytest.approx(losses[-1], rel=0.2)


def test_it_is_trained_after_the_restoration_network_and_belongs_to_that_very_one(tmp_path):
    with pytest.raises(SettingsError, match="comes after that of the restoration"):
        replace(RECIPE, stages=(FLOW, replace(RESTORATION, text="frozen")))
    with pytest.raises(SettingsError, match="restoration network trains what the others rely on"):
        train(replace(RECIPE, stages=(replace(RESTORATION, text="frozen"), FLOW)), tiny_networks(), quick, tmp_path / "frozen", only="flow")
    whole = train(RECIPE, tiny_networks(), quick, tmp_path / "run")
    assert list(whole.stages) == ["restoration", "flow"] and weights(whole.networks["flow"].head).any()
    found = trained_so_far(RECIPE, tiny_networks(), tmp_path / "run").networks
    assert torch.equal(weights(found["flow"], found["restoration"]), weights(whole.networks["flow"], whole.networks["restoration"]))
    longer = replace(RECIPE, stages=(replace(RESTORATION, steps=4, text="frozen"), FLOW))
    shutil.copytree(tmp_path / "run" / "flow", tmp_path / "longer" / "flow")
    with pytest.raises(SettingsError, match="trained further after"):
        train(longer, tiny_networks(), quick, tmp_path / "longer")


def test_a_model_without_a_flow_is_given_one_and_all_the_rest_stays_as_it_is(tiny_bundle, tmp_path):
    model = Bundle.load(tiny_bundle)
    parts = {name: getattr(model, name) for name in ("text_encoder", "tokenizer", "scheduler")}
    parts["networks"] = {name: model.network(name) for name in NETWORKS if name != "flow"}
    old = write_bundle(tmp_path / "old", **parts, card={"default_method": "regression"})
    plan = Recipe(config="tiny", stages=(FLOW,))
    assert "flow" not in begin_from_bundle(old.path).networks
    start = begin_from_bundle(old.path, plan)
    check_plan(plan, start)
    start.keep(tmp_path / "start")
    kept = begin_as_kept(plan, tmp_path / "start").networks
    assert torch.equal(weights(kept["flow"]), weights(start.networks["flow"])), "from the seed"
    train(plan, start.networks, quick, tmp_path / "run")
    networks = trained_so_far(plan, kept, tmp_path / "run").networks
    new = write_bundle(tmp_path / "new", **vars(networks), card={"default_method": "sharpened"})
    files, before = (files_of_parts(model.card["files"]) for model in (new, old))
    assert set(files) - set(before) == {"flow/config.json", "flow/diffusion_pytorch_model.safetensors"}
    assert [name for name in before if files[name] != before[name]] == ["model_index.json"]


def test_what_the_flow_cannot_do_without_is_asked_for_before_anything_is_trained(tiny_bundle):
    start = begin_from_bundle(tiny_bundle)
    frozen = replace(RESTORATION, text="frozen")
    uncertainty = Stage("uncertainty", steps=1)
    check_plan(Recipe(config="tiny", stages=(frozen, FLOW, uncertainty)), start)
    with pytest.raises(SettingsError, match="must train the flow after it"):
        check_plan(Recipe(config="tiny", stages=(frozen, uncertainty)), start)
    del start.networks["flow"]
    with pytest.raises(SettingsError, match="method is sharpened, but the model it starts from has no flow"):
        check_plan(Recipe(config="tiny", stages=(Stage("denoiser", steps=1),), method="sharpened"), start)
    start = begin_from_bundle(tiny_bundle)
    del start.networks["restoration"]
    with pytest.raises(SettingsError, match="flow starts from the answers of the restoration network"):
        check_plan(Recipe(config="tiny", stages=(FLOW,), method="posterior-mean"), start)
