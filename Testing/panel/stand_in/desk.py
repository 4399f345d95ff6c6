"""Puts the stand-in in the place of Slicer's application for one test, and takes it away again without a trace."""

from __future__ import annotations

import gc
import inspect
import logging
import os
import sys
import time
import traceback
import types
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer.util
from PySide6 import QtCore, QtWidgets

from stand_in import ctk_widgets, i18n, mrml_widgets, parameters, qt_dialogs, scripted_module
from stand_in.application import Application, process_events
from stand_in.modules import Modules, qSlicerScriptedLoadableModule, qSlicerScriptedLoadableModuleWidget
from stand_in.pip import Packages, packaging_module
from stand_in.pytorch import PyTorch, pytorch_utils_module
from stand_in.qt_module import QtModule
from stand_in.questions import Questions
from stand_in.sample_data import sample_data_module
from stand_in.scene import SceneWithLogics


class DicomDatabase:
    """`slicer.dicomDatabase` with the instances that the test puts into `files` (SOP instance UID -> path)."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.isOpen = True

    def fileForInstance(self, uid: str) -> str:
        return str(self.files.get(uid, ""))


class Desk:
    """Slicer's application for one test.

    Attributes:
        app: what `slicer.app` is.
        scene: what `slicer.mrmlScene` is, fresh.
        modules: what `slicer.modules` is.
        questions: what the panel asked and showed, and the answers to give.
        packages: the pretended Python environment behind `slicer.packaging`.
        dicom: what `slicer.dicomDatabase` is.
        errors: exceptions that ended in a Qt slot or a VTK observer, where Slicer would only print them. Those that are still
            here in the end fail the test.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self._qt_application.setStyle("Fusion")
        for name in ("cache", "temporary", "home"):
            (folder / name).mkdir(parents=True)
        self.questions = Questions()
        qt_dialogs.use(self.questions, folder / "Slicer.ini")
        self.packages = Packages()
        self.dicom = DicomDatabase()
        self.errors: list[BaseException] = []
        self._inner = SceneWithLogics(folder / "cache")
        self.scene = self._inner.scene
        self.modules = Modules(self._inner.modules)
        self.app = Application(self._inner, self.modules, folder)
        self._loaded: list[qSlicerScriptedLoadableModule] = []
        self._folders_of_modules: list[Path] = []
        self._undo: list[Callable] = []

    def __enter__(self) -> Desk:
        self._undo.append(_remember_imports(self._folders_of_modules))
        for name, module in self._submodules().items():
            self._replace_module(name, module)
        for name, value in self._slicer_attributes().items():
            self._replace(slicer, name, value)
        for name, function in self._util_functions().items():
            self._replace(slicer.util, name, function)
        # It would half work without the application.
        self._undo.append(_without(slicer.util, "setSliceViewerLayers"))
        self._replace(sys, "excepthook", lambda _kind, error, _trace: self.errors.append(error))
        return self

    def __exit__(self, *_) -> None:
        # In reverse order, and to the end even where one of them raises.
        with ExitStack() as leaving:
            leaving.callback(gc.collect)
            for undo in self._undo:
                leaving.callback(undo)
            leaving.callback(self._close_windows)
            for module in self._loaded:
                leaving.callback(module.close)

    def _close_windows(self) -> None:
        for widget in QtWidgets.QApplication.allWidgets():
            if isinstance(widget, mrml_widgets.qMRMLNodeComboBox):
                # Before the scene goes: what it says while it is being taken apart must reach no widget.
                widget.setMRMLScene(None)
        for window in QtWidgets.QApplication.topLevelWidgets():
            window.close()
            window.deleteLater()
        self._qt_application.sendPostedEvents(None, QtCore.QEvent.DeferredDelete.value)
        while QtWidgets.QApplication.overrideCursor() is not None:
            QtWidgets.QApplication.restoreOverrideCursor()

    def load_module(self, path: str | Path) -> qSlicerScriptedLoadableModule:
        """Load a scripted module from its file, as the application does when it starts; open() then shows its panel."""
        self._folders_of_modules.append(Path(path).resolve().parent)
        module = qSlicerScriptedLoadableModule(Path(path))
        self._loaded.append(module)
        return module

    def start_up(self) -> None:
        """The application has started: its signal startupCompleted() goes out."""
        self.app.startupCompleted.emit()

    def install_pytorch_extension(self, installed: bool = False) -> PyTorch:
        """Make `PyTorchUtils` importable; without this it is not, as where the user has not installed the extension."""
        state = PyTorch(installed)
        self._replace_module("PyTorchUtils", pytorch_utils_module(state))
        self.modules.pytorchutils = types.SimpleNamespace(name="PyTorchUtils")
        return state

    def wait_until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Let timers, processes and events go on until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {inspect.getsource(condition).strip()}"
            process_events()
            time.sleep(0.002)

    def grab(self, widget: QtWidgets.QWidget, path: Path, width: int = 420) -> None:
        """Write a picture of the widget, as high as it needs to be."""
        widget.show()
        process_events()
        widget.resize(width, QtWidgets.QWidget.sizeHint(widget).height())
        process_events()
        if not widget.grab().save(str(path)):
            raise OSError(f"could not write {path}")

    def check_nothing_is_left(self) -> None:
        """At the end of a test: no error in a slot, no answer to a question that was never asked."""
        told = "\n".join("".join(traceback.format_exception(error)) for error in self.errors)
        assert not self.errors, f"the panel raised where nobody could catch it:\n{told}"
        assert not self.questions.unused_answers, f"never asked for: {self.questions.unused_answers}"

    def _submodules(self) -> dict[str, types.ModuleType]:
        return {
            "qt": QtModule(),
            "ctk": ctk_widgets.ctk_module(),
            "SampleData": sample_data_module(),
            "slicer.i18n": i18n,
            "slicer.ScriptedLoadableModule": scripted_module,
            "slicer.parameterNodeWrapper": parameters,
            "slicer.packaging": packaging_module(self.packages),
        }

    def _slicer_attributes(self) -> dict:
        return {
            **mrml_widgets.WIDGETS,
            "qSlicerScriptedLoadableModule": qSlicerScriptedLoadableModule,
            "qSlicerScriptedLoadableModuleWidget": qSlicerScriptedLoadableModuleWidget,
            "app": self.app,
            "mrmlScene": self.scene,
            "modules": self.modules,
            "dicomDatabase": self.dicom,
            "selfTests": {},
        }

    def _util_functions(self) -> dict[str, Callable]:
        """The functions of slicer.util that need a window or the application's readers; all others are the real ones."""
        ask, show = self.questions.ask, self.questions.show

        def shows(kind: str, level: int) -> Callable:
            def display(text, windowTitle=None, parent=None, standardButtons=None, **kwargs) -> None:
                logging.log(level, text)
                show(kind, text, windowTitle, **kwargs)

            return display

        def asks(kind: str) -> Callable:
            def confirm(text, windowTitle=None, parent=None, **kwargs) -> bool:
                return ask(kind, windowTitle, text, **kwargs)

            return confirm

        def delay(message, autoCloseMsec=1000, parent=None, **kwargs) -> None:
            show("delay", message)

        return {
            "errorDisplay": shows("error", logging.ERROR),
            "warningDisplay": shows("warning", logging.WARNING),
            "infoDisplay": shows("info", logging.INFO),
            "delayDisplay": delay,
            **{name: asks(name) for name in ("confirmOkCancelDisplay", "confirmYesNoDisplay", "confirmRetryCloseDisplay")},
            "loadScene": self._inner.load,
            "saveScene": self._inner.save,
            "pip_install": self.packages.pip_install,
            "pip_uninstall": self.packages.pip_uninstall,
        }

    def _replace(self, owner, name: str, value) -> None:
        there = hasattr(owner, name)
        before = getattr(owner, name, None)
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before) if there else delattr(owner, name))

    def _replace_module(self, name: str, module: types.ModuleType) -> None:
        before = sys.modules.get(name)
        sys.modules[name] = module
        self._undo.append(lambda: sys.modules.pop(name) if before is None else sys.modules.__setitem__(name, before))
        if name.startswith("slicer."):
            self._replace(slicer, name.removeprefix("slicer."), module)


def _remember_imports(folders: list[Path]) -> Callable:
    """Gives a function that forgets what was imported since from the folders, and what was put on the path since."""
    modules, path = set(sys.modules), list(sys.path)

    def restore() -> None:
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and any(folder in Path(file).resolve().parents for folder in folders):
                del sys.modules[name]
        sys.path[:] = path

    return restore


def _without(owner, name: str) -> Callable:
    before = getattr(owner, name)
    delattr(owner, name)
    return lambda: setattr(owner, name, before)
