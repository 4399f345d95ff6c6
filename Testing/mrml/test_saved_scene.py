"""A scene saved as a bundle and opened elsewhere still knows what is a result of what, and how it was made."""

from pathlib import Path

import nodes
import numpy as np
import pytest
import slicer
from nodes import ACCOUNT, denoise
from tissue_nodes import CLASSES, IMAGES, TISSUES, cells, labels, segment_mask
from vtk.util.numpy_support import vtk_to_numpy

from MRIDenoiseLib import mrml


def test_everything_survives_saving_and_opening_a_bundle(desktop, another_desktop, tmp_path: Path) -> None:
    scene = desktop.scene
    source = nodes.add_volume(scene, nodes.voxels(), nodes.GRIDS["oblique"])
    source.SetAndObserveTransformNodeID(nodes.add_shift(scene).GetID())
    source.GetDisplayNode().SetAutoWindowLevel(False)
    source.GetDisplayNode().SetWindowLevel(111.0, 77.0)
    made = denoise(scene, source)
    mrml.add_tissues(scene, made.denoised, labels(), TISSUES)
    agreement = mrml.add_agreement(scene, source, CLASSES, IMAGES)
    written = cells(agreement.table)

    bundle = str(tmp_path / "saved.mrb")
    assert scene.WriteToMRB(bundle, None, slicer.vtkMRMLMessageCollection())
    opened = another_desktop.scene
    assert opened.ReadFromMRB(bundle, True, slicer.vtkMRMLMessageCollection())

    there = opened.GetFirstNodeByName("head T1w")
    clean, residual = mrml.result_of(opened, there), mrml.result_of(opened, there, "residual")
    for before, after in ((made.denoised, clean), (made.residual, residual)):
        assert mrml.source_of(after) is there and mrml.settings_of(after) == ACCOUNT.settings
        assert after.GetAttribute("MRIDenoise.bundle") == "0123abcd"
        assert after.GetAttribute("MRIDenoise.notForDiagnosticUse") == before.GetAttribute("MRIDenoise.notForDiagnosticUse")
        # Saving may turn the voxels' order round, so values are compared at places.
        array, grid = slicer.util.arrayFromVolume(before), nodes.array_of(before)
        points = nodes.centres(array.shape, grid)
        found = nodes.at_points(slicer.util.arrayFromVolume(after), nodes.array_of(after), points)
        assert np.array_equal(found, array.ravel()) and found.dtype == array.dtype
        assert after.GetDisplayNode().GetWindow() == pytest.approx(before.GetDisplayNode().GetWindow(), rel=1e-5)
        assert after.GetParentTransformNode().GetName() == "shift"

    tissues = opened.GetFirstNodeByName("head T1w denoised tissues")
    assert mrml.source_of(tissues) is clean
    for number, tissue in enumerate(TISSUES):
        segment = tissues.GetSegmentation().GetNthSegment(number)
        assert segment.GetName() == tissue.name and np.allclose(np.array(segment.GetColor()) * 255, tissue.colour, atol=0.01)
        assert np.array_equal(segment_mask(tissues, number), labels() == tissue.value)

    table = opened.GetFirstNodeByName(agreement.table.GetName())
    assert cells(table) == written and mrml.source_of(table) is there
    chart = opened.GetFirstNodeByName(agreement.chart.GetName())
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    series = chart.GetNthPlotSeriesNode(1)
    column = series.GetTableNode().GetTable().GetColumnByName(series.GetYColumnName())
    assert np.allclose(vtk_to_numpy(column), IMAGES["denoised"].classes)


def test_a_scene_saved_during_a_comparison_opens_and_can_be_compared_and_left_again(desktop, another_desktop, tmp_path: Path) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    made = denoise(desktop.scene, source)
    comparison = mrml.Comparison(desktop.scene, desktop.logic)
    comparison.enter(source, made.denoised, residual=made.residual)
    bundle = str(tmp_path / "saved.mrb")
    assert desktop.scene.WriteToMRB(bundle, None, slicer.vtkMRMLMessageCollection())
    comparison.leave()

    opened = another_desktop.scene
    mrml.register_layouts(opened)
    assert opened.ReadFromMRB(bundle, True, slicer.vtkMRMLMessageCollection())
    there = opened.GetFirstNodeByName("head T1w")
    again = mrml.Comparison(opened, another_desktop.logic)
    again.enter(there, mrml.result_of(opened, there))
    again.leave()
    assert another_desktop.layout_node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
