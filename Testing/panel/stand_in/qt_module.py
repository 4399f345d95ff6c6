"""The `qt` module: every class of QtCore, QtGui and QtWidgets under one roof, with PythonQt's manners."""

from __future__ import annotations

import types

from PySide6 import QtCore, QtGui, QtWidgets

from stand_in import qt_dialogs
from stand_in.pythonqt import flavoured
from stand_in.ui_loader import QUiLoader

_NOT_IN_PYTHONQT = {"Signal", "Slot", "Property", "ClassInfo", "SIGNAL", "SLOT", "QtMsgType"}


class QtModule(types.ModuleType):
    """Makes a class when it is first asked for; what Qt does not have raises AttributeError."""

    def __init__(self) -> None:
        super().__init__("qt", __doc__)
        self.QUiLoader = QUiLoader
        self.QMessageBox = qt_dialogs.QMessageBox
        self.QFileDialog = qt_dialogs.QFileDialog
        self.QSettings = qt_dialogs.QSettings
        self.QMenu = qt_dialogs.QMenu
        self.QDesktopServices = qt_dialogs.QDesktopServices
        vars(self).update(qt_dialogs.OTHER_DIALOGS)

    def __getattr__(self, name: str):
        for part in (QtCore, QtGui, QtWidgets):
            found = getattr(part, name, None)
            if found is not None and not name.startswith("_") and name not in _NOT_IN_PYTHONQT:
                if isinstance(found, type) and issubclass(found, QtCore.QObject):
                    found = flavoured(found)
                setattr(self, name, found)
                return found
        raise AttributeError(f"module 'qt' has no attribute {name!r}")
