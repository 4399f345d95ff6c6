"""The form of a reader study: a study's questions as widgets, which show the answers so far and hand on new ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import qt
from slicer.i18n import tr as _

from MRIDenoiseLib.mrml.case_regions import CaseRegions
from MRIDenoiseLib.reader_study.reading.answers import Sheet
from MRIDenoiseLib.reader_study.reading.forms import Choice, Field

CURRENT = "background-color: palette(highlight); color: palette(highlighted-text)"
"""Not bold: wider letters would move everything below."""
HINT = "color: #7A7A7A"
LINES_OF_TEXT = 3
BETWEEN_QUESTIONS = 10
"""Pixels."""
LARGEST_RADIUS, STEP_OF_RADIUS = 50.0, 0.5
"""Millimetres."""


@dataclass(frozen=True)
class Wishes:
    """What the form hands on.

    Args:
        answer: called with a question and its answer.
        place: called with a question and a region that is to be placed.
        radius: called with a question, a region and the radius in mm.
    """

    answer: Callable[[str, Any], None]
    place: Callable[[str, str], None]
    radius: Callable[[str, str, float], None]


class AnswerForm:
    """The questions of the case shown.

    Scales of one question are shown in a column. Questions in a row that share their answers, such as a list of findings, are lines
    of one table, so that all of them are seen at once.

    Args:
        place: the widget that the form is built in.
        wishes: what becomes of what the reader does.
    """

    def __init__(self, place: Any, wishes: Wishes) -> None:
        self._column = qt.QVBoxLayout(place)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._wishes = wishes
        self._shown: tuple[Any, ...] = ()
        self._body: Any = None
        self._parts: list[Any] = []

    def show(self, sheet: Sheet, opinions: Mapping[str, Sequence[Any]], regions: CaseRegions) -> None:
        """Show questions and answers.

        Args:
            sheet: both.
            opinions: question -> what the readers had answered, in a consensus session.
            regions: the circles in the image.
        """
        shown = (sheet.fields, {name: tuple(answers) for name, answers in opinions.items()})
        if shown != self._shown:
            # One case after another has the same questions: then only the answers change.
            self._shown = shown
            self._build(sheet.fields, opinions)
        for part in self._parts:
            part.show(sheet, regions)

    def focusText(self) -> None:
        """Let the reader type a remark."""
        text = next((part for part in self._parts if isinstance(part, _Text)), None)
        if text is not None:
            text.edit.setFocus()

    def _build(self, fields: Sequence[Field], opinions: Mapping[str, Sequence[Any]]) -> None:
        if self._body is not None:
            self._body.setParent(None)
            self._body.deleteLater()
        self._body = qt.QWidget()
        column = qt.QVBoxLayout(self._body)
        column.setContentsMargins(0, 0, 0, 0)
        self._parts = []
        for _choices, group in groupby(fields, key=lambda field: field.choices or field.name):
            together = list(group)
            if self._parts:
                column.addSpacing(BETWEEN_QUESTIONS)
            if len(together) > 1:
                self._parts.append(_Table(column, together, self._wishes.answer))
            elif together[0].kind == "text":
                self._parts.append(_Text(column, together[0], self._wishes.answer))
            elif together[0].kind == "regions":
                self._parts.append(_Regions(column, together[0], self._wishes))
            else:
                self._parts.append(_Scale(column, together[0], self._wishes.answer))
            for field in together:
                if opinions.get(field.name):
                    answers = _opinions(field, opinions[field.name])
                    column.addWidget(_hint(f"{field.question}: {answers}" if len(together) > 1 else answers))
        self._column.addWidget(self._body)


class _Scale:
    """One question, its answers in a column with their keys."""

    def __init__(self, column: Any, field: Field, answer: Callable[[str, Any], None]) -> None:
        self._field = field
        self._title = _title(field)
        column.addWidget(self._title)
        self._buttons = {}
        for choice in field.choices:
            button = _radio(f"{choice.shortcut}   {choice.label}", lambda choice=choice: answer(field.name, choice.value))
            column.addWidget(button)
            self._buttons[choice.value] = button

    def show(self, sheet: Sheet, _regions: CaseRegions) -> None:
        _mark(self._title, sheet, self._field)
        for value, button in self._buttons.items():
            button.checked = sheet.answers.get(self._field.name) == value


class _Table:
    """Questions of the same answers, one a line."""

    def __init__(self, column: Any, fields: Sequence[Field], answer: Callable[[str, Any], None]) -> None:
        self._fields = fields
        self._titles, self._buttons = {}, {}
        column.addWidget(_hint("   ".join(f"{choice.shortcut} {choice.label}" for choice in fields[0].choices)))
        table = qt.QGridLayout()
        table.setColumnStretch(0, 1)
        column.addLayout(table)
        for line, field in enumerate(fields):
            self._titles[field.name] = _title(field)
            table.addWidget(self._titles[field.name], line, 0)
            for place, choice in enumerate(field.choices, 1):
                button = _radio(choice.shortcut, lambda name=field.name, choice=choice: answer(name, choice.value))
                button.toolTip = choice.label
                table.addWidget(button, line, place)
                self._buttons[field.name, choice.value] = button

    def show(self, sheet: Sheet, _regions: CaseRegions) -> None:
        for field in self._fields:
            _mark(self._titles[field.name], sheet, field)
        for (name, value), button in self._buttons.items():
            button.checked = sheet.answers.get(name) == value


class _Text:
    """A remark."""

    def __init__(self, column: Any, field: Field, answer: Callable[[str, Any], None]) -> None:
        self._field = field
        self._title = _title(field, _("(T)"))
        self.edit = qt.QPlainTextEdit()
        self.edit.setTabChangesFocus(True)
        self.edit.setMaximumHeight(LINES_OF_TEXT * self.edit.fontMetrics().lineSpacing() + 12)
        self.edit.connect("textChanged()", lambda: answer(field.name, self.edit.plainText))
        column.addWidget(self._title)
        column.addWidget(self.edit)

    def show(self, sheet: Sheet, _regions: CaseRegions) -> None:
        _mark(self._title, sheet, self._field)
        text = sheet.answers.get(self._field.name, "")
        if self.edit.plainText != text:
            blocked = self.edit.blockSignals(True)
            self.edit.plainText = text
            self.edit.blockSignals(blocked)


class _Regions:
    """Circles to be placed, each with its radius and whether it is there."""

    def __init__(self, column: Any, field: Field, wishes: Wishes) -> None:
        self._field = field
        self._title = _title(field)
        column.addWidget(self._title)
        table = qt.QGridLayout()
        table.setColumnStretch(0, 1)
        column.addLayout(table)
        self._lines = {}
        for line, region in enumerate(field.regions):
            button = qt.QPushButton()
            button.setFocusPolicy(qt.Qt.NoFocus)
            button.connect("clicked(bool)", lambda _on, region=region: wishes.place(field.name, region))
            radius = qt.QDoubleSpinBox()
            radius.setFocusPolicy(qt.Qt.ClickFocus)
            radius.setRange(STEP_OF_RADIUS, LARGEST_RADIUS)
            radius.singleStep, radius.decimals = STEP_OF_RADIUS, 1
            radius.prefix, radius.suffix = _("radius "), _(" mm")
            radius.connect("valueChanged(double)", lambda value, region=region: wishes.radius(field.name, region, value))
            state = _hint("")
            for place, widget in enumerate((button, radius, state)):
                table.addWidget(widget, line, place)
            self._lines[region] = (button, radius, state)

    def show(self, sheet: Sheet, regions: CaseRegions) -> None:
        _mark(self._title, sheet, self._field)
        placed, placing = regions.placed(self._field.name), regions.placing()
        for region, (button, radius, state) in self._lines.items():
            there = region in placed
            button.text = (_("Place {region} again") if there else _("Place {region}")).format(region=region)
            wanted = placing == (self._field.name, region)
            state.text = _("placed") if there else _("click into the image") if wanted else _("missing")
            blocked = radius.blockSignals(True)
            radius.value = regions.radius(self._field.name, region)
            radius.blockSignals(blocked)


def _title(field: Field, key: str = "") -> Any:
    label = qt.QLabel(f"{field.question} {key}".rstrip())
    label.wordWrap = True
    return label


def _mark(title: Any, sheet: Sheet, field: Field) -> None:
    """Highlight the question that keys answer."""
    style = CURRENT if sheet.current == field.name else ""
    if title.styleSheet != style:
        title.styleSheet = style


def _radio(text: str, chosen: Callable[[], None]) -> Any:
    button = qt.QRadioButton(text)
    # What is chosen is shown from the answers, so that it can also be nothing again; and keys are not to end in a button.
    button.autoExclusive = False
    button.setFocusPolicy(qt.Qt.NoFocus)
    button.connect("clicked(bool)", lambda _on: chosen())
    return button


def _hint(text: str) -> Any:
    label = qt.QLabel(text)
    label.wordWrap = True
    label.styleSheet = HINT
    return label


def _opinions(field: Field, given: Sequence[Any]) -> str:
    words = {choice.value: _answer(choice) for choice in field.choices}
    return _("the readers answered {answers}").format(answers=", ".join(words.get(value, str(value)) for value in given))


def _answer(choice: Choice) -> str:
    return f"{choice.shortcut} ({choice.label})"
