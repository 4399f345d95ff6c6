"""Answers while they are given: which question is next, and what a key press means. The same for every window and terminal.

And the disc signal index: how bright the nucleus is in parts of the fluid around the cord, from two circles placed in the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.io.images import read_image
from MRIDenoiseLib.reader_study.reading.forms import FLUID, NUCLEUS, Field, check_answers
from MRIDenoiseLib.volume import Volume


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


def signal_index(volume: Volume, regions: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Mean T2 signal of the nucleus pulposus / that of the cerebrospinal fluid in the same slice.

    Args:
        volume: the image; its zero has to mean no signal.
        regions: region -> [r, a, s, radius]: RAS mm of the centre, and mm.

    Returns:
        ``regions`` as given, ``means`` of each, and their ``ratio``.

    Raises:
        SettingsError: a region lies outside or is too small, they lie in different slices, or the fluid has no signal.
    """
    if _slice_of(volume, regions[NUCLEUS]) != _slice_of(volume, regions[FLUID]):
        raise SettingsError("the two circles lie in different slices; place both in the same one")
    means = {name: mean_in_circle(volume, region) for name, region in regions.items()}
    if means[FLUID] <= 0:
        raise SettingsError(f"the circle in the {FLUID} holds no signal; place it again")
    return {"regions": {name: list(region) for name, region in regions.items()}, "means": means, "ratio": means[NUCLEUS] / means[FLUID]}


def mean_in_circle(volume: Volume, region: Sequence[float]) -> float:
    """Mean of the voxels whose centres lie within a circle in the acquired slice next to its centre.

    Raises:
        SettingsError: no voxel lies in it, or it reaches out of the image.
    """
    axis, number = volume.slice_axis, _slice_of(volume, region)
    shape = volume.voxels.shape
    index = np.stack(np.meshgrid(*(np.arange(size) if a != axis else [number] for a, size in enumerate(shape)), indexing="ij"), axis=-1)
    centre = _index_of(volume, region)
    # The circle lies in the slice: how far the centre is from it counts for nothing.
    centre[axis] = number
    offsets = (index - centre) * np.array(volume.spacing)
    inside = np.linalg.norm(offsets, axis=-1) <= region[3]
    reach = region[3] / np.array(volume.spacing)
    within = [centre[a] - reach[a] >= -0.5 and centre[a] + reach[a] <= shape[a] - 0.5 for a in range(3) if a != axis]
    if not all(within) or not 0 <= number < shape[axis]:
        raise SettingsError("a circle reaches out of the image; place it again")
    if not inside.any():
        raise SettingsError("a circle is smaller than a voxel; make it larger")
    return float(volume.voxels[tuple(np.moveaxis(index[inside], -1, 0))].mean(dtype=np.float64))


def _index_of(volume: Volume, region: Sequence[float]) -> np.ndarray:
    """The centre in voxels (z, y, x)."""
    ijk = np.linalg.solve(volume.ijk_to_ras, [*region[:3], 1.0])[:3]
    return ijk[::-1].copy()


def _slice_of(volume: Volume, region: Sequence[float]) -> int:
    return round(float(_index_of(volume, region)[volume.slice_axis]))


def read_blinded(path: Path) -> Volume:
    """A blinded volume, its voxels being the stored values.

    Raises:
        InputError: it cannot be read.
    """
    return read_image(path)
