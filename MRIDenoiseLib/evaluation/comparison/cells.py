"""One cell of the comparison: one method on one image. It runs in any process, on any machine that has the data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.evaluation.comparison.cases import Case, CaseSpec, load
from MRIDenoiseLib.evaluation.comparison.code_mark import cell_code
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.evaluation.denoisers.contender import Setting, Task
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.evaluation.figures.tissues import BLURS
from MRIDenoiseLib.evaluation.figures.yardstick import Yardstick
from MRIDenoiseLib.evaluation.speed.usage import Usage
from MRIDenoiseLib.segmentation import Segmentation, dice, segment
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

TRIAL = "psnr_foreground"
"""The figure by which a setting is chosen."""
TISSUE_DICE = "dice"
OWN, ADDED = "own_noise", "added_noise"
"""Names of two more numbers, of the image itself: its reference's noise and the added noise, relative to the reference's P99.5."""
LIMITS = "limits"
"""In place of a method's name: the two limits for the Dice of methods. ``ceiling`` is the Dice of two equally good truths, ``blur``
that of the Gaussian blur with the best Dice, chosen on the reference."""


@dataclass(frozen=True)
class Cell:
    """One cell: what to compute.

    Args:
        case: the image.
        method: name of one of :data:`CONTENDERS`.
        setting: its parameters.
        model: the name of the model.
        folder: of the model.
        bundle: a mark of the model's weights and default settings; empty for methods that use nothing of it.
        steps: how many network calls a sampler may make for a slice.
        seed: of every random choice.
        other: organ and contrast of an image of another kind, for the text of another image.
        trial: whether only :data:`TRIAL` is computed.
        choices: settings from which the best for this very image is chosen on the truth; then ``setting`` is empty.
    """

    case: CaseSpec
    method: str
    setting: Setting
    model: str
    folder: str
    bundle: str
    steps: int
    seed: int = 0
    other: tuple[str, str] = ("", "")
    trial: bool = False
    choices: tuple[Setting, ...] = ()

    @property
    def title(self) -> str:
        """A title to show."""
        return "limits of segmentation" if self.method == LIMITS else CONTENDERS[self.method].title

    @property
    def runs(self) -> int:
        """How often the method runs."""
        return max(1, len(self.choices))

    @property
    def has_image(self) -> bool:
        """Whether its outcome holds an image."""
        return not self.trial and self.method != LIMITS

    @property
    def name(self) -> str:
        """A name for files: the kind of cell, and a short mark of everything that decides the result."""
        return f"{self.case.name}--{self.method}--{self.model}--{self.mark}"

    @property
    def mark(self) -> str:
        """Twelve letters that change with everything that decides the result, also code; folders are left out, because data may move."""
        content = asdict(self) | {"code": cell_code(None if self.method == LIMITS else self.method, networks=bool(self.bundle))}
        del content["folder"], content["case"]["folder"], content["case"]["own_noise"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a cell.

    Args:
        figures: name of a figure -> value.
        seconds: wall-clock time of the method alone, with one setting.
        processor: processor time in seconds.
        megabytes: memory that it needed.
        error: one sentence where it failed; then there are no figures.
        image: the scored slices, float16 (slices, rows, columns) in units of the reference's P99.5; None for trials.
        tissues: names of the classes that ``dice_1`` and so on belong to.
        evolution: foreground PSNR (dB) of the first scored slice after every network call, of the sampler's state and of the
            denoiser's estimate; empty for methods that are not samplers.
        setting: the one taken from the cell's choices; empty where it had none.
        notes: of :data:`LIMITS`, what is to be said about the image itself, a sentence each.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    processor: float = 0.0
    megabytes: float = 0.0
    error: str = ""
    image: np.ndarray | None = None
    tissues: tuple[str, ...] = ()
    evolution: tuple[tuple[float, float], ...] = ()
    setting: Setting = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Everything except the image."""
        return {
            "figures": dict(self.figures),
            "seconds": round(self.seconds, 4),
            "processor": round(self.processor, 4),
            "megabytes": round(self.megabytes, 1),
            "error": self.error,
            "tissues": list(self.tissues),
            "evolution": [[round(value, 3) for value in step] for step in self.evolution],
            "setting": dict(self.setting),
            "notes": list(self.notes),
        }


def run_cell(cell: Cell) -> Outcome:
    """Compute a cell. A failure for a known reason, or in a method's own code, becomes the outcome's sentence.

    An error of one method must not stop the others, so only the end of the process leaves this function as an exception.
    """
    try:
        return _run(cell)
    except MRIDenoiseError as error:
        return Outcome(error=str(error))
    except Exception as error:  # noqa: BLE001 - the code of other packages may raise anything
        return Outcome(error=f"{type(error).__name__}: {error}"[:300])


