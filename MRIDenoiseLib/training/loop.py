"""The training loop: one stage, one network, resumable at any moment to the very same weights."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import nn

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.errors import Cancelled, SettingsError
from MRIDenoiseLib.progress import ShouldStop
from MRIDenoiseLib.training.batches import Batches, has_ring, reused, stream, workers_for
from MRIDenoiseLib.training.checkpoint import load_checkpoint, refuse_other_checkpoints, same_for_all, save_checkpoint, stop_requested
from MRIDenoiseLib.training.course import Course
from MRIDenoiseLib.training.objectives import Objective
from MRIDenoiseLib.training.recipe import same_training
from MRIDenoiseLib.training.run_folder import TrainingLog

LOG_EVERY = 25
CHECKPOINT_SECONDS = 240
GRADIENT_NORM = 1.0
PROBE_BATCH = 1 << 30
"""Number of the batch the probes see: far behind any that is trained on."""
PROBE_CROPS = 16
ENDLESS = 1 << 29
"""Behind the last batch of a stage that ends by the clock; still before the probes'."""
NETWORK_SHARE = "time/network_share"
"""Curve: the part of the time that was not spent waiting for pairs."""


@dataclass(frozen=True)
class StageRun:
    """What a stage has come to.

    Args:
        steps: done.
        minutes: of wall-clock time spent on them.
        done: whether it has come to its end.
        facts: of its computation: processes, device, CPU cores; ``earlier`` lists what differed before the stage was resumed.
        probe: the last values of its probes.
    """

    steps: int
    minutes: float
    done: bool
    facts: dict[str, Any]
    probe: dict[str, float]


def train_stage(
    stage: Course,
    objective: Objective,
    batches: Batches,
    folder: Path,
    *,
    probes: Batches | None = None,
    seed: int,
    identity: str,
    progress: Callable[[int, float, float], None] | None = None,
    should_stop: ShouldStop | None = None,
) -> StageRun:
    """Train, or resume training, until the stage's steps or minutes are done; the objective then holds the averaged weights.

    Writes ``checkpoint.pt``, ``log.jsonl`` and TensorBoard's ``curves/`` into ``folder``. Every choice follows from the
    seed and the number of the step, so a run that was killed at any moment comes to the same weights. A run by minutes resumes as
    well, but how many steps they hold depends on the machine. Under ``torchrun``
    every process draws its own crops and the gradients are averaged.

    Args:
        stage: how to train.
        objective: what to train.
        batches: this process's pairs.
        probes: pairs for the objective's probe; ``batches`` where there are none of patients kept out of the training.
        folder: of the stage; of several machines' processes, the same for all.
        seed: of dropped texts, times and noise.
        identity: what the checkpoint has to fit, see :meth:`Recipe.identity`.
        progress: called after every step with the steps done, the part of the stage that is done, and the loss.
        should_stop: called after every step.

    Raises:
        SettingsError: the folder holds a run with another recipe, other networks or another text encoder, or the learning
            rate is so high that the training diverges.
        InputError: the folder's checkpoint is damaged.
        OutputError: the folder cannot be written to.
        Cancelled: when a stop is requested, after the state was saved.
    """
    training = _Training(stage, objective, batches, probes or batches, folder, seed, identity)
    with training.log:
        while not training.done:
            loss = training.advance()
            if progress is not None:
                progress(training.step, training.part, loss)
            if not training.done and stop_requested(training.accelerator, should_stop):
                training.checkpoint()
                of = f" of {stage.steps}" if stage.steps is not None else ""
                raise Cancelled(f"stopped at step {training.step}{of} of the {stage.network} network; the same command resumes from there")
            if time.monotonic() - training.saved > CHECKPOINT_SECONDS or training.done:
                training.checkpoint()
    training.average.copy_to(training.trained)
    return training.now()


