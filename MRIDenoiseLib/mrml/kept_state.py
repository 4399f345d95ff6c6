"""What the user had before a comparison or a reading: layout, views and window/level, kept and put back value by value.

Also window and level held in step between images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import slicer
import vtk

from MRIDenoiseLib.mrml.layouts import CASE_VIEWS, VIEWS, is_ours


@dataclass(frozen=True)
class WindowLevel:
    """How bright a volume is shown.

    Args:
        window: width of the range shown, in the volume's units.
        level: its middle.
        automatic: whether the display node finds both itself, from the image.
    """

    window: float
    level: float
    automatic: bool

    @classmethod
    def of(cls, display: slicer.vtkMRMLScalarVolumeDisplayNode) -> WindowLevel:
        """What a display node shows now."""
        return cls(display.GetWindow(), display.GetLevel(), bool(display.GetAutoWindowLevel()))

    def give(self, display: slicer.vtkMRMLScalarVolumeDisplayNode) -> None:
        """Make a display node show this."""
        with slicer.util.NodeModify(display):
            display.SetWindowLevel(self.window, self.level)
            display.SetAutoWindowLevel(self.automatic)


class InStep(slicer.util.VTKObservationMixin):
    """Display nodes that share window and level: who changes one changes all, until :meth:`stop`.

    Args:
        displays: the first one's window and level are taken for all.
    """

    def __init__(self, displays: Sequence[slicer.vtkMRMLScalarVolumeDisplayNode]) -> None:
        super().__init__()
        self._displays = list(displays)
        self._copying = False
        for display in self._displays:
            # An automatic window would leave the step as soon as an image changes.
            display.SetAutoWindowLevel(False)
        self._copy_from(self._displays[0])
        for display in self._displays:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._changed)

    def stop(self) -> None:
        """Let each go its own way again; window and level stay as they are."""
        self.removeObservers()

    def _changed(self, display: slicer.vtkMRMLScalarVolumeDisplayNode, _event: object) -> None:
        self._copy_from(display)

    def _copy_from(self, leader: slicer.vtkMRMLScalarVolumeDisplayNode) -> None:
        if self._copying:
            # The change comes from below, not from the user.
            return
        self._copying = True
        try:
            shown = WindowLevel(leader.GetWindow(), leader.GetLevel(), False)
            for display in self._displays:
                if display is not leader and (display.GetWindow(), display.GetLevel()) != (shown.window, shown.level):
                    shown.give(display)
        finally:
            self._copying = False


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
        """Make a view show this, except for volumes that are no longer in the scene."""
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
