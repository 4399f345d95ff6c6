"""Who reads what, when and in which order: a study's cases, and the reading lists that are drawn from its seed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.running.balance import FairDraw, deal

ATTEMPTS = 100
"""How often a reader's lists are drawn before two readers' are called bound to be alike."""

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
"""What readers, arms, patients and groups may be called: it goes into tables."""


@dataclass(frozen=True)
class CaseName:
    """A case: a patient, and the group (organ, contrast) that distinguishes the patient's cases."""

    subject: str
    group: str


@dataclass(frozen=True)
class Entry:
    """One presentation on a reading list, with what the reader must not know.

    Args:
        case: what is shown.
        arms: in which versions, one a panel, in the order of the panels.
        practice: whether it never counts.
    """

    case: CaseName
    arms: tuple[str, ...]
    practice: bool = False


Lists = Mapping[str, tuple[tuple[Entry, ...], ...]]
"""Reader -> sessions -> entries, in the order in which they are read."""


@dataclass(frozen=True)
class Design:
    """What decides the reading lists.

    Args:
        seed: decides all draws.
        readers: their codes.
        sessions: how many each reader has.
        arms: names of the versions of a case.
        cases: all different.
        practice: cases of other patients, shown first in the first session.
        repeats: how many cases each reader reads a second time in another session, for intra-reader agreement.
        side_by_side: all arms at once on random panels, instead of one after another in different sessions.
    """

    seed: int
    readers: tuple[str, ...]
    sessions: int
    arms: tuple[str, ...]
    cases: tuple[CaseName, ...]
    practice: tuple[CaseName, ...] = ()
    repeats: int = 0
    side_by_side: bool = False


def reading_lists(design: Design) -> Lists:
    """The lists of every reader.

    No patient comes twice in a session of a reader. In every session of a reader each arm comes equally often, give or take one, and
    all sessions are equally long, give or take one. Each reader has a different order. Practice cases come first.

    Raises:
        SettingsError: no lists can fulfil this; the message gives the reason.
    """
    _check(design)
    lists: dict[str, tuple[tuple[Entry, ...], ...]] = {}
    for reader in design.readers:
        for attempt in range(ATTEMPTS):
            drawn = _list(design, FairDraw(design.seed, reader, attempt))
            if drawn not in lists.values():
                break
        else:
            raise SettingsError(f"{len(design.readers)} readers cannot each have a different order: there are too few cases")
        lists[reader] = drawn
    return lists


def _readings_of(design: Design) -> Counter[str]:
    """How often each patient is seen, without repeats."""
    each = 1 if design.side_by_side else len(design.arms)
    return Counter({subject: each * count for subject, count in Counter(case.subject for case in design.cases).items()})


def _check(design: Design) -> None:
    readings = _readings_of(design)
    subject, most = readings.most_common(1)[0]
    if most > design.sessions:
        cases = most if design.side_by_side else most // len(design.arms)
        times = "" if design.side_by_side else f" in {len(design.arms)} arms"
        raise SettingsError(
            f"the patient {subject} has {cases} case{'s' if cases > 1 else ''}{times}, {most} readings, and no patient may come twice in a "
            f"session: at least {most} sessions are needed, not {design.sessions}"
        )
    room = len(_repeatable(design, design.cases))
    if design.repeats > room:
        raise SettingsError(
            f"{design.repeats} cases cannot be read a second time: with {design.sessions} sessions, and no patient twice in a session, "
            f"there is room for {room}; add a session or request fewer repeats"
        )
    total = sum(readings.values()) + design.repeats
    if total < design.sessions:
        raise SettingsError(f"{total} readings cannot fill {design.sessions} sessions; there would be an empty one")
    shared = {case.subject for case in design.practice} & set(readings)
    if shared:
        raise SettingsError(f"the patient {min(shared)} is a practice case and a case of the study; practise on other patients")


def _repeatable(design: Design, cases: Sequence[CaseName]) -> list[CaseName]:
    """Of the cases in this order, those that can be read a second time: a patient has as many repeats as sessions to spare."""
    spare = {subject: design.sessions - count for subject, count in _readings_of(design).items()}
    found = []
    for case in cases:
        if spare[case.subject] > 0:
            spare[case.subject] -= 1
            found.append(case)
    return found


def _list(design: Design, draw: FairDraw) -> tuple[tuple[Entry, ...], ...]:
    """One reader's sessions."""
    again = _repeatable(design, draw.shuffled(design.cases))[: design.repeats]
    if design.side_by_side:
        readings = [(case, "") for case in (*design.cases, *again)]
        shown = _panel_orders(design.arms, len(readings) + len(design.practice), draw)
        entries = [Entry(case, shown.pop()) for case, _ in readings]
        practice = [Entry(case, shown.pop(), practice=True) for case in design.practice]
    else:
        arms = draw.shuffled(design.arms)
        # Taken in turn, so that repeats keep the arms equally frequent.
        readings = [(case, arm) for case in design.cases for arm in design.arms]
        readings += [(case, arms[number % len(arms)]) for number, case in enumerate(again)]
        entries = [Entry(case, (arm,)) for case, arm in readings]
        practice = [Entry(case, (arms[number % len(arms)],), practice=True) for number, case in enumerate(draw.shuffled(design.practice))]
    dealt = deal([(entry.case.subject, arm) for entry, (_, arm) in zip(entries, readings, strict=True)], design.sessions, draw)
    names = draw.shuffled(range(design.sessions))
    sessions = [[entry for entry, session in zip(entries, dealt, strict=True) if names[session] == number] for number in range(len(names))]
    ordered = [tuple(draw.shuffled(session)) for session in sessions]
    return (tuple(practice) + ordered[0], *ordered[1:])


def _panel_orders(arms: Sequence[str], number: int, draw: FairDraw) -> list[tuple[str, ...]]:
    """That many orders of the arms; each possible one comes equally often, give or take one."""
    orders = list(permutations(arms))
    return draw.shuffled([order for _ in range(-(-number // len(orders))) for order in draw.shuffled(orders)][:number])


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
            raise SettingsError(f"{what}: '{entries}' is not a pattern for folders, such as sub-*") from error
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
