"""From cells to tables: subjects are the samples, so a figure is averaged over a subject's images before anything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from MRIDenoiseLib.evaluation.comparison.cases import CaseSpec
from MRIDenoiseLib.evaluation.comparison.cells import TISSUE_DICE, Cell, Outcome
from MRIDenoiseLib.evaluation.comparison.plan import Entrant
from MRIDenoiseLib.evaluation.comparison.run import Findings
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.evaluation.denoisers.contender import Setting
from MRIDenoiseLib.evaluation.figures.yardstick import DEFINITIONS, Definition
from MRIDenoiseLib.statistics.differences import Equivalence, PairedDifference, equivalence, paired_difference
from MRIDenoiseLib.statistics.rank_tests import SignedRank, holm, signed_rank

OURS = "ours"
"""The method that the others are compared with."""

DICE = Definition("Dice", "mean over three classes, against the reference's segmentation, in the reference's mask", "", "higher", 3)
FIGURES: Mapping[str, Definition] = {**DEFINITIONS, TISSUE_DICE: DICE}

SHOWN = (
    "psnr_foreground",
    "psnr_corrected",
    "ssim_foreground",
    "ssim_fastmri",
    "lpips",
    "edge_width_ratio",
    "residual_autocorrelation",
    "residual_edges",
    "detail_taken",
    "slice_flicker",
    "bias",
    TISSUE_DICE,
)
"""Columns of the main table; the data file has all figures."""
TESTED = ("psnr_foreground", "ssim_foreground", TISSUE_DICE)
"""Figures that methods are tested by."""


@dataclass(frozen=True)
class MethodRow:
    """A method in the tables.

    Args:
        entrant: which method, and with which model.
        title: to show; with the model's name where several take part.
        setting: what was chosen for it; empty where every image has its own.
        figures: name -> mean over subjects, NaN where it has none.
        seconds: wall-clock time per slice, median over images.
        processor: processor time per slice, median over images.
        megabytes: the most memory over all images.
        images: how many it ran on.
        errors: image -> sentence, where it failed.
    """

    entrant: Entrant
    title: str
    setting: Setting
    figures: Mapping[str, float]
    seconds: float
    processor: float
    megabytes: float
    images: int
    errors: Mapping[str, str]


@dataclass(frozen=True)
class Against:
    """Ours and another method on the same images.

    Args:
        figure: the one compared by.
        other: the method that ours is compared with.
        difference: ours - other, over images, with subjects drawn.
        test: over subjects.
        p_holm: its p, adjusted over all methods and figures tested.
        same: TOST over subjects with the configuration's margin; for PSNR only.
        first: which is better by the median, ``ours``, ``other`` or ``neither``.
    """

    figure: str
    other: Entrant
    difference: PairedDifference
    test: SignedRank
    p_holm: float
    same: Equivalence | None
    first: str


def rows(findings: Findings) -> list[MethodRow]:
    """Every method with its means, in the order of the plan."""
    several = len(findings.plan.folders) > 1
    found = []
    for entrant in findings.plan.entrants:
        cells = _of(findings, entrant)
        done = [(cell, outcome) for cell, outcome in cells if not outcome.error]
        method = CONTENDERS[entrant.method]
        found.append(
            MethodRow(
                entrant=entrant,
                title=f"{method.title} ({entrant.model})" if several and method.trained else method.title,
                setting={} if findings.plan.choices(entrant) else findings.settings[entrant],
                figures={figure: over_subjects(done, figure) for figure in FIGURES},
                seconds=median([outcome.seconds / cell.case.slices for cell, outcome in done] or [math.nan]),
                processor=median([outcome.processor / cell.case.slices for cell, outcome in done] or [math.nan]),
                megabytes=max((outcome.megabytes for _, outcome in done), default=math.nan),
                images=len(done),
                errors={cell.case.name: outcome.error for cell, outcome in cells if outcome.error},
            )
        )
    return found


def over_subjects(cells: Sequence[tuple[Cell, Outcome]], figure: str) -> float:
    """Mean over subjects of the mean over each one's images; NaN where none has the figure."""
    means = list(by_subject(cells, figure).values())
    return mean(means) if means else math.nan


