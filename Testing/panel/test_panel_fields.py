"""What the panel fills in, keeps, and lets the user choose; and what it says when something is missing."""

import sys

import pytest

pytest.importorskip("vtk", reason="the panel's tests need slicer-core")

from panel_driving import MODULE, add_volume, choose

from MRIDenoiseLib.methods import METHODS, STEPS, STRENGTH, Method


def test_without_a_volume_every_button_says_why_it_is_disabled(panel):
    for name in ("denoiseButton", "previewButton", "tissuesButton"):
        button = getattr(panel.ui, name)
        assert not button.enabled and button.toolTip == "Choose a noisy volume first"
    for name in ("compareTwoButton", "compareFourButton", "saveFileButton", "saveSeriesButton"):
        button = getattr(panel.ui, name)
        assert not button.enabled and button.toolTip == "Denoise a volume first"


def test_every_text_goes_through_translation(slicer_app):
    slicer_app.app.translations["Denoise"] = "Entrauschen"
    widget = slicer_app.load_module(MODULE).open()
    assert widget.ui.denoiseButton.text == "Entrauschen"


def test_nothing_of_the_last_patient_is_left_when_the_scene_is_closed(panel):
    import slicer

    choose(panel, add_volume("noisy"), organ="shoulder")
    panel.ui.ownStrengthCheck.checked = True
    slicer.mrmlScene.Clear()
    assert panel.ui.organBox.currentText == "" and panel.ui.organNote.text == "not in the file: please choose"
    assert "shoulder" not in panel.ui.promptLabel.text and not panel.ui.ownStrengthCheck.checked


def test_the_boxes_do_not_write_into_what_is_being_typed(panel):
    choose(panel, add_volume("T2_knee"))
    for text in ("", "kn", "knee ", "knee left"):
        panel.ui.organBox.setEditText(text)
        assert panel.ui.organBox.currentText == text
    assert panel.ui.organNote.text == "chosen by you"


