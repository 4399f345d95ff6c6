"""Results in the scene: same places, same type, same look, beside the source and with their account; all of it or nothing."""

import nodes
import numpy as np
import pytest
import slicer
from nodes import ACCOUNT, denoise

from MRIDenoiseLib import mrml
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml import results
from MRIDenoiseLib.volume import Volume


def hierarchy_of(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


@pytest.mark.parametrize("kind", nodes.GRIDS)
def test_an_image_that_goes_through_unchanged_lies_where_it_lay(desktop, kind: str) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels(), nodes.GRIDS[kind])
    result = mrml.add_results(desktop.scene, source, mrml.to_volume(source)).denoised
    array, grid = slicer.util.arrayFromVolume(result), nodes.array_of(result)
    points = nodes.centres(nodes.SHAPE, nodes.GRIDS[kind])
    assert np.array_equal(nodes.at_points(array, grid, points), nodes.voxels().ravel())


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_the_scalar_type_stays_and_whole_numbers_are_rounded(desktop, kind: str) -> None:
    array = (nodes.voxels() // 2).astype(kind)
    source = nodes.add_volume(desktop.scene, array)
    volume = mrml.to_volume(source)
    result = mrml.add_results(desktop.scene, source, volume.with_voxels(volume.voxels - np.float32(0.4))).denoised
    assert result.GetImageData().GetScalarType() == source.GetImageData().GetScalarType()
    expected = array if np.dtype(kind).kind in "iu" else volume.voxels - np.float32(0.4)
    assert np.array_equal(slicer.util.arrayFromVolume(result), expected)


@pytest.mark.parametrize(("kind", "value", "wider"), [("int16", 40000, "int32"), ("uint8", 300, "int16"), ("uint16", -3, "int16")])
def test_what_does_not_fit_the_type_makes_it_wider_and_never_wraps(desktop, kind: str, value: int, wider: str) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels().astype(kind))
    volume = mrml.to_volume(source)
    volume.voxels[1, 2, 3] = value
    array = slicer.util.arrayFromVolume(mrml.add_results(desktop.scene, source, volume).denoised)
    assert array.dtype == wider and array[1, 2, 3] == value


def test_results_lie_under_the_transform_of_their_source_and_beside_it_in_its_study(desktop) -> None:
    scene = desktop.scene
    hierarchy = hierarchy_of(scene)
    source = nodes.add_volume(scene, nodes.voxels(), nodes.GRIDS["oblique"])
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "subject"), "study")
    hierarchy.CreateItem(study, source)
    shift = nodes.add_shift(scene)
    source.SetAndObserveTransformNodeID(shift.GetID())
    made = denoise(scene, source)
    for node in (made.denoised, made.residual):
        assert node.GetParentTransformNode() is shift
        assert np.allclose(nodes.array_of(node), nodes.GRIDS["oblique"])
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_without_a_place_in_the_hierarchy_they_stand_at_its_top(desktop) -> None:
    hierarchy = hierarchy_of(desktop.scene)
    made = denoise(desktop.scene, nodes.add_volume(desktop.scene, nodes.voxels()))
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made.denoised)) == hierarchy.GetSceneItemID()


def test_every_result_names_its_source_its_role_and_its_account_and_is_marked(desktop) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    source.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    made = denoise(desktop.scene, source)
    for role, node in (("denoised", made.denoised), ("residual", made.residual)):
        assert node.GetNodeReference("MRIDenoise.source") is mrml.source_of(node) is source
        assert node.GetAttribute("MRIDenoise.role") == mrml.role_of(node) == role
        assert mrml.settings_of(node) == ACCOUNT.settings and node.GetAttribute("MRIDenoise.bundle") == "0123abcd"
        assert "NOT FOR DIAGNOSTIC USE" in node.GetAttribute("MRIDenoise.notForDiagnosticUse")
        assert node.GetAttribute("DICOM.instanceUIDs") is None
        assert node.GetName() == f"head T1w {role}"
    assert mrml.source_of(source) is None and mrml.role_of(source) == "" and mrml.settings_of(source) == {}


def test_the_last_result_of_its_own_source_is_found(desktop) -> None:
    one, other = (nodes.add_volume(desktop.scene, nodes.voxels(seed)) for seed in (1, 2))
    assert mrml.result_of(desktop.scene, one) is None
    first, second, foreign = (denoise(desktop.scene, source) for source in (one, one, other))
    assert mrml.result_of(desktop.scene, one) is second.denoised is not first.denoised
    assert mrml.result_of(desktop.scene, one, "residual") is second.residual
    assert mrml.result_of(desktop.scene, other) is foreign.denoised
    assert second.denoised.GetName() != first.denoised.GetName()
    assert denoise(desktop.scene, one, residual=False).residual is None


def test_the_denoised_image_looks_like_its_source_and_keeps_its_window_to_itself(desktop) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    display = source.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(123.0, 45.0)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
    display.SetInterpolate(False)
    shown = denoise(desktop.scene, source).denoised.GetDisplayNode()
    assert (shown.GetWindow(), shown.GetLevel(), shown.GetAutoWindowLevel()) == (123.0, 45.0, 0)
    assert shown.GetColorNodeID() == "vtkMRMLColorTableNodeRainbow" and not shown.GetInterpolate()
    display.SetWindowLevel(7.0, 8.0)
    assert shown.GetWindow() == 123.0 and shown is not display


def test_an_automatic_window_of_the_source_is_taken_over_as_it_stands(desktop) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    window, level = source.GetDisplayNode().GetWindow(), source.GetDisplayNode().GetLevel()
    assert source.GetDisplayNode().GetAutoWindowLevel() and window > 100
    shown = denoise(desktop.scene, source).denoised.GetDisplayNode()
    assert (shown.GetWindow(), shown.GetLevel(), shown.GetAutoWindowLevel()) == (window, level, 0)


