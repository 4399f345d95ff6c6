"""The whole comparison: choose settings, score, and keep every cell. It reports progress and resumes where the last run stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.comparison.cells import ADDED, LIMITS, OWN, Cell, Outcome
from MRIDenoiseLib.evaluation.comparison.engine import run_cells
from MRIDenoiseLib.evaluation.comparison.plan import Entrant, Plan
from MRIDenoiseLib.evaluation.comparison.store import CellStore
from MRIDenoiseLib.evaluation.denoisers.contender import Setting
from MRIDenoiseLib.evaluation.figures.honest_reference import counts
from MRIDenoiseLib.progress import Progress, ShouldStop


@dataclass(frozen=True)
class Noises:
    """How noisy an image and its reference are.

    Args:
        own: standard deviation of the reference's own noise in the body, relative to its P99.5.
        added: root mean square of noisy - reference there.
    """

    own: float
    added: float

    @property
    def counts(self) -> bool:
        """Whether figures of the image are meaningful, see :mod:`MRIDenoiseLib.evaluation.figures.honest_reference`."""
        return counts(self.own, self.added)


@dataclass(frozen=True)
class Findings:
    """The results of a comparison.

    Args:
        plan: images, methods and models.
        settings: the setting of each method.
        trials: name of a tuning cell -> cell and outcome.
        cells: of the comparison, with their outcomes.
        limits: name of an image -> the limits for its Dice, see :data:`.cells.LIMITS`.
        noises: name of an image -> noise of its reference and added noise.
        notes: name of an image -> what is to be said about it, a sentence each; only images with notes.
    """

    plan: Plan
    settings: Mapping[Entrant, Setting]
    trials: Mapping[str, tuple[Cell, Outcome]]
    cells: Sequence[tuple[Cell, Outcome]]
    limits: Mapping[str, Mapping[str, float]]
    noises: Mapping[str, Noises]
    notes: Mapping[str, Sequence[str]]

    @property
    def apart(self) -> Findings:
        """The images that do not count, because their references are too noisy themselves."""
        return self._of({name for name, noises in self.noises.items() if not noises.counts})

    @property
    def counted(self) -> Findings:
        """The images that count: means, tests, tables and plots use only these. One on which every method failed is among them."""
        return self._of({name for name in self.plan.cases if name not in self.noises or self.noises[name].counts})

    def _of(self, names: set[str]) -> Findings:
        return replace(
            self,
            plan=replace(self.plan, cases={name: spec for name, spec in self.plan.cases.items() if name in names}),
            cells=[(cell, outcome) for cell, outcome in self.cells if cell.case.name in names],
            limits={name: limits for name, limits in self.limits.items() if name in names},
        )


def compare(
    plan: Plan,
    folder: Path,
    *,
    jobs: int,
    scheduler: str | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    failed: Callable[[Cell, Outcome], None] | None = None,
    peers: Path | None = None,
) -> Findings:
    """Compute the cells that are missing.

    Args:
        plan: what to compare.
        folder: where cells are kept.
        jobs: processes on this machine.
        scheduler: of a Dask cluster instead.
        progress: called after every cell.
        should_stop: called often; True stops.
        failed: called for each cell that failed; the others continue.
        peers: where results of other people's methods are kept for several comparisons.

    Raises:
        Paused: when ``should_stop`` returned True; finished cells are kept.
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
            for cell, outcome in run_cells(missing, jobs=jobs, scheduler=scheduler, should_stop=should_stop, peers=peers):
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
    return _findings(plan, settings, trials, scored, tried | fill(scored, "Comparing"))


def kept(plan: Plan, folder: Path) -> Findings:
    """The results so far of an unfinished comparison, for the images on which every method has run, whether it failed or not.

    Args:
        plan: what is compared.
        folder: where cells are kept.

    Raises:
        SettingsError: settings are still being chosen, or no image is finished.
    """
    store = CellStore(folder)
    trials = plan.trials()
    tried = {cell.name: outcome for cell in trials if (outcome := store.get(cell, failed=True)) is not None}
    if any(cell.name not in tried for cell in trials):
        raise SettingsError("the comparison is still choosing settings; let it finish first")
    settings = plan.choose(tried)
    scored = plan.scored(settings)
    found = {cell.name: outcome for cell in scored if (outcome := store.get(cell, failed=True)) is not None}
    unfinished = {cell.case.name for cell in scored if cell.name not in found}
    finished = {name: spec for name, spec in plan.cases.items() if name not in unfinished}
    if not finished:
        raise SettingsError("the comparison has no image on which every method has run; let it finish first")
    # Cells of the whole plan: which other image's text a method is given depends on all of its images.
    of_finished = [cell for cell in scored if cell.case.name in finished]
    return _findings(replace(plan, cases=finished), settings, trials, of_finished, tried | found)


def _findings(
    plan: Plan, settings: Mapping[Entrant, Setting], trials: Sequence[Cell], scored: Sequence[Cell], found: Mapping[str, Outcome]
) -> Findings:
    return Findings(
        plan=plan,
        settings=settings,
        trials={cell.name: (cell, found[cell.name]) for cell in trials},
        cells=[(cell, found[cell.name]) for cell in scored if cell.method != LIMITS],
        noises={
            cell.case.name: Noises(outcome.figures[OWN], outcome.figures[ADDED])
            for cell in scored
            if OWN in (outcome := found[cell.name]).figures
        },
        limits={cell.case.name: found[cell.name].figures for cell in scored if cell.method == LIMITS},
        notes={cell.case.name: found[cell.name].notes for cell in scored if found[cell.name].notes},
    )


class _Pace:
    """Seconds left, from each method's time per slice so far: methods differ a thousandfold, so cells cannot count equally."""

    def __init__(self, missing: Sequence[Cell], known: Sequence[tuple[Cell, Outcome]], jobs: int) -> None:
        self._left: dict[str, int] = defaultdict(int)
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._jobs = jobs
        for cell in missing:
            self._left[cell.method] += cell.case.slices * cell.runs
        for cell, outcome in known:
            self._taken[cell.method].append(outcome.seconds / cell.case.slices)

    def done(self, cell: Cell, outcome: Outcome) -> None:
        """Note a cell that has ended."""
        self._left[cell.method] -= cell.case.slices * cell.runs
        self._taken[cell.method].append(outcome.seconds / cell.case.slices)

    def seconds_left(self) -> float | None:
        """The seconds; None while the time of a method still to come is unknown."""
        waiting = {method: slices for method, slices in self._left.items() if slices}
        if any(not self._taken[method] for method in waiting):
            return None
        return sum(slices * mean(self._taken[method]) for method, slices in waiting.items()) / self._jobs
