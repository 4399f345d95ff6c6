"""The comparison: views of its own on one plane, linked and in step, and the user's own things as they were afterwards."""

from collections.abc import Callable
from typing import Any

import nodes
import numpy as np
import pytest
import slicer
import vtk
from nodes import denoise

from MRIDenoiseLib import mrml
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml import DENOISED, NOISY, REFERENCE, RESIDUAL, Layout, results

USERS_VIEWS = ("Red", "Green", "Yellow")


class Images:
    """A noisy image, its result and a reference, none of which has the window that another has."""

    def __init__(self, scene, grid: np.ndarray = nodes.GRIDS["RAS"], shape: tuple[int, int, int] = (6, 20, 24)) -> None:
        self.noisy = nodes.add_volume(scene, nodes.voxels(1, shape), grid)
        self.noisy.GetDisplayNode().SetAutoWindowLevel(False)
        self.noisy.GetDisplayNode().SetWindowLevel(150.0, 90.0)
        made = denoise(scene, self.noisy)
        self.denoised, self.residual = made.denoised, made.residual
        self.denoised.GetDisplayNode().SetWindowLevel(33.0, 44.0)
        self.reference = nodes.add_volume(scene, nodes.voxels(2, shape), grid, "reference")
        assert self.reference.GetDisplayNode().GetAutoWindowLevel()

    def all(self) -> dict[str, Any]:
        return vars(self)


def window(node) -> tuple[float, float, int]:
    display = node.GetDisplayNode()
    return display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()


def slice_node(desktop, view):
    return desktop.slice_logic(view.tag).GetSliceNode()


def composite(desktop, view):
    return desktop.slice_logic(view.tag).GetSliceCompositeNode()


def users_state(desktop, images: Images) -> dict[str, Any]:
    """Everything of the user's that a comparison could change, value by value."""
    state: dict[str, Any] = {"arrangement": desktop.layout_node.GetViewArrangement()}
    for tag in USERS_VIEWS:
        logic = desktop.slice_logic(tag)
        shown, view = logic.GetSliceCompositeNode(), logic.GetSliceNode()
        for what in ("BackgroundVolumeID", "ForegroundVolumeID", "LabelVolumeID", "ForegroundOpacity", "LabelOpacity"):
            state[tag, what] = getattr(shown, f"Get{what}")()
        for what in ("LinkedControl", "HotLinkedControl", "DoPropagateVolumeSelection"):
            state[tag, what] = getattr(shown, f"Get{what}")()
        for what in ("Orientation", "FieldOfView", "Dimensions", "XYZOrigin", "ViewGroup", "OrientationMarkerType", "LayoutLabel"):
            state[tag, what] = getattr(view, f"Get{what}")()
        state[tag, "plane"] = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()).tolist()
    for name, node in images.all().items():
        if node.GetScene() is None:
            continue
        display = node.GetDisplayNode()
        for what in ("Window", "Level", "AutoWindowLevel", "LowerThreshold", "UpperThreshold", "ApplyThreshold", "ColorNodeID"):
            state[name, what] = getattr(display, f"Get{what}")()
        state[name, "transform"] = node.GetTransformNodeID()
    return state


@pytest.fixture
def images(desktop) -> Images:
    made = Images(desktop.scene)
    red, green, _ = (desktop.slice_logic(tag).GetSliceCompositeNode() for tag in USERS_VIEWS)
    red.SetBackgroundVolumeID(made.reference.GetID())
    red.SetForegroundVolumeID(made.noisy.GetID())
    red.SetForegroundOpacity(0.3)
    green.SetLinkedControl(True)
    green.SetLabelOpacity(0.7)
    desktop.slice_logic("Red").FitSliceToBackground()
    return made


@pytest.fixture
def comparison(desktop, images: Images) -> mrml.Comparison:
    made = mrml.Comparison(desktop.scene, desktop.logic)
    made.enter(images.noisy, images.denoised, images.reference, images.residual)
    return made


def test_the_layouts_make_their_views_in_a_group_of_their_own(desktop) -> None:
    mrml.register_layouts(desktop.scene)
    mrml.register_layouts(desktop.scene)
    taken = {getattr(slicer.vtkMRMLLayoutNode, name) for name in dir(slicer.vtkMRMLLayoutNode) if name.startswith("SlicerLayout")}
    groups = {view.GetViewGroup() for view in (desktop.slice_logic(tag).GetSliceNode() for tag in USERS_VIEWS)}
    for layout in Layout:
        assert layout.value not in taken
        desktop.layout_node.SetViewArrangement(layout.value)
        for view in layout.views:
            node = slice_node(desktop, view)
            assert node.GetOrientation() == "Axial" and node.GetLayoutLabel() == view.label
            assert node.GetViewGroup() not in groups
    assert [len(layout.views) for layout in Layout] == [2, 3, 3, 4]


