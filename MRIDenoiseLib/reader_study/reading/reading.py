"""Reading mode: what a reader sees next, and what becomes of the answers. Terminal and Slicer drive the same state machine.

It knows the reading folder and nothing else: no arm, no patient, and no way to the key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.reader_study.reading.answers import read_blinded, signal_index
from MRIDenoiseLib.reader_study.reading.folder import CONSENSUS, Item, read_plan, reading_folder, volume_path
from MRIDenoiseLib.reader_study.reading.forms import Field, check_answers, panel_label
from MRIDenoiseLib.reader_study.reading.store import Rating, RatingStore

State = Literal["open", "waiting", "finished"]


@dataclass(frozen=True)
class Panel:
    """One image to show.

    Args:
        label: what it is called in front of the reader: A, B, C in the order of the panels.
        path: the blinded volume.
        window: width of the range shown, in stored values.
        level: its middle.
    """

    label: str
    path: Path
    window: float
    level: float


@dataclass(frozen=True)
class Presentation:
    """What is on the screen: one case, blinded, with its questions.

    Args:
        item: the entry of the reading list; goes into the ratings, not on the screen.
        session: 1 and up.
        position: 1 and up, within the session, practice cases included.
        of: how many the session has.
        practice: whether it is for practice and never counted.
        panels: one image, or two or three side by side.
        fields: the questions, in order.
        earlier: question -> answer saved before, when the case is shown to be corrected; regions as they were placed.
        opinions: question -> the readers' answers, in a consensus session.
    """

    item: str
    session: int
    position: int
    of: int
    practice: bool
    panels: tuple[Panel, ...]
    fields: tuple[Field, ...]
    earlier: Mapping[str, Any] = field(default_factory=dict)
    opinions: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """The heading over the case; the only words about it that a reader sees."""
        return f"{'Practice case' if self.practice else 'Case'} {self.position} of {self.of}, session {self.session}"


@dataclass(frozen=True)
class ReadingStatus:
    """How far a reader is.

    Args:
        reader: the code.
        session: the one being read or waited for; the last one when all is read.
        sessions: how many there are.
        done: cases of that session with answers.
        of: cases of that session.
        done_in_all: cases of all sessions with answers.
        of_in_all: cases of all sessions.
        state: ``open`` (there is something to read now), ``waiting`` (for the session's first day), or ``finished``.
        opens: the first day of the session when ``waiting``.
        sentence: the same in words for the reader.
    """

    reader: str
    session: int
    sessions: int
    done: int
    of: int
    done_in_all: int
    of_in_all: int
    state: State
    opens: date | None
    sentence: str


def now() -> datetime:
    """The time of this computer with its time zone."""
    return datetime.now().astimezone()


class Reading:
    """One reader at work. Make a new one at any time, also after a crash: it resumes at the first case without answers.

    ::

        reading = Reading(folder, "R1")
        while (shown := reading.next()) is not None:
            ...show shown.panels, ask shown.fields...
            reading.save(answers)

    Args:
        folder: the reading folder, or the study it lies in.
        reader: the reader's code, or ``consensus``.
        clock: gives the time and its zone; sessions open by the date it gives.
        stopwatch: seconds that never go backwards, for the time spent.

    Raises:
        InputError: there is no study, it is damaged, or the reader is not one of its readers.
        OutputError: the ratings cannot be written.
    """

    def __init__(
        self, folder: Path, reader: str, clock: Callable[[], datetime] = now, stopwatch: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = reading_folder(folder)
        self._plan = read_plan(self._folder)
        self._reader = reader
        if not self._plan.items_of(reader):
            if reader == CONSENSUS:
                raise InputError("there is no consensus session yet; make it with mridenoise study consensus")
            raise InputError(f"'{reader}' is not a reader of this study; its readers are {', '.join(self._plan.readers)}")
        self._sessions = self._plan.lists[reader]
        self._store = RatingStore.open(self._folder, self._plan)
        self._clock, self._stopwatch = clock, stopwatch
        self._shown: Item | None = None
        self._spent: dict[str, float] = {}
        self._since: float | None = None

    @property
    def reader(self) -> str:
        """The reader's code."""
        return self._reader

    @property
    def study(self) -> str:
        """What the study is called."""
        return self._plan.name

    @property
    def paused(self) -> bool:
        """Whether a case is shown whose time is stopped."""
        return self._shown is not None and self._since is None

    def status(self) -> ReadingStatus:
        """How far the reader is, and the sentence to show them. Changes nothing."""
        latest = self._latest()
        index = self._session_at(latest)
        items = self._sessions[min(index, len(self._sessions) - 1)]
        done, done_in_all = (sum(item.id in latest for item in some) for some in (items, self._items()))
        opens = self._opens(index, latest)
        state: State = "finished" if index == len(self._sessions) else "waiting" if opens is not None else "open"
        session, sessions = min(index + 1, len(self._sessions)), len(self._sessions)
        if state == "finished":
            sentence = f"All {len(self._items())} cases are read. Thank you."
        elif opens is not None:
            sentence = (
                f"Session {session} of {sessions} opens on {opens.isoformat()}, "
                f"{self._plan.washout_days} days after the last case of session {session - 1}."
            )
        else:
            sentence = f"Session {session} of {sessions}: {done} of {len(items)} cases are read."
        return ReadingStatus(self._reader, session, sessions, done, len(items), done_in_all, len(self._items()), state, opens, sentence)

    def next(self) -> Presentation | None:
        """The case to read now; None when the session is over or not open yet, which :meth:`status` reports.

        The case's time starts. Called again before :meth:`save`, it gives the same case, whose time continues.
        """
        latest = self._latest()
        index = self._session_at(latest)
        if index == len(self._sessions) or self._opens(index, latest) is not None:
            self._show(None)
            return None
        item = next(item for item in self._sessions[index] if item.id not in latest)
        self._show(item)
        return self._presentation(item, {})

    def rated(self) -> tuple[str, ...]:
        """The items with answers in the session last read in, in the order of the list: what :meth:`revise` takes."""
        latest = self._latest()
        started = [session for session in self._sessions if any(item.id in latest for item in session)]
        return tuple(item.id for item in started[-1] if item.id in latest) if started else ()

    def revise(self, item: str) -> Presentation:
        """Show a case of this session again to correct its answers; :meth:`save` adds a revision, and the old answers are kept.

        Raises:
            SettingsError: it has no answers yet, or its session is over because a later one has started.
        """
        if item not in self.rated():
            raise SettingsError("only cases of the session last read in can be corrected")
        chosen = next(one for one in self._items() if one.id == item)
        self._show(chosen)
        return self._presentation(chosen, self._latest()[item])

    def save(self, answers: Mapping[str, Any], seconds: float | None = None) -> ReadingStatus:
        """Save the answers to the case shown. When this returns, they are on the disk.

        Args:
            answers: question -> value, see :meth:`.forms.Field.check`. A signal index is computed here from its two regions.
            seconds: time spent, where it was not this object that measured it.

        Raises:
            SettingsError: no case is shown, or the answers are not complete; nothing is saved.
            OutputError: they could not be written; nothing is saved.
        """
        item = self._shown
        if item is None:
            raise SettingsError("no case is shown, so there is nothing to answer")
        fields = self._plan.questions(item)
        checked = check_answers(fields, answers)
        for one in fields:
            if one.kind == "regions" and one.name in checked:
                checked[one.name] = signal_index(read_blinded(volume_path(self._folder, item.volumes[0])), checked[one.name])
        spent = round(self.seconds if seconds is None else seconds, 3)
        self._store.save(self._reader, self._session_of(item), item.id, checked, spent, self._clock())
        self._show(None)
        self._spent.pop(item.id)
        return self.status()

    def pause(self) -> None:
        """Stop the time of the case shown; hide the case meanwhile."""
        if self._shown is not None and self._since is not None:
            self._spent[self._shown.id] = self.seconds
            self._since = None

    def resume(self) -> None:
        """Let the time of the case shown continue."""
        if self.paused:
            self._since = self._stopwatch()

    @property
    def seconds(self) -> float:
        """Time spent on the case shown since its answers were last saved, without pauses and looks at other cases."""
        before = self._spent.get(self._shown.id, 0.0) if self._shown is not None else 0.0
        return before + (self._stopwatch() - self._since if self._since is not None else 0.0)

    def _show(self, item: Item | None) -> None:
        if item is not None and self._shown is not None and item.id == self._shown.id:
            return
        self.pause()
        self._shown = item
        self._since = self._stopwatch() if item is not None else None

    def _items(self) -> tuple[Item, ...]:
        return self._plan.items_of(self._reader)

    def _latest(self) -> dict[str, dict[str, Rating]]:
        """Item -> question -> answer, of this reader."""
        return {item: answers for (_, item), answers in self._store.latest(self._reader).items()}

    def _session_of(self, item: Item) -> int:
        return next(number for number, session in enumerate(self._sessions, 1) if any(one.id == item.id for one in session))

    def _session_at(self, latest: Mapping[str, Any]) -> int:
        """Index of the first session with something to read; the number of sessions when there is none."""
        unread = (index for index, session in enumerate(self._sessions) if any(item.id not in latest for item in session))
        return next(unread, len(self._sessions))

    def _opens(self, index: int, latest: Mapping[str, Mapping[str, Rating]]) -> date | None:
        """The first day of a session that is not open yet."""
        if not 0 < index < len(self._sessions):
            return None
        today = self._clock()
        before = {item.id for session in self._sessions[:index] for item in session}
        last = max(rating.saved_at for item in before for rating in latest[item].values())
        opens = last.astimezone(today.tzinfo).date() + timedelta(days=self._plan.washout_days)
        return opens if today.date() < opens else None

    def _presentation(self, item: Item, earlier: Mapping[str, Rating]) -> Presentation:
        number = self._session_of(item)
        session = self._sessions[number - 1]
        panels = []
        for place, volume in enumerate(item.volumes, 1):
            path, window = volume_path(self._folder, volume), self._plan.windows[volume]
            if not path.is_file():
                raise InputError(f"a volume of this study is missing: {path}; copy the reading folder again")
            panels.append(Panel(panel_label(place), path, window.width, window.level))
        return Presentation(
            item=item.id,
            session=number,
            position=next(place for place, one in enumerate(session, 1) if one.id == item.id),
            of=len(session),
            practice=item.practice,
            panels=tuple(panels),
            fields=self._plan.questions(item),
            earlier={name: _as_given(rating.value) for name, rating in earlier.items()},
            opinions=item.opinions,
        )


def _as_given(value: Any) -> Any:
    """What the reader had answered: of a signal index the regions, without what was computed of them."""
    return value["regions"] if isinstance(value, dict) else value
