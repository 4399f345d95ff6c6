"""A whole recipe: its stages one after another, one alone, stopped in the middle, killed, and as fine-tuning."""

import random
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_cases import QuickBatches, tiny_networks, trained_before, untimed, weights

from MRIDenoiseLib.errors import Cancelled, SettingsError
from MRIDenoiseLib.models.configs import Networks
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run import Trained, train, trained_so_far

RESTORATION = Stage("restoration", steps=3, batch_size=2, learning_rate=1e-3, ema=0.5, epoch_steps=2, text="whole")
DENOISER = Stage("denoiser", steps=3, batch_size=2, learning_rate=1e-3, ema=0.5, epoch_steps=2)
DEGRADATION = Stage("degradation", steps=2, batch_size=1, learning_rate=1e-3, ema=0.5, epoch_steps=2, structural=0.0, adversarial=0.0)
RECIPE = Recipe(config="tiny", stages=(RESTORATION, DENOISER, DEGRADATION))


def quick(stage: Stage) -> QuickBatches:
    return QuickBatches()


def all_weights(networks: Networks) -> torch.Tensor:
    return weights(networks["restoration"], networks["denoiser"], networks["degradation"], networks.text_encoder)


def changed(before: torch.nn.Module, after: torch.nn.Module) -> set[str]:
    """The names of the weights that differ."""
    one, other = before.state_dict(), after.state_dict()
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Trained, Path]:
    folder = tmp_path_factory.mktemp("run")
    return train(RECIPE, tiny_networks(), quick, folder), folder


def test_every_stage_trains_its_network_and_the_first_alone_the_text(whole):
    trained, folder = whole
    fresh = tiny_networks()
    assert list(trained.stages) == ["restoration", "denoiser", "degradation"] and all(stage.done for stage in trained.stages.values())
    for name in trained.stages:
        assert changed(fresh[name], trained.networks[name]), name
    assert changed(fresh.text_encoder, trained.networks.text_encoder)
    first = train(replace(RECIPE, stages=(RESTORATION,)), tiny_networks(), quick, folder)
    assert not changed(first.networks.text_encoder, trained.networks.text_encoder)
    assert not changed(first.networks["restoration"], trained.networks["restoration"]), "later stages leave it as it is"


def test_a_run_on_disk_is_the_run_that_was_returned(whole):
    trained, folder = whole
    assert torch.equal(all_weights(trained_so_far(RECIPE, tiny_networks(), folder).networks), all_weights(trained.networks))


def test_a_finished_run_given_again_trains_nothing(whole):
    def never(stage: Stage) -> QuickBatches:
        raise AssertionError

    again = train(RECIPE, tiny_networks(), never, whole[1])
    assert torch.equal(all_weights(again.networks), all_weights(whole[0].networks))


def test_stopped_in_the_second_stage_it_goes_on_to_the_same_networks(whole, tmp_path):
    calls = []
    with pytest.raises(Cancelled, match="denoiser"):
        train(RECIPE, tiny_networks(), quick, tmp_path, progress=lambda *said: calls.append(said), should_stop=lambda: len(calls) == 5)
    so_far = trained_so_far(RECIPE, tiny_networks(), tmp_path)
    assert {name: (stage.steps, stage.done) for name, stage in so_far.stages.items()} == {"restoration": (3, True), "denoiser": (2, False)}
    assert not changed(tiny_networks()["degradation"], so_far.networks["degradation"])
    resumed = train(RECIPE, tiny_networks(), quick, tmp_path)
    assert torch.allclose(all_weights(resumed.networks), all_weights(whole[0].networks), rtol=0, atol=1e-6)


def test_one_stage_alone_leaves_the_others_and_comes_to_what_it_comes_to_in_the_whole_run(whole, tmp_path):
    with pytest.raises(SettingsError, match="finish it first"):
        train(RECIPE, tiny_networks(), quick, tmp_path, only="degradation")
    train(RECIPE, tiny_networks(), quick, tmp_path, only="restoration")
    alone = train(RECIPE, tiny_networks(), quick, tmp_path, only="degradation")
    assert list(alone.stages) == ["restoration", "degradation"]
    assert not changed(tiny_networks()["denoiser"], alone.networks["denoiser"])
    assert torch.equal(weights(alone.networks["degradation"]), weights(whole[0].networks["degradation"]))
    with pytest.raises(SettingsError, match="no stage for the denoiser"):
        train(replace(RECIPE, stages=(RESTORATION,)), tiny_networks(), quick, tmp_path, only="denoiser")


