"""The cells of a comparison on disk: each is complete or missing, so that a run can be killed at any moment and resumed.

Other people's methods run only once: their results are kept where several comparisons find them, whatever model is compared. The
image of the scored slices is kept, and all figures are computed from it again. Images show patients: keep the folders where such
data is allowed.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.evaluation.comparison.cases import Case
from MRIDenoiseLib.evaluation.comparison.cells import LIMITS, Cell, Outcome, loaded, run_cell, score, task_of
from MRIDenoiseLib.evaluation.comparison.code_mark import image_code
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.evaluation.denoisers.contender import Contender
from MRIDenoiseLib.io.atomic import replacing

CELLS = "cells"
"""The folder inside a comparison's own."""


PEER_CACHE = "peer-cache"
"""The default folder of other people's results: next to the comparison's own, so that comparisons in one place share it."""


def check_folder(folder: Path) -> None:
    """Check before long work whether a comparison may use a folder.

    Raises:
        OutputError: it is a file, or holds something that is not a comparison.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder for the comparison")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CELLS).is_dir():
        raise OutputError(f"{folder} holds something that is not a comparison; name a new folder")


class CellStore:
    """Outcomes in a folder, one JSON file per cell with its image next to it. Images show patients: keep the folder where that is allowed.

    Args:
        folder: of the comparison; made when the first outcome comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / CELLS

    def get(self, cell: Cell, name: str | None = None, *, failed: bool = False) -> Outcome | None:
        """An earlier outcome; None where there is none, where it failed (the reason may be gone by now), or where a file is damaged.

        Args:
            cell: what was done.
            name: the name under which it was kept; the cell's own when not given.
            failed: also return an outcome that failed.
        """
        try:
            content = json.loads(self._path(name or cell.name, ".json").read_text(encoding="utf-8"))
            has_image = cell.has_image and not content["error"]
            image = np.load(self._path(name or cell.name, ".npy"), allow_pickle=False) if has_image else None
            outcome = Outcome(
                **(
                    content
                    | {"image": image, "evolution": tuple(map(tuple, content["evolution"]))}
                    | {name: tuple(content[name]) for name in ("tissues", "notes")}
                )
            )
        except (OSError, ValueError, TypeError, KeyError, EOFError):
            return None
        return outcome if failed or not outcome.error else None

    def put(self, cell: Cell, outcome: Outcome, name: str | None = None) -> None:
        """Keep an outcome; an earlier one is replaced.

        Args:
            cell: what was done.
            outcome: the result.
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


def run_kept(cell: Cell, folder: Path | None) -> Outcome:
    """As :func:`.cells.run_cell`, but a peer's image that is kept in ``folder`` is only scored, and a new image is kept there.

    Trials are not kept: they give no image. If the folder cannot be written, the result is still returned.
    """
    if folder is None or cell.trial or cell.method == LIMITS or not CONTENDERS[cell.method].is_peer:
        return run_cell(cell)
    try:
        case = loaded(cell.case)
        name = f"{cell.method}--{_mark(case, cell)}"
        store = CellStore(folder)
        if (kept := store.get(cell, name)) is not None and kept.image is not None:
            figures, tissues = score(case, kept.image.astype(np.float32) * np.float32(case.scale))
            return replace(kept, figures=figures, tissues=tissues)
    except Exception:  # noqa: BLE001 - an error of the image or the method is reported when the method runs
        return run_cell(cell)
    outcome = run_cell(cell)
    if not outcome.error:
        with suppress(OutputError, OSError):
            store.put(cell, outcome, name)
    return outcome


def _mark(case: Case, cell: Cell) -> str:
    """A mark that changes with everything that decides a peer's result: its input, settings, package version and our code around it.

    The reference is part of it, because the best setting is chosen by it.
    """
    task = task_of(case, cell)
    method = CONTENDERS[cell.method]
    facts: list[Any] = [cell.method, dict(cell.setting), cell.choices, cell.bundle, cell.seed, [cell.case.slices, case.scored.start]]
    facts += [
        task.volume.slice_axis,
        task.spacing,
        task.scale,
        case.true_noise,
        str(task.frame),
        dict(_versions(method)),
        image_code(method.name, networks=bool(cell.bundle)),
    ]
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for array in (case.volume.voxels, case.reference, task.near):
        found.update(array.tobytes())
    return found.hexdigest()[:24]


def _versions(method: Contender) -> Iterator[tuple[str, str]]:
    for package in method.packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, ""
