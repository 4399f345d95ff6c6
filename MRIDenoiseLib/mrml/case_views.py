"""The images of one blinded case on the screen: side by side, linked, one window; nothing else about them or of the user's scene is shown.

The images come into the scene without a name, a file or a history, and go out of it with the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import slicer
import vtk

from MRIDenoiseLib.mrml.kept_state import InStep, KeptState, WindowLevel
from MRIDenoiseLib.mrml.layouts import CASE_VIEWS, CaseLayout, View, ViewLabel, empty_view, put_in_view, register_layouts
from MRIDenoiseLib.mrml.planes import show_acquired_plane
from MRIDenoiseLib.reader_study.reading.answers import read_blinded
from MRIDenoiseLib.reader_study.reading.reading import Panel
from MRIDenoiseLib.volume import Volume

NAME = "Case image {}"
"""Of the nodes; the letter is the panel's."""


class CaseViews(slicer.util.VTKObservationMixin):
    """Shows one case after the other in place of the user's views, and gives these back at the end.

    It ends by itself before the scene is closed or another is loaded into it.

    Args:
        scene: with a layout node that the application keeps.
        application_logic: knows the slice views' logics.
        when_left: called when it ended by itself.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        application_logic: slicer.vtkMRMLApplicationLogic,
        when_left: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._scene = scene
        self._application_logic = application_logic
        self._when_left = when_left
        self._kept: KeptState | None = None
        self._hidden: list[slicer.vtkMRMLDisplayNode] = []
        self._images: list[slicer.vtkMRMLScalarVolumeNode] = []
        self._windows: list[WindowLevel] = []
        self._in_step: InStep | None = None
        self._labels: dict[View, ViewLabel] = {}

    @property
    def active(self) -> bool:
        """Whether a case is shown."""
        return self._kept is not None

    @property
    def views(self) -> tuple[View, ...]:
        """The views in use, from left to right."""
        return CASE_VIEWS[: len(self._images)]

    @property
    def images(self) -> tuple[slicer.vtkMRMLScalarVolumeNode, ...]:
        """The images of the case, from left to right."""
        return tuple(self._images)

    def show(self, panels: Sequence[Panel]) -> None:
        """Show a case in the place of the one before it, of which nothing stays.

        Args:
            panels: one image, or two or three of one grid.

        Raises:
            InputError: an image cannot be read; the case before it is still shown.
            RuntimeError: the application keeps no layouts or makes no slice views, so nothing can be shown.
        """
        volumes = [read_blinded(panel.path) for panel in panels]
        layout_node = register_layouts(self._scene)
        if self._kept is None:
            self._kept = KeptState(self._scene, layout_node, ())
            self._hide_drawings()
            for event in (slicer.vtkMRMLScene.StartCloseEvent, slicer.vtkMRMLScene.StartImportEvent):
                self.addObserver(self._scene, event, self._scene_goes)
        try:
            self._remove_images()
            for panel, volume in zip(panels, volumes, strict=True):
                self._images.append(self._add(panel, volume))
            self._windows = [WindowLevel(panel.window, panel.level, False) for panel in panels]
            layout_node.SetViewArrangement(CaseLayout.of(len(panels)).value)
            for logic, image in zip(self._logics(), self._images, strict=True):
                put_in_view(logic, image)
            self._in_step = InStep([image.GetDisplayNode() for image in self._images])
            self.fit()
        except BaseException:
            self.leave()
            raise

    def fit(self) -> None:
        """Bring the views back to how a case starts: layout, acquired plane, middle slice, whole image, the study's window.

        To be called again when the views have been given another size.
        """
        if not self.active:
            return
        register_layouts(self._scene).SetViewArrangement(CaseLayout.of(len(self._images)).value)
        for image, window in zip(self._images, self._windows, strict=True):
            window.give(image.GetDisplayNode())
        lead, *others = self._logics()
        show_acquired_plane(lead, others, self._images[0])

    def draw_labels(self, renderers: Mapping[View, vtk.vtkRenderer]) -> None:
        """Write A, B and C into the views where there are several; the letters go with the reading.

        Args:
            renderers: of the slice views in which the views are shown.
        """
        self._remove_labels()
        if len(self._images) > 1:
            self._labels = {view: ViewLabel(renderers[view]) for view in self.views if view in renderers}
        for view, label in self._labels.items():
            label.show(view.label)

    def leave(self) -> None:
        """Take the case out of the scene and give back the user's layout and views. Without one shown nothing happens."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        self.removeObservers()
        self._remove_labels()
        self._remove_images()
        for display in self._hidden:
            if display.GetScene() is self._scene:
                display.SetVisibility(True)
        self._hidden = []
        kept.put_back()

    def _add(self, panel: Panel, volume: Volume) -> slicer.vtkMRMLScalarVolumeNode:
        node = self._scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.UnRegister(None)
        node.SetName(NAME.format(panel.label))
        leave_no_trace(node)
        self._scene.AddNode(node)
        matrix = vtk.vtkMatrix4x4()
        slicer.util.updateVTKMatrixFromArray(matrix, volume.ijk_to_ras)
        node.SetIJKToRASMatrix(matrix)
        # Before it has an image: with one, a display node computes its own window.
        node.CreateDefaultDisplayNodes()
        leave_no_trace(node.GetDisplayNode())
        WindowLevel(panel.window, panel.level, False).give(node.GetDisplayNode())
        slicer.util.updateVolumeFromArray(node, volume.voxels)
        return node

    def _remove_images(self) -> None:
        if self._in_step is not None:
            self._in_step.stop()
            self._in_step = None
        for view in CASE_VIEWS:
            logic = self._application_logic.GetSliceLogicByLayoutName(view.tag)
            if logic is not None:
                empty_view(logic.GetSliceCompositeNode())
        for image in self._images:
            for node in (image.GetDisplayNode(), image):
                if node is not None and node.GetScene() is self._scene:
                    self._scene.RemoveNode(node)
        self._images = []

    def _logics(self) -> list[slicer.vtkMRMLSliceLogic]:
        logics = [self._application_logic.GetSliceLogicByLayoutName(view.tag) for view in self.views]
        if None in logics:
            raise RuntimeError("the application made no slice view for the case")
        return logics

    def _hide_drawings(self) -> None:
        """The user's segmentations, models and markups show in every slice view, and a name next to one could reveal something."""
        for place in range(self._scene.GetNumberOfNodesByClass("vtkMRMLDisplayNode")):
            display = self._scene.GetNthNodeByClass(place, "vtkMRMLDisplayNode")
            if display.GetVisibility() and not display.IsA("vtkMRMLVolumeDisplayNode"):
                display.SetVisibility(False)
                self._hidden.append(display)

    def _remove_labels(self) -> None:
        for label in self._labels.values():
            label.remove()
        self._labels = {}

    def _scene_goes(self, _scene: object, _event: object) -> None:
        self.leave()
        self._when_left()


def leave_no_trace(node: slicer.vtkMRMLNode) -> None:
    """Keep a node out of lists, saved scenes and the undo history."""
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetUndoEnabled(False)
