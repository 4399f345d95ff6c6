"""Tissues and their agreement in the scene: names, colours, places, numbers, and nothing that nobody asked for."""

import nodes
import numpy as np
import pytest
import slicer
import vtk
from tissue_nodes import CLASSES, IMAGES, TISSUES, cells, labels, segment_mask
from vtk.util.numpy_support import vtk_to_numpy

from MRIDenoiseLib import mrml
from MRIDenoiseLib.errors import InputError


@pytest.mark.parametrize("kind", nodes.GRIDS)
def test_every_tissue_becomes_a_segment_with_its_name_colour_and_voxels(desktop, kind: str) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels(), nodes.GRIDS[kind])
    made = mrml.add_tissues(desktop.scene, source, labels(), TISSUES)
    segmentation = made.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 3
    for number, tissue in enumerate(TISSUES):
        segment = segmentation.GetNthSegment(number)
        assert segment.GetName() == tissue.name
        assert np.allclose(np.array(segment.GetColor()) * 255, tissue.colour, atol=0.01)
        assert np.array_equal(segment_mask(made, number), labels() == tissue.value)
        image = made.GetBinaryLabelmapInternalRepresentation(segmentation.GetNthSegmentID(number))
        assert np.allclose(nodes.array_of(image, "GetImageToWorldMatrix"), nodes.GRIDS[kind])
    millilitres = vtk.reference("")
    assert segmentation.GetNthSegment(0).GetTag("MRIDenoise.millilitres", millilitres) and str(millilitres) == "1.250"


def test_the_segmentation_belongs_to_its_image_and_nothing_else_is_left(desktop) -> None:
    scene = desktop.scene
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    source = nodes.add_volume(scene, nodes.voxels(), nodes.GRIDS["oblique"])
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "folder")
    hierarchy.CreateItem(folder, source)
    shift = nodes.add_shift(scene)
    source.SetAndObserveTransformNodeID(shift.GetID())
    made = mrml.add_tissues(scene, source, labels(), TISSUES)
    assert made.GetName() == "head T1w tissues" and mrml.source_of(made) is source
    assert made.GetParentTransformNode() is shift
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made)) == folder
    assert made.GetNodeReference(made.GetReferenceImageGeometryReferenceRole()) is source
    assert "NOT FOR DIAGNOSTIC USE" in made.GetAttribute("MRIDenoise.notForDiagnosticUse")
    assert scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0


def test_the_scene_keeps_a_copy_of_the_labels(desktop) -> None:
    array = labels()
    made = mrml.add_tissues(desktop.scene, nodes.add_volume(desktop.scene, nodes.voxels()), array, TISSUES)
    array[:] = 0
    assert np.array_equal(segment_mask(made, 1), labels() == 2)


def test_labels_of_another_shape_are_refused(desktop) -> None:
    with pytest.raises(InputError, match="grid of head T1w"):
        mrml.add_tissues(desktop.scene, nodes.add_volume(desktop.scene, nodes.voxels()), labels()[1:], TISSUES)
    assert desktop.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_table_has_a_row_an_image_and_an_empty_cell_where_dice_is_not_defined(desktop) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    table = mrml.add_agreement(desktop.scene, source, CLASSES, IMAGES).table
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == ["Image", *CLASSES, "Mean"]
    assert cells(table) == [["noisy", "0.5000", "0.2500", "", "0.3750"], ["denoised", "0.7500", "1.0000", "0.0000", "0.5833"]]
    assert mrml.source_of(table) is source


def test_the_chart_has_bars_for_every_image_class_by_class(desktop) -> None:
    made = mrml.add_agreement(desktop.scene, nodes.add_volume(desktop.scene, nodes.voxels()), CLASSES, IMAGES)
    assert made.chart.GetNumberOfPlotSeriesNodes() == 2 and list(made.chart.GetYAxisRange()) == [0.0, 1.0]
    for number, (image, agreement) in enumerate(IMAGES.items()):
        series = made.chart.GetNthPlotSeriesNode(number)
        assert series.GetName() == image and series.GetPlotType() == series.PlotTypeBar
        assert series.GetTableNode() is made.numbers and series.GetLabelColumnName() == "Class"
        column = made.numbers.GetTable().GetColumnByName(series.GetYColumnName())
        assert np.allclose(vtk_to_numpy(column), np.nan_to_num(agreement.classes))
    assert [row[0] for row in cells(made.numbers)] == list(CLASSES)


@pytest.mark.parametrize(
    ("classes", "images", "complaint"),
    [
        (CLASSES, {}, "nothing to compare"),
        (("fluid", "fluid", "Mean"), IMAGES, "same name"),
        (("fluid", "Mean", "grey"), IMAGES, "same name"),
        (CLASSES[:2], IMAGES, "different numbers of classes"),
    ],
)
def test_what_makes_no_table_is_refused(desktop, classes, images, complaint: str) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    before = desktop.scene.GetNumberOfNodes()
    with pytest.raises(InputError, match=complaint):
        mrml.add_agreement(desktop.scene, source, classes, images)
    assert desktop.scene.GetNumberOfNodes() == before
