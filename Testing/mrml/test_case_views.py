"""A blinded case in the scene: what its reader sees, and that nothing else of it, or of the user's, can be seen."""

from pathlib import Path

import nodes
import numpy as np
import pytest
import slicer
from desktop import Desktop
from scene_words import nodes_of, scene_text, words_of
from small_study import PREFERENCE, WINDOW, Day, phantom, small_study

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml.case_views import CaseViews
from MRIDenoiseLib.mrml.layouts import CASE_VIEWS, CaseLayout
from MRIDenoiseLib.mrml.planes import grid_in_scene
from MRIDenoiseLib.reader_study.reading.reading import Panel, Reading


@pytest.fixture
def views(desktop: Desktop) -> CaseViews:
    return CaseViews(desktop.scene, desktop.logic)


def panels_of(folder: Path, *images) -> tuple[Panel, ...]:
    """The panels of a study of one case."""
    reading = Reading(small_study(folder, [[images]], PREFERENCE if len(images) > 1 else ({"kind": "text"},)), "R1", Day())
    return reading.next().panels


def three(folder: Path) -> tuple[Panel, ...]:
    return panels_of(folder, phantom(1, 30), phantom(1, 8), phantom(1, 4))


def shown_in(desktop: Desktop, view) -> np.ndarray:
    composite = desktop.slice_logic(view.tag).GetSliceCompositeNode()
    return slicer.util.arrayFromVolume(desktop.scene.GetNodeByID(composite.GetBackgroundVolumeID()))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_image_of_a_case_stands_in_its_own_view_from_left_to_right(desktop, views, tmp_path, count) -> None:
    images = [phantom(1, noise) for noise in (30, 8, 4)[:count]]
    views.show(panels_of(tmp_path / "study", *images))
    assert desktop.layout_node.GetViewArrangement() == CaseLayout.of(count)
    assert [node.GetLayoutName() for node in desktop.slice_nodes()] == [view.tag for view in CASE_VIEWS[:count]]
    for view, image in zip(views.views, images, strict=True):
        assert np.array_equal(shown_in(desktop, view), image.voxels)
    for node, image in zip(views.images, images, strict=True):
        assert np.allclose(grid_in_scene(node), image.ijk_to_ras)


def test_the_window_is_the_studys_and_one_for_all_images(desktop, views, tmp_path) -> None:
    views.show(three(tmp_path / "study"))
    displays = [node.GetDisplayNode() for node in views.images]
    assert {(one.GetWindow(), one.GetLevel(), one.GetAutoWindowLevel()) for one in displays} == {(WINDOW.width, WINDOW.level, 0)}
    displays[1].SetWindowLevel(300, 200)
    assert {(one.GetWindow(), one.GetLevel()) for one in displays} == {(300, 200)}
    views.fit()
    assert {(one.GetWindow(), one.GetLevel()) for one in displays} == {(WINDOW.width, WINDOW.level)}


def test_views_begin_in_the_middle_and_move_together(desktop, views, tmp_path) -> None:
    views.show(three(tmp_path / "study"))
    logics = [desktop.slice_logic(view.tag) for view in views.views]
    middle = grid_in_scene(views.images[0]) @ [9.5, 11.5, 3.5, 1]
    assert all(abs(logic.GetSliceOffset() - middle[2]) <= 2.01 for logic in logics)
    before = logics[0].GetSliceOffset()
    logics[0].StartSliceOffsetInteraction()
    logics[0].SetSliceOffset(before + 8)
    logics[0].EndSliceOffsetInteraction()
    assert [logic.GetSliceOffset() for logic in logics] == [before + 8] * 3
    views.fit()
    assert [logic.GetSliceOffset() for logic in logics] == [before] * 3


def test_the_next_case_takes_the_place_of_the_one_before_it_completely(desktop, views, tmp_path) -> None:
    views.show(three(tmp_path / "one"))
    count = desktop.scene.GetNumberOfNodes()
    old = {node.GetID() for view in views.images for node in (view, view.GetDisplayNode())}
    desktop.slice_logic(CASE_VIEWS[0].tag).SetSliceOffset(-5.0)
    views.images[0].GetDisplayNode().SetWindowLevel(1, 2)
    views.show(three(tmp_path / "two"))
    assert not old & {node.GetID() for node in nodes_of(desktop.scene)}
    assert desktop.scene.GetNumberOfNodes() == count
    assert views.images[0].GetDisplayNode().GetWindow() == WINDOW.width
    assert desktop.slice_logic(CASE_VIEWS[0].tag).GetSliceOffset() != -5.0