def _run(cell: Cell) -> Outcome:
    case = loaded(cell.case)
    if cell.method == LIMITS:
        return Outcome(_limits(case), notes=tuple(dict.fromkeys([*case.volume.notes, *case.clean.notes])))
    steps: list[tuple[float, float]] = []

    def observe(state: np.ndarray, estimate: np.ndarray) -> None:
        steps.append((_of_slice(case, state), _of_slice(case, estimate)))

    task = task_of(case, cell, None if cell.trial or cell.choices else observe)
    prepare(task, cell)
    with Usage() as usage:
        setting, image = _best(case, task, cell) if cell.choices else ({}, CONTENDERS[cell.method].run(task, cell.setting))
    cost = usage.seconds / cell.runs, usage.processor / cell.runs, usage.megabytes
    if not np.isfinite(image).all():
        return Outcome({}, *cost, error="it gave values that are not numbers")
    figures, tissues = score(case, image, trial=cell.trial)
    kept = None if cell.trial else (image / np.float32(case.scale)).astype(np.float16)
    return Outcome(figures, *cost, image=kept, tissues=tissues, evolution=tuple(steps), setting=setting)


def prepare(task: Task, cell: Cell) -> None:
    """Loads what a user has before pressing the button and what is not timed: the model, and the noise level for methods that get it."""
    if cell.bundle:
        task.model  # noqa: B018 - loads it
        if CONTENDERS[cell.method].measures_noise:
            task.noise_level  # noqa: B018 - measures it


def _best(case: Case, task: Task, cell: Cell) -> tuple[Setting, np.ndarray]:
    """The choice with the highest foreground PSNR against the reference (of equal ones the first), and its image."""
    best: tuple[float, Setting, np.ndarray] | None = None
    for setting in cell.choices:
        image = CONTENDERS[cell.method].run(task, setting)
        found = psnr(image, case.reference, data_range=case.scale, mask=case.foreground)
        if best is None or np.isnan(best[0]) or found > best[0]:
            best = found, setting, image
    assert best is not None
    return best[1:]


def task_of(case: Case, cell: Cell, observe: Callable[[np.ndarray, np.ndarray], None] | None = None) -> Task:
    """What the method of a cell may know about a case."""
    return Task(
        volume=case.volume,
        wanted=case.scored,
        bundle=Path(cell.folder),
        steps=cell.steps,
        seed=cell.seed,
        other=Acquisition(*(AcquisitionField(word or None, "another image", "high") for word in cell.other)),
        true_noise=case.true_noise,
        observe=observe,
    )


def score(case: Case, image: np.ndarray, *, trial: bool = False) -> tuple[dict[str, float], tuple[str, ...]]:
    """The figures of scored slices (slices, rows, columns) in the volume's units, and the names of the tissue classes."""
    clean, noisy = (volume.stack for volume in (case.clean, case.volume))
    whole = clean.copy()
    whole[case.scored.start : case.scored.stop] = image
    yardstick = _yardstick(case.spec)
    figures = yardstick.assess(whole, noisy=noisy, simulated=case.true_noise is not None)
    if trial:
        return {TRIAL: figures[TRIAL]}, ()
    agreement, names = tissue_agreement(case, image)
    return {**figures, **agreement, OWN: case.own_noise, ADDED: case.added_noise}, names


def _of_slice(case: Case, image: np.ndarray) -> float:
    """Foreground PSNR of the first scored slice (rows, columns)."""
    return psnr(image, case.reference[0], data_range=case.scale, mask=case.foreground[0])


def tissue_agreement(case: Case, image: np.ndarray, truth: np.ndarray | None = None) -> tuple[dict[str, float], tuple[str, ...]]:
    """Dice of an image's segmentation against that of the reference (or of ``truth``), in the reference's mask; names of the classes.

    Keys: ``dice``, the mean over the classes, and ``dice_1`` ... from dark to bright.
    """
    found = _segmented(case, image)
    target = _target(case.spec) if truth is None else _segmented(case, truth)
    agreement = dice(found.labels, target.labels, len(target.classes))
    figures = {f"{TISSUE_DICE}_{number}": value for number, value in enumerate(agreement.classes, start=1)}
    return {TISSUE_DICE: agreement.mean, **figures}, tuple(kind.name for kind in target.classes)


def _limits(case: Case) -> dict[str, float]:
    ceiling = tissue_agreement(case, case.twins[1], case.twins[0])[0][TISSUE_DICE]
    blurred = [tissue_agreement(case, blur(case.noisy))[0][TISSUE_DICE] for blur in BLURS]
    return {"ceiling": ceiling, "blur": max(blurred)}


def _segmented(case: Case, image: np.ndarray) -> Segmentation:
    mask, kind = case.tissue
    volume = case.as_volume(image)
    return segment(volume, mask=volume.unstacked(mask), mask_kind=kind)


@lru_cache(maxsize=2)
def loaded(spec: CaseSpec) -> Case:
    """A case; the last two stay in memory."""
    return load(spec)


@lru_cache(maxsize=2)
def _yardstick(spec: CaseSpec) -> Yardstick:
    case = loaded(spec)
    return Yardstick.of(case.clean.stack, spacing=case.clean.stack_spacing, scored=case.scored)


@lru_cache(maxsize=2)
def _target(spec: CaseSpec) -> Segmentation:
    case = loaded(spec)
    return _segmented(case, case.reference)
