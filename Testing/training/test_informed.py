"""How a denoiser learns that starts where regression ends: beside the restoration network it will have, which stays as it is."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training_cases import QuickBatches, trained_before, weights

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.inference import METHODS, Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.configs import CONFIGS, Networks, build_networks, tiny
from MRIDenoiseLib.training.objectives import DenoiserObjective, answer
from MRIDenoiseLib.training.recipe import Recipe, Stage, same_training
from MRIDenoiseLib.training.run import train, trained_so_far
from MRIDenoiseLib.training.start import begin_as_kept, begin_at_random, begin_from_bundle, check_plan
from MRIDenoiseLib.training.text import Conditioner
from MRIDenoiseLib.volume import Volume

RECIPES = Path(__file__).resolve().parents[2] / "scripts" / "recipes"
NOISE = Stage("noise_estimator", steps=2, batch_size=2, learning_rate=1e-2, ema=0.5)
RESTORATION = Stage("restoration", steps=3, batch_size=2, learning_rate=1e-3, ema=0.5, text="whole")
DENOISER = Stage("denoiser", steps=3, batch_size=2, learning_rate=1e-3, ema=0.5)
FLOW = Stage("flow", steps=2, batch_size=2, learning_rate=1e-3, ema=0.5)
UNCERTAINTY = replace(FLOW, network="uncertainty")
DEGRADATION = Stage("degradation", steps=1, batch_size=1, learning_rate=1e-3, ema=0.5, structural=0.0, adversarial=0.0)
RECIPE = Recipe(config="tiny", stages=(RESTORATION, DENOISER), method="posterior-mean")
FROZEN = replace(RESTORATION, text="frozen")


@pytest.fixture(autouse=True)
def informed_sizes(monkeypatch):
    sizes = tiny()
    monkeypatch.setitem(
        CONFIGS, "tiny", lambda: replace(sizes, networks=sizes.networks | {"denoiser": {**sizes.networks["denoiser"], "informed": True}})
    )


def networks() -> Networks:
    torch.manual_seed(0)
    return build_networks(CONFIGS["tiny"]())


def quick(stage: Stage) -> QuickBatches:
    return QuickBatches()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def objective(network: nn.Module) -> DenoiserObjective:
    """Beside a restoration network that does something."""
    before = trained_before()
    text = Conditioner(before.tokenizer, before.text_encoder, "frozen")
    return DenoiserObjective(network, before.scheduler, text, restoration=before["restoration"])


class Watching(nn.Module):
    """In the denoiser's place: notes what it is given and answers with the answer that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.config = networks()["denoiser"].config
        self.seen = []

    def forward(self, state, measured, timestep, conditioning, mean=None):
        self.seen.append((measured, conditioning, mean))
        return torch.zeros_like(state) if mean is None else mean


def test_it_is_shown_what_the_restoration_network_answers_to_these_very_slices_and_words():
    watching = Watching()
    learning, batch = objective(watching), QuickBatches().batch(0, 4)
    for seed in range(40):
        learning(batch, generator(seed))
    dropped = [mean for measured, _, mean in watching.seen if measured is None]
    assert dropped and all(mean is None for mean in dropped), "without a measurement there is no answer either"
    for measured, conditioning, mean in watching.seen:
        if measured is not None:
            assert torch.equal(mean, answer(learning.restoration, batch, conditioning)) and not mean.requires_grad
            assert not torch.equal(mean, batch.measured[:, 1:2])


def test_nothing_but_the_denoiser_learns_and_it_learns_what_regression_missed():
    learning = objective(CONFIGS["tiny"]().build("denoiser"))
    before = weights(learning.restoration, learning.text)
    batch, seed = QuickBatches().batch(0, 4), next(s for s in range(9) if torch.rand(1 + 4, generator=generator(s))[4] > 0.1)
    optimizer = torch.optim.Adam([p for p in learning.parameters() if p.requires_grad], 5e-3)
    losses = []
    for _ in range(40):
        loss = learning(batch, generator(seed))["denoiser"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert torch.equal(weights(learning.restoration, learning.text), before)


def test_trained_by_a_recipe_and_written_to_disk_every_method_runs(tmp_path):
    recipe = replace(RECIPE, stages=(NOISE, RESTORATION, DENOISER, DEGRADATION, FLOW))
    start = begin_at_random(recipe)
    check_plan(recipe, start)
    whole = train(recipe, start.networks, quick, tmp_path / "run")
    assert whole.networks["denoiser"].config.informed and weights(whole.networks["denoiser"].unet.conv_out).any()
    again = trained_so_far(recipe, begin_at_random(recipe).networks, tmp_path / "run").networks
    assert torch.equal(weights(again["denoiser"]), weights(whole.networks["denoiser"]))
    bundle = write_bundle(tmp_path / "model", **vars(again), card={"default_method": "posterior-mean"})
    clean = np.stack([QuickBatches(size=48).clean[k].numpy() for k in range(4)])
    noisy = 500 * (clean + 1) + 40 * np.random.default_rng(0).standard_normal(clean.shape)
    volume = Volume(np.abs(noisy).astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))
    for name in METHODS:
        short = {"steps": 2} if name in ("fidelity-guided", "ddim") else {}
        assert np.isfinite(Denoiser(bundle)(volume, Settings(method=name, **short)).volume.voxels).all(), name


