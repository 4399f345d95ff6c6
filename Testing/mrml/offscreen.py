"""Slice views drawn without a window, by Slicer's own displayable managers."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

MANAGERS = ("vtkMRMLOrientationMarkerDisplayableManager", "vtkMRMLRulerDisplayableManager", "vtkMRMLMarkupsDisplayableManager")


class OffscreenView:
    """One slice view of a desktop, drawn into memory.

    Args:
        desktop: whose slice view.
        tag: singleton tag of the view.
    """

    def __init__(self, desktop, tag: str) -> None:
        self._logic = desktop.slice_logic(tag)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*desktop.size)
        self.window.SetNumberOfLayers(2)
        self.window.SetAlphaBitPlanes(1)
        self.renderer = vtk.vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.window.AddRenderer(self.renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(desktop.logic)
        for manager in MANAGERS:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.SetRenderer(self.renderer)
        self._managers.Initialize(factory, self.renderer)
        self._managers.SetMRMLDisplayableNode(self._logic.GetSliceNode())
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        picture = vtk.vtkActor2D()
        picture.SetMapper(self._mapper)
        picture.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(picture)

    def picture(self) -> np.ndarray:
        """What is in the view, uint8 (rows from the top, columns, RGB)."""
        self._mapper.SetInputConnection(self._logic.GetImageDataConnection())
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3].copy()

    def close(self) -> None:
        """Let go of the view before its scene goes."""
        self._managers.SetMRMLDisplayableNode(None)
        self.window.Finalize()
