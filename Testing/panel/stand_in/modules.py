"""`slicer.modules`, and how the application loads a scripted module, opens its panel and closes it again."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import slicer
from PySide6 import QtWidgets

from stand_in.mrml_widgets import qMRMLWidget
from stand_in.pythonqt import flavoured


class CoreModule:
    """A module of Slicer's own, as far as its logic goes."""

    def __init__(self, name: str, logic) -> None:
        self.name, self._logic = name, logic

    def logic(self):
        return self._logic

    def widgetRepresentation(self) -> None:
        return None


class Modules:
    """One attribute for each module, in lower case; a module that is not there raises AttributeError."""

    def __init__(self, logics: dict) -> None:
        for name, logic in logics.items():
            setattr(self, name.lower(), CoreModule(name, logic))
        self.sampleDataSources: dict[str, list] = {}
        self.sampleDataSourceCategories: dict[str, dict] = {}


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The widget in which the application puts a module's panel."""

    strict = True

    def __init__(self, module: qSlicerScriptedLoadableModule) -> None:
        super().__init__()
        self._module = module
        flavoured(QtWidgets.QVBoxLayout)(self)
        self.setMRMLScene(slicer.mrmlScene)

    def self(self):
        """The instance of the module's Widget class."""
        return self._module.widget

    def reload(self) -> None:
        self._module.make_widget()


class qSlicerScriptedLoadableModule:
    """What the application makes of a module's file; the module's own class fills in the title, the categories and so on.

    Attributes:
        code: the Python module.
        description: the instance of the module's own class.
        panel: the Qt widget that holds the panel while it is there.
        widget: the instance of its Widget class.
    """

    # Slots, so that a misspelt `parent.tittle` raises.
    __slots__ = (
        *("title", "categories", "dependencies", "contributors", "helpText", "acknowledgementText", "icon", "hidden", "index"),
        *("associatedNodeTypes", "version", "path", "name", "code", "description", "panel", "widget"),
    )

    def __init__(self, path: Path) -> None:
        self.path, self.name = str(path), path.stem
        self.hidden, self.index, self.associatedNodeTypes = False, -1, []
        self.panel = self.widget = None
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        self.code = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.code)
        setattr(slicer.modules, self.name.lower(), self)
        self.description = getattr(self.code, self.name)(self)

    def open(self):
        """Show the panel: make it the first time, then enter it. Gives the module's Widget."""
        self.widgetRepresentation()
        if hasattr(self.widget, "enter"):
            self.widget.enter()
        return self.widget

    def leave(self) -> None:
        """The user goes to another module."""
        if hasattr(self.widget, "exit"):
            self.widget.exit()

    def close(self) -> None:
        """As when the application ends."""
        if self.panel is not None:
            panel, widget = self.panel, self.widget
            self.panel = self.widget = None
            try:
                if widget is not None:
                    widget.cleanup()
            finally:
                panel.close()
                panel.deleteLater()

    def make_widget(self) -> None:
        # Anew from sys.modules: onReload() has put the reloaded code there.
        self.code = sys.modules[self.name]
        self.widget = getattr(self.code, f"{self.name}Widget")(self.panel)
        setattr(slicer.modules, f"{self.name}Widget", self.widget)
        self.widget.setup()

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        if self.panel is None:
            self.panel = qSlicerScriptedLoadableModuleWidget(self)
            try:
                self.make_widget()
            except Exception:
                self.panel.deleteLater()
                self.panel = self.widget = None
                raise
        return self.panel
