"""A whole recipe, stage after stage: from training pairs to networks that are ready to be bundled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.configs import Networks
from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser
from MRIDenoiseLib.models.flow import FlowNetwork
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.models.noise_estimator import NoiseEstimator
from MRIDenoiseLib.progress import ShouldStop
from MRIDenoiseLib.training.batches import Batches
from MRIDenoiseLib.training.checkpoint import load_checkpoint
from MRIDenoiseLib.training.loop import StageRun, load_average, train_stage
from MRIDenoiseLib.training.multi_cycle import MultiCycleObjective
from MRIDenoiseLib.training.objectives import DenoiserObjective, FlowObjective, NoiseObjective, Objective, RestorationObjective
from MRIDenoiseLib.training.recipe import Recipe, Stage, StageName
from MRIDenoiseLib.training.text import Conditioner

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
"""The projections of the denoiser's attention layers, of one slice with itself and with the text."""


@dataclass(frozen=True)
class Trained:
    """What a run has come to.

    Args:
        networks: with the averaged weights of their stages.
        stages: what each stage came to, by the network's name; a stage that has not begun is missing.
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
    only: StageName | None = None,
    progress: Callable[[Stage, int, float, float], None] | None = None,
    should_stop: ShouldStop | None = None,
) -> Trained:
    """Train every stage of a recipe, or go on where an earlier run was stopped.

    Args:
        recipe: the plan.
        networks: to start from; they are changed in place.
        batches: this process's training pairs for a stage.
        run: a folder, of which each stage gets a subfolder.
        probes: pairs for the stage's probes, see :func:`.loop.train_stage`.
        only: train the stage of this network and take the others as they are.
        progress: called after every step with the stage, its steps done, the part of it that is done, and the loss.
        should_stop: asked after every step.

    Raises:
        SettingsError: the recipe does not fit the networks, or the folder holds another run.
        Cancelled: when told to stop, after the state was saved.
    """
    if only is not None and only not in (stage.network for stage in recipe.stages):
        raise SettingsError(f"the recipe has no stage for the {only} network")
    done: dict[str, StageRun] = {}
    for stage in recipe.stages:
        objective, identity, folder = _prepare(recipe, stage, networks, run)
        result = load_average(stage, objective, folder, identity)
        if only not in (None, stage.network):
            teaches = stage.text != "frozen" or stage.network == "noise_estimator"
            teaches |= stage.network == "restoration" and only in ("flow", *(["denoiser"] if networks.denoiser.config.informed else []))
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
    """The networks whose stages have steps to do, or have not begun.

    Raises:
        InputError: a checkpoint is damaged.
    """
    states = {stage: load_checkpoint(run / stage.network) for stage in recipe.stages}
    return [stage.network for stage, state in states.items() if state is None or stage.progress(state["step"], state["minutes"]) < 1]


def _prepare(recipe: Recipe, stage: Stage, networks: Networks, run: Path) -> tuple[Objective, str, Path]:
    """The stage's objective, what its checkpoint must fit, and its folder."""
    network = getattr(networks, stage.network)
    if network is None:
        raise SettingsError(f"the recipe trains the {stage.network} network, but there is none")
    identity = recipe.identity(stage, network.config)
    # Whatever is random in the making of adapters and of the chain's other networks is the same in every run and process.
    torch.manual_seed(recipe.seed + 1)
    objective = _objective(stage, network, networks)
    for module in objective.modules():
        if isinstance(module, NBNet | FlowNetwork):
            # Convolutions without normalisation run faster this way; the denoiser's group norms do not.
            module.to(memory_format=torch.channels_last)
    return objective, identity, run / stage.network


def _objective(stage: Stage, network: NoiseEstimator | NBNet | DiffusionDenoiser | FlowNetwork, networks: Networks) -> Objective:
    network.requires_grad_(True)
    if isinstance(network, NoiseEstimator):
        return NoiseObjective(network)
    text = Conditioner(networks.tokenizer, networks.text_encoder, stage.text, stage.lora_rank, networks.noise_estimator)
    scheduler = networks.scheduler
    if isinstance(network, DiffusionDenoiser):
        if network.config.informed and networks.restoration is None:
            raise SettingsError("the denoiser starts from the answers of the restoration network, but there is none")
        given = scheduler, text, stage.weighting, networks.restoration if network.config.informed else None
        if not stage.attention_lora:
            return DenoiserObjective(network, *given)
        adapters = LoraConfig(r=stage.lora_rank, lora_alpha=stage.lora_rank, lora_dropout=0.0, target_modules=ATTENTION)
        return DenoiserObjective(get_peft_model(network, adapters), *given)
    if isinstance(network, FlowNetwork):
        assert networks.restoration is not None
        return FlowObjective(network, networks.restoration, text)
    if stage.network == "degradation":
        return MultiCycleObjective(network, text, stage)
    return RestorationObjective(network, text, stage.weighting)


def _finish(stage: Stage, objective: Objective, networks: Networks) -> None:
    """Take the trained network and text encoder out of the objective, without adapters."""
    network = objective.network
    if isinstance(network, PeftModel):
        network = network.merge_and_unload()
    setattr(networks, stage.network, network.cpu())
    if objective.text is not None:
        networks.text_encoder = objective.text.merged().cpu()
