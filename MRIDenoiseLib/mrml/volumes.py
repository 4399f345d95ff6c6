"""A scalar volume node of the scene as a :class:`~MRIDenoiseLib.volume.Volume`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import slicer
import vtk

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.geometry import check_grid, check_voxels
from MRIDenoiseLib.mrml.headers import INSTANCES, first_header, read_source
from MRIDenoiseLib.prompt import read_acquisition
from MRIDenoiseLib.volume import Acquisition, Volume

_OTHER_KINDS = {
    "vtkMRMLLabelMapVolumeNode": "a label map",
    "vtkMRMLVectorVolumeNode": "a colour or vector image",
    "vtkMRMLDiffusionWeightedVolumeNode": "a set of diffusion-weighted images",
    "vtkMRMLSequenceNode": "a sequence",
    "vtkMRMLMultiVolumeNode": "a set of volumes",
    "vtkMRMLSegmentationNode": "a segmentation",
}


def to_volume(node: slicer.vtkMRMLNode, file_of_instance: Callable[[str], str] | None = None) -> Volume:
    """The image of a scalar volume node, with what its DICOM headers or its name tell about how it was acquired.

    The grid is the node's own: a transform that it lies under moves it in the scene and is no business of the voxels.

    Args:
        node: of class ``vtkMRMLScalarVolumeNode``.
        file_of_instance: from SOP Instance UID (0008,0018) to the path of its file, or to an empty string where the
            database does not know it; not given, the headers are not looked for.

    Returns:
        A copy of the voxels as float32 (z, y, x); ``pixel_type`` is the node's scalar type. ``headers`` are there when
        the files lie on the node's grid, slice by slice in the order of axis 0.

    Raises:
        InputError: it is not one grey, finite, non-constant image on a straight grid; the one sentence says why.
    """
    check_grey_volume(node)
    name = node.GetName() or "the volume"
    voxels = slicer.util.arrayFromVolume(node)
    matrix = grid_of(node)
    check_grid(matrix, name)
    with np.errstate(over="ignore"):
        copy = voxels.astype(np.float32)
    check_voxels(copy, name)
    volume = Volume(copy, matrix, voxels.dtype.name, name=node.GetName() or "", acquired_axis=_acquired_axis(node))
    headers: tuple = ()
    if file_of_instance is not None:
        source = read_source(node, matrix, copy.shape, file_of_instance)
        headers, volume = source.headers, replace(volume, headers=source.of_slices)
    facts = read_acquisition(headers, name=volume.name, ijk_to_ras=volume.ijk_to_ras, slice_axis=volume.slice_axis)
    return volume.with_acquisition(facts)


def acquisition_of(node: slicer.vtkMRMLNode, file_of_instance: Callable[[str], str]) -> Acquisition:
    """What the first readable DICOM file behind a volume node, or else its name, tells about how it was acquired.

    One file is read and no voxel touched, so that a window can ask whenever another volume is chosen.

    Args:
        node: of class ``vtkMRMLScalarVolumeNode``.
        file_of_instance: see :func:`to_volume`.

    Raises:
        InputError: it is not one grey image.
    """
    check_grey_volume(node)
    headers = first_header(node, file_of_instance)
    return read_acquisition(headers, name=node.GetName() or "", ijk_to_ras=grid_of(node), slice_axis=slice_axis_of(node))


def grid_of(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """The 4x4 matrix from voxel index (i, j, k, 1) to RAS mm in the node's own frame, without its transform."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix), dtype=np.float64)


def slice_axis_of(node: slicer.vtkMRMLScalarVolumeNode) -> int:
    """The axis of a node's voxels (z, y, x) across which slices were acquired, see :attr:`Volume.slice_axis`."""
    no_voxels = np.broadcast_to(np.float32(0), node.GetImageData().GetDimensions()[::-1])
    return Volume(no_voxels, grid_of(node), acquired_axis=_acquired_axis(node)).slice_axis


def check_grey_volume(node: slicer.vtkMRMLNode) -> None:
    """Raise InputError unless a node holds one grey image."""
    name = node.GetName() or "the volume"
    kind = node.GetClassName()
    if kind != "vtkMRMLScalarVolumeNode":
        raise InputError(f"{name} is {_OTHER_KINDS.get(kind, 'no image')}; choose a grey volume")
    image = node.GetImageData()
    if image is None:
        raise InputError(f"{name} holds no image; load it again")
    if 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        raise InputError(f"{name} holds no voxels; export the image again")
    components = image.GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(f"{name} holds {components} values a voxel (RGB or vectors); only grey images can be denoised")


def _acquired_axis(node: slicer.vtkMRMLNode) -> int | None:
    """Slicer puts the slices of a DICOM series along axis k."""
    return 0 if node.GetAttribute(INSTANCES) else None
