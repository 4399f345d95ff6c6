"""The table of networks: its rows fit what they name, and one row and one class are all that a new network takes."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from training_cases import QuickBatches, data_folder, weights

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.errors import BundleError, SettingsError
from MRIDenoiseLib.evaluation.speed.networks import network_costs
from MRIDenoiseLib.methods import METHODS
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import tiny
from MRIDenoiseLib.models.networks import NETWORKS, Component, lacking_in_some
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run import train, trained_so_far
from MRIDenoiseLib.training.start import begin_at_random, begin_from_bundle, check_plan

NAME = "deblurring"
FIRST = Stage("noise_estimator", steps=1, batch_size=2)


class Deblurring(ModelMixin, ConfigMixin):
    """One convolution over three slices, and a shift that the text tells."""

    config_name = "config.json"

    @register_to_config
    def __init__(self, in_channels: int = 3, text_dim: int = 8) -> None:
        super().__init__()
        self.filter = nn.Conv2d(in_channels, 1, 3, padding=1)
        self.shift = nn.Linear(text_dim, 1)

    def forward(self, image: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        return self.filter(image) + self.shift(conditioning.pooled_text())[:, :, None, None]

    def example_inputs(self, image: torch.Tensor, conditioning: Conditioning) -> tuple[torch.Tensor | Conditioning, ...]:
        return image.expand(-1, self.config.in_channels, -1, -1), conditioning


def told(batch: int = 1, width: int = 16) -> Conditioning:
    numbers = torch.ones(batch)
    return Conditioning(torch.randn(batch, 4, width), torch.ones(batch, 4, dtype=torch.bool), 2 * numbers, 0.1 * numbers, 4 * numbers)


@pytest.fixture
def new_row(monkeypatch) -> Component:
    row = Component(
        NAME,
        "takes out blur",
        f"{__name__}:Deblurring",
        "MRIDenoiseLib.training.objectives:RestorationObjective",
        "network that takes out blur",
    )
    monkeypatch.setitem(NETWORKS, NAME, row)
    return row


@pytest.fixture
def recipe(new_row) -> Recipe:
    own = Stage(NAME, steps=3, batch_size=2, learning_rate=1e-2, ema=0.0, text="whole")
    return Recipe(config="tiny", stages=(FIRST, own), method="posterior-mean")


def quick(stage: Stage) -> QuickBatches:
    return QuickBatches()


def test_a_row_and_a_class_are_all_that_a_new_network_takes(recipe, tmp_path):
    start = begin_at_random(recipe)
    check_plan(recipe, start)
    before = weights(start.networks[NAME]).clone()
    trained = train(recipe, start.networks, quick, tmp_path / "run").networks
    assert trained[NAME].config.text_dim == trained.text_encoder.config.hidden_size, "it is built for the model's texts"
    assert not torch.equal(weights(trained[NAME]), before)
    assert torch.equal(
        weights(trained_so_far(recipe, begin_at_random(recipe).networks, tmp_path / "run").networks[NAME]), weights(trained[NAME])
    )

    bundle = write_bundle(tmp_path / "model", **vars(trained), card={"default_method": "posterior-mean"})
    assert Bundle.verify(bundle.path) == bundle.hash
    assert bundle.card["parameters"][NAME] == len(before)
    loaded = bundle.network(NAME)
    image, conditioning = torch.randn(1, 3, 20, 18), told()
    with torch.no_grad():
        assert torch.allclose(loaded(image, conditioning), trained[NAME](image, conditioning), atol=5e-3)
        assert not torch.equal(loaded(image, conditioning), loaded(image, conditioning.without_text()))
    assert isinstance(loaded, Deblurring) and not loaded.training and not any(part.requires_grad for part in loaded.parameters())

    counted = {cost.part: cost for cost in network_costs("tiny", 32)}[NAME]
    assert counted.parameters == len(before) and counted.operations >= 2 * 27 * 32 * 32


def test_its_weights_are_checked_and_a_program_without_the_row_says_that_it_does_not_know_it(recipe, tmp_path, monkeypatch):
    path = write_bundle(tmp_path / "model", **vars(begin_at_random(recipe).networks), card={"default_method": "posterior-mean"}).path
    weights_of_another = write_bundle(
        tmp_path / "other", **vars(begin_at_random(replace(recipe, seed=1)).networks), card={"default_method": "posterior-mean"}
    ).path
    name = f"{NAME}/diffusion_pytorch_model.safetensors"
    kept = (path / name).read_bytes()
    (path / name).write_bytes((weights_of_another / name).read_bytes())
    with pytest.raises(BundleError, match=NAME):
        Bundle.verify(path)
    (path / name).write_bytes(kept)
    Bundle.verify(path)
    monkeypatch.delitem(NETWORKS, NAME)
    with pytest.raises(BundleError, match=f"component '{NAME}' that this program does not know"):
        Bundle.load(path)


def test_a_model_that_lacks_it_is_given_one_and_one_that_has_it_learns_on(recipe, tiny_bundle, tmp_path):
    own = replace(recipe.stages[1], text="frozen")
    with pytest.raises(SettingsError, match=f"trains the {NAME} network, but the model it starts from has none"):
        check_plan(replace(recipe, stages=(own,)), begin_from_bundle(tiny_bundle, replace(recipe, stages=(own,))))
    plan = replace(recipe, stages=(replace(own, afresh=True),))
    start = begin_from_bundle(tiny_bundle, plan)
    check_plan(plan, start)
    trained = train(plan, start.networks, quick, tmp_path / "run").networks
    model = write_bundle(tmp_path / "model", **vars(trained), card={"default_method": "regression"})
    assert set(model.card["files"]) - set(Bundle.load(tiny_bundle).card["files"]) == {
        f"{NAME}/config.json",
        f"{NAME}/diffusion_pytorch_model.safetensors",
    }
    check_plan(replace(recipe, stages=(own,)), begin_from_bundle(model.path))
    with pytest.raises(SettingsError, match=f"all its networks that read texts .*{NAME}"):
        adapted = Stage("denoiser", steps=1, text="lora")
        check_plan(replace(recipe, stages=(adapted,)), begin_from_bundle(model.path))


def test_what_works_on_the_answers_of_another_is_trained_after_it(new_row, monkeypatch):
    monkeypatch.setitem(NETWORKS, NAME, replace(new_row, learns_from=("degradation",)))
    chain = Stage("degradation", steps=1, structural=0.0)
    with pytest.raises(SettingsError, match=f"the stage of the {NAME} comes after that of the degradation"):
        Recipe(config="tiny", stages=(Stage(NAME, steps=1), chain))
    plan = Recipe(config="tiny", stages=(FIRST, replace(chain, text="whole")), method="posterior-mean")
    assert NAME not in begin_at_random(plan).networks, "untrained it is of no use"
    assert NAME in begin_at_random(replace(plan, stages=(*plan.stages, Stage(NAME, steps=1)))).networks


def test_the_ordinary_command_trains_it_and_writes_the_model(recipe, tmp_path):
    data = data_folder(tmp_path / "data", size=72)
    short = replace(recipe, stages=tuple(replace(stage, steps=1, batch_size=1, crop=64) for stage in recipe.stages))
    (tmp_path / "recipe.yaml").write_text(short.as_yaml())
    command = ["train", str(tmp_path / "recipe.yaml"), str(tmp_path / "run"), "--data", str(data), "--out", str(tmp_path / "model")]
    assert main(command) == 0
    model = Bundle.load(tmp_path / "model")
    assert model.network(NAME) is not None
    assert model.evidence["training"]["stages"][NAME]["steps"] == 1
    assert not any(NAME in limit for limit in model.card["limits"]), "it was trained"


@pytest.mark.parametrize("name", NETWORKS)
def test_every_row_names_a_class_that_takes_its_example_and_an_objective(name):
    row = NETWORKS[name]
    assert row.name == name and row.sentence and row.title and callable(row.objective.of)
    assert {*row.learns_from, *row.informed_by} <= NETWORKS.keys() - {name}
    with torch.no_grad():
        network = tiny().build(name).eval()
        image = torch.randn(1, 1, 32, 40)
        assert len(network(*network.example_inputs(image, told()))) == 1


def test_methods_are_called_with_networks_of_the_table_and_know_which_a_model_may_lack():
    assert all(name in NETWORKS for method in METHODS.values() for name in method.needs)
    assert lacking_in_some(("denoiser", "degradation"), informed=False) == ()
    assert lacking_in_some(("denoiser", "degradation"), informed=True) == ("restoration",)
    assert lacking_in_some(("restoration", "flow"), informed=True) == ("restoration", "flow")


def test_to_read_the_table_loads_no_torch():
    program = "import sys, MRIDenoiseLib.models.networks as n; print(len(n.NETWORKS), 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert found == [str(len(NETWORKS)), "False"]
