"""`slicer.app` and what hangs on it: the layout manager, the slice widgets and the manager of modules."""

from __future__ import annotations

import sys
from pathlib import Path

import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from stand_in import qt_dialogs
from stand_in.pythonqt import flavoured
from stand_in.scene import SceneWithLogics

_QObject = flavoured(QtCore.QObject)


def process_events() -> None:
    """Let timers and events have their turn.

    Through an event loop: QApplication.processEvents() of PySide 6.12 takes a reference of None away that is not its own, and
    where None is counted (before Python 3.12) a few thousand calls end the process.
    """
    QtCore.QEventLoop().processEvents(QtCore.QEventLoop.AllEvents)


class SliceView(_QObject):
    """Where a slice would be drawn; it has a window of VTK's, in which nothing is drawn."""

    strict = True

    def __init__(self, node) -> None:
        super().__init__()
        self._node = node
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.AddRenderer(vtk.vtkRenderer())

    def renderWindow(self) -> vtk.vtkRenderWindow:
        return self._window

    def mrmlSliceNode(self):
        return self._node

    def scheduleRender(self) -> None:
        pass

    def forceRender(self) -> None:
        pass


class SliceWidget(_QObject):
    """A slice view of the layout with its logic."""

    strict = True

    def __init__(self, name: str, logic) -> None:
        super().__init__()
        self._name, self._logic, self._view = name, logic, SliceView(logic.GetSliceNode())

    sliceViewName = Property(str, lambda self: self._name)

    def sliceLogic(self):
        return self._logic

    def sliceView(self) -> SliceView:
        return self._view

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()


class LayoutManager(_QObject):
    """Shows a layout by its number, and knows the slice views that it has."""

    strict = True
    layoutChanged = Signal(int)

    def __init__(self, inner: SceneWithLogics) -> None:
        super().__init__()
        self._inner = inner

    def setLayout(self, layout: int) -> None:
        if not self._inner.layout_node.IsLayoutDescription(layout):
            raise ValueError(f"no layout has the number {layout}; add its description to the layout node first")
        before = self.layout
        self._inner.layout_node.SetViewArrangement(layout)
        if self.layout != before:
            self.layoutChanged.emit(layout)

    layout = Property(int, lambda self: self._inner.layout_node.GetViewArrangement(), setLayout)

    def layoutLogic(self):
        return self._inner.layouts

    def mrmlSliceLogics(self):
        return self._inner.logic.GetSliceLogics()

    def sliceViewNames(self) -> list[str]:
        return [node.GetLayoutName() for node in self._inner.slice_nodes()]

    def sliceWidget(self, name: str) -> SliceWidget | None:
        for node in self._inner.slice_nodes():
            if node.GetLayoutName() == name:
                return SliceWidget(name, self._inner.logic.GetSliceLogic(node))
        return None

    def resetSliceViews(self) -> None:
        for node in self._inner.slice_nodes():
            self._inner.logic.GetSliceLogic(node).FitSliceToAll()


class ModuleManager(_QObject):
    """The modules by name, as far as they are there."""

    strict = True
    moduleAboutToBeUnloaded = Signal(str)
    moduleLoaded = Signal(str)

    def __init__(self, modules) -> None:
        super().__init__()
        self._modules = modules

    def module(self, name: str):
        return getattr(self._modules, name.lower(), None)


class Application(_QObject):
    """`slicer.app`.

    `testing` says what testingEnabled() answers: False, so that the panel shows its messages to the test's Questions.
    `translations` is what translate() looks a text up in.
    """

    strict = True
    startupCompleted = Signal()
    aboutToQuit = Signal()
    applicationName = "Slicer"
    applicationVersion = "5.12.3"
    majorVersion, minorVersion = 5, 12
    revision = "34045"

    def __init__(self, inner: SceneWithLogics, modules, folder: Path) -> None:
        super().__init__()
        self._inner = inner
        self._folder = folder
        self._layouts = LayoutManager(inner)
        self._module_manager = ModuleManager(modules)
        self._settings = qt_dialogs.QSettings()
        self._testing = False
        self._translations: dict[str, str] = {}

    testing = Property(bool, lambda self: self._testing, lambda self, testing: setattr(self, "_testing", testing))
    translations = Property(object, lambda self: self._translations)
    temporaryPath = Property(str, lambda self: str(self._folder / "temporary"))
    slicerHome = Property(str, lambda self: str(self._folder / "home"))
    os = Property(str, lambda self: {"win32": "win", "darwin": "macosx"}.get(sys.platform, "linux"))

    def applicationLogic(self):
        return self._inner.logic

    def mrmlScene(self):
        return self._inner.scene

    def layoutManager(self) -> LayoutManager:
        return self._layouts

    def moduleManager(self) -> ModuleManager:
        return self._module_manager

    def settings(self):
        return self._settings

    def userSettings(self):
        return self._settings

    def testingEnabled(self) -> bool:
        return self._testing

    def translate(self, context: str, text: str) -> str:
        return self._translations.get(text, text)

    def processEvents(self, *_) -> None:
        process_events()

    def setOverrideCursor(self, cursor) -> None:
        QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(cursor))

    def restoreOverrideCursor(self) -> None:
        QtWidgets.QApplication.restoreOverrideCursor()

    def topLevelWidgets(self) -> list:
        """None, so that slicer.util.mainWindow() finds no window."""
        return []

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def thread(self) -> QtCore.QThread:
        return QtWidgets.QApplication.instance().thread()

    def pauseRender(self) -> None:
        pass

    def resumeRender(self) -> None:
        pass
