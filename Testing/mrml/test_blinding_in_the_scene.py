"""Two arms of one case leave the same scene, word for word; and a leak into it is noticed."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from desktop import Desktop
from scene_words import words_of
from small_study import DISC, PREFERENCE, Day, phantom, small_study

from MRIDenoiseLib.mrml.reading_room import ReadingRoom

ARMS = {"noisy": 30.0, "ours": 4.0}
Leak = Callable[[ReadingRoom, Desktop, str], None]


def words_with(desktop: Desktop, folder: Path, arm: str, leak: Leak = lambda *_: None) -> list[str]:
    """All that the scene says while a case is read: three times, as it begins, with circles, and after it."""
    forms = PREFERENCE if leak is swapped else DISC
    images = [phantom(1, ARMS[arm])] if forms is DISC else [phantom(1, noise) for noise in ARMS.values()]
    # Other random names, as two arms of a case have them.
    study = small_study(folder / arm, [[images]], forms, first=list(ARMS).index(arm) * 100)
    room = ReadingRoom(desktop.scene, desktop.logic, lambda: None, Day())
    room.begin(study, "R1")
    leak(room, desktop, arm)
    words = words_of(desktop.scene)
    for number, field in enumerate(room.sheet.fields):
        for region in field.regions:
            room.regions.place(field.name, region)
            node = desktop.scene.GetNodeByID(desktop.logic.GetSelectionNode().GetActivePlaceNodeID())
            node.AddControlPoint(number, number, 0)
    words += words_of(desktop.scene)
    room.finish()
    return words + words_of(desktop.scene)


def differences(one: list[str], other: list[str]) -> list[str]:
    """The lines in which two accounts of a scene differ."""
    lines = [re.split(r"[\n ](?=\S)", "\n".join(words)) for words in (one, other)]
    return [line for line in difflib.unified_diff(*lines, lineterm="", n=0) if not line.startswith("@@")]


def image_node(room: ReadingRoom):
    return room.views.images[0]


def named(room: ReadingRoom, _desktop: Desktop, arm: str) -> None:
    image_node(room).SetName(f"Case image {arm}")


def told_in_an_attribute(room: ReadingRoom, _desktop: Desktop, arm: str) -> None:
    image_node(room).SetAttribute("MRIDenoise.role", arm)


def described(room: ReadingRoom, _desktop: Desktop, arm: str) -> None:
    image_node(room).SetDescription(f"made by {arm}")


def with_its_file(room: ReadingRoom, desktop: Desktop, _arm: str) -> None:
    storage = desktop.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(room.shown.panels[0].path))
    image_node(room).SetAndObserveStorageNodeID(storage.GetID())


def another_window(room: ReadingRoom, _desktop: Desktop, arm: str) -> None:
    image_node(room).GetDisplayNode().SetWindowLevel(ARMS[arm] * 10, 100)


def another_colour(room: ReadingRoom, _desktop: Desktop, arm: str) -> None:
    image_node(room).GetDisplayNode().SetAndObserveColorNodeID(f"vtkMRMLColorTableNode{'Grey' if arm == 'ours' else 'Red'}")


def another_interpolation(room: ReadingRoom, _desktop: Desktop, arm: str) -> None:
    image_node(room).GetDisplayNode().SetInterpolate(arm == "ours")


def another_slice(room: ReadingRoom, desktop: Desktop, arm: str) -> None:
    desktop.slice_logic(room.views.views[0].tag).SetSliceOffset(ARMS[arm] / 10)


def a_table_left(_room: ReadingRoom, desktop: Desktop, arm: str) -> None:
    desktop.scene.AddNewNodeByClass("vtkMRMLTextNode", "notes").SetText(arm)


def swapped(room: ReadingRoom, _desktop: Desktop, arm: str) -> None:
    if arm == "ours":
        image_node(room).GetDisplayNode().SetThreshold(1, 2)


LEAKS = (
    *(named, told_in_an_attribute, described, with_its_file, another_window, another_colour, another_interpolation),
    *(another_slice, a_table_left, swapped),
)


def test_two_arms_of_a_case_leave_the_same_scene(desktop, another_desktop, tmp_path) -> None:
    noisy, ours = words_with(desktop, tmp_path, "noisy"), words_with(another_desktop, tmp_path, "ours")
    assert len(noisy) > 100
    assert differences(noisy, ours) == []


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_leak_is_noticed(desktop, another_desktop, tmp_path, leak: Leak) -> None:
    assert differences(words_with(desktop, tmp_path, "noisy", leak), words_with(another_desktop, tmp_path, "ours", leak))


def test_what_came_before_does_not_show(desktop, another_desktop, tmp_path) -> None:
    """A case after one that was looked at in another slice, another window and with circles is the case after one that was not."""

    def second_case(where: Desktop, folder: Path, busy: bool) -> list[str]:
        room = ReadingRoom(where.scene, where.logic, lambda: None, Day())
        room.begin(small_study(folder, [[[phantom(1)], [phantom(2)]]], DISC), "R1")
        (field,) = room.sheet.fields
        for place, region in enumerate(field.regions):
            room.regions.place(field.name, region)
            node = where.scene.GetNodeByID(where.logic.GetSelectionNode().GetActivePlaceNodeID())
            node.AddControlPoint(0.5 - 4 * place, 8.5, -18 if busy else -14)
            room.regions.set_radius(field.name, region, 2.5 if busy else 1.5)
        if busy:
            image_node(room).GetDisplayNode().SetWindowLevel(100, 50)
            logic = where.slice_logic(room.views.views[0].tag)
            logic.SetSliceOffset(-20)
            logic.GetSliceNode().SetFieldOfView(10, 10, 1)
        room.save()
        assert room.shown.position == 2
        return words_of(where.scene)

    assert differences(second_case(desktop, tmp_path / "one", True), second_case(another_desktop, tmp_path / "two", False)) == []
