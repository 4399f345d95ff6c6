"""The user's box as voxels, the slice before his eyes, and previews of it."""

import nodes
import numpy as np
import pytest
import slicer

from MRIDenoiseLib import mrml
from MRIDenoiseLib.errors import InputError

SHAPE = (8, 20, 16)


def add_box(scene, grid: np.ndarray, centre: tuple[float, float, float], size: tuple[float, float, float]):
    """A region with its middle at a voxel index (i, j, k) and its size in mm, along the patient's axes."""
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(*(grid @ [*centre, 1])[:3])
    roi.SetSize(*size)
    return roi


@pytest.fixture
def volume(desktop):
    return nodes.add_volume(desktop.scene, nodes.voxels(shape=SHAPE))


def test_a_box_is_the_voxels_it_holds(desktop, volume) -> None:
    # Spacing 0.7, 0.9, 4 mm: 4, 6 and 2 voxels about a place between voxels.
    roi = add_box(desktop.scene, nodes.GRIDS["RAS"], (7.5, 9.5, 3.5), (4 * 0.7, 6 * 0.9, 2 * 4.0))
    assert mrml.region_of(roi, volume) == [(3, 5), (7, 13), (6, 10)]


def test_a_box_that_touches_a_voxel_takes_it_and_one_that_reaches_out_is_cut(desktop, volume) -> None:
    roi = add_box(desktop.scene, nodes.GRIDS["RAS"], (7.5, 9.5, 3.5), (4.5 * 0.7, 6 * 0.9, 1000))
    assert mrml.region_of(roi, volume) == [(0, 8), (7, 13), (5, 11)]


def test_a_box_goes_with_the_transform_that_both_lie_under(desktop, volume) -> None:
    roi = add_box(desktop.scene, nodes.GRIDS["RAS"], (7.5, 9.5, 3.5), (4 * 0.7, 6 * 0.9, 2 * 4.0))
    shift = nodes.add_shift(desktop.scene)
    for node in (volume, roi):
        node.SetAndObserveTransformNodeID(shift.GetID())
    assert mrml.region_of(roi, volume) == [(3, 5), (7, 13), (6, 10)]
    roi.SetAndObserveTransformNodeID(None)
    try:
        moved = mrml.region_of(roi, volume)
    except InputError:
        moved = None
    assert moved != [(3, 5), (7, 13), (6, 10)]


def test_a_box_in_an_oblique_volume_holds_all_of_the_region(desktop) -> None:
    grid = nodes.GRIDS["oblique"]
    volume = nodes.add_volume(desktop.scene, nodes.voxels(shape=SHAPE), grid)
    roi = add_box(desktop.scene, grid, (7.5, 9.5, 3.5), (3, 3, 6))
    box = mrml.region_of(roi, volume)
    centre = (grid @ [7.5, 9.5, 3.5, 1])[:3]
    k, j, i = np.indices(SHAPE).reshape(3, -1)
    points = (grid @ np.stack([i, j, k, np.ones_like(i)]))[:3].T
    inside = (np.abs(points - centre) <= [1.5, 1.5, 3]).all(axis=1)
    assert inside.any()
    for axis, index in enumerate((k, j, i)):
        assert index[inside].min() >= box[axis][0] and index[inside].max() < box[axis][1]


@pytest.mark.parametrize(("centre", "size", "words"), [((500, 9, 3), (3, 3, 3), "outside"), ((7, 9, 3), (0, 0, 0), "no size")])
def test_a_box_that_holds_nothing_is_one_sentence(desktop, volume, centre, size, words) -> None:
    with pytest.raises(InputError, match=words):
        mrml.region_of(add_box(desktop.scene, nodes.GRIDS["RAS"], centre, size), volume)


@pytest.mark.parametrize("kind", nodes.GRIDS)
@pytest.mark.parametrize("index", [0, 2, 7])
@pytest.mark.parametrize("moved", [False, True])
def test_the_slice_in_view_is_the_one_that_the_view_cuts(desktop, kind: str, index: int, moved: bool) -> None:
    grid = nodes.GRIDS[kind]
    volume = nodes.add_volume(desktop.scene, nodes.voxels(shape=SHAPE), grid)
    place = np.append((grid @ [8, 10, index, 1])[:3], 1)
    if moved:
        shift = nodes.add_shift(desktop.scene)
        volume.SetAndObserveTransformNodeID(shift.GetID())
        place = nodes.array_of(shift, "GetMatrixTransformToParent") @ place
    for node in desktop.slice_nodes():
        node.JumpSlice(*place[:3])
    found = mrml.slice_in_view(desktop.scene, volume, 0)
    assert abs(found - index) <= (0 if not moved and kind != "oblique" else 1)


def test_far_outside_it_is_the_nearest_slice_and_without_views_the_middle_one(desktop, volume) -> None:
    for node in desktop.slice_nodes():
        node.JumpSlice(0, 0, 5000)
    assert mrml.slice_in_view(desktop.scene, volume, 0) == SHAPE[0] - 1
    assert mrml.slice_in_view(slicer.vtkMRMLScene(), volume, 0) == SHAPE[0] // 2


def test_a_preview_takes_the_place_of_the_one_before_and_is_no_result(desktop, volume) -> None:
    image = mrml.to_volume(volume)
    first = mrml.add_preview(desktop.scene, volume, image, nodes.ACCOUNT)
    name = first.GetName()
    second = mrml.add_preview(desktop.scene, volume, image.with_voxels(image.voxels / 2), nodes.ACCOUNT)
    assert first.GetScene() is None and second.GetScene() is desktop.scene and "preview" in name
    assert mrml.role_of(second) == "preview" and mrml.result_of(desktop.scene, volume) is None
    assert mrml.settings_of(second) == nodes.ACCOUNT.settings
    mrml.remove_previews(desktop.scene, volume)
    assert second.GetScene() is None and volume.GetScene() is desktop.scene


def test_the_acquisition_is_that_of_the_whole_volume(desktop, volume) -> None:
    volume.SetName("knee T2w")
    assert mrml.acquisition_of(volume, lambda uid: "") == mrml.to_volume(volume, lambda uid: "").acquisition
    assert mrml.acquisition_of(volume, lambda uid: "").organ.value == "knee"
