"""Recipes: what they decide, what they refuse, and which checkpoints belong to them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.configs import tiny
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.training.recipe import Recipe, Stage, same_training

RECIPES = Path(__file__).resolve().parents[2] / "scripts" / "recipes"
RESTORATION = Stage("restoration", steps=10, text="whole")


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_that_ships_trains_the_regression_twin_or_what_rests_on_it_and_survives_being_written_down(path, tmp_path):
    recipe = Recipe.read(path)
    assert {"restoration", "flow", "uncertainty"} & {stage.network for stage in recipe.stages}
    assert Recipe.read(written(tmp_path / "copy.yaml", recipe.as_yaml())) == recipe


def test_the_papers_numbers_are_in_its_recipe():
    recipe = Recipe.read(RECIPES / "paper.yaml")
    denoiser, degradation = (next(stage for stage in recipe.stages if stage.network == name) for name in ("denoiser", "degradation"))
    assert (denoiser.learning_rate, denoiser.schedule, denoiser.decay, denoiser.ema) == (1e-4, "exponential", 0.998, 0.9999)
    assert (denoiser.text, denoiser.lora_rank, denoiser.weighting) == ("lora", 8, "plain")
    assert (degradation.cycle, degradation.unities, degradation.adversarial, degradation.structural) == ("paper", 2, 0.5, 0.5)
    for stage in recipe.stages[1:]:
        assert stage.steps == 100 * stage.epoch_steps, "a hundred epochs"
        assert stage.learning_rate_at(stage.steps - 1) == pytest.approx(1e-4 * 0.998**99)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("stages: [{network: restoration, steps: 3, lerning_rate: 1}]", "lerning_rate"),
        ("confg: compact\nstages: [{network: restoration, steps: 3}]", "confg"),
        ("config: huge\nstages: [{network: restoration, steps: 3}]", "huge"),
        ("config: compact", "no list of stages"),
        ("stages: []", "at least one stage"),
        ("stages: [restoration]", "list of keys"),
        ("stages: [{network: restoration}]", "steps"),
        ("stages: [{network: heart, steps: 3}]", "network is one of"),
        ("stages: [{network: restoration, steps: 0}]", "steps is a whole number"),
        ("stages: [{network: restoration, steps: true}]", "steps is a whole number"),
        ("stages: [{network: restoration, steps: 3, learning_rate: 1e-4}]", "1.0e-4"),
        ("stages: [{network: restoration, steps: 3, learning_rate: .nan}]", "learning_rate"),
        ("stages: [{network: restoration, steps: 3, decay: 1.5}]", "decay"),
        ("stages: [{network: restoration, steps: 3, attention_lora: true}]", "attention"),
        ("stages: [{network: denoiser, steps: 3, attention_lora: 'no'}]", "attention_lora is true or false"),
        ("stages: [{network: denoiser, steps: 3, afresh: 1}]", "afresh is true or false"),
        ("stages: [{network: denoiser, steps: 3, afresh: true, attention_lora: true}]", "nothing that adapters could adapt"),
        ("stages: [{network: degradation, steps: 3}]", "176"),
        ("stages: [{network: denoiser, steps: 3}, {network: denoiser, steps: 3}]", "one stage only"),
        ("stages: [{network: denoiser, steps: 3}, {network: noise_estimator, steps: 3}]", "comes first"),
        ("stages: [{network: restoration, steps: 3}, {network: denoiser, steps: 3, text: whole}]", "first stage"),
        ("records: 2\nstages: [{network: restoration, steps: 3}]", "between 0 and 1"),
        ("method: magic\nstages: [{network: restoration, steps: 3}]", "magic"),
        ("settings: {steps: 3}\nstages: [{network: restoration, steps: 3}]", "no setting 'steps'"),
        ("settings: {samples: many}\nstages: [{network: restoration, steps: 3}]", "cannot be understood"),
        ("stages: [", "cannot be read"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_in_one_sentence_that_names_the_file(text, complaint, tmp_path):
    path = written(tmp_path / "recipe.yaml", text)
    with pytest.raises(SettingsError) as refusal:
        Recipe.read(path)
    assert complaint in str(refusal.value) and "recipe.yaml" in str(refusal.value)


def test_the_trapezoid_warms_up_stays_and_falls_to_nothing():
    stage = Stage("denoiser", steps=1000, learning_rate=2.0, decay=0.25)
    assert stage.learning_rate_at(0) == pytest.approx(2 / 100)
    assert stage.learning_rate_at(99) == stage.learning_rate_at(749) == 2
    assert stage.learning_rate_at(875) == pytest.approx(1)
    assert stage.learning_rate_at(999) == pytest.approx(2 / 250)


def test_the_exponential_schedule_falls_once_an_epoch():
    stage = Stage("denoiser", steps=1000, learning_rate=1.0, schedule="exponential", decay=0.5, epoch_steps=10)
    assert [stage.learning_rate_at(step) for step in (0, 9, 10, 29, 30)] == [1, 1, 0.5, 0.25, 0.125]


def test_a_checkpoint_belongs_to_its_stage_network_and_seed_whatever_the_number_of_steps():
    recipe = Recipe(stages=(RESTORATION,))
    network = NBNet(**tiny().arguments("restoration"))
    own = recipe.identity(RESTORATION, network.config)
    assert same_training(own, recipe.identity(replace(RESTORATION, steps=99), NBNet(**tiny().arguments("restoration")).config))
    other = NBNet(**(tiny().arguments("restoration") | {"mid_channels": 8}))
    for changed in (
        recipe.identity(replace(RESTORATION, ema=0.9), network.config),
        recipe.identity(RESTORATION, other.config),
        replace(recipe, seed=1).identity(RESTORATION, network.config),
        replace(recipe, records=0.5).identity(RESTORATION, network.config),
    ):
        assert not same_training(own, changed)


def test_a_setting_that_an_older_program_did_not_have_had_its_default():
    recipe = Recipe(stages=(RESTORATION,))
    own = recipe.identity(RESTORATION, {})
    older = own.replace('"accumulate": 1, ', "")
    assert older != own and same_training(older, own)
    assert not same_training(older, recipe.identity(replace(RESTORATION, accumulate=2), {}))


def test_what_diffusers_notes_for_itself_in_another_order_every_time_does_not_part_a_run_from_its_checkpoint():
    recipe = Recipe(stages=(RESTORATION,))
    one, other = (recipe.identity(RESTORATION, {"width": 3, "_use_default_values": names}) for names in (["a", "b"], ["b", "a"]))
    assert one != other and same_training(one, other)


def test_a_stage_of_minutes_falls_to_nothing_with_the_time():
    stage = Stage("restoration", minutes=3.0, learning_rate=1e-3)
    assert stage.learning_rate_at(0, 0.0) == pytest.approx(1e-5), "warms up by steps"
    rates = [stage.learning_rate_at(1000, part) for part in (0.0, 0.5, 0.9, 1.0)]
    assert rates == pytest.approx([1e-3, 5e-4, 1e-3 * (1 + math.cos(0.9 * math.pi)) / 2, 0.0], abs=1e-9)
    assert stage.progress(17, 1.5) == 0.5 and stage.progress(17, 4.0) == 1.0
    assert Stage("restoration", steps=10).progress(5, 99.0) == 0.5


@pytest.mark.parametrize(
    "wrong", [{}, {"steps": 3, "minutes": 1.0}, {"minutes": 0}, {"minutes": "2"}, {"minutes": 1.0, "schedule": "exponential"}]
)
def test_a_stage_has_steps_or_minutes(wrong):
    with pytest.raises(SettingsError, match="minutes"):
        Stage("restoration", **wrong)


def test_how_long_a_stage_lasts_is_no_part_of_what_it_is():
    by_steps, by_time = Stage("restoration", steps=10), Stage("restoration", minutes=2.0)
    identities = [Recipe(stages=(stage,)).identity(stage, {}) for stage in (by_steps, by_time)]
    assert same_training(*identities)
    assert Recipe(stages=(by_time,)).with_steps(10) == Recipe(stages=(by_steps,))


def test_another_time_is_shared_out_as_the_recipes_is():
    plan = Recipe(stages=(Stage("restoration", minutes=6.0), Stage("denoiser", minutes=2.0)))
    assert [stage.minutes for stage in plan.with_minutes(4).stages] == [3.0, 1.0]
    with pytest.raises(SettingsError, match="given in minutes"):
        Recipe(stages=(Stage("restoration", minutes=6.0), Stage("denoiser", steps=2))).with_minutes(4)
