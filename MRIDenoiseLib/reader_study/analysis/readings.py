"""From scores to tables: who rated what, what is missing, and one number a subject, because subjects are the samples.

It goes by the plan: what was fixed before the first case was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from MRIDenoiseLib.reader_study.reading.forms import Field, Form
from MRIDenoiseLib.reader_study.running.configuration import StudyConfiguration
from MRIDenoiseLib.reader_study.running.scores import Score
from MRIDenoiseLib.statistics import subject_means

Kind = Literal["scale", "fazekas", "index", "finding", "preference"]

DETECTION_MARGIN = 0.05
"""The difference in detection rate that does not matter: 5 percentage points."""
ALL = "(all)"
"""Means all groups, arms or readers together; no code of a study has parentheses."""

_KINDS: dict[str, Kind] = {
    "likert": "scale",
    "fazekas": "fazekas",
    "disc_signal": "index",
    "findings": "finding",
    "preference": "preference",
}


@dataclass(frozen=True)
class Question:
    """A question of the study as the analysis takes it.

    Args:
        name: the field's.
        kind: ``scale`` (more is better), ``fazekas``, ``index`` (a ratio of signals), ``finding`` (a certainty) or ``preference``.
        title: of its form.
        categories: the values of a scale, in order; empty for an index.
        groups: cases of which groups it is asked about; empty for all.
    """

    name: str
    kind: Kind
    title: str = ""
    categories: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnalysisPlan:
    """The plan of an analysis.

    Args:
        study: what the study is called.
        arms: in the order to show them.
        readers: codes.
        cases: every (subject, group) that was to be read.
        questions: the questions of the study.
        primary: the question that the study is about.
        reference: the arm that others are compared with, or empty.
        alpha: chance of any false alarm among the pairs of arms of a question.
        margin: difference in points of a scale that does not matter.
        seed: of every bootstrap.
    """

    study: str
    arms: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[tuple[str, str], ...]
    questions: tuple[Question, ...]
    primary: str
    reference: str = ""
    alpha: float = 0.05
    margin: float = 0.25
    seed: int = 0

    def groups_of(self, question: Question) -> tuple[str, ...]:
        """The groups a question is asked about, and :data:`ALL` of them together where there are several."""
        found = tuple(dict.fromkeys(group for _, group in self.cases if not question.groups or group in question.groups))
        return (ALL, *found) if len(found) > 1 else found

    def cases_of(self, question: Question, group: str) -> tuple[tuple[str, str], ...]:
        """The cases of a group (or of all) that a question is asked about."""
        asked = self.groups_of(question) if group == ALL else (group,)
        return tuple(case for case in self.cases if case[1] in asked)


def plan_of(study: StudyConfiguration) -> AnalysisPlan:
    """The plan that a study's configuration fixed."""
    return AnalysisPlan(
        study=study.name,
        arms=study.arms,
        readers=study.readers,
        cases=tuple((case.name.subject, case.name.group) for case in study.cases),
        questions=questions_of(study.forms),
        primary=study.primary_outcome,
        reference=study.reference,
        alpha=study.alpha,
        margin=study.equivalence_margin,
    )


def questions_of(forms: tuple[Form, ...]) -> tuple[Question, ...]:
    """The questions of a study's forms, without the free texts."""
    return tuple(
        Question(field.name, _KINDS[form.kind], form.title, _categories(field), form.groups)
        for form in forms
        if form.kind in _KINDS
        for field in form.fields
    )


def _categories(field: Field) -> tuple[int, ...]:
    return tuple(choice.value for choice in field.choices) if field.kind == "choice" else ()


@dataclass(frozen=True)
class Missing:
    """Ratings that were to be given and were not.

    Args:
        reader, field, group: whose, of what.
        missing: images without a rating.
        of: images there are.
    """

    reader: str
    field: str
    group: str
    missing: int
    of: int


@dataclass(frozen=True)
class Readings:
    """The first readings of one question.

    Args:
        question: which.
        group: of which cases.
        cases: (subject, group) of each.
        readers, arms: of the other two axes.
        values: cases x readers x arms; NaN where there is no rating.
    """

    question: Question
    group: str
    cases: tuple[tuple[str, str], ...]
    readers: tuple[str, ...]
    arms: tuple[str, ...]
    values: np.ndarray

    @property
    def subjects(self) -> np.ndarray:
        """Whose each case is."""
        return np.array([subject for subject, _ in self.cases], dtype=str)

    @property
    def complete(self) -> np.ndarray:
        """Which cases every reader rated in every arm.

        Only they are compared: a case that the strict reader missed in one arm would make that arm look better.
        """
        return ~np.isnan(self.values).any(axis=(1, 2))

    def by_subject(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean over readers, and over the cases of a subject.

        Returns:
            Subjects x arms, of complete cases only, and the subjects' codes.
        """
        return subject_means(self.values[self.complete].mean(axis=1), self.subjects[self.complete])

    def images(self, arms: Sequence[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Every image as a row of its readers' ratings.

        Args:
            arms: of which; all by default.

        Returns:
            Images x readers, and whose each image is.
        """
        chosen = [self.arms.index(arm) for arm in (self.arms if arms is None else arms)]
        rows = np.moveaxis(self.values[:, :, chosen], 1, 2).reshape(-1, len(self.readers))
        return rows, np.repeat(self.subjects, len(chosen))

    def arm(self, name: str) -> np.ndarray:
        """Cases x readers of an arm."""
        return self.values[:, :, self.arms.index(name)]


def readings_of(scores: Sequence[Score], plan: AnalysisPlan, question: Question, group: str) -> Readings:
    """The first readings of a question about a group's cases."""
    cases = plan.cases_of(question, group)
    rows = {case: number for number, case in enumerate(cases)}
    columns, layers = ({name: number for number, name in enumerate(names)} for names in (plan.readers, plan.arms))
    values = np.full((len(cases), len(plan.readers), len(plan.arms)), np.nan)
    for score in scores:
        if score.field != question.name or score.repeat or (score.subject, score.group) not in rows:
            continue
        if score.reader in columns and score.arm in layers and not isinstance(score.value, str):
            values[rows[score.subject, score.group], columns[score.reader], layers[score.arm]] = score.value
    return Readings(question, group, cases, plan.readers, plan.arms, values)


def repeated_readings(scores: Sequence[Score], question: Question, reader: str) -> tuple[np.ndarray, np.ndarray]:
    """What a reader read twice: images x (first, second reading), and whose each image is."""
    times: dict[tuple[str, str, str], dict[int, float]] = {}
    for score in scores:
        if score.field == question.name and score.reader == reader and not isinstance(score.value, str):
            times.setdefault((score.subject, score.group, score.arm), {})[score.repeat] = score.value
    twice = {image: found for image, found in times.items() if 0 in found and 1 in found}
    pairs = np.array([[found[0], found[1]] for found in twice.values()]).reshape(-1, 2)
    return pairs, np.array([subject for subject, _, _ in twice], dtype=str)


def missing_ratings(scores: Sequence[Score], plan: AnalysisPlan) -> tuple[Missing, ...]:
    """Which reader left how many images of which question unrated."""
    found = []
    for question in plan.questions:
        for group in plan.groups_of(question):
            if group == ALL:
                continue
            values = readings_of(scores, plan, question, group).values
            for number, reader in enumerate(plan.readers):
                gaps = int(np.isnan(values[:, number]).sum())
                if gaps:
                    found.append(Missing(reader, question.name, group, gaps, values[:, number].size))
    return tuple(found)
