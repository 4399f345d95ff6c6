"""What a run starts from, what is kept of it, and which recipes can be carried out from there."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_cases import text_tower, weights

from MRIDenoiseLib.errors import BundleError, SettingsError
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.configs import CONFIGS, ModelConfig, tiny
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.start import Start, begin_as_kept, begin_at_random, begin_from_bundle, begin_with_tower, check_plan

RESTORATION, DENOISER = Stage("restoration", steps=2, text="whole"), Stage("denoiser", steps=2)
DEGRADATION = Stage("degradation", steps=2, structural=0.0)
FLOW = Stage("flow", steps=2)
UNCERTAINTY = Stage("uncertainty", steps=2)
NOISE = Stage("noise_estimator", steps=2)
RECIPE = Recipe(config="tiny", stages=(NOISE, RESTORATION, DENOISER, DEGRADATION))


def all_weights(start: Start) -> torch.Tensor:
    networks = start.networks
    return weights(networks["denoiser"], networks["degradation"], networks["restoration"], networks.text_encoder)


def widened(sizes: ModelConfig, **changes) -> ModelConfig:
    """With another restoration network."""
    return replace(sizes, networks={**sizes.networks, "restoration": {**sizes.networks["restoration"], **changes}})


def plan(*stages: Stage, **changes) -> Recipe:
    return replace(RECIPE, stages=stages, **changes)


def test_random_weights_follow_from_the_seed_and_nothing_needs_to_be_kept(tmp_path):
    start = begin_at_random(RECIPE)
    start.keep(tmp_path / "start")
    assert not (tmp_path / "start").exists() and start.origin == {}
    torch.manual_seed(99)
    assert torch.equal(all_weights(begin_as_kept(RECIPE, tmp_path / "start")), all_weights(start))
    assert not torch.equal(all_weights(begin_at_random(replace(RECIPE, seed=1))), all_weights(start))


def test_a_flow_that_no_stage_trains_is_not_there_and_leaves_the_other_weights_as_they_are():
    without, having = begin_at_random(RECIPE), begin_at_random(plan(*RECIPE.stages, FLOW))
    assert "flow" not in without.networks and "flow" in having.networks
    assert torch.equal(all_weights(without), all_weights(having))


def test_a_bundles_networks_are_trainable_and_kept_whole(tiny_bundle, tmp_path):
    start = begin_from_bundle(tiny_bundle)
    assert start.origin == {"bundle": "tiny", "hash": Bundle.load(tiny_bundle).hash}
    assert all(parameter.requires_grad for name in NETWORKS for parameter in start.networks[name].parameters())
    start.keep(tmp_path / "start")
    kept = begin_as_kept(RECIPE, tmp_path / "start")
    assert kept.origin == start.origin and torch.equal(all_weights(kept), all_weights(start))


def test_a_restoration_network_grows_where_the_recipe_says_so_and_to_the_same_weights_every_time(tiny_bundle, tmp_path, monkeypatch):
    before = begin_from_bundle(tiny_bundle, RECIPE)
    larger = widened(tiny(), in_channels=5, channels=(6, 4, 5))
    monkeypatch.setitem(CONFIGS, "tiny", lambda: larger)
    assert (
        before.networks["restoration"].config.in_channels
        == begin_from_bundle(tiny_bundle, RECIPE).networks["restoration"].config.in_channels
    )
    growing = replace(RECIPE, grow=True)
    start = begin_from_bundle(tiny_bundle, growing)
    assert list(start.networks["restoration"].config.channels) == [6, 4, 5]
    assert all(parameter.requires_grad for parameter in start.networks["restoration"].parameters())
    start.keep(tmp_path / "start")
    torch.manual_seed(99)
    assert torch.equal(all_weights(begin_as_kept(growing, tmp_path / "start")), all_weights(start))
    assert start.origin == before.origin, "a run that goes on knows it again"
    monkeypatch.setitem(CONFIGS, "tiny", lambda: widened(larger, subspace_dim=3))
    with pytest.raises(SettingsError, match="grows in its widths"):
        begin_from_bundle(tiny_bundle, growing)


def test_a_towers_weights_are_kept_and_its_place_on_this_machine_is_not_told(tmp_path):
    start = begin_with_tower(RECIPE, str(text_tower(tmp_path / "Jane" / "tower")), None)
    assert "Jane" not in str(start.origin)
    start.keep(tmp_path / "start")
    kept = begin_as_kept(RECIPE, tmp_path / "start")
    assert kept.origin["hash"] == start.origin["hash"] and torch.equal(all_weights(kept), all_weights(start))
    prompt = "ge knee pd unknown sag 3x"
    assert kept.networks.tokenizer(prompt)["input_ids"] == start.networks.tokenizer(prompt)["input_ids"]


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError):
        begin_from_bundle(tmp_path)


def test_a_text_encoder_that_nothing_taught_must_be_trained_whole():
    check_plan(RECIPE, begin_at_random(RECIPE))
    for text in ("frozen", "lora"):
        with pytest.raises(SettingsError, match="starts from nothing"):
            check_plan(plan(NOISE, replace(RESTORATION, text=text)), begin_at_random(RECIPE))


def test_with_a_trained_tower_an_adapter_is_enough(tmp_path):
    start = begin_with_tower(RECIPE, str(text_tower(tmp_path / "tower")), None)
    check_plan(plan(NOISE, replace(DENOISER, text="lora"), DEGRADATION), start)


def test_somebody_must_teach_the_noise_estimator(tiny_bundle):
    with pytest.raises(SettingsError, match="noise estimator starts from nothing"):
        check_plan(plan(RESTORATION), begin_at_random(RECIPE))
    start = begin_from_bundle(tiny_bundle)
    del start.networks["noise_estimator"]
    with pytest.raises(SettingsError, match="has no noise estimator"):
        check_plan(plan(DENOISER), start)
    adapted = replace(DENOISER, text="lora")
    check_plan(plan(adapted, replace(RESTORATION, text="frozen"), DEGRADATION, FLOW, UNCERTAINTY, records=1.0), start)


def test_a_bundles_words_may_change_only_when_all_its_networks_learn_them(tiny_bundle):
    start = begin_from_bundle(tiny_bundle)
    adapted = replace(DENOISER, text="lora")
    check_plan(plan(DENOISER), start)
    check_plan(plan(adapted, DEGRADATION, replace(RESTORATION, text="frozen"), FLOW, UNCERTAINTY), start)
    with pytest.raises(SettingsError, match="lose its words"):
        check_plan(plan(adapted, DEGRADATION), start)


def test_without_a_regression_twin_it_can_neither_be_trained_nor_be_the_default(tiny_bundle):
    start = begin_from_bundle(tiny_bundle)
    del start.networks["restoration"], start.networks["flow"], start.networks["uncertainty"]
    with pytest.raises(SettingsError, match="trains the restoration network, but"):
        check_plan(plan(replace(RESTORATION, text="frozen")), start)
    with pytest.raises(SettingsError, match="method is regression, but"):
        check_plan(plan(DENOISER), start)
    check_plan(plan(replace(DENOISER, text="lora"), DEGRADATION, method="posterior-mean"), start)


def test_what_is_kept_replaces_only_what_was_kept(tmp_path, tiny_bundle):
    own = tmp_path / "start"
    own.mkdir()
    (own / "thesis.txt").write_text("mine")
    with pytest.raises(Exception, match="not an earlier result"):
        begin_from_bundle(tiny_bundle).keep(own)
    assert Path(own / "thesis.txt").read_text() == "mine"
