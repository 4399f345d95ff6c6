"""Stand-ins for the widgets that Slicer adds to Qt: they know the scene and follow what is in it."""

from __future__ import annotations

import weakref

import shiboken6
import slicer
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from stand_in.ctk_widgets import ctkSliderWidget
from stand_in.pythonqt import flavoured


class _KnowsTheScene:
    """What every widget of Slicer's can be told and asked."""

    CPP_SLOTS = frozenset({"setMRMLScene(vtkMRMLScene*)"})
    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if scene is not None and not isinstance(scene, slicer.vtkMRMLScene):
            raise ValueError(f"not a scene: {scene!r}")
        if scene is not self._scene:
            self._scene = scene
            self._scene_changed(scene)

    def _scene_changed(self, scene) -> None:
        """For those that do something about it."""


class qMRMLWidget(_KnowsTheScene, flavoured(QtWidgets.QWidget)):
    """The root of a panel: hands its scene on through the connections of the .ui file."""

    strict = True
    mrmlSceneChanged = Signal(object)
    CPP_SIGNALS = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def _scene_changed(self, scene) -> None:
        self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(qMRMLWidget):
    """The same in the application's own library."""

    strict = True


class qMRMLSliderWidget(_KnowsTheScene, ctkSliderWidget):
    """A slider that could show a unit of the scene's; this one shows none."""

    strict = True
    _quantity = ""
    quantity = Property(str, lambda self: self._quantity, lambda self, quantity: setattr(self, "_quantity", quantity))


def _flag(name: str, default: bool) -> Property:
    def put(self, value: bool) -> None:
        self._flags[name] = bool(value)
        self._refill()

    return Property(bool, lambda self: self._flags.get(name, default), put)


class qMRMLNodeComboBox(_KnowsTheScene, flavoured(QtWidgets.QWidget)):
    """Offers the nodes of some classes; without a scene it offers nothing and is disabled.

    Its menu entries ("Create new …", "Delete current …") are methods here: addNode() and removeCurrentNode().
    """

    strict = True
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeActivated = Signal(object)
    CPP_SIGNALS = {f"{name}(vtkMRMLNode*)": name for name in ("currentNodeChanged", "nodeAdded", "nodeAddedByUser", "nodeActivated")}
    CPP_SLOTS = _KnowsTheScene.CPP_SLOTS | {"setCurrentNode(vtkMRMLNode*)"}

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox()
        self._combo.setEnabled(False)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self._types: list[str] = []
        self._flags: dict[str, bool] = {}
        self._attributes: list[tuple[str, str, str | None]] = []
        self._none = "None"
        self._base_name = ""
        self._ids: list[str] = []
        self._current = ""
        self._observed: list[tuple] = []
        self._combo.currentIndexChanged.connect(self._chosen)
        self._combo.activated.connect(lambda _: self.nodeActivated.emit(self.currentNode()))

    noneEnabled = _flag("noneEnabled", False)
    addEnabled = _flag("addEnabled", True)
    removeEnabled = _flag("removeEnabled", True)
    editEnabled = _flag("editEnabled", False)
    renameEnabled = _flag("renameEnabled", False)
    showHidden = _flag("showHidden", False)
    showChildNodeTypes = _flag("showChildNodeTypes", True)
    selectNodeUponCreation = _flag("selectNodeUponCreation", True)

    def _set_types(self, types) -> None:
        self._types = list(types)
        self._refill()

    def _set_none(self, text: str) -> None:
        self._none = text
        self._refill()

    nodeTypes = Property("QStringList", lambda self: self._types, _set_types)
    noneDisplay = Property(str, lambda self: self._none, _set_none)
    baseName = Property(str, lambda self: self._base_name, lambda self, name: setattr(self, "_base_name", name))
    currentNodeID = Property(str, lambda self: self._current, lambda self, node_id: self.setCurrentNodeID(node_id))

    def addAttribute(self, node_type: str, name: str, value: str | None = None) -> None:
        """Offer nodes of this class only if they carry the attribute."""
        self._attributes.append((node_type, name, value))
        self._refill()

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node) -> None:
        """A node, its ID, or None."""
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        """One that is not offered leaves nothing chosen."""
        self._combo.setCurrentIndex(self._ids.index(node_id) if node_id in self._ids else -1)

    def nodeCount(self) -> int:
        return len(self._ids) - (1 if self.noneEnabled and self._ids else 0)

    def nodeFromIndex(self, index: int):
        ids = self._ids[1:] if self.noneEnabled else self._ids
        return self._scene.GetNodeByID(ids[index]) if 0 <= index < len(ids) else None

    def addNode(self):
        """What "Create new …" does."""
        if not self.addEnabled or self._scene is None:
            return None
        node = self._scene.AddNewNodeByClass(self._types[0], self._scene.GenerateUniqueName(self._base_name or self._tag()))
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        """What "Delete current …" does."""
        if self.removeEnabled and self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    def _tag(self) -> str:
        return self._scene.GetTagByClassName(self._types[0])

    def _scene_changed(self, scene) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        self._combo.setEnabled(scene is not None)
        if scene is not None:
            for event in ("NodeAddedEvent", "NodeRemovedEvent", "EndBatchProcessEvent", "EndCloseEvent", "EndImportEvent"):
                self._watch(scene, getattr(scene, event))
        self._refill()

    def _watch(self, observed, event) -> None:
        # Weak, or the scene would keep the widget; the widget's C++ half may go before it.
        me = weakref.ref(self)

        def refill(*_) -> None:
            if me() is not None and shiboken6.isValid(me()):
                me()._refill()

        self._observed.append((observed, observed.AddObserver(event, refill)))

    def _offered(self, node) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if not self.showChildNodeTypes and node.GetClassName() not in self._types:
            return False
        asked = [(name, value) for kind, name, value in self._attributes if node.IsA(kind)]
        return all(node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name)) for name, value in asked)

    def _nodes(self) -> list:
        scene = self._scene
        found = [scene.GetNthNodeByClass(n, kind) for kind in self._types for n in range(scene.GetNumberOfNodesByClass(kind))]
        return list({node.GetID(): node for node in found if self._offered(node)}.values())

    def _refill(self) -> None:
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        nodes = self._nodes() if self._scene is not None else []
        rows = [("", self._none)] if self.noneEnabled and self._scene is not None else []
        rows += [(node.GetID(), node.GetName()) for node in nodes]
        shown = [(node_id, self._combo.itemText(row)) for row, node_id in enumerate(self._ids)]
        if rows == shown:
            return
        watched = {observed.GetID() for observed, _ in self._observed if isinstance(observed, slicer.vtkMRMLNode)}
        for node in nodes:
            if node.GetID() not in watched:
                self._watch(node, "ModifiedEvent")
        blocked = self._combo.blockSignals(True)
        self._combo.clear()
        self._combo.addItems([text for _, text in rows])
        self._ids = [node_id for node_id, _ in rows]
        if self._current in self._ids:
            self._combo.setCurrentIndex(self._ids.index(self._current))
        else:
            # As a combo box does when it gets its first row, or loses the chosen one.
            self._combo.setCurrentIndex(0 if rows and (not shown or self._current) else -1)
        self._combo.blockSignals(blocked)
        self._chosen(self._combo.currentIndex())

    def _chosen(self, index: int) -> None:
        chosen = self._ids[index] if 0 <= index < len(self._ids) else ""
        if chosen != self._current:
            self._current = chosen
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(chosen)


_ALL = (qMRMLWidget, qSlicerWidget, qMRMLSliderWidget, qMRMLNodeComboBox)
WIDGETS = {kind.__name__: kind for kind in _ALL}
