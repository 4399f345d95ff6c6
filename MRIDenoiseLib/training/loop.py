"""The training loop: one pass over endless batches until the recipe's minutes are spent, resumable at any moment."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import broadcast
from diffusers.training_utils import EMAModel

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.configs import CONFIGS, Networks, build_networks
from MRIDenoiseLib.training.checkpoint import load_checkpoint, save_checkpoint
from MRIDenoiseLib.training.objectives import JointObjective
from MRIDenoiseLib.training.samples import PairSampler
from MRIDenoiseLib.training.volumes import CleanVolume, refuse_kept_out

LOG_EVERY = 25
CHECKPOINT_SECONDS = 240
WARM_UP_STEPS = 100
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run.

    Args:
        config: name of the network sizes (``compact`` ...).
        minutes: wall-clock training time, summed over resumed runs; the learning rate falls along a cosine over it.
        steps: stop after this many steps instead when positive.
        crop: rows and columns of a training crop.
        batch_size: crops a step and process.
        learning_rate: peak.
        ema: decay of the running average of the weights, which is what ships.
        seed: of weights, data and noise.
    """

    config: str = "compact"
    minutes: float = 60.0
    steps: int = 0
    crop: int = 128
    batch_size: int = 8
    learning_rate: float = 6e-4
    ema: float = 0.998
    seed: int = 0

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """From a YAML file.

        Raises:
            SettingsError: for a key this program does not know or an unknown configuration.
        """
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise SettingsError(f"{path} has the unknown key '{min(unknown)}'")
        trainable = [name for name, config in CONFIGS.items() if config().restoration is not None]
        if values.get("config", "compact") not in trainable:
            raise SettingsError(f"{path} asks for the configuration '{values['config']}'; this loop trains {', '.join(trainable)}")
        return cls(**values)

    def identity(self) -> str:
        """What a checkpoint belongs to: networks and recipe, but for how long it is to train."""
        lasting = {name: value for name, value in asdict(self).items() if name not in ("minutes", "steps")}
        return json.dumps([lasting, asdict(CONFIGS[self.config]())], sort_keys=True)


@dataclass(frozen=True)
class Trained:
    """What a run has come to.

    Args:
        networks: with their averaged weights.
        steps: optimiser steps done.
        minutes: wall-clock time spent on them.
        facts: how it was trained: processes, device, CPU cores, and the subjects and files it drew from.
    """

    networks: Networks
    steps: int
    minutes: float
    facts: dict[str, Any]


def train(recipe: Recipe, volumes: Sequence[CleanVolume], run: Path) -> Networks:
    """Train (or go on training) all networks of ``recipe`` and return them with their averaged weights.

    Writes ``checkpoint.pt`` and ``log.jsonl`` into ``run``. Under ``torchrun`` every process draws its own crops and the
    gradients are averaged.

    Raises:
        InputError: a volume of a patient who must not be trained on.
        SettingsError: the run was begun with another recipe or other networks.
    """
    refuse_kept_out(volumes)
    accelerator = Accelerator(mixed_precision="bf16", cpu=not torch.cuda.is_available())
    torch.manual_seed(recipe.seed)
    networks = build_networks(CONFIGS[recipe.config]())
    objective = JointObjective(networks)
    # Convolutions without normalisation run faster on a CPU with channels last; the denoiser's group norms do not.
    for network in (objective.restoration, objective.degradation):
        network.to(memory_format=torch.channels_last)
    average = EMAModel(objective.parameters(), decay=recipe.ema, use_ema_warmup=True, power=0.75)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    step, elapsed = 0, 0.0
    state = _state_of(recipe, run)
    if state is not None:
        objective.load_state_dict(state["weights"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, elapsed = state["step"], state["elapsed"]
    model, optimizer = accelerator.prepare(objective, optimizer)
    average.to(accelerator.device)
    sampler = PairSampler(volumes, recipe.crop, recipe.seed * 1000 + accelerator.process_index)
    started = saved = time.monotonic()
    sums: dict[str, float] = {}
    summed = 0
    facts = {
        "processes": accelerator.num_processes,
        "device": accelerator.device.type,
        "cpu_cores": os.cpu_count(),
        "files": sorted(volume.row.file for volume in volumes),
    }

    def checkpoint() -> None:
        if accelerator.is_main_process:
            save_checkpoint(
                run,
                {
                    "weights": objective.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "elapsed": elapsed + time.monotonic() - started,
                    "identity": recipe.identity(),
                    "facts": facts,
                },
            )

    while True:
        clock = torch.tensor([elapsed + time.monotonic() - started], device=accelerator.device)
        # Every process follows the first one's clock, or their learning rates and weights would part.
        spent = float(broadcast(clock)) / 60
        progress = step / recipe.steps if recipe.steps else spent / recipe.minutes
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min((step + 1) / WARM_UP_STEPS, 0.5 + 0.5 * math.cos(math.pi * progress))
        batch = sampler.batch(step, recipe.batch_size)
        generator = torch.Generator().manual_seed((recipe.seed * 1000 + accelerator.process_index) * 1_000_003 + step + 500_000)
        losses = model(batch, generator)
        accelerator.backward(sum(losses.values()))
        accelerator.clip_grad_norm_(objective.parameters(), GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.step(objective.parameters())
        step += 1
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + float(loss.detach())
        summed += 1
        if step % LOG_EVERY == 0:
            if accelerator.is_main_process:
                _log(run, {"step": step, "minutes": round(spent, 2)} | {name: round(total / summed, 5) for name, total in sums.items()})
            sums, summed = {}, 0
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            checkpoint()
            saved = time.monotonic()
    checkpoint()
    average.copy_to(objective.parameters())
    return networks


def averaged_networks(recipe: Recipe, run: Path) -> Trained:
    """A run as it is on disk, finished or not.

    Raises:
        SettingsError: when the run has no checkpoint yet, or was trained with another recipe or other networks.
    """
    state = _state_of(recipe, run)
    if state is None:
        raise SettingsError(f"{run} holds no checkpoint yet")
    networks = build_networks(CONFIGS[recipe.config]())
    objective = JointObjective(networks)
    average = EMAModel(objective.parameters())
    average.load_state_dict(state["average"])
    average.copy_to(objective.parameters())
    return Trained(networks, state["step"], state["elapsed"] / 60, state["facts"])


def _state_of(recipe: Recipe, run: Path) -> dict[str, Any] | None:
    state = load_checkpoint(run)
    if state is not None and state["identity"] != recipe.identity():
        raise SettingsError(f"{run} was trained with another recipe or other networks; use an empty folder")
    return state


def _log(run: Path, entry: dict[str, float]) -> None:
    run.mkdir(parents=True, exist_ok=True)
    with (run / "log.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")
