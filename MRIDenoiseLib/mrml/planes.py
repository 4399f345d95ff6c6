"""Slice views on the plane that was acquired: the same plane, place and zoom in all of them.

A box that the user has drawn, as voxels of an image.

Which slice of an image the user is looking at.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import slicer
import vtk

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml.volumes import grid_of, slice_axis_of
from MRIDenoiseLib.prompt.acquisition import plane_of_geometry


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


def region_of(roi: slicer.vtkMRMLMarkupsROINode, volume: slicer.vtkMRMLScalarVolumeNode) -> list[tuple[int, int]]:
    """The voxels of a volume that a region touches: [first, last) along (z, y, x).

    The smallest box along the volume's own axes that holds the region, which may be turned, cut to the volume.

    Args:
        roi: the region; it and the volume may lie under transforms.
        volume: the image.

    Raises:
        InputError: the region lies outside the volume, or has no size yet.
    """
    size = np.array(roi.GetSize())
    if not (size > 0).all():
        raise InputError(f"the region {roi.GetName()} has no size yet; place it in the image")
    to_world = vtk.vtkMatrix4x4()
    to_world.DeepCopy(roi.GetObjectToWorldMatrix())
    corners = np.array([[*(np.array(side) * size / 2), 1.0] for side in product((-1, 1), repeat=3)])
    world = slicer.util.arrayFromVTKMatrix(to_world) @ corners.T
    ijk = np.linalg.solve(grid_in_scene(volume), world)[:3]
    dimensions = np.array(volume.GetImageData().GetDimensions())
    # A voxel reaches half its size to either side of its centre; what a side merely touches is not inside.
    first = np.clip(np.floor(ijk.min(axis=1) + 0.5 + 1e-6), 0, dimensions).astype(int)
    last = np.clip(np.ceil(ijk.max(axis=1) + 0.5 - 1e-6), 0, dimensions).astype(int)
    if (first >= last).any():
        raise InputError(f"the region {roi.GetName()} lies outside {volume.GetName()}; move it into the image")
    return [(int(a), int(b)) for a, b in zip(first[::-1], last[::-1], strict=True)]


def slice_in_view(scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode, slice_axis: int) -> int:
    """The index of the acquired slice shown, along ``slice_axis`` of the voxels (z, y, x), from 0.

    Of the slice views in the layout (without a layout, of all) the one counts that cuts the volume most nearly along its
    acquired plane (of equal ones the first). Where it lies outside the volume, or there is none, it is the nearest slice, or
    the middle one.

    Args:
        scene: holds the views.
        volume: the image.
        slice_axis: see :attr:`MRIDenoiseLib.volume.Volume.slice_axis`.
    """
    grid = grid_in_scene(volume)
    across = 2 - slice_axis
    count = volume.GetImageData().GetDimensions()[across]
    direction = grid[:3, across] / np.linalg.norm(grid[:3, across])
    nodes = [scene.GetNthNodeByClass(place, "vtkMRMLSliceNode") for place in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode"))]
    shown = [node for node in nodes if node.IsMappedInLayout()] or nodes
    planes = [slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) for node in shown]
    if not planes:
        return count // 2
    return index_of_plane(volume, slice_axis, max(planes, key=lambda matrix: round(abs(float(matrix[:3, 2] @ direction)), 3)))


def index_of_plane(volume: slicer.vtkMRMLScalarVolumeNode, slice_axis: int, plane: np.ndarray) -> int:
    """The slice of a volume nearest to where a view's plane meets the line through the middles of the slices.

    Args:
        volume: the image.
        slice_axis: see :func:`slice_in_view`.
        plane: the view's 4x4 SliceToRAS.
    """
    grid = grid_in_scene(volume)
    dimensions = np.array(volume.GetImageData().GetDimensions())
    across = 2 - slice_axis
    count = dimensions[across]
    centre = grid @ np.append((dimensions - 1) / 2, 1)
    slope = float(plane[:3, 2] @ grid[:3, across])
    if abs(slope) < 1e-9:
        return int(count // 2)
    steps = float(plane[:3, 2] @ (plane[:3, 3] - centre[:3])) / slope
    return int(np.clip(round((count - 1) / 2 + steps), 0, count - 1))
