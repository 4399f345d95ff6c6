"""A training stage on disk: everything needed to resume where it was stopped, written whole or not at all.

Also what several processes that train together must agree on, so that all of them resume and stop together.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from MRIDenoiseLib.errors import InputError, OutputError, SettingsError
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.progress import ShouldStop

NAME = "checkpoint.pt"

_UNREADABLE = (RuntimeError, EOFError, KeyError, ValueError, OSError, pickle.UnpicklingError)
"""The errors that torch raises on different files that are not checkpoints."""


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings and plain containers of them).

    Raises:
        OutputError: the folder cannot be written to, or the disk is full; the checkpoint before stays.
    """
    path = folder / NAME
    make_folder(folder)
    with replacing(path, overwrite=True) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # torch wraps the system's error into an error about its own file format.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest state, or None for a stage that has not started. Only tensors and plain values are ever read.

    Raises:
        InputError: the file is damaged or no checkpoint.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise InputError(f"{path} is damaged; remove it to start this stage again") from error
    if not isinstance(state, dict) or "identity" not in state:
        raise InputError(f"{path} is not a checkpoint of this program; use an empty folder")
    return state


def make_folder(folder: Path) -> None:
    """Make a folder for a run, with those above it.

    Raises:
        OutputError: the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or 'the system refused'}") from error


def refuse_other_checkpoints(accelerator: Accelerator, step: int) -> None:
    """Machines that see different checkpoints would wait for each other without end.

    Raises:
        SettingsError: they do.
    """
    steps = accelerator.gather(torch.tensor([step], device=accelerator.device))
    if len(steps.unique()) > 1:
        raise SettingsError("the machines see different checkpoints: the run's folder must be one that all of them share")


def same_for_all(accelerator: Accelerator, part: float) -> float:
    """The part of a stage that is done by the first process's clock: all must leave the loop at the same step."""
    if accelerator.num_processes == 1:
        return part
    shared = torch.tensor([part], dtype=torch.float64, device=accelerator.device)
    return float(broadcast(shared)[0])


def stop_requested(accelerator: Accelerator, should_stop: ShouldStop | None) -> bool:
    """Whether a stop was requested from any process: all must leave the loop at the same step."""
    stop = should_stop is not None and should_stop()
    if accelerator.num_processes == 1:
        return stop
    return bool(accelerator.reduce(torch.tensor([float(stop)], device=accelerator.device)).item())
