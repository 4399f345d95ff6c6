"""The cells of a comparison on disk: each whole or not there, so that a run can be killed at any moment and goes on later."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.evaluation.comparison.cells import Cell, Outcome
from MRIDenoiseLib.io.atomic import replacing

FOLDER = "cells"


def check_folder(folder: Path) -> None:
    """Find out before long work whether a comparison may use a folder.

    Raises:
        OutputError: it is a file, or holds something that is no comparison.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder for the comparison")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FOLDER).is_dir():
        raise OutputError(f"{folder} holds something else than a comparison; name a new folder")


class CellStore:
    """Outcomes in a folder, one JSON file a cell and its image beside it. Images show patients: the folder stays where they may be.

    Args:
        folder: of the comparison; made when the first outcome comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def get(self, cell: Cell, name: str | None = None, *, failed: bool = False) -> Outcome | None:
        """What came out earlier; None where nothing did, where it failed (the reason may be gone by now), or where a file is damaged.

        Args:
            cell: what was done.
            name: that it was kept under; the cell's own when not given.
            failed: give an outcome that failed, too.
        """
        try:
            content = json.loads(self._path(name or cell.name, ".json").read_text(encoding="utf-8"))
            has_image = cell.has_image and not content["error"]
            image = np.load(self._path(name or cell.name, ".npy"), allow_pickle=False) if has_image else None
            outcome = Outcome(
                **(content | {"image": image, "tissues": tuple(content["tissues"]), "evolution": tuple(map(tuple, content["evolution"]))})
            )
        except (OSError, ValueError, TypeError, KeyError, EOFError):
            return None
        return outcome if failed or not outcome.error else None

    def put(self, cell: Cell, outcome: Outcome, name: str | None = None) -> None:
        """Keep an outcome; one that is there is replaced.

        Args:
            cell: what was done.
            outcome: what came out.
            name: to keep it under; the cell's own when not given.

        Raises:
            OutputError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if outcome.image is not None:
            buffer = io.BytesIO()
            np.save(buffer, outcome.image, allow_pickle=False)
            with replacing(self._path(name or cell.name, ".npy"), True) as temporary:
                temporary.write_bytes(buffer.getvalue())
        with replacing(self._path(name or cell.name, ".json"), True) as temporary:
            temporary.write_text(json.dumps(outcome.as_json(), indent=1), encoding="utf-8")

    def _path(self, name: str, ending: str) -> Path:
        return self._folder / f"{name}{ending}"
