"""The `ctk` module: stand-ins for the widgets of CTK that a panel may use, with their names, properties and signals."""

from __future__ import annotations

import types

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from stand_in import qt_dialogs
from stand_in.pythonqt import flavoured

_QWidget = flavoured(QtWidgets.QWidget)


class ctkCollapsibleButton(flavoured(QtWidgets.QAbstractButton)):
    """A section under a heading; while it is collapsed, none of its children is shown."""

    strict = True
    contentsCollapsed = Signal(bool)
    _ROOM = 10

    def __init__(self, text: str = "", parent=None) -> None:
        super().__init__(parent if isinstance(text, str) else text)
        self._shown_when_open: list = []
        self._switching = False
        self.checkable = True
        self.checked = True
        if isinstance(text, str):
            self.text = text
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Minimum)
        self.setContentsMargins(0, self._heading().height(), 0, 0)
        self.toggled.connect(self._switch)

    collapsed = Property(
        bool,
        lambda self: not self.checked,
        lambda self, collapsed: setattr(self, "checked", not collapsed),
    )

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        if event.type() == QtCore.QEvent.ChildAdded and isinstance(event.child(), QtWidgets.QWidget):
            event.child().installEventFilter(self)
            if not self.checked:
                self._hide([event.child()])
        super().childEvent(event)

    def eventFilter(self, child, event: QtCore.QEvent) -> bool:
        # A child that the module shows or hides while the section is closed only changes what opening it will show.
        if not self._switching and not self.checked:
            if event.type() == QtCore.QEvent.ShowToParent:
                self._hide([child])
            elif event.type() == QtCore.QEvent.HideToParent and child in self._shown_when_open:
                self._shown_when_open.remove(child)
        return False

    def _switch(self, is_open: bool) -> None:
        if is_open:
            self._switching = True
            for child in self._shown_when_open:
                child.setVisible(True)
            self._shown_when_open.clear()
            self._switching = False
        else:
            children = (child for child in self.children() if isinstance(child, QtWidgets.QWidget))
            self._hide([child for child in children if not child.isHidden()])
        self.updateGeometry()
        self.contentsCollapsed.emit(not is_open)

    def _hide(self, children: list) -> None:
        self._switching = True
        self._shown_when_open += [child for child in children if child not in self._shown_when_open]
        for child in children:
            child.setVisible(False)
        self._switching = False

    def _heading(self) -> QtCore.QSize:
        metrics = QtGui.QFontMetrics(QtWidgets.QWidget.font(self))
        return QtCore.QSize(metrics.horizontalAdvance(self.text) + 4 * self._ROOM, metrics.height() + self._ROOM)

    def sizeHint(self) -> QtCore.QSize:
        heading = self._heading()
        if not self.checked or self.layout() is None:
            return heading
        return self.layout().totalSizeHint().expandedTo(heading)

    def minimumSizeHint(self) -> QtCore.QSize:
        heading = self._heading()
        if not self.checked or self.layout() is None:
            return heading
        return self.layout().totalMinimumSize().expandedTo(heading)

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < self._heading().height()

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        bar = QtCore.QRect(0, 0, self.width, self._heading().height())
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = bar
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        option.rect = QtCore.QRect(self._ROOM // 2, (bar.height() - 12) // 2, 12, 12)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowDown if self.checked else QtWidgets.QStyle.PE_IndicatorArrowRight
        painter.drawPrimitive(arrow, option)
        beside = bar.adjusted(12 + self._ROOM, 0, 0, 0)
        painter.drawText(beside, QtCore.Qt.AlignVCenter | QtCore.Qt.AlignLeft | QtCore.Qt.TextShowMnemonic, self.text)


class ctkSliderWidget(_QWidget):
    """A slider and a spin box for one number; it starts with 0 to 99 in steps of 1 and two decimals, as CTK's does."""

    strict = True
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    _TICKS = 10_000

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._slider.setMaximum(self._TICKS)
        self._box = QtWidgets.QDoubleSpinBox()
        self._box.setRange(0.0, 99.0)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._box)
        self._slider.valueChanged.connect(self._dragged)
        self._box.valueChanged.connect(self._typed)

    def _dragged(self, ticks: int) -> None:
        self.valueIsChanging.emit(self._from_ticks(ticks))
        self._box.setValue(self._from_ticks(ticks))

    def _typed(self, value: float) -> None:
        self._move_slider()
        self.valueChanged.emit(value)

    def _from_ticks(self, ticks: int) -> float:
        low, high = self._box.minimum(), self._box.maximum()
        step = self._box.singleStep()
        value = low + (high - low) * ticks / self._TICKS
        return min(high, low + round((value - low) / step) * step)

    def _move_slider(self) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round(self._TICKS * (self._box.value() - low) / (high - low)) if high > low else 0)
        self._slider.blockSignals(blocked)

    def _set(self, setter, value) -> None:
        setter(self._box, value)
        self._move_slider()

    def setValue(self, value: float) -> None:
        self._set(QtWidgets.QDoubleSpinBox.setValue, value)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._box.setRange(minimum, maximum)
        self._move_slider()

    value = Property(float, lambda self: self._box.value(), setValue)
    minimum = Property(float, lambda self: self._box.minimum(), lambda self, v: self._set(QtWidgets.QDoubleSpinBox.setMinimum, v))
    maximum = Property(float, lambda self: self._box.maximum(), lambda self, v: self._set(QtWidgets.QDoubleSpinBox.setMaximum, v))
    singleStep = Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))
    pageStep = Property(float, lambda self: self._slider.pageStep() / self._TICKS, lambda self, v: None)
    decimals = Property(int, lambda self: self._box.decimals(), lambda self, v: self._box.setDecimals(v))
    prefix = Property(str, lambda self: self._box.prefix(), lambda self, v: self._box.setPrefix(v))
    suffix = Property(str, lambda self: self._box.suffix(), lambda self, v: self._box.setSuffix(v))
    tracking = Property(bool, lambda self: self._slider.hasTracking(), lambda self, v: self._slider.setTracking(v))
    spinBoxVisible = Property(bool, lambda self: not self._box.isHidden(), lambda self, v: self._box.setVisible(v))


