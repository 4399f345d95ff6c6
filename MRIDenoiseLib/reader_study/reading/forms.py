"""What a reader is asked: the forms a study is configured with, as fields that terminal and Slicer show alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from MRIDenoiseLib.errors import SettingsError

FieldKind = Literal["choice", "preference", "regions", "text"]
FormKind = Literal["likert", "fazekas", "disc_signal", "findings", "text", "preference"]

QUALITY_ANCHORS = ("poor: cannot be read", "fair: can be read with difficulty", "good: can be read well", "excellent")
CONFIDENCE_ANCHORS = ("not confident", "somewhat confident", "confident", "very confident")
CERTAINTY = ("definitely absent", "probably absent", "probably present", "definitely present")
"""Four categories; the upper two count as present."""
PRESENT = 3
"""The lowest certainty that counts as present."""
FAZEKAS_DEEP = ("none", "punctate foci", "beginning confluence", "large confluent areas")
FAZEKAS_PERIVENTRICULAR = ("none", "caps or pencil-thin lining", "smooth halo", "irregular, into the deep white matter")
"""Fazekas, Chawluk, Alavi, Hurtig and Zimmerman (1987): 0 to 3, deep and periventricular separately."""
NUCLEUS, FLUID = "nucleus pulposus", "cerebrospinal fluid"

LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class Choice:
    """One answer of a scale: the value stored, what the reader sees, and the key that picks it."""

    value: int
    label: str
    shortcut: str


@dataclass(frozen=True)
class Field:
    """One question.

    Args:
        name: unique in the study, such as ``image_quality``, ``fazekas.deep`` or ``knee.meniscal tear``.
        question: what the reader is asked.
        kind: ``choice`` (one of ``choices``), ``preference`` (one of the panels: its number from 1, or 0 for none), ``regions``
            (a circle placed in the view for each of ``regions``), or ``text``.
        choices: of a ``choice`` or ``preference``.
        regions: what has to be placed, in this order.
        required: whether the answers count as complete only with this one.
    """

    name: str
    question: str
    kind: FieldKind
    choices: tuple[Choice, ...] = ()
    regions: tuple[str, ...] = ()
    required: bool = True

    def check(self, value: Any) -> Any:
        """The value as it is stored.

        A choice is its whole number. Regions are region name -> [r, a, s, radius], RAS mm of the centre and mm. A text is a string.

        Raises:
            SettingsError: it answers another question.
        """
        if self.kind == "text":
            if not isinstance(value, str) or len(value) > LONGEST_TEXT:
                raise SettingsError(f"'{self.name}' takes a text of at most {LONGEST_TEXT} characters")
            return value
        if self.kind == "regions":
            return self._checked_regions(value)
        if isinstance(value, bool) or value not in [choice.value for choice in self.choices]:
            words = ", ".join(f"{choice.value} ({choice.label})" for choice in self.choices)
            raise SettingsError(f"'{self.name}' takes one of {words}, not {value!r}")
        return int(value)

    def _checked_regions(self, value: Any) -> dict[str, list[float]]:
        if not isinstance(value, Mapping) or set(value) != set(self.regions):
            raise SettingsError(f"'{self.name}' needs a region for each of {' and '.join(self.regions)}")
        for name, numbers in value.items():
            fits = isinstance(numbers, Sequence) and len(numbers) == 4 and all(isinstance(n, int | float) for n in numbers)
            if not fits or not all(map(math.isfinite, numbers)) or numbers[3] <= 0:
                raise SettingsError(f"the region of the {name} is a centre (three coordinates in mm) and a radius above 0 mm")
        return {name: [float(number) for number in value[name]] for name in self.regions}


@dataclass(frozen=True)
class Form:
    """Questions that belong together.

    Args:
        kind: which of the forms it is.
        title: the heading over its fields.
        groups: only for cases of these groups; empty for all.
        fields: the questions, in order.
    """

    kind: FormKind
    title: str
    groups: tuple[str, ...]
    fields: tuple[Field, ...]

    def as_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Form:
        """A form as it is kept on disk."""
        fields = [
            Field(**{**one, "choices": tuple(Choice(**choice) for choice in one["choices"]), "regions": tuple(one["regions"])})
            for one in found["fields"]
        ]
        return cls(found["kind"], found["title"], tuple(found["groups"]), tuple(fields))


def fields_for(forms: Iterable[Form], group: str) -> tuple[Field, ...]:
    """The questions about a case of a group, in order."""
    return tuple(one for form in forms if not form.groups or group in form.groups for one in form.fields)


def check_answers(fields: Sequence[Field], answers: Mapping[str, Any]) -> dict[str, Any]:
    """Complete answers as they are stored, in the order of the fields; optional questions may be left out.

    Raises:
        SettingsError: something is missing, unknown, or no answer to its question.
    """
    known = {field.name: field for field in fields}
    unknown = sorted(set(answers) - set(known))
    if unknown:
        raise SettingsError(f"there is no question '{unknown[0]}' here; there are {', '.join(known)}")
    missing = [field.name for field in fields if field.required and answers.get(field.name) in (None, "")]
    if missing:
        raise SettingsError(f"not answered yet: {', '.join(missing)}")
    return {name: field.check(answers[name]) for name, field in known.items() if answers.get(name) not in (None, "")}


@dataclass(frozen=True)
class _Wish:
    """A form as study.yaml has it; see docs/reader-study.md for what each kind takes."""

    kind: str
    field: str = ""
    question: str = ""
    title: str = ""
    groups: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    required: bool = True


_TAKES: dict[str, set[str]] = {
    "likert": {"field", "question", "anchors"},
    "fazekas": {"field"},
    "disc_signal": {"field", "levels"},
    "findings": {"field", "findings"},
    "text": {"field", "question", "required"},
    "preference": {"field", "question"},
}
_COMMON = {"kind", "title", "groups"}
_LISTS = {"groups", "anchors", "findings", "levels"}


def form_of(values: Any, panels: int = 1) -> Form:
    """A form from the entry of a study's configuration.

    Args:
        values: the entry's keys and values; ``kind`` decides which others there may be.
        panels: how many images are seen at once.

    Raises:
        SettingsError: the entry is none, has an unknown key, or lacks what its kind needs.
    """
    if not isinstance(values, Mapping) or values.get("kind") not in get_args(FormKind):
        raise SettingsError(f"a form is an entry with a kind, one of {', '.join(get_args(FormKind))}")
    kind = values["kind"]
    unknown = sorted(set(map(str, values)) - _COMMON - _TAKES[kind])
    if unknown:
        raise SettingsError(f"a form of the kind {kind} has no key '{unknown[0]}'; it takes {', '.join(sorted(_COMMON | _TAKES[kind]))}")
    for name, value in values.items():
        if name == "required":
            if not isinstance(value, bool):
                raise SettingsError(f"required is true or false, not '{value}'")
        elif name in _LISTS:
            if not isinstance(value, list) or not value or not all(isinstance(word, str) and word.strip() for word in value):
                raise SettingsError(f"{name} of a form is a list of words")
            if len(set(value)) < len(value):
                raise SettingsError(f"{name} of a form names something twice")
        elif not isinstance(value, str) or not value.strip():
            raise SettingsError(f"{name} of a form is a word or a sentence, not '{value}'")
    taken: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    wish = _Wish(**taken)
    if kind == "preference" and panels < 2:
        raise SettingsError("a form of the kind preference needs presentation: side-by-side")
    if kind != "preference" and panels > 1:
        raise SettingsError(f"side by side only the kind preference is possible, not {kind}: it would be unclear which image is meant")
    fields = _FIELDS[kind](wish) if kind != "preference" else _preference(wish, panels)
    title = wish.title or (wish.field or kind).replace("_", " ").capitalize()
    return Form(kind, title, wish.groups, tuple(fields))


def _scale(labels: Iterable[str], first: int) -> tuple[Choice, ...]:
    return tuple(Choice(value, label, str(value)) for value, label in enumerate(labels, first))


_KNOWN_SCALES: dict[str, tuple[str, tuple[str, ...]]] = {
    "image_quality": ("How good is the image?", QUALITY_ANCHORS),
    "diagnostic_confidence": ("How confident would you be in a diagnosis from this image?", CONFIDENCE_ANCHORS),
}


def _likert(wish: _Wish) -> list[Field]:
    if not wish.field:
        raise SettingsError("a form of the kind likert needs a field, such as image_quality or diagnostic_confidence")
    question, anchors = _KNOWN_SCALES.get(wish.field, ("", ()))
    question, anchors = wish.question or question, wish.anchors or anchors
    if not question or len(anchors) != 4:
        raise SettingsError(f"the form '{wish.field}' needs a question and four anchors, the meanings of 1 to 4")
    return [Field(wish.field, question, "choice", _scale(anchors, 1))]


def _fazekas(wish: _Wish) -> list[Field]:
    name = wish.field or "fazekas"
    return [
        Field(f"{name}.deep", "Deep white-matter hyperintensities (Fazekas)", "choice", _scale(FAZEKAS_DEEP, 0)),
        Field(f"{name}.periventricular", "Periventricular hyperintensities (Fazekas)", "choice", _scale(FAZEKAS_PERIVENTRICULAR, 0)),
    ]


def _disc_signal(wish: _Wish) -> list[Field]:
    name = wish.field or "disc_signal"
    regions = (NUCLEUS, FLUID)
    ask = "place one circle in the {} and one in the {} of the same level and slice".format(*regions)
    if not wish.levels:
        return [Field(name, f"Disc signal index: {ask}", "regions", regions=regions)]
    return [Field(f"{name}.{level}", f"Disc signal index {level}: {ask}", "regions", regions=regions) for level in wish.levels]


def _findings(wish: _Wish) -> list[Field]:
    if not wish.field or not wish.findings:
        raise SettingsError("a form of the kind findings needs a field, such as knee, and a list of findings")
    return [Field(f"{wish.field}.{finding}", finding.capitalize(), "choice", _scale(CERTAINTY, 1)) for finding in wish.findings]


def _text(wish: _Wish) -> list[Field]:
    return [Field(wish.field or "remarks", wish.question or "Remarks", "text", required=wish.required)]


def _preference(wish: _Wish, panels: int) -> list[Field]:
    choices = tuple(Choice(number, panel_label(number), str(number)) for number in range(1, panels + 1))
    none = Choice(0, "no difference", "0")
    return [Field(wish.field or "preference", wish.question or "Which image do you prefer?", "preference", (*choices, none))]


def panel_label(number: int) -> str:
    """What the panel of a number from 1 is called: A, B, C."""
    return chr(ord("A") + number - 1)


_FIELDS = {"likert": _likert, "fazekas": _fazekas, "disc_signal": _disc_signal, "findings": _findings, "text": _text}
