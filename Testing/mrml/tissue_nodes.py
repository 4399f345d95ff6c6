"""Small segmentations and agreements for the tests, and how to read them back out of nodes."""

from __future__ import annotations

import math

import nodes
import numpy as np
from vtk.util.numpy_support import vtk_to_numpy

from MRIDenoiseLib import mrml
from MRIDenoiseLib.segmentation.dice import Agreement

CLASSES = ("fluid", "grey matter", "white matter")
IMAGES = {"noisy": Agreement((0.5, 0.25, math.nan), 0.375), "denoised": Agreement((0.75, 1.0, 0.0), 0.58333)}

TISSUES = (
    mrml.Tissue(1, "cerebrospinal fluid", (85, 188, 255), 1.25),
    mrml.Tissue(2, "grey matter", (200, 200, 235), 3.5),
    mrml.Tissue(3, "white matter", (250, 250, 225), 0.0),
)


def labels() -> np.ndarray:
    """Labels 0 to 2; nothing has label 3."""
    return np.random.default_rng(5).integers(0, 3, nodes.SHAPE).astype(np.uint8)


def segment_mask(segmentation, number: int, shape: tuple[int, ...] = nodes.SHAPE) -> np.ndarray:
    """Where a segment is, bool (z, y, x), from its shared label map on the whole grid."""
    inner = segmentation.GetSegmentation()
    image = segmentation.GetBinaryLabelmapInternalRepresentation(inner.GetNthSegmentID(number))
    extent = image.GetExtent()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape([extent[2 * n + 1] - extent[2 * n] + 1 for n in (2, 1, 0)])
    mask = np.zeros(shape, bool)
    inside = tuple(slice(extent[2 * n], extent[2 * n + 1] + 1) for n in (2, 1, 0))
    mask[inside] = values == inner.GetNthSegment(number).GetLabelValue()
    return mask


def cells(table) -> list[list[str]]:
    return [[table.GetCellText(row, column) for column in range(table.GetNumberOfColumns())] for row in range(table.GetNumberOfRows())]
