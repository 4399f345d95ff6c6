"""The whole comparison: choose settings, score, and keep every cell, with progress, and from where the last run stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from MRIDenoiseLib.evaluation.compare.cells import LIMITS, Cell, Outcome
from MRIDenoiseLib.evaluation.compare.engine import ShouldStop, run_cells
from MRIDenoiseLib.evaluation.compare.plan import Entrant, Plan
from MRIDenoiseLib.evaluation.compare.store import CellStore
from MRIDenoiseLib.evaluation.methods.interface import Setting

Progress = Callable[[float, float | None, str], None]
"""Part done, seconds left or None, what is being done."""


@dataclass(frozen=True)
class Findings:
    """What a comparison has found.

    Args:
        plan: what was compared with what.
        settings: the setting of each method.
        trials: name of a tuning cell -> cell and outcome.
        cells: of the comparison, with their outcomes.
        limits: name of an image -> between what its Dice lies, see :data:`.cells.LIMITS`.
    """

    plan: Plan
    settings: Mapping[Entrant, Setting]
    trials: Mapping[str, tuple[Cell, Outcome]]
    cells: Sequence[tuple[Cell, Outcome]]
    limits: Mapping[str, Mapping[str, float]]


def compare(
    plan: Plan,
    folder: Path,
    *,
    jobs: int,
    scheduler: str | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    failed: Callable[[Cell, Outcome], None] | None = None,
) -> Findings:
    """Do what is not done yet.

    Args:
        plan: what to compare.
        folder: where cells are kept.
        jobs: processes on this machine.
        scheduler: of a Dask cluster instead.
        progress: called after every cell.
        should_stop: asked often.
        failed: called for each cell that failed; the others go on.

    Raises:
        Paused: when told to stop; what is done is kept.
        OutputError: the folder cannot be written.
        SettingsError: Dask is not installed, or the scheduler does not answer.
    """
    store = CellStore(folder)

    def fill(cells: Sequence[Cell], what: str) -> dict[str, Outcome]:
        known = {cell.name: outcome for cell in cells if (outcome := store.get(cell)) is not None}
        missing = [cell for cell in cells if cell.name not in known]
        pace = _Pace(missing, [(cell, known[cell.name]) for cell in cells if cell.name in known], jobs)
        if progress is not None:
            progress(len(known) / max(len(cells), 1), None, what)
        if missing:
            for cell, outcome in run_cells(missing, jobs=jobs, scheduler=scheduler, should_stop=should_stop):
                store.put(cell, outcome)
                known[cell.name] = outcome
                pace.done(cell, outcome)
                if outcome.error and failed is not None:
                    failed(cell, outcome)
                if progress is not None:
                    progress(len(known) / len(cells), pace.seconds_left(), f"{what}: {cell.title}, {cell.case.name}")
        return known

    trials = plan.trials()
    tried = fill(trials, "Choosing settings")
    settings = plan.choose(tried)
    scored = plan.scored(settings)
    found = fill(scored, "Comparing")
    return Findings(
        plan=plan,
        settings=settings,
        trials={cell.name: (cell, tried[cell.name]) for cell in trials},
        cells=[(cell, found[cell.name]) for cell in scored if cell.method != LIMITS],
        limits={cell.case.name: found[cell.name].figures for cell in scored if cell.method == LIMITS},
    )


class _Pace:
    """Seconds left, from what a slice has taken each method so far: methods differ a thousandfold, so cells cannot be counted alike."""

    def __init__(self, missing: Sequence[Cell], known: Sequence[tuple[Cell, Outcome]], jobs: int) -> None:
        self._left: dict[str, int] = defaultdict(int)
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._jobs = jobs
        for cell in missing:
            self._left[cell.method] += cell.case.slices
        for cell, outcome in known:
            self._taken[cell.method].append(outcome.seconds / cell.case.slices)

    def done(self, cell: Cell, outcome: Outcome) -> None:
        """Note a cell that has ended."""
        self._left[cell.method] -= cell.case.slices
        self._taken[cell.method].append(outcome.seconds / cell.case.slices)

    def seconds_left(self) -> float | None:
        """None while there is a method to come of which nothing is known."""
        waiting = {method: slices for method, slices in self._left.items() if slices}
        if any(not self._taken[method] for method in waiting):
            return None
        return sum(slices * mean(self._taken[method]) for method, slices in waiting.items()) / self._jobs