class ctkPathLineEdit(_QWidget):
    """A path to type or to choose with the button beside it."""

    strict = True
    currentPathChanged = Signal(str)
    Dirs, Files, NoDot, Readable, Writable, Executable = 0x001, 0x002, 0x2000, 0x010, 0x020, 0x040

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._filters: object = self.Files
        self._name_filters: list[str] = []
        self._setting_key = ""
        self._line = QtWidgets.QLineEdit()
        self._button = QtWidgets.QToolButton()
        self._button.setText("…")
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._line, 1)
        row.addWidget(self._button)
        self._line.textChanged.connect(self.currentPathChanged)
        self._button.clicked.connect(self.browse)

    def _directories_alone(self) -> bool:
        if isinstance(self._filters, str):
            return "Dirs" in self._filters and "Files" not in self._filters
        return bool(self._filters & self.Dirs) and not self._filters & self.Files

    def browse(self) -> None:
        if self._directories_alone():
            chosen = qt_dialogs.QFileDialog.getExistingDirectory(self, "Select a directory", self.currentPath)
        else:
            chosen = qt_dialogs.QFileDialog.getOpenFileName(self, "Select a file", self.currentPath)
        if chosen:
            self._line.setText(chosen)

    def addCurrentPathToHistory(self) -> None:
        """The history is not kept."""

    currentPath = Property(str, lambda self: self._line.text(), lambda self, path: self._line.setText(path))
    filters = Property("QVariant", lambda self: self._filters, lambda self, filters: setattr(self, "_filters", filters))
    nameFilters = Property("QStringList", lambda self: self._name_filters, lambda self, names: setattr(self, "_name_filters", list(names)))
    settingKey = Property(str, lambda self: self._setting_key, lambda self, key: setattr(self, "_setting_key", key))
    showBrowseButton = Property(bool, lambda self: not self._button.isHidden(), lambda self, shown: self._button.setVisible(shown))
    showHistoryButton = Property(bool, lambda self: False, lambda self, shown: None)


class ctkComboBox(flavoured(QtWidgets.QComboBox)):
    """A combo box with a text for when nothing is chosen."""

    strict = True
    defaultText = Property(str, lambda self: self.placeholderText, lambda self, text: self.setPlaceholderText(text))


class ctkDoubleSpinBox(flavoured(QtWidgets.QDoubleSpinBox)):
    """A spin box for a number; CTK's has more."""

    strict = True


class ctkCheckBox(flavoured(QtWidgets.QCheckBox)):
    """A check box; CTK's can show an icon."""

    strict = True


class ctkMessageBox(qt_dialogs.QMessageBox):
    """A message box that can be told not to come again."""

    strict = True

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._setting_key = ""

    dontShowAgainSettingsKey = Property(str, lambda self: self._setting_key, lambda self, key: setattr(self, "_setting_key", key))


_ALL = (ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit, ctkComboBox, ctkDoubleSpinBox, ctkCheckBox)
WIDGETS = {kind.__name__: kind for kind in _ALL}


def ctk_module() -> types.ModuleType:
    module = types.ModuleType("ctk", __doc__)
    vars(module).update(WIDGETS, ctkMessageBox=ctkMessageBox)
    return module
