"""The training loop: a stopped run goes on exactly, whatever stopped it, and what is kept of it is the averaged network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from training_cases import QuickBatches, tiny_networks, untimed, weights

from MRIDenoiseLib.errors import Cancelled, InputError, OutputError, SettingsError
from MRIDenoiseLib.training import batches as ring
from MRIDenoiseLib.training import loop
from MRIDenoiseLib.training.checkpoint import load_checkpoint
from MRIDenoiseLib.training.loop import StageRun, load_average, train_stage
from MRIDenoiseLib.training.objectives import Objective, RestorationObjective
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run_folder import read_log
from MRIDenoiseLib.training.text import Conditioner

STAGE = Stage("restoration", steps=8, batch_size=2, crop=32, learning_rate=1e-3, epoch_steps=3, ema=0.9, text="whole")
IDENTITY = Recipe(stages=(STAGE,)).identity(STAGE, {})


def objective() -> RestorationObjective:
    networks = tiny_networks()
    return RestorationObjective(networks["restoration"], Conditioner(networks.tokenizer, networks.text_encoder, "whole"))


def run(folder: Path, trained: Objective | None = None, stage: Stage = STAGE, **arguments) -> StageRun:
    arguments = {"seed": 0, "identity": IDENTITY} | arguments
    return train_stage(stage, trained or objective(), arguments.pop("batches", QuickBatches()), folder, **arguments)


@pytest.fixture(autouse=True)
def often_on_a_small_problem(monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 2)


class Breaking(QuickBatches):
    """Pairs up to number ``last``; then whatever drew them dies."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def batch(self, index: int, batch_size: int):
        if self.last <= index < loop.PROBE_BATCH:
            raise KeyboardInterrupt
        return super().batch(index, batch_size)


@pytest.mark.parametrize("last", [1, 3, 6])
def test_a_run_that_died_right_behind_a_checkpoint_comes_to_the_same_weights_and_log(last, tmp_path, monkeypatch):
    whole, resumed = objective(), objective()
    run(tmp_path / "whole", whole)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(loop, "CHECKPOINT_SECONDS", -1)
        run(tmp_path / "resumed", batches=Breaking(last))
    assert load_checkpoint(tmp_path / "resumed")["step"] == last
    run(tmp_path / "resumed", resumed)
    assert torch.allclose(weights(whole), weights(resumed), rtol=0, atol=1e-6)
    whole_log, resumed_log = untimed(tmp_path / "whole"), untimed(tmp_path / "resumed")
    assert whole_log == resumed_log
    assert [entry["step"] for entry in whole_log] == [2, 4, 6, 8]


@pytest.mark.parametrize("last", [2, 5])
def test_through_a_ring_a_run_that_died_comes_to_the_same_weights(last, tmp_path, monkeypatch):
    """As on a GPU: pairs are seen several times, and which ones follows from the number of the step."""
    monkeypatch.setattr(loop, "has_ring", lambda device: True)
    for name, value in (("LEAST_PAIRS", 6), ("MOST_PAIRS", 8)):
        monkeypatch.setattr(ring, name, value)
    stage = replace(STAGE, reuse=2)
    whole, resumed, without = objective(), objective(), objective()
    run(tmp_path / "whole", whole, stage)
    with monkeypatch.context() as patched, pytest.raises(Cancelled):
        patched.setattr(loop, "CHECKPOINT_SECONDS", -1)
        steps = []
        run(tmp_path / "resumed", None, stage, progress=lambda *said: steps.append(said), should_stop=lambda: len(steps) == last)
    run(tmp_path / "resumed", resumed, stage)
    assert torch.allclose(weights(whole), weights(resumed), rtol=0, atol=1e-6)
    run(tmp_path / "without", without)
    assert not torch.allclose(weights(whole), weights(without), atol=1e-5)


def test_a_stage_of_minutes_ends_by_the_clock_and_goes_on_with_what_is_left_of_them(tmp_path, monkeypatch):
    seconds = iter(range(10_000))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(seconds)))
    stage = replace(STAGE, steps=None, minutes=2.0)
    parts = []
    with pytest.raises(Cancelled, match="at step 3 of the restoration network"):
        run(tmp_path, None, stage, progress=lambda step, part, loss: parts.append(part), should_stop=lambda: len(parts) == 3)
    found = load_average(stage, objective(), tmp_path, IDENTITY)
    assert found is not None and not found.done and 0 < found.minutes < 2
    result = run(tmp_path, None, stage, progress=lambda step, part, loss: parts.append(part))
    assert result.done and result.steps == len(parts) > 4 and parts[-1] == 1.0
    assert parts == sorted(parts) and 2 <= result.minutes < 2.6


def test_told_to_stop_it_saves_its_state_and_says_where(tmp_path):
    steps = []
    with pytest.raises(Cancelled, match="step 3 of 8"):
        run(tmp_path, progress=lambda step, part, loss: steps.append(step), should_stop=lambda: len(steps) == 3)
    assert load_checkpoint(tmp_path)["step"] == 3
    again = objective()
    found = load_average(STAGE, again, tmp_path, IDENTITY)
    assert found is not None and (found.steps, found.done) == (3, False)
    assert run(tmp_path).done


def test_what_is_returned_and_what_is_on_disk_is_the_running_average(tmp_path):
    trained, loaded = objective(), objective()
    result = run(tmp_path, trained)
    assert (result.steps, result.done, result.facts["processes"]) == (8, True, 1)
    state = load_checkpoint(tmp_path)
    last = objective()
    last.load_state_dict(state["weights"])
    assert not torch.allclose(weights(last), weights(trained), atol=1e-5)
    found = load_average(STAGE, loaded, tmp_path, IDENTITY)
    assert torch.equal(weights(loaded), weights(trained)) and found == replace(result, minutes=found.minutes)


