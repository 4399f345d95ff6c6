"""A blinded reader at work in Slicer: which case is on the screen, what is answered so far, and the way forward and back.

What a window adds are widgets only. The order of the cases, the ratings and the washout are :class:`.reader_study.reading.Reading`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import slicer

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.mrml.case_regions import CaseRegions
from MRIDenoiseLib.mrml.case_views import CaseViews
from MRIDenoiseLib.reader_study.reading.answers import Sheet
from MRIDenoiseLib.reader_study.reading.reading import Presentation, Reading, ReadingStatus, now

_Circles = Mapping[str, Mapping[str, Sequence[float]]]
"""Question -> region -> [r, a, s, radius]."""


class ReadingRoom:
    """One reading: started, paused and resumed any number of times, finished.

    What was answered and not saved yet stays with its case, through pauses and looks at earlier cases, until the reading is
    finished; :attr:`unsaved` is true where there are such answers.

    Args:
        scene: see :class:`.CaseViews`.
        application_logic: see :class:`.CaseViews`.
        changed: called after anything changed that a window shows.
        clock: see :class:`.Reading`.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        application_logic: slicer.vtkMRMLApplicationLogic,
        changed: Callable[[], None],
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.views = CaseViews(scene, application_logic, when_left=self._views_left)
        self.regions = CaseRegions(scene, application_logic, self._circles_changed)
        self._changed = changed
        self._clock = clock
        self._reading: Reading | None = None
        self._shown: Presentation | None = None
        self._sheet = Sheet.blank(())
        self._first_sheet = self._sheet
        self._drafts: dict[str, tuple[Sheet, _Circles]] = {}
        self._circles: _Circles = {}
        self._progress: ReadingStatus | None = None
        self._before: str | None = None
        self._paused = False

    @property
    def open(self) -> bool:
        """Whether a reading is in progress, even if it is paused or between sessions."""
        return self._reading is not None

    @property
    def paused(self) -> bool:
        """Whether the case is hidden and its time is stopped."""
        return self._paused

    @property
    def shown(self) -> Presentation | None:
        """The case being read, also while it is paused; None when the session is over."""
        return self._shown

    @property
    def sheet(self) -> Sheet:
        """The answers so far."""
        return self._sheet

    @property
    def correcting(self) -> bool:
        """Whether the case has been saved before and is shown again."""
        return self._shown is not None and bool(self._shown.earlier)

    @property
    def unsaved(self) -> bool:
        """Whether something is answered that is not saved."""
        return bool(self._drafts) or self._touched

    @property
    def study(self) -> str:
        """What the study is called; empty when none is open."""
        return self._reading.study if self._reading is not None else ""

    @property
    def progress(self) -> ReadingStatus | None:
        """How far the reader is; None when no reading is in progress."""
        return self._progress

    @property
    def can_go_back(self) -> bool:
        """Whether there is a case before the one shown, in this session, to be corrected."""
        return self._before is not None and not self._paused

    def begin(self, folder: Path, reader: str) -> None:
        """Open a study as one of its readers, at the first case without answers; one that is open is finished.

        Raises:
            InputError: there is no study, it is damaged, the reader is not one of its readers, or an image cannot be read.
            OutputError: the ratings cannot be written.
            RuntimeError: there are no views to show anything in.
        """
        self.finish()
        self._reading = Reading(folder, reader, self._clock)
        try:
            self._go_on()
        except BaseException:
            self.finish()
            raise

    def answer(self, question: str, value: Any) -> None:
        """Take an answer; an empty text takes it back.

        Raises:
            SettingsError: the value does not answer the question.
        """
        here = self._sheet.current
        sheet = self._sheet.answer(question, value) if value != "" else self._sheet.clear(question)
        # Keys again answer the question they answered before a remark was typed.
        self._take(sheet.go_to(here) if here and sheet.question(question).kind == "text" else sheet)

    def press(self, key: str) -> None:
        """A key that may select a choice of the current question."""
        if not self._paused:
            self._take(self._sheet.press(key))

    def step(self, by: int) -> None:
        """Make another question current: 1 for the next, -1 for the one before."""
        names = [field.name for field in self._sheet.fields]
        if names:
            place = names.index(self._sheet.current) if self._sheet.current in names else -1 if by > 0 else len(names)
            self._take(self._sheet.go_to(names[min(max(place + by, 0), len(names) - 1)]))

    def place_next(self) -> None:
        """Let the next click into the image place the first circle that is missing, of the current question before the others."""
        fields = sorted((field for field in self._sheet.fields if field.regions), key=lambda field: field.name != self._sheet.current)
        missing = ((field.name, region) for field in fields for region in field.regions if region not in self.regions.placed(field.name))
        question, region = next(missing, ("", ""))
        if question and not self._paused:
            self.regions.place(question, region)
            self._changed()

    def save(self) -> None:
        """Save the answers, which are on the disk afterwards, and continue with the next case that has none.

        Raises:
            SettingsError: something is missing, or a circle does not lie well; nothing is saved.
            OutputError: they could not be written; nothing is saved.
            InputError: they are saved, but the next case cannot be shown.
        """
        reading, shown = self._at_work(), self._shown
        if shown is None or self._paused:
            raise SettingsError("no case is shown, so there is nothing to save")
        # A look at an earlier case is not a correction.
        if not self.correcting or self._sheet.answers != self._first_sheet.answers:
            reading.save(self._sheet.checked())
        self._shown, self._circles = None, {}
        self._sheet = self._first_sheet = Sheet.blank(())
        self._go_on()

    def back(self) -> None:
        """Show the case before, to correct it. What is answered of the present one stays for when it comes again.

        Raises:
            InputError: it cannot be shown.
        """
        if self._before is not None and not self._paused:
            self._show(self._at_work().revise(self._before))

    def pause(self) -> None:
        """Take the case off the screen and stop its time; what is answered stays."""
        if self._reading is not None and self._shown is not None and not self._paused:
            self._paused = True
            self._reading.pause()
            self._circles = self._placed()
            self._clear_screen()
            self._changed()

    def resume(self) -> None:
        """Show the case again.

        Raises:
            InputError: it cannot be read any more; the reading stays paused.
        """
        if self._reading is not None and self._shown is not None and self._paused:
            self._put_up(self._shown)
            self._paused = False
            self._reading.resume()
            self._changed()

    def finish(self) -> None:
        """End the reading, and give the views back to the user. Answers that are not saved are lost."""
        if self._reading is None:
            return
        self._reading = self._shown = self._progress = self._before = None
        self._paused = False
        self._drafts, self._circles = {}, {}
        self._sheet = self._first_sheet = Sheet.blank(())
        self._clear_screen()
        self._changed()

    def _go_on(self) -> None:
        """Show the next case without answers, or that there is none."""
        try:
            shown = self._at_work().next()
            if shown is not None:
                self._show(shown)
                return
        except BaseException:
            self._clear_screen()
            raise
        self._clear_screen()
        self._look_around()
        self._changed()

    def _show(self, shown: Presentation) -> None:
        if self._shown is not None and self._touched:
            self._drafts[self._shown.item] = self._sheet, self._placed()
        self._shown = shown
        self._first_sheet = Sheet.filled(shown.fields, shown.earlier)
        self._sheet, self._circles = self._drafts.pop(shown.item, (self._first_sheet, _circles_of(self._first_sheet)))
        self._look_around()
        try:
            self._put_up(shown)
        except BaseException:
            # No answers without the images on the screen; resuming tries again.
            self._paused = True
            self._at_work().pause()
            self._clear_screen()
            raise
        self._changed()

    def _put_up(self, shown: Presentation) -> None:
        """Show images, and circles as they were placed."""
        self.views.show(shown.panels)
        self.regions.ask(shown.fields, self.views.images[0], self._circles)

    def _clear_screen(self) -> None:
        self.regions.clear()
        self.views.leave()

    def _look_around(self) -> None:
        """How far the reader is, and which case was before: queried once a case, because the ratings are on a disk."""
        reading, shown = self._at_work(), self._shown
        self._progress = reading.status()
        rated = reading.rated()
        if shown is not None and shown.item in rated:
            rated = rated[: rated.index(shown.item)]
        elif shown is not None and self._progress.done == 0:
            # What was rated is the session before, which is over.
            rated = ()
        self._before = rated[-1] if rated else None

    def _placed(self) -> _Circles:
        """The circles that are placed in the image; while it is hidden, those that were."""
        if not self.views.active:
            return self._circles
        return {field.name: placed for field in self._sheet.fields if (placed := self.regions.placed(field.name))}

    @property
    def _touched(self) -> bool:
        """Whether the case shown has answers, or half an answer, that are not saved."""
        return self._sheet.answers != self._first_sheet.answers or self._placed() != _circles_of(self._first_sheet)

    def _take(self, sheet: Sheet) -> None:
        if sheet != self._sheet:
            self._sheet = sheet
            self._changed()

    def _circles_changed(self, question: str) -> None:
        placed = self.regions.placed(question)
        if set(placed) == set(self._sheet.question(question).regions):
            if self._sheet.answers.get(question) != placed:
                self._sheet = self._sheet.answer(question, placed)
        elif question in self._sheet.answers:
            self._sheet = self._sheet.clear(question)
        self._changed()

    def _views_left(self) -> None:
        """The scene goes: nothing of the case may stay in it."""
        self.pause()

    def _at_work(self) -> Reading:
        if self._reading is None:
            raise SettingsError("no reading is in progress; open a study first")
        return self._reading


def _circles_of(sheet: Sheet) -> _Circles:
    return {field.name: sheet.answers[field.name] for field in sheet.fields if field.regions and field.name in sheet.answers}
