"""What was fixed before the first case was read, as far as the analysis goes by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from MRIDenoiseLib.reader_study.reading.forms import Field, Form
from MRIDenoiseLib.reader_study.running.configuration import StudyConfiguration

Kind = Literal["scale", "fazekas", "index", "finding", "preference"]

DETECTION_MARGIN = 0.05
"""The difference in detection rate that does not matter: 5 percentage points."""
ALL = "(all)"
"""Stands for every group, arm or reader together; no code of a study has parentheses."""

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
        title: of the form it stands in.
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
        questions: what was asked.
        primary: the question that the study is about.
        reference: the arm that others are held against, or empty.
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
