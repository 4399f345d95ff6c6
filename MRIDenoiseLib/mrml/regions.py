"""A box that the user has drawn, as voxels of an image."""

from __future__ import annotations

from itertools import product

import numpy as np
import slicer
import vtk

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml.planes import grid_in_scene


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
