"""What the Slicer application does around a scene, in so far as it needs no window: real logics, real nodes, nothing pretended."""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk


class Desktop:
    """A scene with the logics that the application gives it, and slice views that come and go with the layout.

    Args:
        cache: an empty folder for what reading a bundle unpacks.
        size: pixels (width, height) of every slice view.
    """

    LOGICS = {
        "Colors": "vtkMRMLColorLogic",
        "Markups": "vtkSlicerMarkupsLogic",
        "Volumes": "vtkSlicerVolumesLogic",
        "Segmentations": "vtkSlicerSegmentationsModuleLogic",
        "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
        "Tables": "vtkSlicerTablesLogic",
        "Plots": "vtkSlicerPlotsLogic",
    }
    """Module -> class; colours before volumes, whose display nodes ask for them."""

    def __init__(self, cache: Path, size: tuple[int, int] = (200, 200)) -> None:
        self.size = size
        self.scene = slicer.vtkMRMLScene()
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self.logic = slicer.vtkSlicerApplicationLogic()
        self.logic.SetMRMLScene(self.scene)
        self.logic.GetColorLogic().SetMRMLScene(self.scene)
        self.logic.GetColorLogic().AddDefaultColorNodes()
        self.logic.SetSliceLogics(vtk.vtkCollection())
        self.logic.SetViewLogics(vtk.vtkCollection())
        self._io = self._bundle_reader(cache)
        self.modules = {name: self._module(name, kind) for name, kind in self.LOGICS.items()}
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self.layouts = slicer.vtkMRMLLayoutLogic()
        self.layouts.SetMRMLScene(self.scene)
        self.layout_node = self.layouts.GetLayoutNode()
        # After the layout logic has made the view nodes of a new layout.
        self.layout_node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show_views(), -1.0)
        self.layout_node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def _bundle_reader(self, cache: Path) -> tuple:
        remote = slicer.vtkMRMLRemoteIOLogic()
        remote.SetMRMLScene(self.scene)
        remote.SetMRMLApplicationLogic(self.logic)
        remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
        data = slicer.vtkDataIOManagerLogic()
        data.SetMRMLScene(self.scene)
        data.SetMRMLApplicationLogic(self.logic)
        data.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        return remote, data

    def _module(self, name: str, kind: str):
        logic = getattr(slicer, kind)()
        logic.SetMRMLScene(self.scene)
        logic.SetMRMLApplicationLogic(self.logic)
        self.logic.SetModuleLogic(name, logic)
        return logic

    def slice_nodes(self) -> list:
        """The slice views of the layout that is shown, in its order."""
        views = self.layouts.GetViewNodes()
        nodes = (views.GetItemAsObject(n) for n in range(views.GetNumberOfItems()))
        return [node for node in nodes if node.IsA("vtkMRMLSliceNode")]

    def _show_views(self) -> None:
        for node in self.slice_nodes():
            if self.logic.GetSliceLogic(node) is None:
                logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLApplicationLogic(self.logic)
                self.logic.GetSliceLogics().AddItem(logic)
                logic.SetMRMLScene(self.scene)
                logic.SetSliceNode(node)
                logic.ResizeSliceNode(*self.size)

    def slice_logic(self, tag: str):
        """The slice logic of the view with a singleton tag."""
        return self.logic.GetSliceLogicByLayoutName(tag)

    def close(self) -> None:
        """Let go of everything, so that nothing of it is reported as leaked."""
        self.scene.Clear(1)