def test_undo_brings_no_case_back(desktop, views, tmp_path) -> None:
    desktop.scene.SetUndoOn()
    views.show(three(tmp_path / "one"))
    desktop.scene.SaveStateForUndo()

    def shown() -> list:
        return [node for node in nodes_of(desktop.scene) if "Case image" in (node.GetName() or "")]

    assert shown()
    views.leave()
    desktop.scene.Undo()
    assert not shown()
    desktop.scene.SetUndoOff()


def test_leaving_gives_the_users_scene_back(desktop, views, tmp_path) -> None:
    scene = desktop.scene
    volume = nodes.add_volume(scene, nodes.voxels())
    desktop.slice_logic("Red").GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "the noisy one")
    point.CreateDefaultDisplayNodes()
    point.AddControlPoint(0, 0, 0)
    hidden = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "hidden by the user")
    hidden.CreateDefaultDisplayNodes()
    hidden.GetDisplayNode().SetVisibility(False)
    before = {node.GetID() for node in nodes_of(scene)}, desktop.layout_node.GetViewArrangement()
    views.show(three(tmp_path / "study"))
    assert not point.GetDisplayNode().GetVisibility(), "what the user had drawn would be seen in the case"
    views.leave()
    # A slice view brings its own node, composite, plane, its display and transform, and stays in the scene as any other does.
    of_views = ("vtkMRMLSlice", "vtkMRMLModel", "vtkMRMLLinearTransform")
    left = {node for node in {one.GetID() for one in nodes_of(scene)} - before[0] if not node.startswith(of_views)}
    assert not left and desktop.layout_node.GetViewArrangement() == before[1]
    assert desktop.slice_logic("Red").GetSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
    assert point.GetDisplayNode().GetVisibility() and not hidden.GetDisplayNode().GetVisibility()


def test_no_list_and_no_saved_scene_shows_the_images(desktop, views, tmp_path) -> None:
    views.show(three(tmp_path / "study"))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(desktop.scene)
    for node in views.images:
        assert node.GetHideFromEditors() and node.GetStorageNode() is None
        assert hierarchy.GetItemByDataNode(node) == hierarchy.GetInvalidItemID()
    desktop.scene.SetSaveToXMLString(1)
    desktop.scene.Commit()
    saved = desktop.scene.GetSceneXMLString()
    desktop.scene.SetSaveToXMLString(0)
    assert "Case image" not in saved and "Case image" in scene_text(desktop.scene)


def test_what_the_scene_says_tells_neither_name_nor_place_of_a_file(desktop, views, tmp_path) -> None:
    panels = three(tmp_path / "study")
    views.show(panels)
    said = "\n".join(words_of(desktop.scene))
    assert "Case image C" in said
    for panel in panels:
        assert panel.path.stem not in said and str(tmp_path) not in said and ".nii" not in said


def test_a_case_that_cannot_be_read_leaves_the_one_before_it(desktop, views, tmp_path) -> None:
    views.show(three(tmp_path / "one"))
    before = views.images
    broken = three(tmp_path / "two")
    broken[1].path.write_bytes(b"nothing")
    with pytest.raises(InputError):
        views.show(broken)
    assert views.images == before and views.active
    assert desktop.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 3


@pytest.mark.parametrize("end", ["close", "import"])
def test_it_ends_before_the_scene_is_closed_or_another_is_loaded(desktop, tmp_path, end) -> None:
    told = []
    views = CaseViews(desktop.scene, desktop.logic, lambda: told.append(True))
    layout = desktop.layout_node.GetViewArrangement()
    views.show(three(tmp_path / "study"))
    if end == "close":
        desktop.scene.Clear(0)
    else:
        (tmp_path / "other.mrml").write_text('<MRML version="Slicer5" userTags=""></MRML>')
        desktop.scene.SetURL(str(tmp_path / "other.mrml"))
        desktop.scene.Import()
    assert told == [True] and not views.active
    assert desktop.layout_node.GetViewArrangement() == layout
    assert not desktop.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    views.show(three(tmp_path / "again"))
    assert len(views.images) == 3
