"""A label array as a segmentation node beside the image it was found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml.placing import all_or_nothing, place_beside
from MRIDenoiseLib.mrml.results import MARK
from MRIDenoiseLib.mrml.volumes import grid_of

MILLILITRES = "MRIDenoise.millilitres"
"""Tag of a segment: its volume."""


@dataclass(frozen=True)
class Tissue:
    """What a label stands for.

    Args:
        value: in the label array, from 1.
        name: in front of the user.
        colour: red, green, blue, 0 to 255.
        millilitres: of the voxels with this label.
    """

    value: int
    name: str
    colour: tuple[int, int, int]
    millilitres: float


def add_tissues(
    scene: slicer.vtkMRMLScene, source: slicer.vtkMRMLScalarVolumeNode, labels: np.ndarray, tissues: Sequence[Tissue]
) -> slicer.vtkMRMLSegmentationNode:
    """Put a segmentation beside the image it was found in; all of it or nothing.

    Every tissue becomes a segment, in the order given, even one without a voxel.

    Args:
        scene: holds the source.
        source: the image; its grid is the labels', and the segmentation's reference geometry.
        labels: uint8 (z, y, x); 0 is background.
        tissues: what its values stand for.

    Raises:
        InputError: the labels do not have the image's shape.
    """
    image = source.GetImageData()
    if image is None or labels.shape != image.GetDimensions()[::-1]:
        raise InputError(f"the segmentation does not lie on the grid of {source.GetName()}; was the volume changed? segment it again")
    shared = _label_image(labels, source)
    with all_or_nothing(scene):
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(f"{source.GetName()} tissues"))
        node.CreateDefaultDisplayNodes()
        # First its transform: the reference geometry is kept in the segmentation's own frame.
        place_beside(scene, node, source)
        node.SetReferenceImageGeometryParameterFromVolumeNode(source)
        for tissue in tissues:
            node.GetSegmentation().AddSegment(_segment(tissue, shared), f"MRIDenoise_{tissue.value}")
        node.SetAttribute(MARK, RESEARCH_USE_ONLY)
    return node


def _label_image(labels: np.ndarray, source: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkOrientedImageData:
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*labels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(labels, np.uint8).ravel(), deep=True))
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, grid_of(source))
    image.SetImageToWorldMatrix(matrix)
    return image


def _segment(tissue: Tissue, labels: slicer.vtkOrientedImageData) -> slicer.vtkSegment:
    """One tissue as a segment; all of them share the array, in which each knows its value."""
    segment = slicer.vtkSegment()
    segment.SetName(tissue.name)
    segment.SetColor(*(part / 255 for part in tissue.colour))
    segment.SetLabelValue(tissue.value)
    segment.SetTag(MILLILITRES, f"{tissue.millilitres:.3f}")
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segment.AddRepresentation(binary, labels)
    return segment
