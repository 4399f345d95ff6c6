"""The section *Reader study* on stand-in widgets: whole sessions read by keys and clicks, over real volumes in the real scene."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("vtk", reason="the panel's tests need slicer-core")

from panel_driving import MODULE, add_volume, nodes
from small_study import DISC, PREFERENCE, SCALES, phantom, singles, small_study

from MRIDenoiseLib.reader_study.reading.folder import CONSENSUS_PLAN, read_plan, write_list
from MRIDenoiseLib.reader_study.reading.store import RatingStore

OTHERS = ("setupCollapsible", "inputCollapsible", "acquisitionCollapsible", "modelCollapsible", "compareCollapsible")
FINDINGS = ({"kind": "findings", "field": "knee", "findings": ["meniscal tear", "effusion", "ligament tear"]},)


def begin(slicer_app, panel, folder: Path, reader: str = "R1") -> None:
    """Open a study and start reading, as a user does."""
    panel.ui.readingCollapsible.collapsed = False
    slicer_app.questions.answer(str(folder), containing="study")
    panel.ui.readingFolderButton.click()
    panel.ui.readerBox.setCurrentIndex(panel.ui.readerBox.findText(reader))
    assert panel.ui.readingStartButton.enabled, panel.ui.readingStartButton.toolTip
    panel.ui.readingStartButton.click()


def show(slicer_app) -> None:
    """Put the panel on the screen, so that keys reach it."""
    from PySide6.QtTest import QTest

    window = slicer_app.modules.mridenoise.panel
    window.show()
    assert QTest.qWaitForWindowActive(window, 5000)


def press(slicer_app, *keys: str) -> None:
    """Keys as they come from the keyboard: to whatever has the focus."""
    from PySide6 import QtCore, QtWidgets
    from PySide6.QtTest import QTest

    for key in keys:
        modifier, _, name = key.rpartition("+")
        target = QtWidgets.QApplication.focusWidget() or slicer_app.modules.mridenoise.panel
        control = QtCore.Qt.ControlModifier if modifier else QtCore.Qt.NoModifier
        QTest.keyClick(target, getattr(QtCore.Qt, f"Key_{name}"), control)


def radios(panel) -> dict[str, object]:
    """What stands beside each radio button -> the button."""
    import qt

    return {button.text: button for button in panel.ui.readingForm.findChildren(qt.QRadioButton)}


def ratings(folder: Path) -> list:
    return RatingStore.open(folder, read_plan(folder)).all()


def values(folder: Path, question: str) -> list:
    return [rating.value for rating in ratings(folder) if rating.field == question]


def test_a_session_is_read_by_keyboard_alone(slicer_app, panel, tmp_path):
    folder = small_study(tmp_path / "study", singles(3), practice=1)
    show(slicer_app)
    begin(slicer_app, panel, folder)
    assert panel.ui.readingHeading.text == "Practice case 1 of 3, session 1"
    assert "not counted" in panel.ui.readingNote.text
    press(slicer_app, "2", "4", "Return")
    assert panel.ui.readingHeading.text == "Case 2 of 3, session 1" and panel.ui.readingBar.value == 1
    press(slicer_app, "1", "1", "Backspace")
    assert panel.ui.readingHeading.text == "Practice case 1 of 3, session 1" and "revision" in panel.ui.readingNote.text
    assert radios(panel)["4   very confident"].checked
    press(slicer_app, "3", "Enter", "Enter")
    press(slicer_app, "1", "PageUp", "2", "1", "Return")
    assert panel.ui.readingNote.text == "All 3 cases are read. Thank you."
    assert values(folder, "image_quality") == [2, 3, 1, 2] and values(folder, "diagnostic_confidence") == [4, 4, 1, 1]


def test_a_digit_typed_into_a_remark_is_no_answer(slicer_app, panel, tmp_path):
    folder = small_study(tmp_path / "study", singles(1))
    show(slicer_app)
    begin(slicer_app, panel, folder)
    press(slicer_app, "T", "2", "Backspace", "3", "Return", "4", "Escape", "1", "2")
    assert panel._reading.room.sheet.answers == {"remarks": "3\n4", "image_quality": 1, "diagnostic_confidence": 2}
    press(slicer_app, "T", "Ctrl+Return")
    assert values(folder, "remarks") == ["3\n4"]


def test_only_a_complete_case_can_be_saved_and_the_tooltip_says_what_is_missing(slicer_app, panel, tmp_path):
    folder = small_study(tmp_path / "study", singles(2))
    begin(slicer_app, panel, folder)
    assert not panel.ui.readingNextButton.enabled
    assert "How good is the image?" in panel.ui.readingNextButton.toolTip
    radios(panel)["3   good: can be read well"].click()
    assert "How good" not in panel.ui.readingNextButton.toolTip and not panel.ui.readingNextButton.enabled
    radios(panel)["1   not confident"].click()
    assert panel.ui.readingNextButton.enabled
    radios(panel)["1   not confident"].click()
    assert radios(panel)["1   not confident"].checked, "a second click takes nothing back"
    panel.ui.readingNextButton.click()
    assert not any(button.checked for button in radios(panel).values()), "nothing of the case before is left"
    assert not panel.ui.readingNextButton.enabled


def test_nothing_but_the_case_can_be_seen_while_it_is_read(slicer_app, panel, tmp_path):
    window = slicer_app.modules.mridenoise.panel
    window.show()
    layout = slicer_app.app.layoutManager().layout
    begin(slicer_app, panel, small_study(tmp_path / "study", singles(1)))
    assert not any(getattr(panel.ui, name).visible for name in OTHERS) and not panel.ui.denoiseButton.visible
    assert not panel.ui.readingSetup.visible and panel.ui.readingForm.visible
    assert panel.logic.getParameterNode().inputVolume is None, "the case's image is offered in a list"
    assert panel.ui.inputSelector.nodeCount() == 0
    panel.ui.readingFinishButton.click()
    assert all(getattr(panel.ui, name).visible for name in OTHERS) and panel.ui.readingSetup.visible
    assert slicer_app.app.layoutManager().layout == layout and not nodes()


def test_a_pause_hides_images_and_questions(slicer_app, panel, tmp_path):
    show(slicer_app)
    begin(slicer_app, panel, small_study(tmp_path / "study", singles(1)))
    press(slicer_app, "2", "Ctrl+P")
    assert not nodes() and not panel.ui.readingForm.visible and "Paused" in panel.ui.readingNote.text
    assert not panel.ui.readingNextButton.enabled and not panel.ui.readingBackButton.enabled
    press(slicer_app, "3")
    panel.ui.readingPauseButton.click()
    assert panel._reading.room.sheet.answers == {"image_quality": 2} and panel.ui.readingForm.visible and len(nodes()) == 1
    assert panel.ui.readingPauseButton.text == "Pause"


def test_leaving_the_module_pauses_and_closing_the_scene_does_too(slicer_app, panel, tmp_path):
    import slicer

    folder = small_study(tmp_path / "study", singles(2))
    begin(slicer_app, panel, folder)
    slicer_app.modules.mridenoise.leave()
    assert panel._reading.room.paused and not nodes()
    slicer_app.modules.mridenoise.open()
    panel.ui.readingPauseButton.click()
    assert len(nodes()) == 1
    radios(panel)["1   not confident"].click()
    slicer.mrmlScene.Clear(0)
    assert panel._reading.room.paused and "Paused" in panel.ui.readingNote.text and panel.ui.readingPauseButton.text == "Resume"
    panel.ui.readingPauseButton.click()
    assert radios(panel)["1   not confident"].checked and len(nodes()) == 1


def test_after_a_crash_a_new_panel_goes_on_at_the_same_case_with_one_click(slicer_app, panel, tmp_path):
    folder = small_study(tmp_path / "study", singles(3))
    begin(slicer_app, panel, folder, "R2")
    for text in ("4   excellent", "2   somewhat confident"):
        radios(panel)[text].click()
    panel.ui.readingNextButton.click()
    radios(panel)["4   excellent"].click()
    # Nothing is told to the one that is gone.
    another = slicer_app.load_module(MODULE).open()
    assert another.ui.readingFolderLabel.text == "phantoms" and another.ui.readerBox.currentText == "R2"
    assert another.ui.readingNote.text == "Session 1 of 1: 1 of 3 cases are read."
    another.ui.readingStartButton.click()
    assert another.ui.readingHeading.text == "Case 2 of 3, session 1"
    assert not any(button.checked for button in radios(another).values())


def test_the_washout_is_told_and_the_next_session_opens_on_its_day(slicer_app, panel, tmp_path):
    folder = small_study(tmp_path / "study", singles(1, sessions=2))
    begin(slicer_app, panel, folder)
    for text in ("4   excellent", "2   somewhat confident"):
        radios(panel)[text].click()
    panel.ui.readingNextButton.click()
    opens = (datetime.now().astimezone() + timedelta(days=14)).date().isoformat()
    assert f"Session 2 of 2 opens on {opens}" in panel.ui.readingNote.text
    assert not panel.ui.readingForm.visible and not panel.ui.readingPauseButton.enabled and not nodes()
    panel.ui.readingFinishButton.click()
    assert f"opens on {opens}" in panel.ui.readingNote.text

    plan = read_plan(folder)
    (item,) = plan.lists["R2"][0]
    answers = {"image_quality": 1, "diagnostic_confidence": 1}
    RatingStore.open(folder, plan).save("R2", 1, item.id, answers, 1.0, datetime.now().astimezone() - timedelta(days=14))
    begin(slicer_app, panel, folder, "R2")
    assert panel.ui.readingHeading.text == "Case 1 of 1, session 2"


def test_answers_that_are_not_saved_are_asked_for(slicer_app, panel, tmp_path):
    begin(slicer_app, panel, small_study(tmp_path / "study", singles(1)))
    radios(panel)["4   excellent"].click()
    slicer_app.questions.answer(False, containing="not saved")
    panel.ui.readingFinishButton.click()
    assert panel._reading.open and radios(panel)["4   excellent"].checked
    slicer_app.questions.answer(True, containing="not saved")
    panel.ui.readingFinishButton.click()
    assert not panel._reading.open


def test_three_images_side_by_side_are_preferred_by_their_letters(slicer_app, panel, tmp_path):
    folder = small_study(
        tmp_path / "study", [[[phantom(1, noise) for noise in (30, 8, 4)], [phantom(2, noise) for noise in (4, 8, 30)]]], PREFERENCE
    )
    show(slicer_app)
    begin(slicer_app, panel, folder)
    assert set(radios(panel)) == {"1   A", "2   B", "3   C", "0   no difference"}
    assert [node.GetName() for node in nodes()] == ["Case image A", "Case image B", "Case image C"]
    assert len(slicer_app.app.layoutManager().sliceViewNames()) == 3
    slicer_app.wait_until(lambda: len(panel._reading.room.views._labels) == 3)
    press(slicer_app, "2", "Return", "0", "Return")
    assert values(folder, "preference") == [2, 0]


def test_findings_that_share_their_scale_are_one_table(slicer_app, panel, tmp_path):
    import qt

    folder = small_study(tmp_path / "study", singles(1), FINDINGS)
    show(slicer_app)
    begin(slicer_app, panel, folder)
    buttons = panel.ui.readingForm.findChildren(qt.QRadioButton)
    assert [button.text for button in buttons] == ["1", "2", "3", "4"] * 3 and buttons[3].toolTip == "definitely present"
    press(slicer_app, "1", "4", "2", "Return")
    assert [rating.value for rating in ratings(folder)] == [1, 4, 2]


def test_at_the_consensus_the_readers_answers_stand_under_the_questions(slicer_app, panel, tmp_path):
    import qt

    folder = small_study(tmp_path / "study", singles(1))
    plan = read_plan(folder)
    (item,) = plan.lists["R1"][0]
    again = replace(item, id="c" * 16, fields=("image_quality",), opinions={"image_quality": (1, 4)})
    write_list(folder / CONSENSUS_PLAN, plan.study, ((again,),))
    begin(slicer_app, panel, folder, "consensus")
    texts = [label.text for label in panel.ui.readingForm.findChildren(qt.QLabel)]
    assert texts == ["How good is the image?", "the readers answered 1 (poor: cannot be read), 4 (excellent)"]


def test_a_change_that_was_left_unsaved_is_spoken_of_at_the_end(slicer_app, panel, tmp_path):
    folder = small_study(tmp_path / "study", singles(3))
    show(slicer_app)
    begin(slicer_app, panel, folder)
    press(slicer_app, "1", "1", "Return", "2", "2", "Return", "Backspace", "4", "Backspace", "Return", "3", "3", "Return")
    assert "not saved" in panel.ui.readingNote.text
    press(slicer_app, "Backspace")
    panel.ui.readingBackButton.click()
    panel.ui.readingBackButton.click()
    assert radios(panel)["4   excellent"].checked
    panel.ui.readingNextButton.click()
    assert panel.ui.readingNote.text == "All 3 cases are read. Thank you." and values(folder, "image_quality") == [1, 2, 3, 4]


def test_circles_are_placed_in_the_image_and_their_state_is_shown(slicer_app, panel, tmp_path):
    import qt
    import slicer

    folder = small_study(tmp_path / "study", [[[phantom(1)], [phantom(2)]]], DISC)
    show(slicer_app)
    begin(slicer_app, panel, folder)

    def click(place) -> None:
        selection, interaction = slicer.app.applicationLogic().GetSelectionNode(), slicer.app.applicationLogic().GetInteractionNode()
        assert interaction.GetCurrentInteractionMode() == interaction.Place
        slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPoint(*place)
        interaction.SwitchToViewTransformMode()

    def texts() -> list[str]:
        return [label.text for label in panel.ui.readingForm.findChildren(qt.QLabel)]

    first, second = panel.ui.readingForm.findChildren(qt.QPushButton)
    assert first.text == "Place nucleus pulposus" and texts().count("missing") == 2
    first.click()
    assert "click into the image" in texts()
    click((0.5, 8.5, -18))
    assert texts().count("placed") == 1 and first.text == "Place nucleus pulposus again"
    press(slicer_app, "P", "Escape")
    assert texts().count("missing") == 1, "placing was given up"
    press(slicer_app, "P")
    click((9.5, 8.5, -18))
    assert panel.ui.readingNextButton.enabled
    press(slicer_app, "Return")
    assert "reaches out of the image" in panel.ui.statusLabel.text and not ratings(folder)
    second.click()
    click((-4.0, 8.5, -18))
    panel.ui.readingForm.findChildren(qt.QDoubleSpinBox)[1].value = 2.0
    press(slicer_app, "Return")
    (rating,) = ratings(folder)
    assert rating.value["regions"]["cerebrospinal fluid"] == [-4.0, 8.5, -18, 2.0]
    assert panel.ui.readingHeading.text == "Case 2 of 2, session 1" and texts().count("missing") == 2
    assert panel.ui.readingForm.findChildren(qt.QDoubleSpinBox)[1].value == 3.0


def test_what_goes_wrong_is_one_sentence(slicer_app, panel, tmp_path):
    slicer_app.questions.answer(str(tmp_path), containing="study")
    panel.ui.readingFolderButton.click()
    assert "not the folder of a reader study" in panel.ui.statusLabel.text and not panel.ui.readingStartButton.enabled
    folder = small_study(tmp_path / "study", singles(2))
    for path in (folder / "volumes").iterdir():
        path.write_bytes(b"")
    begin(slicer_app, panel, folder)
    assert panel.ui.statusLabel.text and not panel._reading.open and panel.ui.readingStartButton.enabled
    assert not nodes() and not panel.ui.readingForm.visible


def test_the_users_volumes_stay_where_they_were(slicer_app, panel, tmp_path):
    volume = add_volume("mine")
    panel.ui.inputSelector.setCurrentNode(volume)
    begin(slicer_app, panel, small_study(tmp_path / "study", singles(1), SCALES[:1]))
    radios(panel)["4   excellent"].click()
    panel.ui.readingNextButton.click()
    panel.ui.readingFinishButton.click()
    assert nodes() == [volume] and panel.logic.getParameterNode().inputVolume is volume


@pytest.mark.parametrize("shut", ["finish", "cleanup"])
def test_keys_mean_nothing_any_more_when_the_reading_is_over(slicer_app, panel, tmp_path, shut):
    show(slicer_app)
    begin(slicer_app, panel, small_study(tmp_path / "study", singles(1)))
    shortcuts = panel._reading._shortcuts
    assert shortcuts["1"].enabled and not shortcuts["7"].enabled
    if shut == "finish":
        panel.ui.readingFinishButton.click()
    else:
        panel._reading.stop()
    assert not any(shortcut.enabled for shortcut in shortcuts.values())
