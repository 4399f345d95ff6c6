"""How far readers agree: with each other, with themselves, and with their answers on the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from MRIDenoiseLib.reader_study.analysis.readings import ALL, AnalysisPlan, Question, Readings, repeated_readings
from MRIDenoiseLib.reader_study.running.scores import Score
from MRIDenoiseLib.statistics import CategoryAgreement, IntraclassCorrelation, Rate, gwet_ac2, intraclass, rate, weighted_kappa


@dataclass(frozen=True)
class KappaOf:
    """Two readers' agreement on a scale.

    Args:
        first, second: the readers.
        kappa: quadratic weights.
        ac2: Gwet's, for when nearly all images are of one category.
    """

    first: str
    second: str
    kappa: CategoryAgreement
    ac2: CategoryAgreement


@dataclass(frozen=True)
class ReaderAgreement:
    """Agreement between readers.

    Args:
        field, group, arm: of what; the arm may be all.
        single, average: two-way mixed, absolute agreement: ICC(A,1) of one reader, ICC(A,k) of the readers' mean.
        kappas: of every two readers; empty for a measurement.
    """

    field: str
    group: str
    arm: str
    single: IntraclassCorrelation
    average: IntraclassCorrelation
    kappas: tuple[KappaOf, ...]


@dataclass(frozen=True)
class RepeatAgreement:
    """Intra-reader agreement, of images read twice.

    Args:
        field, reader: of what and whom.
        single: ICC(A,1) between first and second reading.
        kappa: quadratic weights; None for a measurement.
        same: how often both readings are equal; None for a measurement.
    """

    field: str
    reader: str
    single: IntraclassCorrelation
    kappa: CategoryAgreement | None
    same: Rate | None


@dataclass(frozen=True)
class ReferenceAgreement:
    """How far a grade given on an arm is the one that the same reader gave on the reference.

    Args:
        field, group, arm, reader: of what; the reader may be all.
        kappa: quadratic weights.
        ac2: Gwet's.
        same: how often the grade is the same.
    """

    field: str
    group: str
    arm: str
    reader: str
    kappa: CategoryAgreement
    ac2: CategoryAgreement
    same: Rate


def between_readers(readings: Readings, plan: AnalysisPlan) -> tuple[ReaderAgreement, ...]:
    """Agreement over all arms and in each; nothing where there is one reader."""
    if len(readings.readers) < 2:
        return ()
    found = []
    for arm in (ALL, *readings.arms):
        rows, subjects = readings.images(None if arm == ALL else (arm,))
        found.append(
            ReaderAgreement(
                field=readings.question.name,
                group=readings.group,
                arm=arm,
                single=intraclass(rows, "A,1", subjects, plan.seed),
                average=intraclass(rows, "A,k", subjects, plan.seed),
                kappas=_kappas(readings, rows, subjects, plan.seed) if readings.question.categories else (),
            )
        )
    return tuple(found)


def _kappas(readings: Readings, rows: np.ndarray, subjects: np.ndarray, seed: int) -> tuple[KappaOf, ...]:
    found = []
    for first, second in combinations(range(len(readings.readers)), 2):
        pair = rows[:, first], rows[:, second], readings.question.categories
        kappa, ac2 = (measure(*pair, subjects=subjects, seed=seed) for measure in (weighted_kappa, gwet_ac2))
        found.append(KappaOf(readings.readers[first], readings.readers[second], kappa, ac2))
    return tuple(found)


def with_himself(scores: Sequence[Score], plan: AnalysisPlan, question: Question) -> tuple[RepeatAgreement, ...]:
    """Every reader's agreement between first and second reading; nothing where no image was read twice."""
    found = []
    for reader in plan.readers:
        pairs, subjects = repeated_readings(scores, question, reader)
        if len(pairs) == 0:
            continue
        kappa, same = None, None
        if question.categories:
            kappa = weighted_kappa(pairs[:, 0], pairs[:, 1], question.categories, subjects=subjects, seed=plan.seed)
            same = rate(pairs[:, 0] == pairs[:, 1], subjects, plan.seed)
        found.append(RepeatAgreement(question.name, reader, intraclass(pairs, "A,1", subjects, plan.seed), kappa, same))
    return tuple(found)


def with_reference(readings: Readings, plan: AnalysisPlan) -> tuple[ReferenceAgreement, ...]:
    """Of every arm and reader; nothing without a reference."""
    found = []
    for arm in readings.arms if plan.reference else ():
        if arm == plan.reference:
            continue
        for reader in (*readings.readers, *([ALL] if len(readings.readers) > 1 else [])):
            chosen = slice(None) if reader == ALL else [readings.readers.index(reader)]
            given, wanted = (readings.arm(name)[:, chosen] for name in (arm, plan.reference))
            subjects = np.repeat(readings.subjects, given.shape[1])
            pair = given.ravel(), wanted.ravel(), readings.question.categories
            same = np.where(np.isnan(pair[0]) | np.isnan(pair[1]), np.nan, pair[0] == pair[1])
            found.append(
                ReferenceAgreement(
                    field=readings.question.name,
                    group=readings.group,
                    arm=arm,
                    reader=reader,
                    kappa=weighted_kappa(*pair, subjects=subjects, seed=plan.seed),
                    ac2=gwet_ac2(*pair, subjects=subjects, seed=plan.seed),
                    same=rate(same, subjects, plan.seed),
                )
            )
    return tuple(found)
