"""Train BME-X's architecture on the brains among the training volumes, with the noises that the bundled model learned from.

    nice python scripts/train_bme_x.py --data DIR --cache runs/bme_x [--out FOLDER]

The tissues to learn are those that the clean volumes are segmented into. The patients of the tables and the one kept for
validation are never seen. It may be stopped at any time and resumes where it was; once all steps are done, --out gets the
network with its card.
"""

from __future__ import annotations

import inspect
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import Progress

from MRIDenoiseLib import io
from MRIDenoiseLib.cli.exit_status import run
from MRIDenoiseLib.data.manifest import ManifestRow, clean_volume, kept_out_subjects, measured_matrix, read_manifest, training_rows
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import given_options
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import CONFIG_NAMES, BmeX, save
from MRIDenoiseLib.evaluation.denoisers.bme_x.training import BmeXObjective, LabelledVolume, TissuePairSampler, tissue_labels
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.models.configs import parameter_count
from MRIDenoiseLib.segmentation import segment
from MRIDenoiseLib.segmentation.tissues import ORGAN_WITH_TISSUES
from MRIDenoiseLib.training.checkpoint import make_folder
from MRIDenoiseLib.training.course import Course
from MRIDenoiseLib.training.loop import StageRun, train_stage

SEED = 0
VALIDATION = "ms04"
"""A training patient that this network does not see, to choose by."""


def train(
    data: Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with MANIFEST.csv and volumes/")],
    cache: Annotated[Path, typer.Option(help="checkpoints, curves and segmentations are kept in this folder")],
    out: Annotated[Path | None, typer.Option(help="folder to make for the trained network")] = None,
    steps: Annotated[int, typer.Option(help="optimiser steps", min=1)] = 1500,
    batch_size: Annotated[int, typer.Option(help="crops a step", min=1)] = 4,
    crop: Annotated[int, typer.Option(help="rows and columns of a crop", min=64)] = 64,
    learning_rate: Annotated[float, typer.Option(help="peak")] = 2e-3,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a network that lies at --out")] = False,
) -> None:
    """Train, or go on training."""
    torch.set_num_threads(1)
    make_folder(cache)
    rows = [row for row in training_rows(data) if row.organ == ORGAN_WITH_TISSUES]
    if not any(row.subject != VALIDATION for row in rows):
        raise InputError(f"{data} lists no brain to train on beside the patient kept for validation")
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        volumes = [_labelled(data, row, cache / "labels") for row in progress.track(rows, description="tissues")]
    learned = [volume for volume in volumes if volume.clean.row.subject != VALIDATION]
    watched = [volume for volume in volumes if volume.clean.row.subject == VALIDATION] or learned

    course = Course("BME-X", steps, batch_size=batch_size, learning_rate=learning_rate, decay=0.4, ema=0.99, epoch_steps=250)
    torch.manual_seed(SEED)
    objective = BmeXObjective(BmeX())
    with Progress(console=console) as progress:
        task = progress.add_task("steps", total=steps)
        done = train_stage(
            course,
            objective,
            TissuePairSampler(learned, crop, SEED),
            cache,
            probes=TissuePairSampler(watched, crop, SEED),
            seed=SEED,
            identity=_identity(course, crop, objective.bme_x, rows),
            progress=lambda step, part, loss: progress.update(task, completed=step),
        )
    if out is not None:
        kept_out = kept_out_subjects(read_manifest(data, kind=None))
        command = _command(steps=steps, batch_size=batch_size, crop=crop, learning_rate=learning_rate)
        card = _card(objective.bme_x, [volume.clean.row for volume in learned], kept_out, done, command)
        save(objective.bme_x, out, card, overwrite=overwrite)


def _identity(course: Course, crop: int, bme_x: BmeX, rows: list[ManifestRow]) -> str:
    """What a checkpoint has to fit: seed, volumes, training (but not for how long) and network."""
    lasting = {name: value for name, value in asdict(course).items() if name != "steps"} | {"crop": crop}
    return json.dumps([SEED, sorted(row.file for row in rows), lasting, {name: bme_x.config[name] for name in CONFIG_NAMES}])


def _command(**values: Any) -> str:
    """What trains this network again."""
    defaults = {name: inspect.signature(train).parameters[name].default for name in values}
    return shlex.join(["python", "scripts/train_bme_x.py", "--data", "DIR", *given_options(defaults, values)])


def _labelled(data: Path, row: ManifestRow, folder: Path) -> LabelledVolume:
    """A clean volume and its tissues, segmented once and kept."""
    volume = measured_matrix(io.read(data / row.file), row)
    clean = clean_volume(volume, row)
    path = folder / f"{Path(row.file).name.partition('.')[0]}.npz"
    if not path.is_file():
        make_folder(folder)
        labels = tissue_labels(segment(volume.with_acquisition(clean.acquisition)), volume.slice_axis)
        with replacing(path, overwrite=True) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, labels=labels)
    with np.load(path) as stored:
        return LabelledVolume(clean, stored["labels"])


def _card(bme_x: BmeX, rows: list[ManifestRow], kept_out: list[str], done: StageRun, command: str) -> dict[str, Any]:
    return {
        "name": "BME-X (Sun et al., Nature Biomedical Engineering 2024), architecture only",
        "weights": "Trained for this program's comparisons. They are not the authors' weights and say nothing about those.",
        "intended_use": "A peer to compare with, on volumes of the head. Research use only; not for diagnostic use.",
        "licence": "Apache-2.0",
        "parameters": parameter_count(bme_x),
        "training": {
            "command": command,
            "steps": done.steps,
            "minutes": round(done.minutes, 1),
            "machine": done.facts,
            "seed": SEED,
            "kept_out": [*kept_out, VALIDATION],
            "validation": done.probe,
            "data": [{name: getattr(row, name) for name in ("file", "source", "licence", "organ", "contrast", "subject")} for row in rows],
        },
    }


if __name__ == "__main__":
    run(train)