def test_a_scene_without_layouts_is_a_fault_and_not_a_silent_nothing(desktop) -> None:
    with pytest.raises(RuntimeError, match="layout"):
        mrml.register_layouts(slicer.vtkMRMLScene())


def test_every_view_shows_its_image_and_says_so(desktop, images: Images, comparison: mrml.Comparison) -> None:
    assert comparison.active and comparison.layouts == tuple(Layout)
    assert desktop.layout_node.GetViewArrangement() == Layout.ALL
    expected = {NOISY: images.noisy, DENOISED: images.denoised, REFERENCE: images.reference, RESIDUAL: images.residual}
    for view, node in expected.items():
        assert composite(desktop, view).GetBackgroundVolumeID() == node.GetID()
        assert slice_node(desktop, view).GetOrientationMarkerType() != slicer.vtkMRMLSliceNode.OrientationMarkerTypeNone
    assert [comparison.title(view) for view in expected] == ["NOISY", "DENOISED · research use only", "REFERENCE", "RESIDUAL"]


def test_a_result_unlike_what_the_model_learned_from_is_marked_in_its_view_alone(
    desktop, images: Images, comparison: mrml.Comparison
) -> None:
    images.denoised.SetAttribute(results.SETTINGS, '{"outside_training": ["inverted"]}')
    assert comparison.title(DENOISED) == "DENOISED · UNLIKE WHAT THE MODEL LEARNED FROM · research use only"
    assert comparison.title(NOISY) == "NOISY" and comparison.title(RESIDUAL) == "RESIDUAL"
    images.denoised.SetAttribute(results.SETTINGS, '{"outside_training": []}')
    assert comparison.title(DENOISED) == "DENOISED · research use only"


def test_a_map_in_the_residuals_place_is_called_what_it_is(desktop, images: Images, comparison: mrml.Comparison) -> None:
    images.residual.SetAttribute(results.ROLE, "uncertainty")
    assert comparison.title(RESIDUAL) == "UNCERTAINTY"


@pytest.mark.parametrize(
    ("given", "layout", "others"),
    [
        ((), Layout.PAIR, ()),
        (("reference",), Layout.WITH_REFERENCE, (Layout.PAIR,)),
        (("residual",), Layout.WITH_RESIDUAL, (Layout.PAIR,)),
    ],
)
def test_only_layouts_for_which_there_are_images_can_be_shown(desktop, images: Images, given, layout: Layout, others) -> None:
    comparison = mrml.Comparison(desktop.scene, desktop.logic)
    comparison.enter(images.noisy, images.denoised, **{name: images.all()[name] for name in given})
    assert desktop.layout_node.GetViewArrangement() == layout
    assert set(comparison.layouts) == {layout, *others}
    for other in others:
        comparison.show(other)
        assert desktop.layout_node.GetViewArrangement() == other
    with pytest.raises(ValueError):
        comparison.show(Layout.ALL)


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [("RAS", "Axial"), ("LAS", "Axial"), ("sagittal", "Sagittal"), ("coronal", "Coronal"), ("oblique", "Reformat")],
)
@pytest.mark.parametrize("moved", [False, True])
def test_all_views_show_the_acquired_plane(desktop, kind: str, orientation: str, moved: bool) -> None:
    images = Images(desktop.scene, nodes.GRIDS[kind])
    grid = nodes.GRIDS[kind]
    if moved:
        shift = nodes.add_shift(desktop.scene)
        grid = nodes.array_of(shift, "GetMatrixTransformToWorld") @ grid
        for node in images.all().values():
            node.SetAndObserveTransformNodeID(shift.GetID())
    mrml.Comparison(desktop.scene, desktop.logic).enter(images.noisy, images.denoised, images.reference, images.residual)
    planes = [slicer.util.arrayFromVTKMatrix(slice_node(desktop, view).GetSliceToRAS()) for view in Layout.ALL.views]
    lead = planes[0]
    assert all(np.array_equal(plane, lead) for plane in planes)
    if not moved:
        assert {slice_node(desktop, view).GetOrientation() for view in Layout.ALL.views} == {orientation}
    # Across the view the volume's own slices, along its rows and columns, and on the centre of one of its middle slices.
    axes = grid[:3, :3] / np.linalg.norm(grid[:3, :3], axis=0)
    assert np.allclose(np.sort(np.abs(lead[:3, :3].T @ axes), axis=1), [0, 0, 1], atol=1e-6)
    assert abs(lead[:3, 2] @ axes[:, 2]) == pytest.approx(1)
    assert (np.linalg.inv(grid) @ lead[:, 3])[2] in (pytest.approx(2), pytest.approx(3))