def test_the_residual_is_grey_about_zero_in_numbers_with_a_sign(desktop) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels().astype(np.uint8))
    source.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
    residual = denoise(desktop.scene, source).residual
    array, display = slicer.util.arrayFromVolume(residual), residual.GetDisplayNode()
    assert array.dtype == np.float32 and array.min() < 0 < array.max()
    assert display.GetLevel() == 0 and not display.GetAutoWindowLevel()
    assert 0.5 * np.abs(array).max() < display.GetWindow() / 2 <= np.abs(array).max()
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


def test_the_residual_is_grey_whatever_the_users_default_is(desktop) -> None:
    default = slicer.vtkMRMLScalarVolumeDisplayNode()
    default.SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
    desktop.scene.AddDefaultNode(default)
    residual = denoise(desktop.scene, nodes.add_volume(desktop.scene, nodes.voxels())).residual
    assert residual.GetDisplayNode().GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


def test_maps_stand_in_colour_from_zero_beside_the_image_that_refers_to_them(desktop) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    volume = mrml.to_volume(source)
    noise = volume.with_voxels(np.full(volume.voxels.shape, 7, np.float32))
    made = mrml.add_results(desktop.scene, source, volume, maps={"noise map": noise, "uncertainty": noise})
    for kind, node in made.maps.items():
        assert results.map_of(made.denoised, kind) is node and results.role_of(node) == kind and mrml.source_of(node) is source
        assert np.array_equal(slicer.util.arrayFromVolume(node), noise.voxels)
        display = node.GetDisplayNode()
        assert display.GetColorNodeID() == results.MAP_COLOURS and not display.GetAutoWindowLevel()
        assert desktop.scene.GetNodeByID(results.MAP_COLOURS) is not None
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 7)
    again = mrml.add_results(desktop.scene, source, volume, maps={"uncertainty": noise}, into=made.denoised)
    assert again.maps["uncertainty"] is made.maps["uncertainty"] and results.map_of(again.denoised, "noise map") is None


def test_a_residual_of_nothing_has_a_window_all_the_same(desktop) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    volume = mrml.to_volume(source)
    made = mrml.add_results(desktop.scene, source, volume, volume.with_voxels(np.zeros_like(volume.voxels)))
    assert made.residual.GetDisplayNode().GetWindow() > 0


def _elsewhere(volume: Volume) -> Volume:
    return Volume(volume.voxels, volume.ijk_to_ras + np.diag([0, 0, 0.5, 0]))


def _smaller(volume: Volume) -> Volume:
    return Volume(volume.voxels[1:], volume.ijk_to_ras)


def _broken(volume: Volume) -> Volume:
    return volume.with_voxels(np.full_like(volume.voxels, np.inf))


@pytest.mark.parametrize(("change", "complaint"), [(_elsewhere, "grid"), (_smaller, "grid"), (_broken, "not finite")])
@pytest.mark.parametrize("which", ["denoised", "residual"])
def test_what_is_no_result_of_this_source_is_refused_and_leaves_the_scene_alone(desktop, change, complaint: str, which: str) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    volume = mrml.to_volume(source)
    before = desktop.scene.GetNumberOfNodes()
    given = (change(volume), volume) if which == "denoised" else (volume, change(volume))
    with pytest.raises(InputError, match=complaint):
        mrml.add_results(desktop.scene, source, *given)
    assert desktop.scene.GetNumberOfNodes() == before


def test_a_failure_half_way_leaves_nothing_behind(desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    source = nodes.add_volume(desktop.scene, nodes.voxels())
    hierarchy = hierarchy_of(desktop.scene)
    hierarchy.CreateItem(hierarchy.GetSceneItemID(), source)

    def ids() -> set[str]:
        return {desktop.scene.GetNthNode(n).GetID() for n in range(desktop.scene.GetNumberOfNodes())}

    before, items = ids(), hierarchy.GetNumberOfItems()

    def fail(node, voxels) -> None:
        assert len(ids() - before) >= 4, "too early for the test to prove anything"
        raise MemoryError("on purpose")

    monkeypatch.setattr(results, "_show_about_zero", fail)
    with pytest.raises(MemoryError):
        denoise(desktop.scene, source)
    assert ids() == before and hierarchy.GetNumberOfItems() == items


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_voxels_without_a_measurement_are_not_a_number_again_in_the_result(desktop, kind: str) -> None:
    array = nodes.voxels().astype(kind)
    array[:, :2] = array[1, 3, 4] = np.nan
    source = nodes.add_volume(desktop.scene, array)
    volume = mrml.to_volume(source)
    assert np.array_equal(volume.unmeasured.mask, np.isnan(array)) and np.isfinite(volume.voxels).all()
    denoised = volume.with_voxels(np.where(volume.unmeasured.mask, np.float32(0), volume.voxels + np.float32(1)))
    made = mrml.add_results(desktop.scene, source, denoised, volume.minus(denoised))
    assert np.array_equal(slicer.util.arrayFromVolume(made.denoised), array + 1, equal_nan=True)
    assert not slicer.util.arrayFromVolume(made.residual)[np.isnan(array)].any()


def test_infinite_voxels_are_refused(desktop) -> None:
    array = nodes.voxels().astype(np.float32)
    array[1, 2, 3] = np.inf
    with pytest.raises(InputError, match="finite"):
        mrml.to_volume(nodes.add_volume(desktop.scene, array))