def test_it_is_trained_after_the_restoration_network_and_belongs_to_that_very_one(tmp_path):
    with pytest.raises(SettingsError, match="restoration network trains what the others rely on"):
        train(replace(RECIPE, stages=(FROZEN, DENOISER)), networks(), quick, tmp_path / "alone", only="denoiser")
    train(RECIPE, networks(), quick, tmp_path / "run")
    longer = replace(RECIPE, stages=(replace(FROZEN, steps=4), DENOISER))
    shutil.copytree(tmp_path / "run" / "denoiser", tmp_path / "longer" / "denoiser")
    with pytest.raises(SettingsError, match="trained further after"):
        train(longer, networks(), quick, tmp_path / "longer")
    without = networks()
    del without["restoration"]
    with pytest.raises(SettingsError, match="starts from the answers of the restoration network"):
        train(replace(RECIPE, stages=(DENOISER,)), without, quick, tmp_path / "without")


def test_what_it_cannot_do_without_is_asked_for_before_anything_is_trained(tmp_path):
    with pytest.raises(SettingsError, match="stage of the denoiser comes after that of the restoration"):
        check_plan(replace(RECIPE, stages=(NOISE, replace(DENOISER, text="whole"), FROZEN)), begin_at_random(RECIPE))
    start = begin_from_bundle(write_bundle(tmp_path / "model", **vars(networks()), card={"default_method": "posterior-mean"}).path)
    check_plan(replace(RECIPE, stages=(DENOISER,)), start)
    check_plan(replace(RECIPE, stages=(FROZEN, DENOISER, FLOW, UNCERTAINTY)), start)
    with pytest.raises(SettingsError, match="must train the denoiser after it"):
        check_plan(replace(RECIPE, stages=(FROZEN, FLOW, UNCERTAINTY)), start)
    del start.networks["restoration"], start.networks["flow"], start.networks["uncertainty"]
    with pytest.raises(SettingsError, match="has no restoration network"):
        check_plan(replace(RECIPE, stages=(DENOISER,), method="posterior-mean"), start)


def test_an_older_model_is_given_one_and_all_the_rest_stays_as_it_is(tiny_bundle, tmp_path):
    plan = Recipe(config="tiny", stages=(replace(DENOISER, afresh=True),))
    assert not begin_from_bundle(tiny_bundle).networks["denoiser"].config.informed
    start = begin_from_bundle(tiny_bundle, plan)
    check_plan(plan, start)
    start.keep(tmp_path / "start")
    kept = begin_as_kept(plan, tmp_path / "start").networks
    assert kept["denoiser"].config.informed and torch.equal(weights(kept["denoiser"]), weights(start.networks["denoiser"])), "from the seed"
    trained = train(plan, start.networks, quick, tmp_path / "run").networks
    new = write_bundle(tmp_path / "new", **vars(trained), card={"default_method": "regression"}).card["files"]
    before = Bundle.load(tiny_bundle).card["files"]
    changed = [name for name in before if new.get(name) != before[name] and name.endswith(".safetensors")]
    assert changed == ["denoiser/diffusion_pytorch_model.safetensors"]


@pytest.mark.parametrize("name", ["site-finetune", "m4raw-finetune", "fastmri-fewshot", "after_regression"])
def test_the_recipes_that_start_from_a_model_suit_one_with_an_informed_denoiser_and_one_without(name, tiny_bundle, tmp_path):
    recipe = replace(Recipe.read(RECIPES / f"{name}.yaml"), config="tiny")
    check_plan(recipe, begin_from_bundle(tiny_bundle, recipe))
    path = write_bundle(tmp_path / "model", **vars(networks()), card={"default_method": "regression"}).path
    check_plan(recipe, begin_from_bundle(path, recipe))


def test_a_run_begun_before_the_key_existed_goes_on_unless_its_denoiser_is_to_be_another():
    config = dict(build_networks(tiny())["denoiser"].config)
    older = {key: value for key, value in config.items() if key != "informed"}
    assert same_training(RECIPE.identity(DENOISER, older), RECIPE.identity(DENOISER, config))
    assert not same_training(RECIPE.identity(DENOISER, older), RECIPE.identity(DENOISER, config | {"informed": True}))