def by_subject(cells: Sequence[tuple[Cell, Outcome]], figure: str) -> dict[str, float]:
    """Subject -> mean of a figure over the subject's images."""
    values: dict[str, list[float]] = {}
    for cell, outcome in cells:
        value = outcome.figures.get(figure, math.nan)
        if math.isfinite(value):
            values.setdefault(cell.case.subject, []).append(value)
    return {subject: mean(some) for subject, some in values.items()}


def organ_and_noise(spec: CaseSpec) -> str:
    """The group of an image: its organ and noise."""
    return f"{spec.organ}, {spec.noise}"


def noise_alone(spec: CaseSpec) -> str:
    """The noise of an image."""
    return spec.noise


def organ_and_subject(spec: CaseSpec) -> str:
    """The organ and subject of an image."""
    return f"{spec.organ}, {spec.subject}"


def groups(findings: Findings, figure: str, group: Callable[[CaseSpec], str]) -> dict[str, dict[Entrant, float]]:
    """Group, in the order of the plan -> method -> mean over subjects.

    Args:
        findings: of the comparison.
        figure: its name.
        group: an image's.
    """
    table: dict[str, dict[Entrant, float]] = {}
    for name in dict.fromkeys(group(spec) for spec in findings.plan.cases.values()):
        table[name] = {}
        for entrant in findings.plan.entrants:
            cells = [(cell, outcome) for cell, outcome in _of(findings, entrant) if group(cell.case) == name and not outcome.error]
            table[name][entrant] = over_subjects(cells, figure)
    return table


def against(findings: Findings) -> list[Against]:
    """Ours against every other method by the :data:`TESTED` figures, on the images that both were scored on."""
    ours = next((entrant for entrant in findings.plan.entrants if entrant.method == OURS), None)
    if ours is None:
        return []
    drafts = []
    for figure in TESTED:
        mine = _values(findings, ours, figure)
        for entrant in findings.plan.entrants:
            if entrant == ours:
                continue
            theirs = _values(findings, entrant, figure)
            both = [name for name in mine if name in theirs]
            subjects = [findings.plan.cases[name].subject for name in both]
            first, second = [mine[name] for name in both], [theirs[name] for name in both]
            mine_each, theirs_each = _subject_means(first, subjects), _subject_means(second, subjects)
            same = equivalence(mine_each, theirs_each, findings.plan.config.margin) if figure.startswith("psnr") else None
            drafts.append((figure, entrant, paired_difference(first, second, subjects), signed_rank(mine_each, theirs_each), same))
    adjusted = holm([test.p for _, _, _, test, _ in drafts])
    return [
        Against(figure, entrant, difference, test, p, same, _first(difference.mean))
        for (figure, entrant, difference, test, same), p in zip(drafts, adjusted, strict=True)
    ]


def better_than_ours(comparisons: Sequence[Against], figure: str = TESTED[0]) -> list[Entrant]:
    """The methods whose mean by a figure is above ours on the images both were scored on."""
    return [one.other for one in comparisons if one.figure == figure and one.first == "other"]


def _of(findings: Findings, entrant: Entrant) -> list[tuple[Cell, Outcome]]:
    return [(cell, outcome) for cell, outcome in findings.cells if Entrant(cell.method, cell.model) == entrant]


def _values(findings: Findings, entrant: Entrant, figure: str) -> dict[str, float]:
    found = {cell.case.name: outcome.figures.get(figure, math.nan) for cell, outcome in _of(findings, entrant) if not outcome.error}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _subject_means(values: Sequence[float], subjects: Sequence[str]) -> list[float]:
    return [mean(value for value, owner in zip(values, subjects, strict=True) if owner == subject) for subject in dict.fromkeys(subjects)]


def _first(difference: float) -> str:
    if math.isnan(difference) or difference == 0:
        return "neither"
    return OURS if difference > 0 else "other"
