"""The results of questions that are not scales: findings, measured indices, and preferences side by side.

Whether findings are seen: detection rates, and sensitivity and specificity against the readers' consensus on the reference. Whether an
index measured on an arm is the one measured on the reference: rank, bias and concordance. Which of the images was preferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from MRIDenoiseLib.reader_study.analysis.readings import DETECTION_MARGIN, AnalysisPlan, Readings
from MRIDenoiseLib.reader_study.reading.forms import PRESENT
from MRIDenoiseLib.reader_study.running.scores import Score
from MRIDenoiseLib.statistics import (
    Accuracy,
    BlandAltman,
    Correlation,
    CurveArea,
    Equivalence,
    Rate,
    SignedRank,
    SignTest,
    accuracy,
    bland_altman,
    bonferroni,
    clustered_interval,
    curve_area,
    equivalence,
    holm,
    lins_concordance,
    rate,
    sign_test,
    signed_rank,
    spearman,
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
        plan: names the reference.
    """
    truths = [_truth(readings, consensus, plan) for readings in findings]
    return tuple(_of_arm(field, findings, truths, arm, plan) for arm in findings[0].arms)


def _truth(readings: Readings, consensus: Sequence[Score], plan: AnalysisPlan) -> np.ndarray:
    """1 or 0 a case: the consensus on the reference, else what all readers answered there; NaN where neither decides."""
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


@dataclass(frozen=True)
class IndexAgreement:
    """An index on an arm against the reference.

    Args:
        field, group, arm: of what; the field may be all levels of a form.
        spearman: rank correlation, which does not see a bias.
        bland_altman: arm - reference.
        lin: concordance.
        slope, intercept: of the least-squares line of the arm on the reference, for the figure; NaN where there is none.
        values: (reference, arm) of each row, the readers' mean.
    """

    field: str
    group: str
    arm: str
    spearman: Correlation
    bland_altman: BlandAltman
    lin: Correlation
    slope: float
    intercept: float
    values: tuple[tuple[float, float], ...]


def index_agreement(field: str, levels: Sequence[Readings], plan: AnalysisPlan) -> tuple[IndexAgreement, ...]:
    """Of every arm against the reference.

    Args:
        field: what to call it.
        levels: readings of one question, or of one question a level of the spine, whose rows are taken together.
        plan: names the reference; without one there is nothing to agree with.
    """
    found = []
    for arm in levels[0].arms if plan.reference else ():
        if arm == plan.reference:
            continue
        given, held = (np.concatenate([readings.arm(name).mean(axis=1) for readings in levels]) for name in (arm, plan.reference))
        subjects = np.concatenate([readings.subjects for readings in levels])
        whole = ~np.isnan(given) & ~np.isnan(held)
        measured, wanted = given[whole], held[whole]
        line = np.polyfit(wanted, measured, 1) if len(wanted) > 1 and np.ptp(wanted) > 0 else (np.nan, np.nan)
        found.append(
            IndexAgreement(
                field=field,
                group=levels[0].group,
                arm=arm,
                spearman=spearman(given, held, subjects, plan.seed),
                bland_altman=bland_altman(given, held, subjects=subjects, seed=plan.seed),
                lin=lins_concordance(given, held, subjects, plan.seed),
                slope=float(line[0]),
                intercept=float(line[1]),
                values=tuple((float(x), float(y)) for x, y in zip(wanted, measured, strict=True)),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class ArmShare:
    """How often an arm was preferred.

    Args:
        arm: which.
        share: of all choices; "no difference" gives every arm an equal part.
        low, high: 95 % bootstrap interval that draws whole subjects.
        n: choices.
    """

    arm: str
    share: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PreferencePair:
    """Two arms against each other; a subject is a win for the one that its readers preferred more often.

    Args:
        first, second: the arms.
        test: over subjects.
        bonferroni, holm: its p, adjusted for the pairs really tested.
    """

    first: str
    second: str
    test: SignTest
    bonferroni: float
    holm: float


@dataclass(frozen=True)
class PreferenceResult:
    """The preferences of one question.

    Args:
        field, group: which.
        shares: of each arm.
        pairs: every two arms.
    """

    field: str
    group: str
    shares: tuple[ArmShare, ...]
    pairs: tuple[PreferencePair, ...]


def preferences(readings: Readings, plan: AnalysisPlan) -> PreferenceResult:
    """Of one question about one group."""
    shares = []
    for arm in readings.arms:
        values = readings.arm(arm).ravel()
        given, subjects = ~np.isnan(values), np.repeat(readings.subjects, len(readings.readers))
        low, high = clustered_interval(values[given], subjects[given], plan.seed) if given.any() else (np.nan, np.nan)
        shares.append(ArmShare(arm, float(values[given].mean()) if given.any() else np.nan, low, high, int(given.sum())))
    table = np.round(readings.by_subject()[0], 9)
    pairs = list(combinations(range(len(readings.arms)), 2))
    tests = []
    for first, second in pairs:
        ahead = np.sign(table[:, first] - table[:, second])
        tests.append(sign_test(int((ahead > 0).sum()), int((ahead < 0).sum()), int((ahead == 0).sum())))
    p_values = [test.p for test in tests]
    found = [
        PreferencePair(readings.arms[first], readings.arms[second], test, strict, stepwise)
        for (first, second), test, strict, stepwise in zip(pairs, tests, bonferroni(p_values), holm(p_values), strict=True)
    ]
    return PreferenceResult(readings.question.name, readings.group, tuple(shares), tuple(found))
