"""How long a comparison will take: every method is tried on a small part of the first image it fits, and scaled up."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import mean

import numpy as np

from MRIDenoiseLib.errors import Cancelled
from MRIDenoiseLib.evaluation.comparison.cases import Case, CaseSpec, load
from MRIDenoiseLib.evaluation.comparison.cells import LIMITS, Cell, prepare, task_of
from MRIDenoiseLib.evaluation.comparison.plan import Plan
from MRIDenoiseLib.evaluation.comparison.store import CellStore
from MRIDenoiseLib.evaluation.comparison.usage import Usage
from MRIDenoiseLib.evaluation.denoisers import METHODS
from MRIDenoiseLib.progress import Progress, ShouldStop
from MRIDenoiseLib.volume import Volume

PART = 0.35
"""Of rows and of columns that are tried, in the middle."""
SLICES = 1
"""That are scored of it."""
SCORING = 2.0
"""Seconds that reading, scoring and segmenting take a cell, about."""
SHARED = 1.5
"""By how much a process is slower with others beside it."""


def expected(
    plan: Plan,
    folder: Path,
    jobs: int,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> float:
    """Seconds that the rest of a comparison takes, within a factor of about two.

    A method that has finished cells in the folder is not tried but taken from those. Images count as equally large. What is kept of
    other people's methods for several comparisons (:mod:`.peer_cache`) is not looked up: with it the rest is shorter.

    Args:
        plan: what is compared.
        folder: where its cells are kept.
        jobs: processes.
        progress: called after every method.
        should_stop: asked before every method.

    Raises:
        Cancelled: when told to stop.
        InputError: an image cannot be read.
    """
    store = CellStore(folder)
    trials = plan.trials()
    chosen = plan.choose({cell.name: outcome for cell in trials if (outcome := store.get(cell)) is not None})
    cells = [*trials, *plan.scored(chosen)]
    by_method: dict[str, list[Cell]] = {}
    for cell in cells:
        by_method.setdefault(cell.method, []).append(cell)
    total = 0.0
    for number, (method, some) in enumerate(by_method.items()):
        if should_stop is not None and should_stop():
            raise Cancelled("stopped before anything was compared")
        if progress is not None:
            progress(number / len(by_method), None, f"Trying {some[0].title}")
        known = {cell.name: outcome for cell in some if (outcome := store.get(cell)) is not None}
        missing = [cell for cell in some if cell.name not in known]
        if not missing:
            continue
        if method == LIMITS:
            total += len(missing) * 3 * SCORING
            continue
        rates = [known[cell.name].seconds / cell.case.slices for cell in some if cell.name in known]
        rate = mean(rates) if rates else SHARED * _tried(some[0])
        total += sum(rate * cell.case.slices * cell.runs + SCORING for cell in missing)
    return total / jobs


def _tried(cell: Cell) -> float:
    """Seconds for a scored slice; a method that fails costs nothing."""
    whole = _loaded(cell.case)
    part = _part(whole)
    one = replace(cell, setting=cell.choices[0], choices=()) if cell.choices else cell
    task = task_of(part, one)
    try:
        prepare(task, one)
        with Usage() as usage:
            METHODS[one.method].run(task, one.setting)
    except Exception:  # noqa: BLE001 - why it fails is said when it is its turn
        return 0.0
    return usage.seconds / (SLICES * PART**2)


def _part(case: Case) -> Case:
    """The middle of a case: part of its rows and columns, one scored slice."""
    axis = case.volume.slice_axis
    cut = [slice(None)] * 3
    for across, size in enumerate(case.volume.voxels.shape):
        if across != axis:
            kept = round(PART * size)
            cut[across] = slice((size - kept) // 2, (size - kept) // 2 + kept)

    def middle(volume: Volume) -> Volume:
        return replace(volume, voxels=np.ascontiguousarray(volume.voxels[tuple(cut)]), headers=(), acquired_axis=axis)

    scored = range(case.scored.start, case.scored.start + SLICES)
    return replace(case, volume=middle(case.volume), clean=middle(case.clean), scored=scored)


@lru_cache(maxsize=1)
def _loaded(spec: CaseSpec) -> Case:
    return load(spec)