def test_the_noise_estimator_is_trained_first_and_the_others_are_told_what_it_says(tmp_path):
    noise = Stage("noise_estimator", steps=2, batch_size=2, learning_rate=1e-2, ema=0.5)
    longer = replace(RECIPE, stages=(noise, *RECIPE.stages))
    with pytest.raises(SettingsError, match="noise_estimator network trains what the others rely on"):
        train(longer, tiny_networks(), quick, tmp_path, only="restoration")
    alone = train(longer, tiny_networks(), quick, tmp_path, only="noise_estimator")
    assert list(alone.stages) == ["noise_estimator"] and changed(tiny_networks()["noise_estimator"], alone.networks["noise_estimator"])
    assert not changed(tiny_networks().text_encoder, alone.networks.text_encoder)
    whole = train(longer, tiny_networks(), quick, tmp_path)
    assert not changed(alone.networks["noise_estimator"], whole.networks["noise_estimator"]), "it does not learn beside the others"
    plain = train(RECIPE, tiny_networks(), quick, tmp_path / "plain")
    assert changed(plain.networks["restoration"], whole.networks["restoration"]), "they were told other noise levels"
    with pytest.raises(SettingsError, match="trained further after"):
        train(replace(longer, stages=(replace(noise, steps=3), *RECIPE.stages)), tiny_networks(), quick, tmp_path)


def test_a_text_encoder_that_was_trained_on_is_not_given_to_a_network_that_learned_to_read_the_one_before(whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / "run")
    longer = replace(RECIPE, stages=(replace(RESTORATION, steps=5), DENOISER, DEGRADATION))
    with pytest.raises(SettingsError, match=r"trained further after .* network itself; move \S+denoiser away"):
        train(longer, tiny_networks(), quick, tmp_path / "run")
    with pytest.raises(SettingsError, match="trained further after"):
        trained_so_far(longer, tiny_networks(), tmp_path / "run")
    for name in ("denoiser", "degradation"):
        shutil.rmtree(tmp_path / "run" / name)
    anew = train(longer, tiny_networks(), quick, tmp_path / "run")
    assert changed(anew.networks.text_encoder, whole[0].networks.text_encoder)


def test_a_run_with_nothing_on_disk_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no checkpoint"):
        trained_so_far(RECIPE, tiny_networks(), tmp_path)


def test_adapters_change_the_attention_and_the_texts_projections_alone_and_are_merged(tmp_path):
    stage = replace(DENOISER, attention_lora=True, text="lora", lora_rank=2, learning_rate=1e-2)
    trained = train(Recipe(config="tiny", stages=(stage,)), trained_before(), quick, tmp_path)
    fresh = trained_before()
    attention = changed(fresh["denoiser"], trained.networks["denoiser"])
    assert attention and all(re.search(r"\.(to_[qkv]|to_out\.0)\.weight$", name) for name in attention)
    assert any(".mid_block." in name for name in attention) and any(".down_blocks." in name for name in attention)
    text = changed(fresh.text_encoder, trained.networks.text_encoder)
    assert text and all(name.split(".")[-2] in ("q_proj", "k_proj", "v_proj", "out_proj") for name in text)
    again = trained_so_far(Recipe(config="tiny", stages=(stage,)), trained_before(), tmp_path)
    assert torch.equal(all_weights(again.networks), all_weights(trained.networks))


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from test_run import KILLED, quick, train
from training_cases import tiny_networks
from MRIDenoiseLib.training import loop
loop.CHECKPOINT_SECONDS, loop.LOG_EVERY = {every}, 3
recipe = KILLED
train(recipe, tiny_networks(), quick, Path(sys.argv[1]), progress=lambda stage, step, part, loss: print(stage.network, step, flush=True))
"""
STEPS = 12
KILLED = replace(RECIPE, stages=(RESTORATION, DENOISER)).with_steps(STEPS)


def start(run: Path, every: float) -> subprocess.Popen[str]:
    """Training in a process of its own that says each step and writes a checkpoint every so many seconds."""
    program = PROGRAM.format(folder=str(Path(__file__).parent), every=every)
    return subprocess.Popen([sys.executable, "-c", program, str(run)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to send")
def test_killed_at_any_moment_and_started_again_it_comes_to_the_same_weights_and_logs(tmp_path, monkeypatch):
    monkeypatch.setattr("MRIDenoiseLib.training.loop.LOG_EVERY", 3)
    recipe = KILLED
    whole = train(recipe, tiny_networks(), quick, tmp_path / "whole")
    rng = random.Random(0)
    killed = 0
    # With a checkpoint after every step the kill falls into the writing of one as well; with fewer, into lost work.
    for every in (-1, 0.2):
        process = start(tmp_path / "killed", every)
        assert process.stdout is not None
        wanted = rng.randint(2, STEPS - 4)
        for _ in process.stdout:
            wanted -= 1
            if wanted == 0:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
        killed += process.wait() == -signal.SIGKILL
    assert killed == 2
    resumed = train(recipe, tiny_networks(), quick, tmp_path / "killed")
    assert torch.allclose(all_weights(resumed.networks), all_weights(whole.networks), rtol=0, atol=1e-6)
    for stage in recipe.stages:
        logs = [untimed(tmp_path / name / stage.network) for name in ("whole", "killed")]
        assert logs[0] == logs[1] and len(logs[0]) >= STEPS // 3
    assert not [path for path in (tmp_path / "killed").rglob(".*")], "no half-written file is left"
