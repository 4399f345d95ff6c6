"""Which slice of an image the user is looking at."""

from __future__ import annotations

import numpy as np
import slicer

from MRIDenoiseLib.mrml.planes import grid_in_scene


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