@pytest.mark.parametrize("kind", ["oblique", "LAS"])
def test_the_tilted_view_looks_as_the_straight_one_does(desktop, kind: str) -> None:
    images = Images(desktop.scene, nodes.GRIDS[kind])
    mrml.Comparison(desktop.scene, desktop.logic).enter(images.noisy, images.denoised)
    plane = slicer.util.arrayFromVTKMatrix(slice_node(desktop, NOISY).GetSliceToRAS())[:3, :3]
    straight = slicer.util.arrayFromVTKMatrix(slice_node(desktop, NOISY).GetSliceOrientationPreset("Axial"))
    assert (np.sum(plane * straight, axis=0) > 0.8).all(), "left is right or up is down"
    assert np.linalg.det(plane) == pytest.approx(np.linalg.det(straight))


def test_slices_of_a_loaded_series_are_its_plane_however_thin_they_are(desktop) -> None:
    thin = nodes.GRIDS["RAS"] @ np.diag([2.0, 1.0, 0.1, 1.0])
    images = Images(desktop.scene, thin, (30, 20, 8))
    images.noisy.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    comparison = mrml.Comparison(desktop.scene, desktop.logic)
    comparison.enter(images.noisy, images.denoised)
    assert slice_node(desktop, NOISY).GetOrientation() == "Axial"
    images.noisy.SetAttribute("DICOM.instanceUIDs", None)
    comparison.fit()
    assert slice_node(desktop, NOISY).GetOrientation() == slice_node(desktop, DENOISED).GetOrientation() == "Sagittal"


def test_who_moves_or_zooms_one_view_moves_and_zooms_all_but_the_users(desktop, images: Images, comparison: mrml.Comparison) -> None:
    red = desktop.slice_logic("Red")
    before = red.GetSliceOffset(), red.GetSliceNode().GetFieldOfView()
    logics = [desktop.slice_logic(view.tag) for view in Layout.ALL.views]
    moved, *followers = logics[1:] + logics[:1]
    moved.StartSliceOffsetInteraction()
    moved.SetSliceOffset(63.0)
    assert [logic.GetSliceOffset() for logic in followers] == pytest.approx([63.0] * 3), "not while the mouse still moves"
    moved.EndSliceOffsetInteraction()
    assert [logic.GetSliceOffset() for logic in followers] == pytest.approx([63.0] * 3)
    moved.StartSliceNodeInteraction(slicer.vtkMRMLSliceNode.FieldOfViewFlag)
    moved.GetSliceNode().SetFieldOfView(8.0, 8.0, 1.0)
    moved.EndSliceNodeInteraction()
    assert [logic.GetSliceNode().GetFieldOfView()[:2] for logic in followers] == [(8.0, 8.0)] * 3
    assert (red.GetSliceOffset(), red.GetSliceNode().GetFieldOfView()) == before


def test_views_of_different_shapes_have_one_zoom_and_pixels_that_are_square(desktop, images: Images, comparison: mrml.Comparison) -> None:
    desktop.slice_logic(DENOISED.tag).ResizeSliceNode(300, 150)
    comparison.fit()
    one, other = (slice_node(desktop, view) for view in (NOISY, DENOISED))
    assert other.GetFieldOfView()[0] == pytest.approx(one.GetFieldOfView()[0])
    assert other.GetFieldOfView()[1] == pytest.approx(one.GetFieldOfView()[0] / 2)


def test_window_and_level_start_as_the_noisy_image_has_them_and_stay_in_step(images: Images, comparison: mrml.Comparison) -> None:
    in_step = (images.noisy, images.denoised, images.reference)
    residual = window(images.residual)
    assert [window(node) for node in in_step] == [(150.0, 90.0, 0)] * 3
    for turn, leader in enumerate(in_step):
        shown = 60.0 + turn, 20.0 + turn
        leader.GetDisplayNode().SetWindowLevel(*shown)
        assert [window(node) for node in in_step] == [(*shown, 0)] * 3
    images.residual.GetDisplayNode().SetWindowLevel(9.0, 0.0)
    assert [window(node)[:2] for node in in_step] == [(62.0, 22.0)] * 3 and residual != window(images.residual)


