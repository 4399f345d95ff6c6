"""The stand-in itself: it must refuse what would be wrong in Slicer, and its binding, scene and pictures must really work."""

from pathlib import Path

import numpy as np
import pytest


def _volume(name: str = "T1", kind: str = "vtkMRMLScalarVolumeNode"):
    import slicer

    return slicer.util.addVolumeFromArray(np.ones((3, 4, 5), np.int16), name=name, nodeClassName=kind)


def test_a_right_module_opens_and_its_button_says_why_it_is_disabled(example) -> None:
    panel = example()
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Choose an input volume first."


SPOILT = {
    "a renamed widget": (AttributeError, "applyButton", dict(ui=('"applyButton"', '"runButton"'))),
    "a misspelt SlicerParameterName": (ValueError, "strenght", dict(ui=("<string>strength<", "<string>strenght<"))),
    "an unknown class of widget": (RuntimeError, "ctkDial", dict(ui=('class="QSpinBox"', 'class="ctkDial"'))),
    "an unknown property in the .ui file": (RuntimeError, "toolTp", dict(ui=('"toolTip"', '"toolTp"'))),
    "two widgets of one name": (RuntimeError, "stepsBox", dict(ui=('"weightBox"', '"stepsBox"'))),
    "a connection from a misspelt signal": (ValueError, "mrmlSceneChange", dict(ui=("mrmlSceneChanged(", "mrmlSceneChange("))),
    "a connection to a misspelt slot": (RuntimeError, "setMRMLSzene", dict(ui=("setMRMLScene(", "setMRMLSzene("))),
    "a connection to a widget that is not there": (RuntimeError, "input", dict(ui=("<receiver>inputSelector", "<receiver>input"))),
    "a property called as a method": (
        TypeError,
        "callable",
        dict(code=("self.logic = Ex", "self.ui.applyButton.toolTip(); self.logic = Ex")),
    ),
    "a misspelt attribute": (AttributeError, "toolTp", dict(code=("applyButton.toolTip =", "applyButton.toolTp ="))),
    "a misspelt signal": (ValueError, "clickd", dict(code=("clicked(bool)", "clickd(bool)"))),
    "a signal with other arguments": (ValueError, "clicked", dict(code=("clicked(bool)", "clicked(int)"))),
    "a misspelt event of the application": (ValueError, "startupComplete", dict(code=("startupCompleted()", "startupComplete()"))),
    "a misspelt parameter": (AttributeError, "strenght", dict(code=("self.guiTag = par", "parameters.strenght = 0.1; self.guiTag = par"))),
    "a default out of range": (ValueError, "range", dict(code=("Default(10)", "Default(60)"))),
    "a type that cannot be stored": (TypeError, "list", dict(code=("note: str", "note: list[str]"))),
    "a widget that cannot show its parameter": (RuntimeError, "QLineEdit", dict(code=("note: str", "note: bool"))),
    "a slider for a number without bounds": (RuntimeError, "unbounded", dict(code=("Annotated[float, WithinRange(0.0, 1.0)]", "float"))),
    "a misspelt attribute of the module": (AttributeError, "tittle", dict(code=("parent.title", "parent.tittle"))),
    "a function that needs the whole application": (
        AttributeError,
        "setSliceViewerLayers",
        dict(code=("self.logic = Ex", "slicer.util.setSliceViewerLayers(); self.logic = Ex")),
    ),
}


@pytest.mark.parametrize("mistake", SPOILT)
def test_a_mistake_in_the_module_is_refused(example, mistake: str) -> None:
    error, words, spoilt = SPOILT[mistake]
    with pytest.raises(error, match=words):
        example(**spoilt)


def test_without_the_scene_connection_the_selector_stays_empty(example) -> None:
    panel = example(ui=("<sender>Example</sender><signal>mrmlSceneChanged(vtkMRMLScene*)", "<sender>keepBox</sender><signal>toggled(bool)"))
    _volume()
    assert panel.ui.inputSelector.mrmlScene() is None
    assert panel.ui.inputSelector.nodeCount() == 0


def test_a_misspelt_keyword_of_the_sample_data_is_refused(slicer_app, example) -> None:
    example(code=("fileNames=", "fileName="))
    slicer_app.start_up()
    assert "fileName" in str(slicer_app.errors.pop())


def test_widgets_and_parameters_follow_each_other(example) -> None:
    panel = example()
    volume = _volume()
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.strengthSlider.value = 0.8
    panel.ui.stepsBox.setValue(40)
    panel.ui.weightBox.value = 2.5
    panel.ui.keepBox.checked = True
    panel.ui.noteEdit.text = "ä"
    panel.ui.modeBox.currentText = "FAST"
    kept = panel.parameters
    assert (kept.inputVolume, kept.strength, kept.steps, kept.weight, kept.keep, kept.note) == (volume, 0.8, 40, 2.5, True, "ä")
    assert kept.mode.value == "fast"
    assert panel.ui.applyButton.enabled
    kept.strength, kept.steps, kept.keep, kept.note, kept.inputVolume = 0.25, 3, False, "", None
    kept.mode = type(kept.mode).CAREFUL
    ui = panel.ui
    assert (ui.strengthSlider.value, ui.stepsBox.value, ui.keepBox.checked, ui.noteEdit.text) == (0.25, 3, False, "")
    assert ui.modeBox.currentText == "CAREFUL"
    assert ui.inputSelector.currentNode() is None
    assert not ui.applyButton.enabled