def test_without_psutil_as_in_a_fresh_slicer_the_panel_opens_and_says_what_is_missing(slicer_app, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("MRIDenoiseLib.worker")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psutil", None)
    slicer_app.packages.missing.add("psutil")
    widget = slicer_app.load_module(MODULE).open()
    assert "psutil" in widget.ui.setupLabel.text and "memory unknown" in widget.ui.setupLabel.text
    assert not widget.ui.denoiseButton.enabled


def test_what_the_user_says_wins_is_marked_and_reaches_the_prompt(panel):
    choose(panel, add_volume("T2_knee"), organ="shoulder")
    assert panel.ui.organNote.text == "chosen by you" and " shoulder " in f" {panel.ui.promptLabel.text} "
    panel.ui.accelerationBox.setEditText("3")
    assert panel.ui.promptLabel.text.endswith("3x")
    panel.ui.accelerationBox.setEditText("fast")
    assert "1 to 16" in panel.ui.acquisitionWarning.text
    panel.ui.accelerationBox.setEditText("2")
    panel.ui.organBox.setEditText("knee")
    assert panel.ui.organNote.text == "a guess: please check", "what the file says is not the user's word"


def test_an_organ_outside_the_training_warns(panel):
    choose(panel, add_volume("noisy"), organ="head")
    assert "organ" not in panel.ui.acquisitionWarning.text
    panel.ui.organBox.setEditText("liver")
    assert "organ is not among those" in panel.ui.acquisitionWarning.text


def test_another_volume_starts_from_its_own_facts(slicer_app, panel):
    first, second = add_volume("first"), add_volume("T2_knee")
    choose(panel, first, organ="shoulder")
    panel.ui.inputSelector.setCurrentNode(second)
    assert panel.ui.organBox.currentText == "knee" and panel.logic.getParameterNode().organ == ""


def test_a_folder_that_is_no_model_is_said_and_nothing_can_be_denoised_with_it(slicer_app, panel, tmp_path):
    choose(panel, add_volume("noisy"))
    slicer_app.questions.answer(str(tmp_path))
    panel.ui.bundleButton.click()
    assert "holds no model" in panel.ui.cardLabel.text and not panel.ui.denoiseButton.enabled
    panel.ui.bundledButton.click()
    assert "Recommends regression" in panel.ui.cardLabel.text and panel.ui.denoiseButton.enabled


def test_a_method_that_is_new_in_the_catalogue_is_offered_with_the_options_of_its_row(slicer_app, monkeypatch):
    row = Method("half-way", "Half way to the answer", ("restoration",), (STEPS.of(3), STRENGTH))
    monkeypatch.setitem(METHODS, row.name, row)
    panel = slicer_app.load_module(MODULE).open()
    box = panel.ui.methodBox
    assert [box.itemData(index) for index in range(box.count)] == ["", *METHODS]
    box.setCurrentIndex(box.findData(row.name))
    panel.ui.stepsSpin.value = 2
    assert panel.ui.stepsSpin.enabled and not panel.ui.sharpnessSlider.enabled and not panel.ui.ownFidelityCheck.enabled
    assert panel._model.settings["method"] == row.name and panel._model.settings["steps"] == 2
    assert panel.ui.stepsSpin.maximum == STEPS.most
    panel.engine.close()


def test_only_what_the_method_knows_can_be_set(panel):
    assert not panel.ui.strengthSlider.enabled and "strength" not in panel._model.settings, "the card's recommendation holds"
    panel.ui.ownStrengthCheck.checked = True
    panel.ui.strengthSlider.value = 0.5
    assert panel._model.settings["strength"] == 0.5
    assert not panel.ui.stepsSpin.enabled and "regression" in panel.ui.stepsSpin.toolTip
    assert not panel.ui.sharpnessSlider.enabled and "sharpness" not in panel._model.settings
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("sharpened"))
    panel.ui.sharpnessSlider.value = 0.3
    assert panel.ui.sharpnessSlider.enabled and panel._model.settings["sharpness"] == 0.3
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("fidelity-guided"))
    assert not panel.ui.sharpnessSlider.enabled and "sharpness" not in panel._model.settings
    assert panel.ui.stepsSpin.enabled and not panel.ui.fidelitySlider.enabled
    panel.ui.ownFidelityCheck.checked = True
    assert panel.ui.fidelitySlider.enabled and panel._model.settings["fidelity"] == panel.ui.fidelitySlider.value


def test_the_choices_are_saved_with_the_scene_and_come_back(slicer_app, panel, tmp_path):
    import slicer

    choose(panel, add_volume("noisy"), organ="wrist")
    panel.ui.seedSpin.value = 41
    place = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(place)
    slicer.mrmlScene.Clear()
    assert panel.ui.seedSpin.value == 0
    assert slicer.util.loadScene(place)
    choices = panel.logic.getParameterNode()
    assert choices.inputVolume.GetName() == "noisy" and choices.organ == "wrist"
    assert panel.ui.seedSpin.value == 41 and panel.ui.organBox.currentText == "wrist" and panel.ui.organNote.text == "chosen by you"


def test_what_is_missing_is_named_and_installed_with_consent_only(slicer_app):
    slicer_app.packages.missing.add("diffusers")
    widget = slicer_app.load_module(MODULE).open()
    assert not widget.ui.setupCollapsible.collapsed and "diffusers" in widget.ui.setupLabel.text
    assert widget.ui.denoiseButton.toolTip == "Python packages are missing: see Set-up"
    slicer_app.questions.answer(False)
    widget.ui.installButton.click()
    assert "Nothing was installed" in slicer_app.questions.texts("error")[-1]
    assert not widget.ui.setupCollapsible.collapsed
    slicer_app.questions.answer(True)
    widget.ui.installButton.click()
    assert widget.ui.setupCollapsible.collapsed and "All packages are installed" in widget.ui.setupLabel.text
