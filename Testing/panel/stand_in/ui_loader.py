"""Reads a Qt Designer file as Slicer does, but refuses what Slicer would only warn of or quietly get wrong."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from PySide6 import QtCore, QtUiTools, QtWidgets

from stand_in import ctk_widgets, mrml_widgets, qt_dialogs
from stand_in.pythonqt import Flavoured, flavoured, has_property, has_slot

_CUSTOM = {**ctk_widgets.WIDGETS, **mrml_widgets.WIDGETS}


def _widget_class(name: str) -> type:
    if name in _CUSTOM:
        return _CUSTOM[name]
    if name in qt_dialogs.OTHER_DIALOGS:
        return qt_dialogs.OTHER_DIALOGS[name]
    qt_class = QtWidgets.QFrame if name == "Line" else getattr(QtWidgets, name, None)
    if not (isinstance(qt_class, type) and issubclass(qt_class, QtWidgets.QWidget)):
        raise RuntimeError(f"the .ui file uses {name}, for which there is no stand-in")
    return flavoured(qt_class)


class _Builder(QtUiTools.QUiLoader):
    """Qt's own reader, told which classes to make."""

    def createWidget(self, kind: str, parent=None, name: str = ""):
        widget = _widget_class(kind)(parent)
        widget.objectName = name
        if kind == "Line":
            widget.frameShadow = QtWidgets.QFrame.Sunken
        return widget

    def createLayout(self, kind: str, parent=None, name: str = ""):
        made = flavoured(getattr(QtWidgets, kind))
        layout = made(parent) if isinstance(parent, QtWidgets.QWidget) else made()
        layout.objectName = name
        return layout


class QUiLoader:
    """`load(file)` gives the widget that the file describes, its own connections made."""

    def load(self, file: QtCore.QFile, parent=None):
        tree = ET.fromstring(Path(file.fileName()).read_bytes())
        self._check(tree)
        connections = tree.find("connections")
        if connections is not None:
            tree.remove(connections)
        self._spell_unknown_enumerations_as_text(tree)
        data = QtCore.QBuffer()
        data.setData(ET.tostring(tree))
        data.open(QtCore.QIODevice.ReadOnly)
        Flavoured.while_loading = True
        try:
            widget = _Builder().load(data, parent)
        finally:
            Flavoured.while_loading = False
        if widget is None:
            return None
        for connection in connections if connections is not None else ():
            self._connect(widget, *(connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")))
        return widget

    def _check(self, tree: ET.Element) -> None:
        widgets = list(tree.iter("widget"))
        for declared in tree.iter("customwidget"):
            _widget_class(declared.findtext("class", ""))
        for name, times in Counter(widget.get("name") for widget in widgets).items():
            if times > 1:
                raise RuntimeError(f"{times} widgets of the .ui file are called {name!r}")
        for widget in widgets:
            kind = _widget_class(widget.get("class", ""))
            for declared in widget.findall("property"):
                if declared.get("stdset") != "0" and not has_property(kind, declared.get("name", "")):
                    raise RuntimeError(
                        f"{widget.get('name')}: {widget.get('class')} has no property {declared.get('name')!r}"
                        ' (a dynamic one carries stdset="0")'
                    )

    def _spell_unknown_enumerations_as_text(self, tree: ET.Element) -> None:
        # Qt reads the enumerations of its own classes only.
        for declared in tree.iter("property"):
            for value in declared:
                if value.tag in ("set", "enum") and (value.text or "").startswith(("ctk", "qMRML")):
                    value.tag = "string"

    def _connect(self, root, sender: str, signal: str, receiver: str, slot: str) -> None:
        ends = {name: root if root.objectName == name else root.findChild(QtCore.QObject, name) for name in (sender, receiver)}
        for name, end in ends.items():
            if end is None:
                raise RuntimeError(f"the .ui file connects {name!r}, which it does not hold")
        if not has_slot(ends[receiver], slot):
            raise RuntimeError(f"{receiver} ({type(ends[receiver]).__name__}) has no slot {slot!r}")
        ends[sender].connect(signal, getattr(ends[receiver], slot.split("(")[0]))
