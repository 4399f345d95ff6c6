"""Answers while they are given: which question is next, and what a key press means. The same for every window and terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.reading.forms import Field, check_answers


@dataclass(frozen=True)
class Sheet:
    """The answers to one presentation so far. Frozen: every answer gives a new sheet.

    Keys answer the current question and move on to the next one that is open, so that a case of two four-point scales takes
    two key presses and Enter.

    Args:
        fields: the questions, in order.
        answers: field name -> value, for those answered.
        current: the name of the question that keys answer; empty when all are answered.
    """

    fields: tuple[Field, ...]
    answers: Mapping[str, Any] = field(default_factory=dict)
    current: str = ""

    @classmethod
    def blank(cls, fields: tuple[Field, ...]) -> Sheet:
        """Nothing answered; the first question is current."""
        return cls(fields, {}, fields[0].name if fields else "")

    @classmethod
    def filled(cls, fields: tuple[Field, ...], answers: Mapping[str, Any]) -> Sheet:
        """With earlier answers, to correct them; the first question is current."""
        return cls(fields, {one.name: answers[one.name] for one in fields if one.name in answers}, fields[0].name if fields else "")

    def answer(self, name: str, value: Any) -> Sheet:
        """With this answer; the next open question after it becomes current.

        Raises:
            SettingsError: there is no such question, or the value does not answer it.
        """
        answers = {**self.answers, name: self.question(name).check(value)}
        return replace(self, answers=answers, current=self._open_after(name, answers))

    def clear(self, name: str) -> Sheet:
        """Without the answer to a question, which becomes current."""
        return replace(self, answers={other: value for other, value in self.answers.items() if other != name}, current=name)

    def go_to(self, name: str) -> Sheet:
        """With another current question.

        Raises:
            SettingsError: there is no such question.
        """
        return replace(self, current=self.question(name).name)

    def press(self, key: str) -> Sheet:
        """After a key: the choice of the current question that bears it; the same sheet where the key means nothing."""
        if not self.current:
            return self
        chosen = next((choice for choice in self.question(self.current).choices if choice.shortcut == key.lower()), None)
        return self if chosen is None else self.answer(self.current, chosen.value)

    def question(self, name: str) -> Field:
        """The field of a name.

        Raises:
            SettingsError: there is none.
        """
        found = next((one for one in self.fields if one.name == name), None)
        if found is None:
            raise SettingsError(f"there is no question '{name}' here; there are {', '.join(one.name for one in self.fields)}")
        return found

    @property
    def missing(self) -> tuple[str, ...]:
        """The required questions that are still open."""
        return tuple(one.name for one in self.fields if one.required and self.answers.get(one.name) in (None, ""))

    @property
    def complete(self) -> bool:
        """Whether the answers can be saved."""
        return not self.missing

    def checked(self) -> dict[str, Any]:
        """The answers, ready to be saved.

        Raises:
            SettingsError: something is missing.
        """
        return check_answers(self.fields, self.answers)

    def _open_after(self, name: str, answers: Mapping[str, Any]) -> str:
        names = [one.name for one in self.fields]
        place = names.index(name) + 1
        return next((other for other in names[place:] + names[:place] if other not in answers), "")
