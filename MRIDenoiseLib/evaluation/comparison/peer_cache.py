"""What other people's methods cost is paid once: their results are kept where several comparisons find them, whatever model they compare.

Kept is the image of the scored slices, from which all figures are made anew, in the files of :mod:`.store`. Images show patients: the
folder stays where they may be.
"""

from __future__ import annotations

import hashlib
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
from MRIDenoiseLib.evaluation.comparison.store import CellStore
from MRIDenoiseLib.evaluation.denoisers import METHODS
from MRIDenoiseLib.evaluation.denoisers.contender import Method

FOLDER = "peer-cache"
"""Its name where none is given: beside the comparison's own folder, so that comparisons that lie side by side share one."""


def run_kept(cell: Cell, folder: Path | None) -> Outcome:
    """As :func:`.cells.run_cell`, but a peer's image that is kept in ``folder`` is only scored, and a new one is kept there.

    Trials are not kept: they give no image. A folder that cannot be written costs no result.
    """
    if folder is None or cell.trial or cell.method == LIMITS or not METHODS[cell.method].is_peer:
        return run_cell(cell)
    try:
        case = loaded(cell.case)
        name = f"{cell.method}--{_mark(case, cell)}"
        store = CellStore(folder)
        if (kept := store.get(cell, name)) is not None and kept.image is not None:
            figures, tissues = score(case, kept.image.astype(np.float32) * np.float32(case.scale))
            return replace(kept, figures=figures, tissues=tissues)
    except Exception:  # noqa: BLE001 - what is wrong with the image or the method is said when the method runs
        return run_cell(cell)
    outcome = run_cell(cell)
    if not outcome.error:
        with suppress(OutputError, OSError):
            store.put(cell, outcome, name)
    return outcome


def _mark(case: Case, cell: Cell) -> str:
    """Changes with everything that decides a peer's result: what it is shown, its settings, its package's version and our code around it.

    The reference is part of it, because the best setting is chosen by it.
    """
    task = task_of(case, cell)
    method = METHODS[cell.method]
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


def _versions(method: Method) -> Iterator[tuple[str, str]]:
    for package in method.packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, ""
