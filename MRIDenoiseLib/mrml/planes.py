"""Slice views on the plane that was acquired: the same plane, place and zoom in all of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import slicer
import vtk

from MRIDenoiseLib.mrml.volumes import grid_of, slice_axis_of
from MRIDenoiseLib.prompt.plane import plane_of_geometry


def show_acquired_plane(
    lead: slicer.vtkMRMLSliceLogic,
    others: Iterable[slicer.vtkMRMLSliceLogic],
    node: slicer.vtkMRMLScalarVolumeNode,
    index: int | None = None,
) -> None:
    """Turn slice views to the plane in which a volume was acquired, a slice of it fitted into the view.

    The views look as Slicer's axial, sagittal or coronal view does, whichever is nearest; with an oblique volume they are
    tilted so that they show its slices and nothing interpolated between them.

    Args:
        lead: its view, in whose background the volume is, is fitted.
        others: their views follow.
        node: the volume.
        index: of the slice; the middle one when not given.
    """
    slice_node = lead.GetSliceNode()
    grid = grid_in_scene(node)
    axis = slice_axis_of(node)
    plane = str(plane_of_geometry(grid, axis).value).capitalize()
    preset = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceOrientationPreset(plane))
    turned = np.eye(4)
    turned[:3, :3] = _aligned(preset, grid, across=2 - axis)
    slicer.util.updateVTKMatrixFromArray(slice_node.GetSliceToRAS(), turned)
    slice_node.UpdateMatrices()
    lead.FitSliceToBackground()
    if index is not None:
        middle = (np.array(node.GetImageData().GetDimensions()) - 1) / 2
        middle[2 - axis] = index
        slice_node.JumpSliceByOffsetting(*(grid @ np.append(middle, 1))[:3])
    for other in others:
        follow(slice_node, other.GetSliceNode())


def follow(lead: slicer.vtkMRMLSliceNode, other: slicer.vtkMRMLSliceNode) -> None:
    """Give a view the plane, place and zoom of another; as many millimetres across, as many down as its shape allows."""
    with slicer.util.NodeModify(other):
        other.GetSliceToRAS().DeepCopy(lead.GetSliceToRAS())
        across, _, thickness = lead.GetFieldOfView()
        columns, rows = other.GetDimensions()[:2]
        other.SetFieldOfView(across, across * rows / max(columns, 1), thickness)
        other.SetXYZOrigin(*lead.GetXYZOrigin())
        other.UpdateMatrices()


def grid_in_scene(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """IJK to RAS where the volume is shown, its linear transforms included."""
    to_world = vtk.vtkMatrix4x4()
    parent = node.GetParentTransformNode()
    if parent is not None and parent.IsTransformToWorldLinear():
        parent.GetMatrixTransformToWorld(to_world)
    return slicer.util.arrayFromVTKMatrix(to_world) @ grid_of(node)


def _aligned(preset: np.ndarray, grid: np.ndarray, across: int) -> np.ndarray:
    """The rotation (columns: right, up and through the view, RAS) nearest to a preset along a volume's axes.

    Args:
        preset: 3x3.
        grid: 4x4 IJK to RAS.
        across: which of i, j, k runs through the slices.
    """
    axes = grid[:3, :3] / np.linalg.norm(grid[:3, :3], axis=0)
    within = [axis for axis in range(3) if axis != across]
    right = max(within, key=lambda axis: abs(float(axes[:, axis] @ preset[:, 0])))
    up = next(axis for axis in within if axis != right)
    order = (right, up, across)
    return np.stack([axes[:, axis] * np.copysign(1.0, axes[:, axis] @ preset[:, column]) for column, axis in enumerate(order)], axis=1)
