"""What the user had before a comparison or a reading: layout, views and window/level, kept and put back value by value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import slicer

from MRIDenoiseLib.mrml.layouts import CASE_VIEWS, VIEWS, is_ours
from MRIDenoiseLib.mrml.window_level import WindowLevel

_OUR_TAGS = {view.tag for view in (*VIEWS, *CASE_VIEWS)}


@dataclass(frozen=True)
class Shown:
    """What one slice view shows; volumes by node id, or None."""

    background: str | None
    foreground: str | None
    label: str | None
    foreground_opacity: float
    label_opacity: float
    linked: bool
    hot_linked: bool

    @classmethod
    def of(cls, composite: slicer.vtkMRMLSliceCompositeNode) -> Shown:
        """What a view's composite node holds now."""
        return cls(
            composite.GetBackgroundVolumeID(),
            composite.GetForegroundVolumeID(),
            composite.GetLabelVolumeID(),
            composite.GetForegroundOpacity(),
            composite.GetLabelOpacity(),
            bool(composite.GetLinkedControl()),
            bool(composite.GetHotLinkedControl()),
        )

    def give(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        """Make a view show this, but for volumes that are no longer in the scene."""
        scene = composite.GetScene()

        def still(node_id: str | None) -> str | None:
            return node_id if node_id and scene.GetNodeByID(node_id) else None

        with slicer.util.NodeModify(composite):
            composite.SetBackgroundVolumeID(still(self.background))
            composite.SetForegroundVolumeID(still(self.foreground))
            composite.SetLabelVolumeID(still(self.label))
            composite.SetForegroundOpacity(self.foreground_opacity)
            composite.SetLabelOpacity(self.label_opacity)
            composite.SetLinkedControl(self.linked)
            composite.SetHotLinkedControl(self.hot_linked)


class KeptState:
    """The user's state at the moment of making this.

    Args:
        scene: holds everything.
        layout_node: of the scene.
        displays: display nodes that are going to be changed.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        layout_node: slicer.vtkMRMLLayoutNode,
        displays: Iterable[slicer.vtkMRMLScalarVolumeDisplayNode],
    ) -> None:
        self._scene = scene
        self._layout_node = layout_node
        self._arrangement = layout_node.GetViewArrangement()
        self._views = {node: Shown.of(node) for node in users_composites(scene)}
        self._displays = {display: WindowLevel.of(display) for display in displays}

    def put_back(self) -> None:
        """Restore it, except for nodes that are gone and for a layout that the user has chosen since."""
        for display, shown in self._displays.items():
            shown.give(display)
        if is_ours(self._layout_node.GetViewArrangement()):
            # A scene that was saved in a layout of ours opens in it: then there is none of the user's.
            conventional = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
            self._layout_node.SetViewArrangement(conventional if is_ours(self._arrangement) else self._arrangement)
        for composite, view in self._views.items():
            if composite.GetScene() is self._scene:
                view.give(composite)


def users_composites(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSliceCompositeNode]:
    """The composite nodes of the slice views that are not ours."""
    count = scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")
    nodes = (scene.GetNthNodeByClass(place, "vtkMRMLSliceCompositeNode") for place in range(count))
    return [node for node in nodes if node.GetLayoutName() not in _OUR_TAGS]
