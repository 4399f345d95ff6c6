"""A blinded case as it is seen: drawn without a window by Slicer's own means."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from desktop import Desktop
from offscreen import OffscreenView
from small_study import DISC, PREFERENCE, Day, phantom, small_study

from MRIDenoiseLib.mrml.reading_room import ReadingRoom

SIZE = 400
MILLIMETRES = 24
"""That the view's shorter side shows of the phantom."""


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    if not vtk.vtkRenderWindow().SupportsOpenGL():
        pytest.skip("nothing here can draw: install libosmesa6")
    made = Desktop(tmp_path / "cache", (SIZE, SIZE))
    yield made
    made.close()


@pytest.fixture
def room(desktop: Desktop) -> ReadingRoom:
    return ReadingRoom(desktop.scene, desktop.logic, lambda: None, Day())


def draw(desktop: Desktop, room: ReadingRoom) -> list[np.ndarray]:
    """What is in the views, from left to right."""
    drawn = {view: OffscreenView(desktop, view.tag) for view in room.views.views}
    room.views.fit()
    room.views.draw_labels({view: one.renderer for view, one in drawn.items()})
    for one in drawn.values():
        one.picture()
    pictures = [one.picture() for one in drawn.values()]
    for one in drawn.values():
        one.close()
    return pictures


def coloured(picture: np.ndarray) -> np.ndarray:
    """Where something else than the grey image is, away from the orientation marker."""
    spread = picture.astype(int).max(axis=2) - picture.astype(int).min(axis=2)
    return (spread > 40)[: SIZE * 3 // 4, : SIZE * 3 // 4]


def test_images_of_a_case_differ_by_nothing_but_a_letter(desktop, room, tmp_path: Path) -> None:
    same = phantom(1)
    room.begin(small_study(tmp_path / "study", [[[same, same, same]]], PREFERENCE), "R1")
    pictures = draw(desktop, room)
    assert len(pictures) == 3 and pictures[0][SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4].std() > 10
    for other in pictures[1:]:
        changed = (other != pictures[0]).any(axis=2)
        # No two drawings of the orientation marker are quite alike.
        changed[SIZE * 3 // 4 :, SIZE * 3 // 4 :] = False
        differ = np.argwhere(changed)
        assert len(differ) and differ[:, 0].max() < SIZE // 10, "only the letter at the upper edge"
        assert abs(differ[:, 1].mean() - SIZE / 2) < SIZE / 10


def test_a_single_image_bears_nothing(desktop, room, tmp_path: Path) -> None:
    room.begin(small_study(tmp_path / "study", [[[phantom(1)]]], DISC), "R1")
    picture = draw(desktop, room)[0]
    assert picture.any() and not coloured(picture).any()


def test_a_circle_is_drawn_with_its_radius_round_its_centre_and_the_tissue_in_it_is_seen(desktop, room, tmp_path: Path) -> None:
    room.begin(small_study(tmp_path / "study", [[[phantom(1)]]], DISC), "R1")
    (field,) = room.sheet.fields
    room.regions.place(field.name, field.regions[0])
    height = desktop.slice_logic(room.views.views[0].tag).GetSliceOffset()
    node = desktop.scene.GetNodeByID(desktop.logic.GetSelectionNode().GetActivePlaceNodeID())
    node.AddControlPoint(3.0, 12.0, height)
    room.regions.set_radius(field.name, field.regions[0], 3.0)
    node.GetDisplayNode().SetPointLabelsVisibility(False)
    (picture,) = draw(desktop, room)
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(tmp_path / "circle.png"))
    view = desktop.slice_logic(room.views.views[0].tag).GetSliceNode()
    pixel = view.GetFieldOfView()[0] / SIZE
    assert pixel == pytest.approx(MILLIMETRES / SIZE, rel=0.01)
    to_xy = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), to_xy)
    x, y = to_xy.MultiplyPoint((3.0, 12.0, height, 1))[:2]
    rows, columns = np.nonzero(coloured(picture))
    away = np.hypot(columns - x, (SIZE - 1 - rows) - y) * pixel
    outline = away > 1.5
    assert outline.sum() > 100 and np.abs(away[outline] - 3.0).max() < 0.4
    turned = np.arctan2((SIZE - 1 - rows - y)[outline], (columns - x)[outline])
    assert np.histogram(turned, bins=12, range=(-np.pi, np.pi))[0].min() > 0, "the circle is closed"
    assert 0 < (~outline).sum() < 0.3 * (1.5 / pixel) ** 2 * np.pi, "a small cross in the middle"
