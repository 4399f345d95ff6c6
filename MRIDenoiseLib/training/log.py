"""The curves of a training run: a line of JSON every so often, and the same for TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.training.checkpoint import make_folder

NAME = "log.jsonl"
CURVES = "curves"


class TrainingLog:
    """Writes ``log.jsonl`` and TensorBoard events (``curves/``) into a folder; a context manager.

    Args:
        folder: of the stage.
        first: steps already done; entries of later steps, left by a run that was killed, are dropped.
        silent: write nothing, as all processes but one do.

    Raises:
        OutputError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, first: int, *, silent: bool = False) -> None:
        self._path = folder / NAME
        self._curves: SummaryWriter | None = None
        if silent:
            return
        make_folder(folder)
        kept = [entry for entry in read_log(folder) if entry["step"] <= first]
        with replacing(self._path, overwrite=True) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        self._curves = SummaryWriter(str(folder / CURVES), purge_step=first + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """One entry; ``values`` by name. No values make no entry."""
        if self._curves is None or not values:
            return
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": step} | {name: round(value, 6) for name, value in values.items()}) + "\n")
        for name, value in values.items():
            self._curves.add_scalar(name, value, step)

    def flush(self) -> None:
        """Have the curves on disk, as the checkpoint is that a killed run goes on from."""
        if self._curves is not None:
            self._curves.flush()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._curves is not None:
            self._curves.close()


def read_log(folder: Path) -> list[dict[str, float]]:
    """The entries of a stage's log, in order; a last line that a kill cut short is left out."""
    path = folder / NAME
    entries: list[dict[str, float]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return entries
