"""Readers that are programs: answers computed, or taken from a file, go the same way as those of a person."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.io.atomic import read_rows
from MRIDenoiseLib.reader_study.reading.forms import Field
from MRIDenoiseLib.reader_study.reading.reading import Presentation, Reading


def read_with(reading: Reading, answer: Callable[[Presentation], Mapping[str, Any]], seconds: float | None = None) -> int:
    """Read all that is open now; returns the number of cases read.

    Args:
        reading: of the reader.
        answer: gives question -> value for what is shown.
        seconds: time to write down for each case; what it really took when not given.

    Raises:
        SettingsError: an answer is missing or wrong; the cases before it are saved.
    """
    count = 0
    while (shown := reading.next()) is not None:
        reading.save(answer(shown), seconds)
        count += 1
    return count


@dataclass(frozen=True)
class Script:
    """Answers prepared in a file.

    Args:
        answers: (reader or empty for all, item or volume) -> question -> value or its text.
    """

    answers: Mapping[tuple[str, str], Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Script:
        """From a .csv or .json file with rows of ``field``, ``value``, and ``volume`` or ``item``, and perhaps ``reader``.

        Raises:
            InputError: the file cannot be read, or a row lacks something.
        """
        found: dict[tuple[str, str], dict[str, Any]] = {}
        try:
            for row in read_rows(path):
                image = row.get("item") or row["volume"]
                found.setdefault((row.get("reader") or "", image), {})[row["field"]] = row["value"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not a list of answers: each row needs field, value, and volume or item") from error
        return cls(found)

    def answers_to(self, shown: Presentation, reader: str) -> dict[str, Any]:
        """The answers to a presentation: those for the item before those for the volume, a reader's own before all readers'.

        Raises:
            SettingsError: there are none, or one is not an answer to its question.
        """
        names = [shown.item, *(panel.path.stem for panel in shown.panels)]
        for name in names:
            for who in (reader, ""):
                if (who, name) in self.answers:
                    return parsed(shown.fields, self.answers[who, name])
        raise SettingsError(f"the script has no answers to {shown.heading.lower()} (item {shown.item})")


def parsed(fields: Sequence[Field], answers: Mapping[str, Any]) -> dict[str, Any]:
    """Answers given as text, as from a command line or table: numbers of scales and regions are understood.

    Raises:
        SettingsError: there is no such question, or the text does not answer it.
    """
    known = {field.name: field for field in fields}
    found = {}
    for name, value in answers.items():
        if name not in known:
            raise SettingsError(f"there is no question '{name}' here; there are {', '.join(known)}")
        if isinstance(value, str) and value and known[name].kind != "text":
            try:
                value = json.loads(value)
            except ValueError as error:
                raise SettingsError(f"'{name}' is answered by a number, or by regions in JSON, not by '{value}'") from error
        found[name] = value
    return found