class _Training:
    """A stage at work: everything that changes from step to step, and how it is kept.

    Args:
        stage, objective, batches, probes, folder, seed, identity: see :func:`train_stage`.
    """

    def __init__(
        self, stage: Course, objective: Objective, batches: Batches, probes: Batches, folder: Path, seed: int, identity: str
    ) -> None:
        self.stage = stage
        self.objective = objective
        self.probes = probes
        self.folder = folder
        self.identity = identity
        self.accelerator = Accelerator(mixed_precision=_precision(), cpu=not torch.cuda.is_available())
        self.seed = seed * 1000 + self.accelerator.process_index
        self.trained = _trained(objective.train())
        self.average = EMAModel(self.trained, decay=stage.ema, use_ema_warmup=True, power=0.75)
        self.facts = _facts(self.accelerator)
        self.step, self.elapsed = 0, 0.0
        self.sums: dict[str, float] = {}
        self.probed: dict[str, float] = {}
        on_gpu = self.accelerator.device.type == "cuda"
        optimizer = torch.optim.AdamW(self.trained, lr=stage.learning_rate, weight_decay=0.0, fused=on_gpu)
        state = stage_state(folder, identity)
        if state is not None:
            _load_weights(stage, objective, state["weights"], folder)
            self.average.load_state_dict(state["average"])
            optimizer.load_state_dict(state["optimizer"])
            self.step, self.elapsed, self.sums, self.probed = state["step"], state["minutes"] * 60, state["sums"], state["probe"]
            self.facts = _history(state["facts"], self.facts, self.step)
        self.part = stage.progress(self.step, self.elapsed / 60)
        refuse_other_checkpoints(self.accelerator, self.step)
        self.model, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.average.to(self.accelerator.device)
        self.log = TrainingLog(folder, self.step, silent=not self.accelerator.is_main_process)
        self.pairs = self._pairs(batches)
        self.started = self.saved = self.logged = time.monotonic()
        self.waited = 0.0

    def _pairs(self, batches: Batches) -> Iterator[Batch]:
        """One batch a network call, from the next one on."""
        stage, device = self.stage, self.accelerator.device
        first = self.step * stage.accumulate
        last = ENDLESS if stage.steps is None else stage.steps * stage.accumulate
        if stage.reuse > 1 and has_ring(device):
            return reused(batches, stage.batch_size, first, last, stage.reuse, self.seed, device, workers_for(device))
        return (batch.to(device) for batch in stream(batches, stage.batch_size, first, last, workers_for(device)))

    @property
    def done(self) -> bool:
        """Whether the stage has come to its end."""
        return self.part >= 1

    def advance(self) -> float:
        """One optimiser step, and what is to be logged after it; gives its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.learning_rate_at(self.step, self.part)
        loss = self._gradients()
        norm = self.accelerator.clip_grad_norm_(self.trained, GRADIENT_NORM)
        if not math.isfinite(float(norm)):
            raise SettingsError(
                f"the training of the {self.stage.network} network diverged at step {self.step}; "
                "lower the learning_rate and use an empty folder"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.step(self.trained)
        self.step += 1
        self.part = self.stage.progress(self.step, self.now().minutes)
        if self.stage.minutes is not None:
            self.part = same_for_all(self.accelerator, self.part)
        last = self.done
        if last or self.step % self.stage.epoch_steps == 0:
            self.probed = self._probe()
            self.log.write(self.step, {f"probe/{name}": value for name, value in self.probed.items()})
        if last or self.step % LOG_EVERY == 0:
            steps = (self.step - 1) % LOG_EVERY + 1
            now = time.monotonic()
            share = {NETWORK_SHARE: 1 - self.waited / max(now - self.logged, 1e-9)}
            self.log.write(self.step, {f"loss/{name}": value / steps for name, value in self.sums.items()} | share)
            self.sums, self.waited, self.logged = {}, 0.0, now
        return loss

    def _gradients(self) -> float:
        """Those of one step, summed over its calls; gives the loss."""
        total, calls = 0.0, self.stage.accumulate
        for number in range(self.step * calls, (self.step + 1) * calls):
            # Several processes average their gradients once a step, with the last call.
            with nullcontext() if number % calls == calls - 1 else self.accelerator.no_sync(self.model):
                before = time.monotonic()
                batch = next(self.pairs)
                self.waited += time.monotonic() - before
                losses = self.model(batch, self._generator(number), self.part)
                self.accelerator.backward(sum(losses.values()) / calls)
            for name, loss in losses.items():
                share = float(loss.detach()) / calls
                self.sums[name] = self.sums.get(name, 0.0) + share
                total += share
        return total

    def _probe(self) -> dict[str, float]:
        """The objective's probe, of the averaged weights, because they are what ships."""
        batch = self.probes.batch(PROBE_BATCH, PROBE_CROPS).to(self.accelerator.device)
        self.average.store(self.trained)
        self.average.copy_to(self.trained)
        probed = self.objective.probe(batch, self._generator(PROBE_BATCH))
        self.average.restore(self.trained)
        return probed

    def _generator(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 1_000_003 + number + 500_000)

    def checkpoint(self) -> None:
        """Write the curves so far and the state to resume from."""
        if self.accelerator.is_main_process:
            self.log.flush()
            run = self.now()
            account = {"step": self.step, "sums": self.sums, "minutes": run.minutes, "facts": run.facts, "probe": run.probe}
            states = {"weights": self.objective, "average": self.average, "optimizer": self.optimizer}
            save_checkpoint(self.folder, {name: part.state_dict() for name, part in states.items()} | account | {"identity": self.identity})
        self.saved = time.monotonic()

    def now(self) -> StageRun:
        """What the stage has come to."""
        minutes = (self.elapsed + time.monotonic() - self.started) / 60
        return StageRun(self.step, minutes, self.done, self.facts, self.probed)


