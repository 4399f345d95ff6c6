"""A training run on disk: everything needed to go on where it was stopped, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from MRIDenoiseLib.io.atomic import replacing

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings and plain containers of them)."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / NAME, overwrite=True) as temporary:
        torch.save(state, temporary)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest state, or None for a run that has not begun. Only tensors and plain values are ever read."""
    path = folder / NAME
    if not path.is_file():
        return None
    return torch.load(path, map_location="cpu", weights_only=True)
