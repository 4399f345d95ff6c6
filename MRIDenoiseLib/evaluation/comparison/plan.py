"""From a configuration to cells: first those that choose every method's setting, then those that are scored.

The time they will take is estimated before: every method is tried on a small part of the first image that it can process, and its
time is scaled up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import mean

import numpy as np

from MRIDenoiseLib.errors import Cancelled
from MRIDenoiseLib.evaluation.comparison.cases import MEASURED, Case, CaseSpec, load
from MRIDenoiseLib.evaluation.comparison.cells import LIMITS, TRIAL, Cell, Outcome, prepare, task_of
from MRIDenoiseLib.evaluation.comparison.config import Config
from MRIDenoiseLib.evaluation.comparison.store import CellStore
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.evaluation.denoisers.contender import Setting
from MRIDenoiseLib.evaluation.denoisers.samplers import DEFAULT
from MRIDenoiseLib.evaluation.speed.usage import Usage
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.files import INDEX, files_of_parts
from MRIDenoiseLib.models.networks import needed
from MRIDenoiseLib.progress import Progress, ShouldStop
from MRIDenoiseLib.volume import Volume

PART = 0.35
"""The part of the rows and of the columns that is tried, in the middle."""
SLICES = 1
"""How many slices of the part are scored."""
SCORING = 2.0
"""Seconds per cell for reading, scoring and segmenting, about."""
SHARED = 1.5
"""By what factor a process is slower while others run."""


@dataclass(frozen=True)
class Entrant:
    """A method with the model that provides its networks; methods without networks take part once.

    Args:
        method: name of one of :data:`CONTENDERS`.
        model: the name of the model.
    """

    method: str
    model: str


@dataclass(frozen=True)
class Plan:
    """The images, methods and models of a comparison.

    Args:
        config: what the plan is made from.
        cases: name -> image of the comparison.
        tuning: name -> image that settings are chosen on.
        folders: name -> folder of each model.
        hashes: name -> hash of the model, which changes with every word of its card.
        weights: name -> for every method a mark of the parts of that model that decide its results, see :func:`_weights`.
        entrants: the methods that take part.
    """

    config: Config
    cases: Mapping[str, CaseSpec]
    tuning: Mapping[str, CaseSpec]
    folders: Mapping[str, Path]
    hashes: Mapping[str, str]
    weights: Mapping[str, Mapping[str, str]]
    entrants: tuple[Entrant, ...]

    @classmethod
    def of(cls, config: Config, data: Path | None) -> Plan:
        """Find the images and check the models.

        Raises:
            BundleError: a model is damaged.
            InputError: images are missing.
            SettingsError: the configuration names something impossible.
        """
        folders = config.folders()
        models = {name: Bundle.load(folder) for name, folder in folders.items()}
        hashes = {name: model.hash for name, model in models.items()}
        weights = {name: {method: _weights(model, method) for method in config.chosen} for name, model in models.items()}
        first = next(iter(folders))
        entrants = tuple(
            Entrant(method, model) for method in config.chosen for model in (folders if CONTENDERS[method].trained else (first,))
        )
        return cls(config, config.specs(data), config.tuning_specs(data), folders, hashes, weights, entrants)

    def trials(self) -> list[Cell]:
        """The cells that choose settings: every method that has a choice, on every tuning image; none if each image has its own choice."""
        if self.config.on_each_image:
            return []
        allowed = self.config.tuning.trials if self.config.tuning else 0
        return [
            self._cell(spec, entrant, setting, trial=True)
            for spec in self.tuning.values()
            for entrant in self.entrants
            if CONTENDERS[entrant.method].tunable
            for setting in CONTENDERS[entrant.method].grid(self.config.grid)[:allowed]
            if _fits(entrant, spec)
        ]

    def choose(self, outcomes: Mapping[str, Outcome]) -> dict[Entrant, Setting]:
        """The setting of each method with the highest mean :data:`TRIAL` over the tuning images; of equal ones the first.

        A setting that failed on one of them is not chosen; a method without any other keeps its customary one.

        Args:
            outcomes: name of a cell -> its outcome.
        """
        chosen: dict[Entrant, Setting] = {}
        for entrant in self.entrants:
            settings = CONTENDERS[entrant.method].grid(self.config.grid)
            means: list[tuple[float, Setting]] = []
            for setting in settings:
                names = [self._cell(spec, entrant, setting, trial=True).name for spec in self.tuning.values() if _fits(entrant, spec)]
                found = [outcomes[name] for name in names if name in outcomes]
                if found and all(not outcome.error for outcome in found):
                    means.append((sum(outcome.figures[TRIAL] for outcome in found) / len(found), setting))
            chosen[entrant] = max(means, key=lambda mean: mean[0])[1] if means else CONTENDERS[entrant.method].settings[0]
        return chosen

    def scored(self, settings: Mapping[Entrant, Setting]) -> list[Cell]:
        """The cells of the comparison, image by image, and for each image its :data:`.cells.LIMITS`."""
        cells: list[Cell] = []
        for spec in self.cases.values():
            cells.append(Cell(spec, LIMITS, {}, "", "", "", steps=0))
            for entrant in self.entrants:
                if _fits(entrant, spec):
                    choices = self.choices(entrant)
                    cells.append(self._cell(spec, entrant, {} if choices else settings[entrant], choices=choices))
        return cells

    def choices(self, entrant: Entrant) -> tuple[Setting, ...]:
        """Settings from which the best is chosen on each image's truth. Empty for the model's own methods, which never see the truth."""
        method = CONTENDERS[entrant.method]
        grid = method.grid(self.config.grid)
        return grid if self.config.on_each_image and method.is_peer and len(grid) > 1 else ()

    def _cell(self, spec: CaseSpec, entrant: Entrant, setting: Setting, *, trial: bool = False, choices: tuple[Setting, ...] = ()) -> Cell:
        method = CONTENDERS[entrant.method]
        needs_model = method.needs_model(choices or (setting,), noise_known=spec.noise != MEASURED)
        return Cell(
            case=spec,
            method=entrant.method,
            setting=setting,
            model=entrant.model,
            folder=str(self.folders[entrant.model]),
            bundle=self.weights[entrant.model][entrant.method] if needs_model else "",
            steps=self.config.steps,
            seed=self.config.seed,
            other=_other(spec, [*self.cases.values(), *self.tuning.values()]) if method.needs_other else ("", ""),
            trial=trial,
            choices=choices,
        )


def _fits(entrant: Entrant, spec: CaseSpec) -> bool:
    method = CONTENDERS[entrant.method]
    return (not method.organs or spec.organ in method.organs) and (not method.told or spec.kind == "volume")


def _weights(model: Bundle, method: str) -> str:
    """A mark of the model's files, default method and settings, without those that do not affect the method's results.

    Left out are the descriptions of the model, the list of components, and the networks that only other methods use. So a model
    keeps all its results when such a network is added.
    """
    # One network too many makes a kept result useless; one too few would keep a wrong result.
    used = {*CONTENDERS[method].networks, *(needed(model.default_method, informed=True) if method == DEFAULT.name else ())}
    others = {network for one in CONTENDERS.values() for network in one.networks} - used
    unused = {INDEX, *others}
    files = {name: digest for name, digest in files_of_parts(model.card["files"]).items() if name.split("/")[0] not in unused}
    decisive = files, model.default_method, model.default_settings
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _other(spec: CaseSpec, every: Sequence[CaseSpec]) -> tuple[str, str]:
    """Organ and contrast of the first image of another organ, or otherwise of another contrast."""
    for differs in (lambda one: one.organ != spec.organ, lambda one: one.contrast != spec.contrast):
        for one in every:
            if differs(one):
                return one.organ, one.contrast
    return "", ""


def expected(
    plan: Plan,
    folder: Path,
    jobs: int,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> float:
    """Seconds that the rest of a comparison takes, within a factor of about two.

    The time of a method that has finished cells in the folder is taken from those. All images count as equally large. Results of
    other people's methods that are kept for several comparisons (see :mod:`.store`) are not considered; they shorten the rest.

    Args:
        plan: what is compared.
        folder: where its cells are kept.
        jobs: processes.
        progress: called after every method.
        should_stop: called before every method; True cancels.

    Raises:
        Cancelled: when ``should_stop`` returned True.
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
            CONTENDERS[one.method].run(task, one.setting)
    except Exception:  # noqa: BLE001 - its error is reported when its own cells run
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
