"""A training stage on disk: everything needed to go on where it was stopped, written whole or not at all."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.io.atomic import replacing

NAME = "checkpoint.pt"

_UNREADABLE = (RuntimeError, EOFError, KeyError, ValueError, OSError, pickle.UnpicklingError)
"""What torch raises on files that are no checkpoint, by how they are none."""


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
            # torch wraps what the system said into a complaint about its own file format.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest state, or None for a stage that has not begun. Only tensors and plain values are ever read.

    Raises:
        InputError: the file is damaged or no checkpoint.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise InputError(f"{path} is damaged; remove it to begin this stage anew") from error
    if not isinstance(state, dict) or "identity" not in state:
        raise InputError(f"{path} is no checkpoint of this program; use an empty folder")
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
