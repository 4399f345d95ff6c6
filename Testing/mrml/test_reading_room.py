"""A reader's way through a study: forward, back, paused, and on again after a crash; with circles placed in the views."""

from pathlib import Path

import numpy as np
import pytest
from desktop import Desktop
from small_study import DISC, GRID, Day, phantom, singles, small_study

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.mrml.reading_room import ReadingRoom
from MRIDenoiseLib.reader_study.reading.folder import read_plan, volume_path
from MRIDenoiseLib.reader_study.reading.store import RatingStore

QUALITY, CONFIDENCE = "image_quality", "diagnostic_confidence"


@pytest.fixture
def day() -> Day:
    return Day()


@pytest.fixture
def room(desktop: Desktop, day: Day) -> ReadingRoom:
    return ReadingRoom(desktop.scene, desktop.logic, lambda: None, day)


def ratings(folder: Path) -> list:
    return RatingStore.open(folder, read_plan(folder)).all()


def rate(room: ReadingRoom, *keys: str) -> None:
    for key in keys:
        room.press(key)
    room.save()


def click(desktop: Desktop, place: tuple[float, float, float]) -> None:
    """What a click into a view does while something is being placed."""
    assert desktop.logic.GetInteractionNode().GetCurrentInteractionMode() == desktop.logic.GetInteractionNode().Place
    node = desktop.scene.GetNodeByID(desktop.logic.GetSelectionNode().GetActivePlaceNodeID())
    node.AddControlPoint(*place)
    desktop.logic.GetInteractionNode().SwitchToViewTransformMode()


def test_a_session_is_read_with_two_keys_a_case(room, tmp_path) -> None:
    folder = small_study(tmp_path / "study", singles(3), practice=1)
    room.begin(folder, "R1")
    assert room.shown.heading == "Practice case 1 of 3, session 1"
    for position in (1, 2, 3):
        assert room.shown.position == position and room.views.active and not room.sheet.complete
        rate(room, "3", str(position))
    assert room.shown is None and not room.views.active
    assert room.progress.state == "finished" and "3 cases are read" in room.progress.sentence
    assert [rating.value for rating in ratings(folder) if rating.field == CONFIDENCE] == [1, 2, 3]


def test_an_incomplete_case_is_not_saved(room, tmp_path) -> None:
    folder = small_study(tmp_path / "study", singles(2))
    room.begin(folder, "R1")
    room.press("2")
    with pytest.raises(SettingsError, match=CONFIDENCE):
        room.save()
    assert room.shown.position == 1 and not ratings(folder)


def test_a_correction_is_a_revision_and_a_look_is_none(room, tmp_path) -> None:
    folder = small_study(tmp_path / "study", singles(3))
    room.begin(folder, "R1")
    assert not room.can_go_back
    rate(room, "1", "1")
    rate(room, "2", "2")
    room.back()
    assert room.correcting and room.shown.position == 2 and room.sheet.answers[QUALITY] == 2
    room.back()
    assert room.shown.position == 1 and not room.can_go_back
    room.save()
    assert room.shown.position == 3 and len(ratings(folder)) == 4, "nothing was changed"
    room.back()
    room.answer(QUALITY, 4)
    room.save()
    assert room.shown.position == 3 and not room.correcting
    last = [rating for rating in ratings(folder) if rating.revision == 2]
    assert {rating.field: rating.value for rating in last} == {QUALITY: 4, CONFIDENCE: 2}


def test_what_is_answered_half_waits_while_another_case_is_looked_at(room, tmp_path) -> None:
    room.begin(small_study(tmp_path / "study", singles(2)), "R1")
    rate(room, "1", "1")
    assert not room.unsaved
    room.answer("remarks", "motion")
    room.press("4")
    room.back()
    assert room.unsaved and QUALITY in room.sheet.answers and "remarks" not in room.sheet.answers
    room.save()
    assert room.shown.position == 2 and room.sheet.answers == {"remarks": "motion", QUALITY: 4}
    assert room.sheet.current == CONFIDENCE


def test_a_pause_hides_the_case_and_keeps_the_answers(room, desktop, tmp_path) -> None:
    room.begin(small_study(tmp_path / "study", singles(2)), "R1")
    layout = desktop.layout_node.GetViewArrangement()
    room.press("2")
    room.pause()
    assert room.paused and not room.views.active and desktop.layout_node.GetViewArrangement() != layout
    assert not desktop.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    room.press("2")
    with pytest.raises(SettingsError):
        room.save()
    assert CONFIDENCE not in room.sheet.answers and room.unsaved
    room.resume()
    assert room.views.active and room.sheet.answers == {QUALITY: 2} and desktop.layout_node.GetViewArrangement() == layout


