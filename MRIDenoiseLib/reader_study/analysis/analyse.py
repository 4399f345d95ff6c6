"""The whole analysis of a study, from its scores and the plan it was read by.

The analysis of a study on disk: here the blinding is lifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.reader_study.analysis.agreement import (
    ReaderAgreement,
    ReferenceAgreement,
    RepeatAgreement,
    between_readers,
    with_himself,
    with_reference,
)
from MRIDenoiseLib.reader_study.analysis.arms import ArmComparison, compare_arms
from MRIDenoiseLib.reader_study.analysis.findings import (
    FindingResult,
    IndexAgreement,
    PreferenceResult,
    finding_results,
    index_agreement,
    preferences,
)
from MRIDenoiseLib.reader_study.analysis.readings import AnalysisPlan, Kind, Missing, Readings, missing_ratings, plan_of, readings_of
from MRIDenoiseLib.reader_study.reading.folder import StudyFolder
from MRIDenoiseLib.reader_study.running.configuration import StudyConfiguration
from MRIDenoiseLib.reader_study.running.creation import CONFIGURATION
from MRIDenoiseLib.reader_study.running.scores import Score, adjudicated, unblinded


@dataclass(frozen=True)
class Analysis:
    """All that a study shows.

    Args:
        plan: what was fixed beforehand.
        ratings: first readings that were counted.
        repeats: second readings.
        missing: what was not rated.
        comparisons: of the arms, by question and group; not of preferences.
        agreement: between readers.
        repeated: of readers with themselves.
        against_reference: of Fazekas grades.
        indices: of measurements against the reference.
        findings: detection and accuracy.
        preferences: of side-by-side readings.
    """

    plan: AnalysisPlan
    ratings: int
    repeats: int
    missing: tuple[Missing, ...]
    comparisons: tuple[ArmComparison, ...]
    agreement: tuple[ReaderAgreement, ...]
    repeated: tuple[RepeatAgreement, ...]
    against_reference: tuple[ReferenceAgreement, ...]
    indices: tuple[IndexAgreement, ...]
    findings: tuple[FindingResult, ...]
    preferences: tuple[PreferenceResult, ...]


def analyse(scores: Sequence[Score], plan: AnalysisPlan, consensus: Sequence[Score] = ()) -> Analysis:
    """Analyse a study.

    Args:
        scores: unblinded, of the readers.
        plan: what was fixed beforehand.
        consensus: what the readers agreed on afterwards.

    Raises:
        InputError: there is no rating at all.
    """
    known = {question.name for question in plan.questions}
    counted = [score for score in scores if score.field in known and score.reader in plan.readers]
    if not counted:
        raise InputError("nothing has been rated yet, so there is nothing to analyse; read the study first")
    tables = [(question, readings_of(counted, plan, question, group)) for question in plan.questions for group in plan.groups_of(question)]

    def of(kind: Kind) -> list[Readings]:
        return [table for question, table in tables if question.kind == kind]

    return Analysis(
        plan=plan,
        ratings=_answers(counted, plan, repeated=False),
        repeats=_answers(counted, plan, repeated=True),
        missing=missing_ratings(counted, plan),
        comparisons=tuple(compare_arms(table, plan) for question, table in tables if question.kind != "preference"),
        agreement=tuple(found for question, table in tables if question.kind != "preference" for found in between_readers(table, plan)),
        repeated=tuple(
            found for question in plan.questions if question.kind != "preference" for found in with_himself(counted, plan, question)
        ),
        against_reference=tuple(found for table in of("fazekas") for found in with_reference(table, plan)),
        indices=tuple(found for name, part in _together(of("index")) for found in index_agreement(name, part, plan)),
        findings=tuple(found for name, part in _together(of("finding")) for found in finding_results(name, part, consensus, plan)),
        preferences=tuple(preferences(table, plan) for table in of("preference")),
    )


def _answers(scores: Sequence[Score], plan: AnalysisPlan, *, repeated: bool) -> int:
    """How many were given; a preference is one, though every arm has a score of it."""
    side_by_side = {question.name for question in plan.questions if question.kind == "preference"}
    given = {
        (score.reader, score.subject, score.group, score.field, score.repeat, "" if score.field in side_by_side else score.arm)
        for score in scores
        if (score.repeat > 0) == repeated
    }
    return len(given)


def _together(tables: Sequence[Readings]) -> list[tuple[str, list[Readings]]]:
    """Each table alone, and, before them, those of one form and group where there are several."""
    found: list[tuple[str, list[Readings]]] = []
    for title, group in dict.fromkeys((table.question.title, table.group) for table in tables):
        part = [table for table in tables if (table.question.title, table.group) == (title, group)]
        if len(part) > 1:
            found.append((f"{title} (all {len(part)})", part))
        found += [(table.question.name, [table]) for table in part]
    return found


def analyse_study(folder: Path) -> Analysis:
    """Unblind and analyse.

    Args:
        folder: the study's, with its key.

    Raises:
        InputError: there is no study or no key, they do not belong together, or nothing has been rated.
        SettingsError: the configuration in the key's folder was damaged.
    """
    plan = plan_of(StudyConfiguration.read(StudyFolder.of(folder).key / CONFIGURATION))
    return analyse(unblinded(folder), plan, adjudicated(folder))