def test_after_leaving_the_panel_nothing_is_bound(example) -> None:
    panel = example()
    kept = panel.parameters
    panel.exit()
    panel.ui.stepsBox.value = 33
    assert kept.steps == 10
    kept.steps = 12
    assert panel.ui.stepsBox.value == 33


def test_a_value_out_of_range_or_of_another_type_is_refused(example) -> None:
    kept = example().parameters
    with pytest.raises(ValueError, match="range"):
        kept.strength = 1.5
    with pytest.raises(TypeError):
        kept.steps = 2.5
    with pytest.raises(TypeError):
        kept.inputVolume = kept.parameterNode
    assert kept.strength == 0.5


def test_the_selector_follows_the_scene(example) -> None:
    import slicer

    selector = example().ui.inputSelector
    heard: list = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    first, second = _volume("first"), _volume("second")
    _volume("labels", "vtkMRMLLabelMapVolumeNode")
    hidden = _volume("hidden")
    hidden.HideFromEditorsOn()
    assert [selector.nodeFromIndex(row).GetName() for row in range(selector.nodeCount())] == ["first", "second"]
    selector.setNoneDisplay("nothing")
    selector.setCurrentNode(second.GetID())
    slicer.mrmlScene.RemoveNode(first)
    assert selector.currentNode() is second
    slicer.mrmlScene.RemoveNode(second)
    assert selector.currentNode() is None and selector.currentNodeID == ""
    assert [node and node.GetName() for node in heard] == ["second", None]
    with pytest.raises(ValueError, match="currentNodeChanged"):
        selector.connect("currentNodeChanged(QString)", heard.append)


def test_closing_the_scene_leaves_a_working_panel(slicer_app, example) -> None:
    panel = example()
    _volume()
    slicer_app.scene.Clear(0)
    assert panel.ui.inputSelector.nodeCount() == 0
    panel.ui.stepsBox.value = 7
    assert panel.parameters.steps == 7


@pytest.mark.parametrize("kind", ["mrb", "mrml"])
def test_parameters_survive_saving_and_loading_the_scene(slicer_app, example, tmp_path: Path, kind: str) -> None:
    import slicer

    panel = example()
    panel.parameters.inputVolume = _volume("saved")
    panel.parameters.steps = 21
    saved = str(tmp_path / f"scene.{kind}")
    assert slicer.util.saveScene(saved)
    slicer_app.scene.Clear(0)
    assert panel.parameters.steps == 10
    assert slicer.util.loadScene(saved)
    panel.enter()
    assert panel.parameters.steps == 21
    assert panel.parameters.inputVolume.GetName() == "saved"


def test_attributes_have_the_manners_of_pythonqt(slicer_app) -> None:
    import qt

    label = qt.QLabel("a")
    label.alignment = qt.Qt.AlignRight | qt.Qt.AlignVCenter
    assert label.alignment & qt.Qt.AlignmentFlag.AlignRight
    assert isinstance(label, qt.QWidget) and label.className() == "QLabel"
    with pytest.raises(AttributeError, match="margin"):
        label.margin = "wide"
    with pytest.raises(AttributeError, match="setText"):
        label.setText = "b"
    with pytest.raises(TypeError):
        qt.QLabel("a", toolTip="b")
    with pytest.raises(AttributeError, match="QNothing"):
        _ = qt.QNothing

    table = qt.QTableWidget(2, 2)
    table.horizontalHeader().stretchLastSection = True
    with pytest.raises(AttributeError, match="stretchLast"):
        table.horizontalHeader().stretchLast = True
    heard: list = []
    qt.QMenu(table).addAction("Copy").connect("triggered(bool)", heard.append)
    shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+1"), table)
    shortcut.connect("activated()", lambda: heard.append("shortcut"))
    shortcut.activated.emit()
    assert heard == ["shortcut"]

    class OwnLabel(qt.QLabel):
        pass

    own = OwnLabel("b")
    own.anything = 1
    own.text = "c"
    assert (own.text, own.anything) == ("c", 1)


def test_a_collapsed_section_really_hides_its_children(slicer_app, example) -> None:
    panel = example()
    slicer_app.grab(panel.parent, slicer_app.folder / "panel.png")
    section, weight = panel.ui.advancedSection, panel.ui.weightBox
    assert section.collapsed and not weight.visible
    assert panel.ui.stepsBox.visible
    section.collapsed = False
    assert weight.visible
    panel.ui.stepsBox.visible = False
    panel.ui.settingsSection.collapsed = True
    panel.ui.settingsSection.collapsed = False
    assert not panel.ui.stepsBox.visible and panel.ui.strengthSlider.visible


def test_the_panel_can_be_drawn(slicer_app, example, tmp_path: Path) -> None:
    import qt

    panel = example()
    panel.parameters.inputVolume = _volume("T1 brain, 4 times accelerated")
    slicer_app.grab(panel.parent, tmp_path / "panel.png")
    picture = qt.QImage(str(tmp_path / "panel.png"))
    assert picture.width() == 420 and picture.height() > 250
    colours = {picture.pixel(x, y) for x in range(0, 420, 3) for y in range(0, picture.height(), 3)}
    assert len(colours) > 20
