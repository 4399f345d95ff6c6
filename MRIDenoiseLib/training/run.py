"""A whole recipe, stage after stage: from training pairs to networks that are ready to be bundled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.configs import Networks
from MRIDenoiseLib.models.film_unet import FilmUNet
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.progress import ShouldStop
from MRIDenoiseLib.training.batches import Batches
from MRIDenoiseLib.training.checkpoint import load_checkpoint
from MRIDenoiseLib.training.loop import StageRun, load_average, train_stage
from MRIDenoiseLib.training.objectives import Objective
from MRIDenoiseLib.training.recipe import Recipe, Stage


@dataclass(frozen=True)
class Trained:
    """What a run has come to.

    Args:
        networks: with the averaged weights of their stages.
        stages: what each stage came to, by the network's name; a stage that has not started is missing.
    """

    networks: Networks
    stages: dict[str, StageRun]


def train(
    recipe: Recipe,
    networks: Networks,
    batches: Callable[[Stage], Batches],
    run: Path,
    *,
    probes: Callable[[Stage], Batches] | None = None,
    only: str | None = None,
    progress: Callable[[Stage, int, float, float], None] | None = None,
    should_stop: ShouldStop | None = None,
) -> Trained:
    """Train every stage of a recipe, or resume where an earlier run was stopped.

    Args:
        recipe: the plan.
        networks: to start from; they are changed in place.
        batches: this process's training pairs for a stage.
        run: a folder, of which each stage gets a subfolder.
        probes: pairs for the stage's probes, see :func:`.loop.train_stage`.
        only: train the stage of this network and take the others as they are.
        progress: called after every step with the stage, its steps done, the part of it that is done, and the loss.
        should_stop: called after every step.

    Raises:
        SettingsError: the recipe does not fit the networks, or the folder holds another run.
        Cancelled: when a stop is requested, after the state was saved.
    """
    if only is not None and only not in (stage.network for stage in recipe.stages):
        raise SettingsError(f"the recipe has no stage for the {only} network")
    done: dict[str, StageRun] = {}
    for stage in recipe.stages:
        objective, identity, folder = _prepare(recipe, stage, networks, run)
        result = load_average(stage, objective, folder, identity)
        if only not in (None, stage.network):
            teaches = stage.text != "frozen" or stage.network == "noise_estimator"
            teaches |= only in networks and stage.network in networks.builds_on(only)
            if teaches and only not in done and not (result and result.done):
                raise SettingsError(f"the stage of the {stage.network} network trains what the others rely on; finish it first")
        elif result is None or not result.done:

            def report(step: int, part: float, loss: float, stage: Stage = stage) -> None:
                if progress is not None:
                    progress(stage, step, part, loss)

            result = train_stage(
                stage,
                objective,
                batches(stage),
                folder,
                probes=None if probes is None else probes(stage),
                seed=recipe.seed,
                identity=identity,
                progress=report,
                should_stop=should_stop,
            )
        if result is not None:
            done[stage.network] = result
        _finish(stage, objective, networks)
    return Trained(networks, done)


def trained_so_far(recipe: Recipe, networks: Networks, run: Path) -> Trained:
    """A run as it is on disk, finished or not.

    Args:
        recipe: the plan.
        networks: that the run started from; they are changed in place.
        run: its folder.

    Raises:
        SettingsError: nothing was trained yet, or the folder holds another run.
    """
    done: dict[str, StageRun] = {}
    for stage in recipe.stages:
        objective, identity, folder = _prepare(recipe, stage, networks, run)
        found = load_average(stage, objective, folder, identity)
        if found is not None:
            done[stage.network] = found
        _finish(stage, objective, networks)
    if not done:
        raise SettingsError(f"{run} holds no checkpoint yet")
    return Trained(networks, done)


def unfinished(recipe: Recipe, run: Path) -> list[str]:
    """The networks whose stages have steps to do, or have not started.

    Raises:
        InputError: a checkpoint is damaged.
    """
    states = {stage: load_checkpoint(run / stage.network) for stage in recipe.stages}
    return [stage.network for stage, state in states.items() if state is None or stage.progress(state["step"], state["minutes"]) < 1]


def _prepare(recipe: Recipe, stage: Stage, networks: Networks, run: Path) -> tuple[Objective, str, Path]:
    """The stage's objective, what its checkpoint must fit, and its folder."""
    if stage.network not in networks:
        raise SettingsError(f"the recipe trains the {stage.network} network, but there is none")
    for other in networks.builds_on(stage.network):
        if other not in networks:
            raise SettingsError(f"the {stage.network} starts from the answers of the {other} network, but there is none")
    network: Any = networks[stage.network]
    identity = recipe.identity(stage, network.config)
    # Whatever is random in the making of adapters and of the chain's other networks is the same in every run and process.
    torch.manual_seed(recipe.seed + 1)
    network.requires_grad_(True)
    objective: Objective = NETWORKS[stage.network].objective.of(stage, networks)
    for module in objective.modules():
        if isinstance(module, FilmUNet):
            # Convolutions without normalisation run faster this way; the denoiser's group norms do not.
            module.to(memory_format=torch.channels_last)
    return objective, identity, run / stage.network


def _finish(stage: Stage, objective: Objective, networks: Networks) -> None:
    """Take the trained network and text encoder out of the objective, without adapters."""
    network = objective.network
    if isinstance(network, PeftModel):
        network = network.merge_and_unload()
    networks[stage.network] = network.cpu()
    if objective.text is not None:
        networks.text_encoder = objective.text.merged().cpu()
