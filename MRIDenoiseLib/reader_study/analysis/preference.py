"""Which of the images seen side by side was preferred."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from MRIDenoiseLib.reader_study.analysis.plan import AnalysisPlan
from MRIDenoiseLib.reader_study.analysis.readings import Readings
from MRIDenoiseLib.statistics import SignTest, bonferroni, clustered_interval, holm, sign_test


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
