"""A label array as a segmentation node next to its image, and the agreement of several as a table and a chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml.results import MARK, all_or_nothing, place_beside
from MRIDenoiseLib.mrml.volumes import grid_of
from MRIDenoiseLib.segmentation.dice import Agreement

MILLILITRES = "MRIDenoise.millilitres"
"""Tag of a segment: its volume."""

IMAGE, MEAN, CLASS = "Image", "Mean", "Class"
TITLE = "Dice with the reference"

_COLOURS = ((0.85, 0.51, 0.17), (0.18, 0.49, 0.85), (0.25, 0.57, 0.26), (0.58, 0.40, 0.74), (0.50, 0.50, 0.50))
"""Of the bars, image by image: noisy and denoised as their views' controllers."""


@dataclass(frozen=True)
class Tissue:
    """The meaning of a label.

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
    """Put a segmentation next to its image; all of it or nothing.

    Every tissue becomes a segment, in the order given, even one without a voxel.

    Args:
        scene: holds the source.
        source: the image; its grid is the labels', and the segmentation's reference geometry.
        labels: uint8 (z, y, x); 0 is background.
        tissues: what its values mean.

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


@dataclass(frozen=True, eq=False)
class AgreementNodes:
    """The table to be read (a row an image, text), the one the bars are drawn from (a row a class, numbers), and the chart."""

    table: slicer.vtkMRMLTableNode
    numbers: slicer.vtkMRMLTableNode
    chart: slicer.vtkMRMLPlotChartNode


def add_agreement(
    scene: slicer.vtkMRMLScene,
    source: slicer.vtkMRMLScalarVolumeNode,
    classes: Sequence[str],
    images: Mapping[str, Agreement],
) -> AgreementNodes:
    """Put Dice coefficients into the scene, next to an image; all of it or nothing.

    A coefficient that is not defined (NaN: neither segmentation has the class) is an empty cell and a missing bar.

    Args:
        scene: holds the source.
        source: the image that the nodes are put next to.
        classes: names of the classes, in the order of :attr:`Agreement.classes`.
        images: name of an image -> its agreement with the reference.

    Raises:
        InputError: no image, a name that is there twice, or an agreement over another number of classes.
    """
    if not images or not classes:
        raise InputError("there is nothing to compare; segment an image and its reference first")
    if len({IMAGE, MEAN, *classes}) < len(classes) + 2 or CLASS in images:
        raise InputError("two columns of the table would have the same name; give the classes and images other names")
    if any(len(agreement.classes) != len(classes) for agreement in images.values()):
        raise InputError("the segmentations have different numbers of classes; segment all images with the same settings")
    with all_or_nothing(scene):
        table = _add_table(scene, f"{source.GetName()} Dice", _readable(classes, images))
        numbers = _add_table(scene, f"{source.GetName()} Dice by class", _by_class(classes, images))
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", scene.GenerateUniqueName(f"{source.GetName()} Dice chart"))
        chart.SetTitle(TITLE)
        chart.SetYAxisTitle("Dice")
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, 1.0)
        bars = [_add_bars(scene, numbers, image, place) for place, image in enumerate(images)]
        for series in bars:
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
        for node in (table, numbers, chart, *bars):
            place_beside(scene, node, source)
    return AgreementNodes(table, numbers, chart)


def _readable(classes: Sequence[str], images: Mapping[str, Agreement]) -> dict[str, Sequence[str]]:
    columns: dict[str, Sequence[str]] = {IMAGE: list(images)}
    for place, name in enumerate(classes):
        columns[name] = [_cell(agreement.classes[place]) for agreement in images.values()]
    columns[MEAN] = [_cell(agreement.mean) for agreement in images.values()]
    return columns


def _by_class(classes: Sequence[str], images: Mapping[str, Agreement]) -> dict[str, Sequence[str] | np.ndarray]:
    columns: dict[str, Sequence[str] | np.ndarray] = {CLASS: list(classes)}
    for image, agreement in images.items():
        # A bar of no height; an axis cannot be drawn along NaN.
        columns[image] = np.nan_to_num(np.array(agreement.classes, np.float64), nan=0.0)
    return columns


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _add_table(scene: slicer.vtkMRMLScene, name: str, columns: Mapping[str, Sequence[str] | np.ndarray]) -> slicer.vtkMRMLTableNode:
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    for title, values in columns.items():
        column: vtk.vtkAbstractArray = vtk.vtkDoubleArray() if isinstance(values, np.ndarray) else vtk.vtkStringArray()
        column.SetName(title)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
    node.SetLocked(True)
    return node


def _add_bars(scene: slicer.vtkMRMLScene, numbers: slicer.vtkMRMLTableNode, image: str, place: int) -> slicer.vtkMRMLPlotSeriesNode:
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", scene.GenerateUniqueName(image))
    series.SetPlotType(series.PlotTypeBar)
    series.SetAndObserveTableNodeID(numbers.GetID())
    series.SetLabelColumnName(CLASS)
    series.SetYColumnName(image)
    series.SetColor(*_COLOURS[place % len(_COLOURS)])
    return series
