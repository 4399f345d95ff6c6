"""``mridenoise train``: one command a recipe, from data to a checked model."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.bundle import check_model_place, say_written
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import CANCELLED, Cancelled, MRIDenoiseError, SettingsError
from MRIDenoiseLib.models.networks import NETWORKS

if TYPE_CHECKING:
    from MRIDenoiseLib.progress import Progress, ShouldStop
    from MRIDenoiseLib.training.recipe import Recipe, Stage
    from MRIDenoiseLib.training.start import Start

    Network = str
else:
    # Which networks there are is written in the table alone; type checkers do not run it.
    Network = Literal[tuple(NETWORKS)]

START = "What to start from (random weights where not given)"
PART = "Less than the whole recipe"
OUTPUT = "The finished model"

WHICH = " ".join(["Train this network only.", *(f"{row.name}: {row.sentence}." for row in NETWORKS.values())])


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML file, such as those in scripts/recipes.")],
    run: Annotated[Path, typer.Argument(help="The folder of this training; given again, a stopped training resumes.")],
    data: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR",
            envvar="MRIDENOISE_DATA",
            help="Clean volumes with a MANIFEST.csv, or a folder made by mridenoise prepare; may be given several times.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the model here, and check it.", rich_help_panel=OUTPUT)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the one that is there.", rich_help_panel=OUTPUT)] = False,
    from_bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The networks of this model, to fine-tune them.", rich_help_panel=START)
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(metavar="DIR|ID", help="A Stable Diffusion text encoder: a folder, or a hub id.", rich_help_panel=START),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="The commit of a hub id: 40 hexadecimal digits.", rich_help_panel=START)
    ] = None,
    stage: Annotated[Network | None, typer.Option(help=WHICH, rich_help_panel=PART)] = None,
    steps: Annotated[int | None, typer.Option(help="Another number of steps for every network.", rich_help_panel=PART)] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Another training time, for a recipe given in minutes, such as compact-gpu.", rich_help_panel=PART)
    ] = None,
) -> None:
    """Train the networks of a recipe. Ctrl-C saves the state; the same command resumes from there.

    With N GPUs, or on a processor with N cores: torchrun --no-python --nproc_per_node N mridenoise train ...
    """
    # Set by torchrun, which runs this command once for every GPU or core; the first process prints and writes for all.
    process = int(os.environ.get("RANK", "0"))
    first = process == 0
    try:
        with ProgressDisplay() if first else nullcontext(_silent) as progress, StopRequest() as should_stop:
            progress(0.0, None, "Starting")
            if out is not None:
                check_model_place(out, run, overwrite=overwrite)
            plan = _plan(recipe, steps, minutes)
            start = _start(plan, run, from_bundle, text_encoder, revision)
            if stage is not None and out is not None:
                _refuse_half_a_model(plan, run, stage)
            _train(plan, run, data, start, stage, process, progress, should_stop)
            if first and out is not None:
                from MRIDenoiseLib.training.card import build_bundle

                progress(1.0, None, "Writing the model")
                bundle = build_bundle(run, out, overwrite=overwrite)
    except ModuleNotFoundError as error:
        raise SettingsError(f"training needs {error.name}, which is not installed; install the extra 'train'") from error
    except Cancelled as error:
        # Printed here because something was written: the state to resume from.
        if first:
            print(f"mridenoise: {error}.", file=sys.stderr)
        raise typer.Exit(CANCELLED) from error
    except MRIDenoiseError as error:
        if first:
            raise
        # Every process finds an error in the options, and the first one prints it; a damaged pair may be met by only one.
        if not isinstance(error, SettingsError):
            print(f"mridenoise, process {process}: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_status) from error
    if first:
        console = Console(soft_wrap=True)
        console.print(Text.assemble(("trained:", "bold"), f" {run}"))
        if out is not None:
            say_written(console, out, bundle)
        console.print(Text(RESEARCH_USE_ONLY, style="bold"))


def _plan(recipe: Path, steps: int | None, minutes: float | None) -> Recipe:
    from MRIDenoiseLib.training.recipe import Recipe

    plan = Recipe.read(recipe)
    if minutes is not None:
        plan = plan.with_minutes(minutes)
    return plan if steps is None else plan.with_steps(steps)


def _start(plan: Recipe, run: Path, from_bundle: Path | None, text_encoder: str | None, revision: str | None) -> Start:
    """The start that the options name, or the one of the run that is resumed."""
    from transformers.utils import logging

    from MRIDenoiseLib.training.run_folder import kept_start
    from MRIDenoiseLib.training.start import begin_from_bundle, begin_with_tower

    # Its own progress bars would mix with ours.
    logging.disable_progress_bar()
    if from_bundle is not None and text_encoder is not None:
        raise SettingsError("--from-bundle brings its own text encoder; leave --text-encoder out")
    if revision is not None and text_encoder is None:
        raise SettingsError("--revision belongs to --text-encoder")
    if from_bundle is not None:
        return begin_from_bundle(from_bundle, plan)
    if text_encoder is not None:
        return begin_with_tower(plan, text_encoder, revision)
    return kept_start(run, plan)


def _refuse_half_a_model(plan: Recipe, run: Path, only: Network) -> None:
    """Before hours of training, what the writing of the model would refuse after them."""
    from MRIDenoiseLib.training.run import unfinished

    waiting = [name for name in unfinished(plan, run) if name != only]
    if waiting:
        raise SettingsError(
            f"--stage {only} leaves the training of {' and '.join(waiting)} unfinished, and --out writes finished models only; leave "
            "--out out, and write the model with mridenoise bundle build --unfinished"
        )


def _train(
    plan: Recipe,
    run: Path,
    folders: list[Path],
    start: Start,
    only: Network | None,
    process: int,
    progress: Progress,
    should_stop: ShouldStop,
) -> None:
    """Check everything that can be checked, then train."""
    from MRIDenoiseLib.training.data import open_data
    from MRIDenoiseLib.training.run import train as train_networks
    from MRIDenoiseLib.training.run_folder import begin
    from MRIDenoiseLib.training.start import check_plan

    check_plan(plan, start)
    data = open_data(folders, lambda done, of: progress(done / of, None, f"Reading {of} volumes"), should_stop)
    data.check(plan.records)
    if process == 0:
        for one in data.left_out:
            print(f"mridenoise: {one.file} is not trained on: {one.reason}.", file=sys.stderr)
    begin(run, plan, start, data.account(), write=process == 0)
    train_networks(
        plan,
        start.networks,
        lambda stage: data.batches(plan.records, stage.crop, plan.seed * 1000 + process),
        run,
        probes=lambda stage: data.probes(plan.records, stage.crop, plan.seed * 1000 + process),
        only=only,
        progress=_StageProgress([stage.network for stage in plan.stages], progress),
        should_stop=should_stop,
    )


class _StageProgress:
    """Turns the steps of the stages into a bar for each, with its own time left: their steps take unlike times.

    Args:
        networks: of the stages, in order.
        progress: what shows the bar.
    """

    def __init__(self, networks: list[str], progress: Progress) -> None:
        self._networks = networks
        self._progress = progress
        self._network = ""
        self._began = (0.0, 0.0)

    def __call__(self, stage: Stage, step: int, part: float, loss: float) -> None:
        now = time.monotonic()
        if stage.network != self._network:
            self._network, self._began = stage.network, (part, now)
        first, began = self._began
        left = (now - began) / (part - first) * (1 - part) if part > first else None
        number = self._networks.index(stage.network) + 1
        self._progress(part, left, f"{stage.network} ({number} of {len(self._networks)}), loss {loss:.3g}")


def _silent(fraction: float, seconds_left: float | None, what: str) -> None:
    """The progress of a process that prints nothing."""