def test_time_counts_while_a_case_is_seen_and_adds_up_over_looks_elsewhere(desktop, day, tmp_path, monkeypatch) -> None:
    seconds = [0.0]
    folder = small_study(tmp_path / "study", singles(2))
    from MRIDenoiseLib.mrml import reading_room

    real = reading_room.Reading
    monkeypatch.setattr(reading_room, "Reading", lambda *given: real(*given, stopwatch=lambda: seconds[0]))
    room = ReadingRoom(desktop.scene, desktop.logic, lambda: None, day)

    def pass_time(some: float) -> None:
        seconds[0] += some

    room.begin(folder, "R1")
    pass_time(10)
    rate(room, "1", "1")
    pass_time(5)
    room.back()
    pass_time(20)
    room.answer(QUALITY, 2)
    room.save()
    pass_time(2)
    room.pause()
    pass_time(1000)
    room.resume()
    pass_time(1)
    rate(room, "1", "1")
    assert [(rating.revision, rating.seconds) for rating in ratings(folder) if rating.field == QUALITY] == [(1, 10), (2, 20), (1, 8)]


def test_after_a_crash_a_new_room_goes_on_at_the_same_case(room, another_desktop, day, tmp_path) -> None:
    folder = small_study(tmp_path / "study", singles(3))
    room.begin(folder, "R1")
    rate(room, "1", "2")
    room.press("3")
    item = room.shown.item
    another = ReadingRoom(another_desktop.scene, another_desktop.logic, lambda: None, day)
    another.begin(folder, "R1")
    assert another.shown.item == item and another.shown.position == 2 and not another.sheet.answers


def test_the_next_session_waits_for_its_day_and_closes_the_one_before(room, day, tmp_path) -> None:
    room.begin(small_study(tmp_path / "study", singles(2, sessions=2)), "R1")
    rate(room, "1", "1")
    rate(room, "1", "1")
    assert room.shown is None and room.progress.state == "waiting"
    assert "opens on 2026-03-16" in room.progress.sentence
    room.back()
    assert room.shown.position == 2 and room.shown.session == 1, "until then the last session can be corrected"
    room.save()
    assert room.shown is None
    room.finish()
    day.later(14)
    room.begin(tmp_path / "study", "R1")
    assert room.shown.session == 2 and not room.can_go_back


def test_the_scene_that_is_closed_pauses_the_reading(room, desktop, tmp_path) -> None:
    room.begin(small_study(tmp_path / "study", singles(2)), "R1")
    room.press("4")
    desktop.scene.Clear(0)
    assert room.paused and not room.views.active
    room.resume()
    assert room.views.active and room.sheet.answers == {QUALITY: 4}
    rate(room, "4")
    assert room.shown.position == 2


def test_a_volume_that_is_gone_is_one_sentence_and_nothing_can_be_answered_blindly(room, tmp_path) -> None:
    folder = small_study(tmp_path / "study", singles(3))
    room.begin(folder, "R1")
    second = read_plan(folder).lists["R1"][0][1]
    path = volume_path(folder, second.volumes[0])
    content = path.read_bytes()
    path.write_bytes(content[:500])
    room.press("1")
    room.press("1")
    with pytest.raises(InputError):
        room.save()
    assert len(ratings(folder)) == 2, "what was answered is saved"
    assert room.paused and not room.views.active
    path.write_bytes(content)
    room.resume()
    assert room.shown.item == second.id and room.views.active
    rate(room, "2", "2")
    path = volume_path(folder, read_plan(folder).lists["R1"][0][0].volumes[0])
    path.unlink()
    with pytest.raises(InputError, match="missing"):
        room.back()
        room.back()


def test_nobody_but_a_reader_of_the_study_gets_in(room, desktop, tmp_path) -> None:
    layout = desktop.layout_node.GetViewArrangement()
    with pytest.raises(InputError, match="R1"):
        room.begin(small_study(tmp_path / "study", singles(1)), "somebody")
    assert not room.open and desktop.layout_node.GetViewArrangement() == layout


def test_keys_choose_among_the_questions(room, tmp_path) -> None:
    room.begin(small_study(tmp_path / "study", singles(1)), "R1")
    assert room.sheet.current == QUALITY
    room.step(1)
    room.press("3")
    room.step(-1)
    room.step(-1)
    room.step(-1)
    assert room.sheet.current == QUALITY
    room.press("x")
    assert room.sheet.answers == {CONFIDENCE: 3}
    room.answer("remarks", "a")
    room.answer("remarks", "")
    assert "remarks" not in room.sheet.answers


# Circles


