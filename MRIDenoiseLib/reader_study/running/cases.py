"""The cases of a study, and where their versions lie: from the entries of its configuration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.running.design import CaseName

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
"""What readers, arms, patients and groups may be called: it goes into tables."""


@dataclass(frozen=True)
class Case:
    """A case and where its versions lie.

    Args:
        name: patient and group.
        files: arm -> image file or DICOM folder.
    """

    name: CaseName
    files: Mapping[str, Path]


def read_cases(entries: Any, what: str, patterns: Mapping[str, str | None], volumes: Path, group: str) -> tuple[Case, ...]:
    """The cases of an entry: a list of patients' codes or mappings, or a pattern such as ``sub-*`` for the patients' folders.

    Args:
        entries: as the YAML file has it.
        what: the entry's key, for complaints.
        patterns: arm -> pattern for its files, with ``{subject}``, ``{group}`` and ``{arm}``; None where every case names its own.
        volumes: the folder that names and patterns count from.
        group: of cases that name none.

    Raises:
        SettingsError: it is none of these, or a case lacks a file for an arm.
    """
    if isinstance(entries, str):
        try:
            entries = sorted(path.name for path in volumes.glob(entries) if path.is_dir())
        except (ValueError, NotImplementedError) as error:
            raise SettingsError(f"{what}: '{entries}' is no pattern for folders, such as sub-*") from error
        if not entries:
            raise SettingsError(f"{what}: no folder in {volumes} fits the pattern")
    if not isinstance(entries, list):
        raise SettingsError(f"{what} is a list of patients, or a pattern for their folders such as sub-*")
    return tuple(_case(entry, what, patterns, volumes, group) for entry in entries)


def _case(entry: Any, what: str, patterns: Mapping[str, str | None], volumes: Path, group: str) -> Case:
    values = {"subject": entry} if isinstance(entry, str) else entry
    if not isinstance(values, Mapping) or not set(values) <= {"subject", "group", "files"}:
        raise SettingsError(f"{what}: a case is a patient's code, or has the keys subject, group and files, not {entry!r}")
    subject, group, files = values.get("subject"), values.get("group", group), values.get("files") or {}
    for name, value in (("subject", subject), ("group", group)):
        if not isinstance(value, str) or not CODE.fullmatch(value):
            raise SettingsError(f"{what}: the {name} {value!r} needs a code of letters, digits, spaces, dots, dashes and underscores")
    if not isinstance(files, Mapping) or not set(files) <= set(patterns):
        raise SettingsError(f"{what}: the files of {subject} are named by arm, one of {', '.join(patterns)}")
    found = {}
    for arm, pattern in patterns.items():
        name = files.get(arm, pattern)
        if name is None:
            raise SettingsError(f"{what}: {subject} names no file for the arm '{arm}', which has no pattern either")
        try:
            found[str(arm)] = volumes / str(name).format(subject=subject, group=group, arm=arm)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise SettingsError(f"the pattern '{name}' may hold {{subject}}, {{group}} and {{arm}}, nothing else in braces") from error
    return Case(CaseName(str(subject), str(group)), found)


def in_full(case: Case) -> dict[str, Any]:
    """A case as an entry with every file named, which :func:`read_cases` reads from any folder."""
    # Braces in a path are not a pattern's.
    files = {arm: str(path).replace("{", "{{").replace("}", "}}") for arm, path in case.files.items()}
    return {"subject": case.name.subject, "group": case.name.group, "files": files}


def refuse_twice(words: Sequence[str], what: str) -> None:
    """Raise SettingsError where a word comes twice in a list called ``what``."""
    twice = [word for word, count in Counter(words).items() if count > 1]
    if twice:
        raise SettingsError(f"{what}: {twice[0]} is named twice")