def test_the_layout_of_a_checkpoint_is_the_one_that_runs_in_progress_have(tmp_path):
    run(tmp_path)
    state = load_checkpoint(tmp_path)
    assert set(state) == {"weights", "average", "optimizer", "step", "sums", "minutes", "facts", "probe", "identity"}
    assert {name.split(".")[0] for name in state["weights"]} == {"restoration", "text"}
    assert any(name.startswith("text.text_encoder.") for name in state["weights"])
    parameters = list(objective().parameters())
    assert [tuple(shadow.shape) for shadow in state["average"]["shadow_params"]] == [tuple(p.shape) for p in parameters]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    run(tmp_path)
    other = Recipe(stages=(STAGE,), seed=1).identity(STAGE, {})
    with pytest.raises(SettingsError, match="another recipe"):
        run(tmp_path, identity=other)
    with pytest.raises(SettingsError, match="another recipe"):
        load_average(STAGE, objective(), tmp_path, other)


def test_a_stage_that_has_not_begun_has_nothing_to_load(tmp_path):
    assert load_average(STAGE, objective(), tmp_path / "none", IDENTITY) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a checkpoint", b"hello world", "whole file cut"])
def test_a_damaged_checkpoint_is_one_sentence(content, tmp_path):
    if isinstance(content, str):
        run(tmp_path)
        content = (tmp_path / "checkpoint.pt").read_bytes()[:-1000]
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        run(tmp_path)


class Probed(Objective):
    """Fits one number; its probe tells which weight it saw."""

    def __init__(self, start: float = 0.0) -> None:
        networks = tiny_networks()
        super().__init__(Conditioner(networks.tokenizer, networks.text_encoder, "frozen"))
        self.weight = nn.Parameter(torch.tensor([start]))
        self.draws: list[float] = []

    @property
    def network(self) -> nn.Module:
        return self

    def forward(self, batch, generator, progress=0.0):
        self.draws.append(float(torch.rand(1, generator=generator)))
        return {"one": (self.weight * batch.clean.mean(dim=(1, 2, 3)) - batch.noise_level).square().mean()}

    def probe(self, batch, generator):
        return {"weight": float(self.weight.detach())}


def test_the_probe_sees_the_averaged_weights_once_an_epoch_and_leaves_the_others_as_they_are(tmp_path):
    trained = Probed()
    result = run(tmp_path, trained)
    probed = {entry["step"]: entry["probe/weight"] for entry in read_log(tmp_path) if "probe/weight" in entry}
    assert list(probed) == [3, 6, 8]
    assert result.probe["weight"] == float(trained.weight.detach()) == pytest.approx(probed[8], abs=1e-6)
    unprobed = Probed()
    run(tmp_path / "unprobed", unprobed, replace(STAGE, epoch_steps=100))
    assert torch.equal(unprobed.weight, trained.weight)


def test_every_call_draws_its_own_noise_and_the_same_in_every_run_of_its_seed(tmp_path):
    drawn = []
    for number, seed in enumerate((0, 0, 1)):
        trained = Probed()
        run(tmp_path / str(number), trained, replace(STAGE, accumulate=2), seed=seed)
        drawn.append(trained.draws)
    assert drawn[0] == drawn[1] and len(drawn[0]) == 16
    assert len({*drawn[0], *drawn[2]}) == 32


def test_two_calls_a_step_learn_what_one_call_with_both_batches_learns(tmp_path):
    class Halves(QuickBatches):
        """One batch of four in two calls."""

        def batch(self, index: int, batch_size: int):
            return super().batch(index // 2, 4)[2 * (index % 2) : 2 * (index % 2) + 2]

    together, apart = Probed(0.5), Probed(0.5)
    run(tmp_path / "together", together, replace(STAGE, batch_size=4))
    run(tmp_path / "apart", apart, replace(STAGE, accumulate=2), batches=Halves())
    assert torch.allclose(together.weight, apart.weight, atol=1e-6)
    logs = [[entry["loss/one"] for entry in read_log(tmp_path / name) if "loss/one" in entry] for name in ("together", "apart")]
    assert logs[0] == pytest.approx(logs[1], rel=1e-2)


def test_a_training_that_comes_apart_ends_in_one_sentence_and_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    class Poisoned(QuickBatches):
        def batch(self, index: int, batch_size: int):
            batch = super().batch(index, batch_size)
            return replace(batch, clean=batch.clean * float("nan")) if index == 4 else batch

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1)
    with pytest.raises(SettingsError, match="step 4; lower the learning_rate"):
        run(tmp_path, batches=Poisoned())
    state = load_checkpoint(tmp_path)
    assert state["step"] == 4 and all(torch.isfinite(weight).all() for weight in state["weights"].values())


def test_the_account_keeps_how_a_stage_was_trained_before_it_was_gone_on_with_otherwise(tmp_path, monkeypatch):
    with pytest.raises(Cancelled):
        run(tmp_path, should_stop=lambda: True)
    monkeypatch.setattr("os.cpu_count", lambda: 99)
    result = run(tmp_path)
    assert result.facts["cpu_cores"] == 99
    assert [entry["until_step"] for entry in result.facts["earlier"]] == [1]
    assert result.facts["earlier"][0]["cpu_cores"] != 99
    assert run(tmp_path).facts == result.facts


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        run(tmp_path / "file" / "run")


@pytest.mark.parametrize(("has", "precision"), [({"avx2": True, "avx512_bf16": False}, "no"), ({"avx2": True, "amx_bf16": True}, "bf16")])
def test_a_processor_is_asked_for_bfloat16_only_where_it_computes_with_it(has, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert loop._precision() == precision