def stage_state(folder: Path, identity: str) -> dict[str, Any] | None:
    """The newest checkpoint of a stage, None where it has not started.

    Raises:
        SettingsError: it was trained with another recipe or other networks.
        InputError: it is damaged.
    """
    state = load_checkpoint(folder)
    if state is not None and not same_training(state["identity"], identity):
        raise SettingsError(f"{folder} was trained with another recipe or other networks; use an empty folder")
    return state


def load_average(stage: Course, objective: Objective, folder: Path, identity: str) -> StageRun | None:
    """Put the averaged weights of a stage, finished or not, into its objective; None where it has not started.

    Raises:
        SettingsError: as :func:`stage_state`, or the text encoder was trained on since.
        InputError: as :func:`stage_state`.
    """
    state = stage_state(folder, identity)
    if state is None:
        return None
    _load_weights(stage, objective, state["weights"], folder)
    trained = _trained(objective)
    average = EMAModel(trained)
    average.load_state_dict(state["average"])
    average.copy_to(trained)
    done = stage.progress(state["step"], state["minutes"]) >= 1
    return StageRun(state["step"], state["minutes"], done, state["facts"], state["probe"])


def _load_weights(stage: Course, objective: Objective, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Load those of a checkpoint; the networks that this one relies on must be the same as in its training."""
    for prefix, module in objective.relied_on().items():
        for name, value in module.state_dict().items():
            kept = weights.get(f"{prefix}.{name}")
            # Adapters merged on a GPU and on a CPU differ slightly.
            if kept is None or not torch.allclose(kept.to(value), value, rtol=1e-3, atol=1e-5):
                raise SettingsError(
                    f"what the {stage.network} network relies on was trained further after the {stage.network} network itself; "
                    f"move {folder} away, and the {stage.network} network starts again"
                )
    objective.load_state_dict(weights)


def _trained(objective: Objective) -> list[nn.Parameter]:
    return [parameter for parameter in objective.parameters() if parameter.requires_grad]


def _precision() -> str:
    """bfloat16 where the device computes with it; half precision needs a scaling of the loss that older GPUs are not worth.

    A processor without instructions for it only imitates it, several times slower than float32, and an older PyTorch cannot say what
    a processor has: both compute in float32.
    """
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if any(present and name.endswith("bf16") for name, present in has.items()) else "no"


def _facts(accelerator: Accelerator) -> dict[str, Any]:
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"processes": accelerator.num_processes, "device": name, "cpu_cores": os.cpu_count()}


def _history(before: dict[str, Any], now: dict[str, Any], step: int) -> dict[str, Any]:
    """How a stage is trained from here on, and how it was before where that differs."""
    earlier = before.get("earlier", [])
    past = {name: value for name, value in before.items() if name != "earlier"}
    if past != now:
        earlier = [*earlier, {**past, "until_step": step}]
    return {**now, "earlier": earlier} if earlier else now
