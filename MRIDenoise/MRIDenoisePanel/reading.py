"""The section *Reader study*: opens a study, shows one blinded case after the other, and takes the answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.mrml.reading_room import ReadingRoom
from MRIDenoiseLib.reader_study.reading.folder import read_plan, reading_folder
from MRIDenoiseLib.reader_study.reading.reading import Reading
from MRIDenoisePanel.answering import AnswerForm, Wishes
from MRIDenoisePanel.views import MILLISECONDS_FOR_NEW_VIEWS, renderersOf

FOLDER, READER = "MRIDenoise/ReaderStudy/Folder", "MRIDenoise/ReaderStudy/Reader"
"""Settings: what was open last, so that after a crash one click resumes the reading."""

OTHER_SECTIONS = (
    *("setupCollapsible", "inputCollapsible", "acquisitionCollapsible", "modelCollapsible", "denoiseButton", "previewButton"),
    *("compareCollapsible", "tissuesCollapsible", "saveCollapsible"),
)
"""Not to be seen while a case is read: they name volumes, and could show them."""
WHILE_READING = (
    *("readingHeading", "readingBar", "readingForm", "readingBackButton", "readingNextButton", "readingFitButton"),
    *("readingPauseButton", "readingFinishButton", "readingKeys"),
)
PAUSE_KEY = "Ctrl+P"


class ReadingSection:
    """Drives a :class:`ReadingRoom`.

    Args:
        ui: the panel's widgets.
        room: makes a reading room, given what to call when something changed.
        guarded: runs what may fail, and shows the error in the panel.
        whyNot: why no reading can start now; empty when it can.
        onStart: called before a reading starts.
    """

    def __init__(
        self,
        ui: Any,
        room: Callable[[Callable[[], None]], ReadingRoom],
        guarded: Callable[[Callable[[], None]], None],
        whyNot: Callable[[], str],
        onStart: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._guarded = guarded
        self._whyNot = whyNot
        self._onStart = onStart
        self._folder: Path | None = None
        self._filling = False
        self._labelled: tuple[Any, ...] = ()
        self._settling = qt.QTimer()
        self._settling.setSingleShot(True)
        self._settling.timeout.connect(lambda: self._settle())
        self.room = room(self.show)
        self._form = AnswerForm(ui.readingForm, Wishes(self._answer, self._place, self._setRadius))
        clicked = {
            "readingFolderButton": self._choose,
            "readingStartButton": self._start,
            "readingBackButton": self.room.back,
            "readingNextButton": self.room.save,
            "readingFitButton": self.room.views.fit,
            "readingPauseButton": self._pauseOrResume,
            "readingFinishButton": self._finish,
        }
        for name, work in clicked.items():
            getattr(ui, name).connect("clicked(bool)", lambda _on, work=work: guarded(work))
        ui.readerBox.connect("currentIndexChanged(int)", lambda _index: self._filling or self._guarded(self._readerChosen))
        self._shortcuts = {key: self._shortcut(key, work) for key, work in self._keys().items()}
        self._remember()

    @property
    def open(self) -> bool:
        """Whether a reading is in progress, even if it is paused."""
        return self.room.open

    def pause(self) -> None:
        """Hide the case: the user goes to another module."""
        self.room.pause()

    def stop(self) -> None:
        """The panel goes."""
        self._settling.stop()
        self.room.finish()
        for shortcut in self._shortcuts.values():
            shortcut.setEnabled(False)
            shortcut.setParent(None)

    def show(self) -> None:
        """Show the current state of the reading."""
        room, ui = self.room, self._ui
        for name in OTHER_SECTIONS:
            getattr(ui, name).visible = not room.open
        for name in WHILE_READING:
            getattr(ui, name).visible = room.open
        ui.readingSetup.visible = not room.open
        if room.open:
            self._showCase()
        else:
            why = self._whyNot() or ("" if self._folder is not None else _("Open a study first"))
            ui.readingStartButton.enabled = not why
            ui.readingStartButton.toolTip = why or _("Shows the first case that has no answers yet")
        ui.readingNote.visible = bool(ui.readingNote.text)
        self._showKeys()
        views = room.views.views if room.views.active else ()
        if views != self._labelled:
            self._labelled = views
            if views:
                self._settling.start(MILLISECONDS_FOR_NEW_VIEWS)

    # Opening a study

    def _choose(self) -> None:
        name = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("A reader study's folder"), str(self._folder or ""))
        if name:
            self._take(Path(name))

    def _take(self, folder: Path, reader: str = "") -> None:
        """Find the readers of a study."""
        # Of a whole study only the part for readers: the key must not be read here.
        folder = reading_folder(folder)
        readers = list(read_plan(folder).lists)
        self._folder = folder
        self._ui.readingFolderLabel.text = read_plan(folder).name
        self._ui.readingFolderLabel.toolTip = str(folder)
        self._filling = True
        self._ui.readerBox.clear()
        self._ui.readerBox.addItems(readers)
        self._ui.readerBox.setCurrentIndex(readers.index(reader) if reader in readers else 0)
        self._filling = False
        self._readerChosen()

    def _readerChosen(self) -> None:
        """Show how far the reader is."""
        if self._folder is not None:
            self._ui.readingNote.text = Reading(self._folder, self._ui.readerBox.currentText).status().sentence

    def _remember(self) -> None:
        """Offer what was open last, if it is still there."""
        folder = slicer.app.userSettings().value(FOLDER)
        try:
            if folder:
                self._take(Path(folder), str(slicer.app.userSettings().value(READER) or ""))
        except MRIDenoiseError:
            # It was moved, or its drive is not there: not an error before the user opens it.
            self._folder = None
        if self._folder is None:
            self._ui.readingFolderLabel.text = _("none")

    def _start(self) -> None:
        reader = self._ui.readerBox.currentText
        self._onStart()
        self.room.begin(self._folder, reader)
        slicer.app.userSettings().setValue(FOLDER, str(self._folder))
        slicer.app.userSettings().setValue(READER, reader)

    # At a case

    def _answer(self, question: str, value: Any) -> None:
        self._guarded(lambda: self.room.answer(question, value))

    def _place(self, question: str, region: str) -> None:
        self._guarded(lambda: self.room.regions.place(question, region))

    def _setRadius(self, question: str, region: str, radius: float) -> None:
        self._guarded(lambda: self.room.regions.set_radius(question, region, radius))

    def _pauseOrResume(self) -> None:
        if self.room.paused:
            self.room.resume()
        else:
            self.room.pause()

    def _finish(self) -> None:
        question = _("There are answers that are not saved yet; they will be lost. Finish all the same?")
        if not self.room.unsaved or slicer.util.confirmOkCancelDisplay(question):
            self.room.finish()
            self._readerChosen()

    def _settle(self) -> None:
        """Fit the views that have got their size, and write their letters into them."""
        self.room.views.fit()
        self.room.views.draw_labels(renderersOf(self.room.views.views))

    # What is shown

    def _showCase(self) -> None:
        room, ui = self.room, self._ui
        shown, seen = room.shown, room.shown is not None and not room.paused
        ui.readingHeading.text = shown.heading if shown is not None else room.study
        if room.progress is not None:
            ui.readingBar.maximum, ui.readingBar.value = room.progress.of, room.progress.done
        ui.readingNote.text = self._note()
        ui.readingForm.visible = seen
        if seen:
            self._form.show(room.sheet, shown.opinions, room.regions)
        missing = ", ".join(room.sheet.question(name).question for name in room.sheet.missing)
        why = _("No case is shown") if not seen else _("Not answered yet: {questions}").format(questions=missing) if missing else ""
        tips = {
            ui.readingNextButton: (why, _("Saves the answers and shows the next case (Enter; while typing Ctrl+Enter)")),
            ui.readingBackButton: (
                "" if room.can_go_back else _("No earlier case of this session"),
                _("Shows the case before, to be corrected; what is answered here stays (Backspace)"),
            ),
            ui.readingFitButton: ("" if seen else _("No case is shown"), _("Middle slice, whole image, the study's window (Home)")),
            ui.readingPauseButton: ("" if shown is not None else _("No case is shown"), _("Hides the images and stops the time (Ctrl+P)")),
        }
        for button, (reason, tip) in tips.items():
            button.enabled = not reason
            button.toolTip = reason or tip
        ui.readingPauseButton.text = _("Resume") if room.paused else _("Pause")
        ui.readingFinishButton.toolTip = _("Ends the reading; it resumes later at the first case without answers")

    def _note(self) -> str:
        room = self.room
        if room.paused:
            return _("Paused: the images are hidden and the time is stopped. Resume shows the case again, with your answers.")
        if room.shown is None:
            sentence = room.progress.sentence if room.progress is not None else ""
            return f"{sentence} {_('An earlier case was changed and not saved: go back to it.')}" if room.unsaved else sentence
        if room.correcting:
            return _("You have answered this case before. A change is added as a revision; then the next open case comes.")
        return _("For practice: these answers are not counted.") if room.shown.practice else ""

    def _showKeys(self) -> None:
        """Enable the keys that have a function now, and list them."""
        room, kinds = self.room, {field.kind for field in self.room.sheet.fields}
        seen = room.shown is not None and not room.paused
        choices = {choice.shortcut for field in room.sheet.fields for choice in field.choices}
        means = {"P": "regions" in kinds, "T": "text" in kinds, PAUSE_KEY: True}
        for key, shortcut in self._shortcuts.items():
            shortcut.enabled = room.shown is not None and (seen or key == PAUSE_KEY) and means.get(key, not key.isdigit() or key in choices)
        keys = [
            _("Keys: digits answer the marked question"),
            _("Page Up and Page Down change it"),
            _("Enter saves"),
            _("Backspace goes back"),
        ]
        keys += [_("P places the next circle")] if "regions" in kinds else []
        keys += [_("T goes to the remarks and Esc leaves them")] if "text" in kinds else []
        self._ui.readingKeys.text = ", ".join([*keys, _("Home resets the views"), _("Ctrl+P pauses")]) + "." if seen else ""

    # Keys

    def _keys(self) -> dict[str, Callable[[], None]]:
        digits: dict[str, Callable[[], None]] = {str(digit): lambda key=str(digit): self.room.press(key) for digit in range(10)}
        return digits | {
            "Return": self.room.save,
            "Enter": self.room.save,
            "Ctrl+Return": self.room.save,
            "Backspace": self.room.back,
            "PgDown": lambda: self.room.step(1),
            "PgUp": lambda: self.room.step(-1),
            "Home": self.room.views.fit,
            "P": self.room.place_next,
            "T": self._form.focusText,
            "Esc": self._escape,
            PAUSE_KEY: self._pauseOrResume,
        }

    def _escape(self) -> None:
        """Out of a text, and out of placing."""
        focused = qt.QApplication.focusWidget()
        if focused is not None:
            focused.clearFocus()
        self.room.regions.stop_placing()
        self.show()

    def _shortcut(self, key: str, work: Callable[[], None]) -> Any:
        shortcut = qt.QShortcut(self._ui.readingCollapsible)
        shortcut.setKey(qt.QKeySequence(key))
        # A key that is held must not run through the next cases.
        shortcut.setAutoRepeat(False)
        # The views may be in a separate window, on another monitor.
        shortcut.setContext(qt.Qt.ApplicationShortcut)
        shortcut.connect("activated()", lambda: self._guarded(work))
        return shortcut
