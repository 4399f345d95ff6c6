"""A study on disk. ``STUDY/reading`` is all that readers need and may be handed out; ``STUDY/key`` stays with whoever runs the study.

::

    STUDY/reading/plan.json           who reads what, when, with which questions: blinded ids only
    STUDY/reading/consensus.json      the same for the consensus session, once there is one
    STUDY/reading/volumes/<id>.nii    the blinded volumes
    STUDY/reading/ratings.sqlite      what was answered
    STUDY/key/key.json                which patient and arm each blinded id is
    STUDY/key/study.yaml              the configuration, with the seed
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.io.atomic import write_json
from MRIDenoiseLib.reader_study.reading.forms import Field, Form, fields_for

READING = "reading"
KEY_FOLDER = "key"
PLAN = "plan.json"
CONSENSUS_PLAN = "consensus.json"
VOLUMES = "volumes"
ENDING = ".nii"
FORMAT = 1
CONSENSUS = "consensus"
"""The reader of the consensus session: all readers together."""


@dataclass(frozen=True)
class StudyFolder:
    """Where the parts of a study lie.

    Args:
        root: the study's folder, which holds both others.
    """

    root: Path

    @classmethod
    def of(cls, root: Path) -> StudyFolder:
        """The study in a folder.

        Raises:
            InputError: there is none.
        """
        if not (root / READING / PLAN).is_file():
            raise InputError(f"{root} holds no reader study; make one with mridenoise study create")
        return cls(root)

    @property
    def reading(self) -> Path:
        """What readers get."""
        return self.root / READING

    @property
    def key(self) -> Path:
        """What readers do not get."""
        return self.root / KEY_FOLDER


def reading_folder(path: Path) -> Path:
    """The reading folder, given itself or the study it lies in.

    Raises:
        InputError: neither.
    """
    for folder in (path, path / READING):
        if (folder / PLAN).is_file():
            return folder
    raise InputError(f"{path} is not the folder of a reader study: it holds no {PLAN}")


@dataclass(frozen=True)
class Window:
    """How bright a volume is shown, in stored values: the same for all arms of a case."""

    width: float
    level: float


@dataclass(frozen=True)
class Item:
    """One entry of a reading list.

    Args:
        id: random; the ratings bear it.
        volumes: blinded ids, one a panel, in the order of the panels.
        group: of the case; it chooses the questions.
        practice: whether it is for practice only and never counted.
        fields: the names of the questions, where not all of the group's are asked.
        opinions: of a consensus item: question -> what the readers had answered, in an order that does not reveal who answered what.
    """

    id: str
    volumes: tuple[str, ...]
    group: str
    practice: bool = False
    fields: tuple[str, ...] = ()
    opinions: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadingPlan:
    """All that reading mode knows of a study. It holds no arm, no patient, no seed and no name of a source file.

    Args:
        study: the study's random id.
        name: what the study is called.
        readers: their codes.
        washout_days: days that have to pass from a reader's last rating of a session until the next one opens.
        bundle: the hash of the model under study, or ``none``; kept with every rating.
        shared_drive: whether the folder lies on a network drive, where SQLite's write-ahead log must not be used.
        forms: the questions.
        windows: of each blinded volume.
        lists: reader -> sessions -> items, in the order in which they are read.
    """

    study: str
    name: str
    readers: tuple[str, ...]
    washout_days: int
    bundle: str
    shared_drive: bool
    forms: tuple[Form, ...]
    windows: Mapping[str, Window]
    lists: Mapping[str, tuple[tuple[Item, ...], ...]]

    def items_of(self, reader: str) -> tuple[Item, ...]:
        """Everything a reader reads, session after session; empty for someone who reads nothing."""
        return tuple(item for session in self.lists.get(reader, ()) for item in session)

    def questions(self, item: Item) -> tuple[Field, ...]:
        """The questions about an item."""
        fields = fields_for(self.forms, item.group)
        return tuple(one for one in fields if one.name in item.fields) if item.fields else fields

    def field(self, name: str) -> Field:
        """The question of a name.

        Raises:
            InputError: the study asks no such question.
        """
        for form in self.forms:
            for one in form.fields:
                if one.name == name:
                    return one
        raise InputError(f"the ratings answer a question '{name}' that this study does not ask; they belong to another study")

    def with_list(self, reader: str, sessions: tuple[tuple[Item, ...], ...]) -> ReadingPlan:
        """With another reading list."""
        return replace(self, lists={**self.lists, reader: sessions})


def volume_path(reading: Path, volume: str) -> Path:
    """Where a blinded volume lies."""
    return reading / VOLUMES / f"{volume}{ENDING}"


def write_plan(reading: Path, plan: ReadingPlan) -> None:
    """Write the plan into a reading folder.

    Raises:
        OutputError: it is there already, or cannot be written.
    """
    found = {"format": FORMAT, **asdict(plan), "forms": [form.as_json() for form in plan.forms]}
    write_json(reading / PLAN, found)


def write_list(path: Path, study: str, sessions: tuple[tuple[Item, ...], ...]) -> None:
    """Write one reading list of a study to its own file.

    Raises:
        OutputError: it is there already, or cannot be written.
    """
    write_json(path, {"format": FORMAT, "study": study, "sessions": [[asdict(item) for item in session] for session in sessions]})


def read_plan(reading: Path) -> ReadingPlan:
    """The plan of a reading folder, with the consensus session as the list of one more reader where there is one.

    Raises:
        InputError: there is none, or it is damaged.
        SettingsError: it was written by a newer version of this program.
    """
    found = _read(reading / PLAN)
    try:
        plan = ReadingPlan(
            study=found["study"],
            name=found["name"],
            readers=tuple(found["readers"]),
            washout_days=int(found["washout_days"]),
            bundle=found["bundle"],
            shared_drive=bool(found["shared_drive"]),
            forms=tuple(Form.from_json(form) for form in found["forms"]),
            windows={volume: Window(**window) for volume, window in found["windows"].items()},
            lists={reader: _sessions(sessions) for reader, sessions in found["lists"].items()},
        )
        if (reading / CONSENSUS_PLAN).is_file():
            agreed = _read(reading / CONSENSUS_PLAN)
            if agreed["study"] != plan.study:
                raise InputError(f"{reading / CONSENSUS_PLAN} belongs to another study")
            plan = plan.with_list(CONSENSUS, _sessions(agreed["sessions"]))
        return plan
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{reading / PLAN} is damaged; take it from a backup") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no list of keys and values")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read; it is damaged, or this is not the folder of a reader study") from error
    if found.get("format") != FORMAT:
        raise SettingsError(f"{path.name} was written by another version of this program (format {found.get('format')}, known is {FORMAT})")
    return found


def _sessions(found: list[list[dict[str, Any]]]) -> tuple[tuple[Item, ...], ...]:
    return tuple(tuple(_item(item) for item in session) for session in found)


def _item(found: Mapping[str, Any]) -> Item:
    return Item(
        id=found["id"],
        volumes=tuple(found["volumes"]),
        group=found["group"],
        practice=bool(found["practice"]),
        fields=tuple(found["fields"]),
        opinions={name: tuple(values) for name, values in found["opinions"].items()},
    )