@pytest.fixture
def disc(room, tmp_path) -> ReadingRoom:
    room.begin(small_study(tmp_path / "study", [[[phantom(1)], [phantom(2)]]], DISC), "R1")
    return room


def test_two_circles_placed_by_clicks_are_the_answer(disc, desktop, tmp_path) -> None:
    (field,) = disc.sheet.fields
    disc.place_next()
    assert disc.regions.placing() == (field.name, field.regions[0])
    click(desktop, (0.5, 8.5, -18))
    assert not disc.sheet.complete and disc.unsaved
    disc.place_next()
    assert disc.regions.placing() == (field.name, field.regions[1])
    click(desktop, (-4.0, 8.5, -18))
    disc.regions.set_radius(field.name, field.regions[1], 2.0)
    expected = {field.regions[0]: [0.5, 8.5, -18, 3.0], field.regions[1]: [-4.0, 8.5, -18, 2.0]}
    assert disc.sheet.complete and disc.sheet.answers[field.name] == expected
    disc.save()
    assert disc.shown.position == 2 and not disc.regions.placed(field.name) and not disc.sheet.answers
    (rating,) = ratings(tmp_path / "study")
    assert rating.value["regions"] == expected and 1.1 < rating.value["ratio"] < 1.4
    disc.back()
    assert disc.regions.placed(field.name) == expected and disc.sheet.complete


def test_a_circle_that_is_dragged_changes_the_answer_and_one_taken_away_removes_it(disc, desktop) -> None:
    (field,) = disc.sheet.fields
    for place in ((0.5, 8.5, -18), (-4.0, 8.5, -18)):
        disc.place_next()
        click(desktop, place)
    node = desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.SetNthControlPointPositionWorld(0, 1.5, 7.5, -18)
    assert disc.sheet.answers[field.name][field.regions[0]] == [1.5, 7.5, -18, 3.0]
    disc.regions.place(field.name, field.regions[0])
    assert not disc.sheet.complete and field.name not in disc.sheet.answers


def test_the_line_runs_round_the_centre_in_the_acquired_plane(disc, desktop) -> None:
    (field,) = disc.sheet.fields
    disc.place_next()
    click(desktop, (0.5, 8.5, -18))
    disc.regions.set_radius(field.name, field.regions[0], 4.0)
    line = desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsClosedCurveNode")
    points = np.array([line.GetNthControlPointPositionWorld(n) for n in range(line.GetNumberOfControlPoints())])
    offsets = points - [0.5, 8.5, -18]
    assert np.allclose(np.linalg.norm(offsets, axis=1), 4.0, atol=1e-4) and np.allclose(offsets @ GRID[:3, 2], 0, atol=1e-4)
    assert line.GetLocked()


def test_a_single_circle_outlives_a_pause_and_a_look_at_another_case(disc, desktop) -> None:
    (field,) = disc.sheet.fields
    for place in ((0.5, 8.5, -18), (-4.0, 8.5, -18)):
        disc.place_next()
        click(desktop, place)
    disc.regions.set_radius(field.name, field.regions[1], 2.0)
    disc.save()
    disc.place_next()
    click(desktop, (1.5, 8.5, -18))
    one = {field.regions[0]: [1.5, 8.5, -18, 3.0]}
    disc.pause()
    assert disc.unsaved and not desktop.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")
    disc.resume()
    assert disc.regions.placed(field.name) == one
    disc.back()
    assert disc.unsaved and disc.regions.placed(field.name) != one
    disc.save()
    assert disc.regions.placed(field.name) == one


@pytest.mark.parametrize(
    ("places", "why"), [(((0.5, 8.5, -18), (0.5, 8.5, -10)), "slices"), (((0.5, 8.5, -18), (9.5, 8.5, -18)), "reaches out")]
)
def test_circles_that_measure_nothing_are_refused_and_can_be_placed_again(disc, desktop, tmp_path, places, why) -> None:
    (field,) = disc.sheet.fields
    for place in places:
        disc.place_next()
        click(desktop, place)
    with pytest.raises(SettingsError, match=why):
        disc.save()
    assert not ratings(tmp_path / "study") and disc.shown.position == 1 and len(disc.regions.placed(field.name)) == 2


def test_placing_ends_with_the_case_and_the_users_own_list_comes_back(disc, desktop, tmp_path) -> None:
    interaction = desktop.logic.GetInteractionNode()
    disc.place_next()
    disc.finish()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    own = desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    selection = desktop.logic.GetSelectionNode()
    assert selection.GetActivePlaceNodeID() == own.GetID()
    disc.begin(tmp_path / "study", "R2")
    disc.place_next()
    assert disc.regions.placing() is not None
    disc.finish()
    assert selection.GetActivePlaceNodeID() == own.GetID() and disc.regions.placing() is None
