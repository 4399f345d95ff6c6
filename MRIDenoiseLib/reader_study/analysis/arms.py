"""Which arm is better, and which are equal enough: the tests, and what they decide.

Simulated studies and the power calculation go through :func:`decide` too, so their results hold for this same analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan
from typing import Literal

import numpy as np

from MRIDenoiseLib.reader_study.analysis.readings import AnalysisPlan, Readings
from MRIDenoiseLib.statistics import (
    Equivalence,
    Friedman,
    NonInferiority,
    PairedDifference,
    SignedRank,
    bonferroni,
    bootstrap_equivalence,
    equivalence,
    friedman,
    holm,
    non_inferiority,
    paired_difference,
    signed_rank,
)

Direction = Literal["higher", "lower", "no difference shown"]


@dataclass(frozen=True)
class PairTest:
    """Two arms against each other.

    Args:
        first, second: the arms.
        test: Wilcoxon's, of first against second.
        bonferroni, holm: its p, adjusted for the pairs really tested.
        direction: what the Bonferroni-adjusted p shows of the first.
        equivalence: within the margin; None where neither arm is the reference, or no margin applies.
        non_inferiority: of the arm compared with the reference; None likewise, and where more is not better.
    """

    first: str
    second: str
    test: SignedRank
    bonferroni: float
    holm: float
    direction: Direction
    equivalence: Equivalence | None
    non_inferiority: NonInferiority | None


@dataclass(frozen=True)
class ArmTests:
    """All tests among the arms of one question.

    Args:
        friedman: whether the arms differ at all.
        pairs: every two arms; the reference is the second of its pairs.
        equivalence_alpha: level of each test of equivalence: alpha over their number.
    """

    friedman: Friedman
    pairs: tuple[PairTest, ...]
    equivalence_alpha: float


@dataclass(frozen=True)
class PairEstimate:
    """By how much two arms differ.

    Args:
        first, second: the arms.
        difference: first - second, with intervals.
        equivalence: by bootstrap; None where there is no test of it.
    """

    first: str
    second: str
    difference: PairedDifference
    equivalence: Equivalence | None


@dataclass(frozen=True)
class ArmSummary:
    """What one arm got.

    Args:
        arm: which.
        n: subjects.
        mean, deviation, median, lower_quartile, upper_quartile: of the subjects' means over readers.
        ratings: category -> how many ratings of complete cases; empty for a measurement.
        values: of the subjects, sorted, so that none can be followed from arm to arm.
    """

    arm: str
    n: int
    mean: float
    deviation: float
    median: float
    lower_quartile: float
    upper_quartile: float
    ratings: dict[int, int]
    values: tuple[float, ...]


@dataclass(frozen=True)
class ArmComparison:
    """The arms of one question about one group.

    Args:
        field, group: which.
        subjects: how many, of complete cases.
        cases_left_out: cases that some reader did not rate in every arm.
        readers: how many readers' mean the values are.
        arms: a summary each.
        tests: Friedman's and the pairs'.
        estimates: of the same pairs.
    """

    field: str
    group: str
    subjects: int
    cases_left_out: int
    readers: int
    arms: tuple[ArmSummary, ...]
    tests: ArmTests
    estimates: tuple[PairEstimate, ...]


def decide(
    table: np.ndarray, arms: Sequence[str], reference: str, alpha: float, margin: float | None, *, more_is_better: bool = True
) -> ArmTests:
    """All tests among the arms.

    Friedman's test shows whether any differ. Every pair is tested by Wilcoxon's; a pair differs where p times the number of pairs is
    below alpha. The reference is compared with every other arm for equivalence, each at alpha over their number; without a
    reference, every pair is.

    Args:
        table: subjects x arms, no number missing.
        arms: names of the columns.
        reference: one of them, or empty.
        alpha: chance of any false alarm among the pairs.
        margin: difference that does not matter; None where equivalence is not tested.
        more_is_better: whether it makes sense to test for non-inferiority.
    """
    pairs = _pairs(arms, reference)
    held = [pair for pair in pairs if not reference or reference in pair] if margin is not None else []
    each = alpha / len(held) if held else alpha
    columns = {arm: table[:, number] for number, arm in enumerate(arms)}
    tests = [signed_rank(columns[first], columns[second]) for first, second in pairs]
    p_values = [test.p for test in tests]
    found = []
    for pair, test, strict, stepwise in zip(pairs, tests, bonferroni(p_values), holm(p_values), strict=True):
        values = columns[pair[0]], columns[pair[1]]
        within = margin if pair in held else None
        found.append(
            PairTest(
                first=pair[0],
                second=pair[1],
                test=test,
                bonferroni=strict,
                holm=stepwise,
                direction=_direction(test, strict, alpha),
                equivalence=None if within is None else equivalence(*values, within, each),
                non_inferiority=None if within is None or not more_is_better else non_inferiority(*values, within, each),
            )
        )
    return ArmTests(friedman(table), tuple(found), each)


def compare_arms(readings: Readings, plan: AnalysisPlan) -> ArmComparison:
    """Tests, intervals and summaries of the arms of one question about one group."""
    table, subjects = readings.by_subject()
    kind = readings.question.kind
    margin = plan.margin if kind in ("scale", "fazekas") else None
    tests = decide(table, readings.arms, plan.reference, plan.alpha, margin, more_is_better=kind == "scale")
    columns = {arm: table[:, number] for number, arm in enumerate(readings.arms)}
    estimates = []
    for pair in tests.pairs:
        values = columns[pair.first], columns[pair.second]
        equal = None
        if pair.equivalence is not None:
            equal = bootstrap_equivalence(*values, pair.equivalence.margin, tests.equivalence_alpha, plan.seed)
        estimates.append(PairEstimate(pair.first, pair.second, paired_difference(*values, seed=plan.seed), equal))
    return ArmComparison(
        field=readings.question.name,
        group=readings.group,
        subjects=len(subjects),
        cases_left_out=int((~readings.complete).sum()),
        readers=len(readings.readers),
        arms=tuple(_summary(readings, arm, columns[arm]) for arm in readings.arms),
        tests=tests,
        estimates=tuple(estimates),
    )


def _pairs(arms: Sequence[str], reference: str) -> list[tuple[str, str]]:
    return [(second, first) if first == reference else (first, second) for first, second in combinations(arms, 2)]


def _direction(test: SignedRank, p: float, alpha: float) -> Direction:
    if isnan(p) or p >= alpha:
        return "no difference shown"
    return "higher" if test.effect > 0 else "lower"


def _summary(readings: Readings, arm: str, values: np.ndarray) -> ArmSummary:
    ratings = readings.arm(arm)[readings.complete]
    quartiles = np.percentile(values, (25, 50, 75)) if values.size else np.full(3, np.nan)
    return ArmSummary(
        arm=arm,
        n=values.size,
        mean=float(values.mean()) if values.size else float("nan"),
        deviation=float(values.std(ddof=1)) if values.size > 1 else float("nan"),
        median=float(quartiles[1]),
        lower_quartile=float(quartiles[0]),
        upper_quartile=float(quartiles[2]),
        ratings={category: int((ratings == category).sum()) for category in readings.question.categories},
        values=tuple(float(value) for value in np.sort(values)),
    )
