"""Whether findings are seen: detection rates, and sensitivity and specificity against the readers' consensus on the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.reader_study.analysis.plan import DETECTION_MARGIN, AnalysisPlan
from MRIDenoiseLib.reader_study.analysis.readings import Readings
from MRIDenoiseLib.reader_study.reading.forms import PRESENT
from MRIDenoiseLib.reader_study.running.scores import Score
from MRIDenoiseLib.statistics import (
    Accuracy,
    CurveArea,
    Equivalence,
    Rate,
    SignedRank,
    accuracy,
    curve_area,
    equivalence,
    rate,
    signed_rank,
)


@dataclass(frozen=True)
class FindingResult:
    """A finding on one arm.

    Args:
        field, group, arm: of what; the field may be all findings of a form.
        certainty: category -> how many readings.
        detection: how often it was called present (certainty 3 or 4), over all readings.
        accuracy, area: against the consensus; None without a reference arm.
        undecided: cases whose readers disagree on the reference and that no consensus settled; they do not count there.
        difference: detection per subject against the reference; None for the reference itself.
        equivalence: the same within :data:`DETECTION_MARGIN`.
    """

    field: str
    group: str
    arm: str
    certainty: dict[int, int]
    detection: Rate
    accuracy: Accuracy | None
    area: CurveArea | None
    undecided: int
    difference: SignedRank | None
    equivalence: Equivalence | None


def finding_results(field: str, findings: Sequence[Readings], consensus: Sequence[Score], plan: AnalysisPlan) -> tuple[FindingResult, ...]:
    """Of every arm.

    Args:
        field: what to call it.
        findings: readings of one finding, or of several that are taken together.
        consensus: what the readers agreed on afterwards.
        plan: tells the reference.
    """
    truths = [_truth(readings, consensus, plan) for readings in findings]
    return tuple(_of_arm(field, findings, truths, arm, plan) for arm in findings[0].arms)


def _truth(readings: Readings, consensus: Sequence[Score], plan: AnalysisPlan) -> np.ndarray:
    """1 or 0 a case: what was adjudicated on the reference, else what all readers said there; NaN where neither tells."""
    if not plan.reference:
        return np.full(len(readings.cases), np.nan)
    ratings = readings.arm(plan.reference)
    called = ratings >= PRESENT
    unanimous = ~np.isnan(ratings).any(axis=1) & (called.all(axis=1) | ~called.any(axis=1))
    truth = np.where(unanimous, called.all(axis=1).astype(float), np.nan)
    rows = {case: number for number, case in enumerate(readings.cases)}
    for score in consensus:
        case = (score.subject, score.group)
        if score.field == readings.question.name and score.arm == plan.reference and case in rows and not isinstance(score.value, str):
            truth[rows[case]] = float(score.value >= PRESENT)
    return truth


def _of_arm(field: str, findings: Sequence[Readings], truths: Sequence[np.ndarray], arm: str, plan: AnalysisPlan) -> FindingResult:
    ratings = np.concatenate([readings.arm(arm) for readings in findings])
    subjects = np.concatenate([readings.subjects for readings in findings])
    truth = np.concatenate(list(truths))
    readers = ratings.shape[1]
    values, owner, wanted = ratings.ravel(), np.repeat(subjects, readers), np.repeat(truth, readers)
    called = np.where(np.isnan(values), np.nan, values >= PRESENT)
    difference, equal = None, None
    if plan.reference and arm != plan.reference:
        others = np.concatenate([readings.arm(plan.reference) for readings in findings])
        pair = _detection_by_subject(ratings, others, subjects)
        held = sum(name != plan.reference for name in findings[0].arms)
        difference, equal = signed_rank(*pair), equivalence(*pair, DETECTION_MARGIN, plan.alpha / held)
    return FindingResult(
        field=field,
        group=findings[0].group,
        arm=arm,
        certainty={category: int((values == category).sum()) for category in findings[0].question.categories},
        detection=rate(called, owner, plan.seed),
        accuracy=accuracy(called, wanted, owner, plan.seed) if plan.reference else None,
        area=curve_area(values, wanted, owner, plan.seed) if plan.reference else None,
        undecided=int(np.isnan(truth).sum()) if plan.reference else 0,
        difference=difference,
        equivalence=equal,
    )


def _detection_by_subject(ratings: np.ndarray, others: np.ndarray, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part of a subject's readings that call a finding present, on either arm, over cases that all readers rated on both."""
    whole = ~np.isnan(ratings).any(axis=1) & ~np.isnan(others).any(axis=1)
    owner = np.unique(subjects[whole], return_inverse=True)[1]
    one, other = (np.bincount(owner, (part[whole] >= PRESENT).mean(axis=1)) / np.bincount(owner) for part in (ratings, others))
    return one, other