def test_a_reference_of_another_scale_may_keep_its_own_window(desktop, images: Images) -> None:
    comparison = mrml.Comparison(desktop.scene, desktop.logic)
    own = window(images.reference)
    comparison.enter(images.noisy, images.denoised, images.reference, reference_in_step=False)
    images.denoised.GetDisplayNode().SetWindowLevel(60.0, 20.0)
    assert window(images.reference) == own and window(images.noisy) == (60.0, 20.0, 0)


def test_leaving_gives_everything_back_value_by_value(desktop, images: Images) -> None:
    before = users_state(desktop, images)
    left: list[bool] = []
    comparison = mrml.Comparison(desktop.scene, desktop.logic, when_left=lambda: left.append(comparison.active))
    comparison.leave()
    assert not left
    for layout in Layout:
        comparison.enter(images.noisy, images.denoised, images.reference, images.residual, layout=layout)
        images.denoised.GetDisplayNode().SetWindowLevel(5.0, 6.0)
        images.residual.GetDisplayNode().SetWindowLevel(7.0, 8.0)
        images.residual.GetDisplayNode().SetAutoWindowLevel(True)
        images.noisy.GetDisplayNode().SetAutoWindowLevel(True)
        images.reference.GetDisplayNode().SetAutoWindowLevel(True)
        comparison.flicker()
        comparison.wipe(0.4)
        for tag in USERS_VIEWS:
            shown = desktop.slice_logic(tag).GetSliceCompositeNode()
            shown.SetBackgroundVolumeID(images.residual.GetID())
            shown.SetForegroundOpacity(0.9)
            shown.SetLinkedControl(True)
        comparison.leave()
        assert users_state(desktop, images) == before
    comparison.leave()
    assert left == [False] * 4 and not comparison.active and comparison.layouts == ()
    images.noisy.GetDisplayNode().SetWindowLevel(1.0, 2.0)
    assert window(images.denoised) == (33.0, 44.0, 0), "still in step after leaving"
    for view in Layout.ALL.views:
        assert composite(desktop, view).GetBackgroundVolumeID() is None


def test_entering_twice_keeps_what_the_user_had_before_the_first_time(desktop, images: Images) -> None:
    before = users_state(desktop, images)
    comparison = mrml.Comparison(desktop.scene, desktop.logic)
    comparison.enter(images.noisy, images.denoised)
    comparison.enter(images.noisy, images.denoised, residual=images.residual)
    assert comparison.title(RESIDUAL) == "RESIDUAL"
    comparison.leave()
    assert users_state(desktop, images) == before


def test_a_layout_that_the_user_chooses_meanwhile_stays(desktop, images: Images, comparison: mrml.Comparison) -> None:
    desktop.layout_node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    comparison.leave()
    assert desktop.layout_node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_a_volume_that_is_loaded_meanwhile_goes_to_the_users_views_only(desktop, images: Images, comparison: mrml.Comparison) -> None:
    loaded = nodes.add_volume(desktop.scene, nodes.voxels(), name="loaded")
    desktop.logic.GetSelectionNode().SetActiveVolumeID(loaded.GetID())
    desktop.logic.PropagateVolumeSelection()
    assert desktop.slice_logic("Red").GetSliceCompositeNode().GetBackgroundVolumeID() == loaded.GetID()
    assert comparison.title(NOISY) == "NOISY" and comparison.title(REFERENCE) == "REFERENCE"


def test_flicker_swaps_the_images_in_one_view_and_its_name_with_them(desktop, images: Images, comparison: mrml.Comparison) -> None:
    assert comparison.flicker() is True
    assert composite(desktop, DENOISED).GetBackgroundVolumeID() == images.noisy.GetID() and comparison.title(DENOISED) == "NOISY"
    assert composite(desktop, NOISY).GetBackgroundVolumeID() == images.noisy.GetID()
    assert comparison.flicker() is False
    assert comparison.title(DENOISED) == "DENOISED · research use only"
    assert composite(desktop, REFERENCE).GetBackgroundVolumeID() == images.reference.GetID()


