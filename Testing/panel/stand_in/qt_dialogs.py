"""Qt's windows that wait for the user, turned into questions to the test, and what would leave the test's own folder."""

from __future__ import annotations

from pathlib import Path

from PySide6 import QtCore, QtWidgets

from stand_in.pythonqt import flavoured
from stand_in.questions import Questions, UnansweredQuestion


class _Desk:
    """Where the questions of the running test go, and where its settings lie."""

    questions: Questions
    settings_file: Path


def use(questions: Questions, settings_file: Path) -> None:
    _Desk.questions, _Desk.settings_file = questions, settings_file


class Waits:
    """In front of any window whose exec() waits: the test replies instead."""

    def exec(self, *_):
        title = self.windowTitle if isinstance(self, QtWidgets.QDialog) else self.title
        return _Desk.questions.ask(type(self).__name__, title, "", dialog=self)

    exec_ = exec


def _label(button: QtWidgets.QAbstractButton) -> str:
    return QtWidgets.QAbstractButton.text(button).replace("&", "")


class _MessageBoxWaits:
    def exec(self):
        reply = _Desk.questions.ask(type(self).__name__, self.windowTitle, self.text, dialog=self, detailedText=self.detailedText)
        if isinstance(reply, str):
            chosen = next((button for button in self.buttons() if _label(button) == reply), None)
        else:
            chosen = self.button(reply)
        if chosen is None:
            raise UnansweredQuestion(f"the box {self.text!r} has no button {reply!r}")
        self.setProperty("standInClicked", _label(chosen))
        return 0 if isinstance(reply, str) else reply

    exec_ = exec

    def clickedButton(self):
        return next((button for button in self.buttons() if _label(button) == self.property("standInClicked")), None)

    @staticmethod
    def question(parent, title, text, buttons=None, defaultButton=None):
        return _Desk.questions.ask("QMessageBox.question", title, text, buttons=buttons, default=defaultButton)

    @staticmethod
    def warning(parent, title, text, buttons=None, defaultButton=None):
        return _Desk.questions.ask("QMessageBox.warning", title, text, buttons=buttons, default=defaultButton)

    @staticmethod
    def critical(parent, title, text, buttons=None, defaultButton=None):
        return _Desk.questions.ask("QMessageBox.critical", title, text, buttons=buttons, default=defaultButton)

    @staticmethod
    def information(parent, title, text, buttons=None, defaultButton=None):
        return _Desk.questions.ask("QMessageBox.information", title, text, buttons=buttons, default=defaultButton)

    @staticmethod
    def about(parent, title, text):
        _Desk.questions.show("about", text, title)


class _FileDialogWaits(Waits):
    """As PythonQt gives them: the path alone, without the filter that was chosen."""

    @staticmethod
    def getSaveFileName(parent=None, caption="", dir="", filter="", selectedFilter=None, options=None):
        return _Desk.questions.ask("QFileDialog.getSaveFileName", caption, str(dir), filter=filter)

    @staticmethod
    def getOpenFileName(parent=None, caption="", dir="", filter="", selectedFilter=None, options=None):
        return _Desk.questions.ask("QFileDialog.getOpenFileName", caption, str(dir), filter=filter)

    @staticmethod
    def getOpenFileNames(parent=None, caption="", dir="", filter="", selectedFilter=None, options=None):
        return _Desk.questions.ask("QFileDialog.getOpenFileNames", caption, str(dir), filter=filter)

    @staticmethod
    def getExistingDirectory(parent=None, caption="", dir="", options=None):
        return _Desk.questions.ask("QFileDialog.getExistingDirectory", caption, str(dir))


class _KeepsToItsFile:
    """Settings of the application go to a file of the test's; a file that is named is used as it is."""

    def __init__(self, *args) -> None:
        named = len(args) >= 2 and isinstance(args[1], QtCore.QSettings.Format)
        super().__init__(*(args if named else (str(_Desk.settings_file), QtCore.QSettings.IniFormat)))


class QDesktopServices:
    """Opens nothing, but writes down what it was asked to open."""

    @staticmethod
    def openUrl(url) -> bool:
        _Desk.questions.opened.append(url.toString() if isinstance(url, QtCore.QUrl) else str(url))
        return True


QMessageBox = flavoured(QtWidgets.QMessageBox, _MessageBoxWaits)
QFileDialog = flavoured(QtWidgets.QFileDialog, _FileDialogWaits)
QSettings = flavoured(QtCore.QSettings, _KeepsToItsFile)
QMenu = flavoured(QtWidgets.QMenu, Waits)
OTHER_DIALOGS = {
    kind.__name__: flavoured(kind, Waits)
    for kind in (QtWidgets.QDialog, QtWidgets.QProgressDialog, QtWidgets.QInputDialog, QtWidgets.QColorDialog, QtWidgets.QWizard)
}