def test_wipe_lays_one_image_over_the_other_in_one_view(desktop, images: Images, comparison: mrml.Comparison) -> None:
    comparison.flicker()
    comparison.wipe(0.25)
    shown = composite(desktop, DENOISED)
    assert (shown.GetBackgroundVolumeID(), shown.GetForegroundVolumeID()) == (images.denoised.GetID(), images.noisy.GetID())
    assert shown.GetForegroundOpacity() == 0.25 and comparison.title(DENOISED) == "DENOISED + 25% NOISY · research use only"
    assert composite(desktop, NOISY).GetForegroundVolumeID() is None and composite(desktop, NOISY).GetForegroundOpacity() == 0
    comparison.wipe(1.5)
    assert shown.GetForegroundOpacity() == 1 and comparison.title(DENOISED) == "NOISY"
    comparison.wipe(0.0)
    assert shown.GetForegroundVolumeID() is None and comparison.title(DENOISED) == "DENOISED · research use only"


def test_an_image_of_the_users_in_our_view_gets_no_name_of_ours(desktop, images: Images, comparison: mrml.Comparison) -> None:
    composite(desktop, DENOISED).SetBackgroundVolumeID(nodes.add_volume(desktop.scene, nodes.voxels()).GetID())
    assert comparison.title(DENOISED) == ""


@pytest.mark.parametrize("gone", ["noisy", "denoised"])
def test_the_comparison_ends_when_one_of_its_two_images_goes(desktop, images: Images, gone: str) -> None:
    before = users_state(desktop, images)
    left: list[int] = []
    comparison = mrml.Comparison(desktop.scene, desktop.logic, when_left=lambda: left.append(1))
    comparison.enter(images.noisy, images.denoised, images.reference, images.residual)
    desktop.scene.RemoveNode(images.all()[gone])
    assert not comparison.active and left == [1]
    remaining = {key: value for key, value in before.items() if key[0] != gone}
    if gone == "noisy":
        # What the user's own view showed cannot come back.
        remaining["Red", "ForegroundVolumeID"] = None
    assert users_state(desktop, images) == remaining
    comparison.flicker()
    comparison.wipe(0.5)
    comparison.fit()
    comparison.leave()


@pytest.mark.parametrize(("gone", "layout"), [("reference", Layout.WITH_RESIDUAL), ("residual", Layout.WITH_REFERENCE)])
def test_an_image_of_less_weight_takes_only_its_view_along(desktop, images: Images, comparison, gone: str, layout: Layout) -> None:
    desktop.scene.RemoveNode(images.all()[gone])
    assert comparison.active and desktop.layout_node.GetViewArrangement() == layout
    images.noisy.GetDisplayNode().SetWindowLevel(12.0, 13.0)
    assert window(images.denoised) == (12.0, 13.0, 0)
    comparison.leave()
    assert window(images.denoised) == (33.0, 44.0, 0)


def _close(scene) -> None:
    scene.Clear(0)


def _load_another(scene) -> None:
    scene.StartState(slicer.vtkMRMLScene.ImportState)
    scene.EndState(slicer.vtkMRMLScene.ImportState)


@pytest.mark.parametrize("event", [_close, _load_another])
def test_a_scene_that_closes_or_loads_ends_the_comparison_first(desktop, images: Images, event: Callable) -> None:
    layout = desktop.layout_node.GetViewArrangement()
    left: list[int] = []
    comparison = mrml.Comparison(desktop.scene, desktop.logic, when_left=lambda: left.append(1))
    comparison.enter(images.noisy, images.denoised, images.reference, images.residual)
    event(desktop.scene)
    assert not comparison.active and left == [1] and desktop.layout_node.GetViewArrangement() == layout
    comparison.leave()
    again = Images(desktop.scene)
    comparison.enter(again.noisy, again.denoised)
    assert comparison.title(DENOISED) == "DENOISED · research use only"
    comparison.leave()
    assert window(again.denoised) == (33.0, 44.0, 0)


def test_what_cannot_be_shown_leaves_everything_as_it_was(desktop, images: Images) -> None:
    before = users_state(desktop, images)
    comparison = mrml.Comparison(desktop.scene, desktop.logic)
    empty = desktop.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(InputError, match="no image"):
        comparison.enter(images.noisy, empty)
    without_views = slicer.vtkMRMLApplicationLogic()
    without_views.SetSliceLogics(vtk.vtkCollection())
    lost = mrml.Comparison(desktop.scene, without_views)
    with pytest.raises(RuntimeError, match="slice view"):
        lost.enter(images.noisy, images.denoised)
    assert not comparison.active and not lost.active and users_state(desktop, images) == before
