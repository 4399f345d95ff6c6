"""The stand-in for the application around a panel: questions, windows, settings, processes, packages, sample data, layouts."""

import sys
from pathlib import Path

import numpy as np
import pytest
from example_module import write_example


def _volume(name: str = "T1"):
    import slicer

    return slicer.util.addVolumeFromArray(np.ones((3, 4, 5), np.int16), name=name)


def test_a_question_gets_the_queued_answer(slicer_app, example) -> None:
    import slicer

    panel = example()
    volume = panel.parameters.inputVolume = _volume()
    panel.parameters.strength = 0.0
    slicer_app.questions.answer(False, containing="T1")
    panel.ui.applyButton.click()
    assert slicer.util.arrayFromVolume(volume).max() == 1
    slicer_app.questions.answer(True)
    panel.ui.applyButton.click()
    assert slicer.util.arrayFromVolume(volume).max() == 0
    assert [question.text for question in slicer_app.questions.asked] == ["Overwrite T1?"] * 2


def test_a_question_without_an_answer_is_an_error_even_inside_a_slot(slicer_app, example) -> None:
    from stand_in.questions import UnansweredQuestion

    panel = example()
    panel.parameters.inputVolume = _volume()
    panel.ui.applyButton.click()
    assert isinstance(slicer_app.errors[0], UnansweredQuestion)
    with pytest.raises(AssertionError, match="nobody could catch"):
        slicer_app.check_nothing_is_left()
    slicer_app.errors.clear()


def test_an_error_in_an_observer_of_the_scene_fails_the_test(slicer_app) -> None:
    slicer_app.scene.AddObserver(slicer_app.scene.NodeAddedEvent, lambda *_: {}["missing"])
    _volume()
    assert isinstance(slicer_app.errors[0], KeyError)
    slicer_app.errors.clear()


def test_an_answer_that_nobody_asked_for_is_an_error(slicer_app) -> None:
    slicer_app.questions.answer(True)
    with pytest.raises(AssertionError, match="never asked"):
        slicer_app.check_nothing_is_left()
    slicer_app.questions.ask("test", "", "")


def test_windows_that_wait_ask_the_test(slicer_app) -> None:
    import qt
    import slicer
    from stand_in.questions import UnansweredQuestion

    slicer_app.questions.answer("a folder/a.dcm")
    assert qt.QFileDialog.getSaveFileName(None, "Save", "", "DICOM (*.dcm)") == "a folder/a.dcm"
    slicer_app.questions.answer(qt.QMessageBox.No, containing="Sure?")
    assert qt.QMessageBox.question(None, "Delete", "Sure?") == qt.QMessageBox.No

    box = qt.QMessageBox()
    box.text = "Which?"
    own = box.addButton("Repair", qt.QMessageBox.ActionRole)
    slicer_app.questions.answer("Repair")
    box.exec_()
    assert box.clickedButton() is own

    dialog = qt.QDialog()
    line = qt.QLineEdit(dialog)
    slicer_app.questions.answer(lambda question: (question.dialog.findChild(qt.QLineEdit).setText("typed"), qt.QDialog.Accepted)[1])
    assert dialog.exec_() == qt.QDialog.Accepted
    assert line.text == "typed"
    for wait in (dialog.exec, qt.QMenu().exec_, lambda: slicer.util.messageBox("?")):
        with pytest.raises(UnansweredQuestion):
            wait()


def test_messages_and_opened_addresses_are_written_down(slicer_app) -> None:
    import qt
    import slicer

    slicer.util.errorDisplay("broken", detailedText="why")
    with pytest.raises(OSError), slicer.util.tryWithErrorDisplay("It failed."):
        raise OSError("disk full")
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org/help"))
    assert slicer_app.questions.texts("error") == ["broken", "It failed.\n\ndisk full"]
    assert slicer_app.questions.opened == ["https://example.org/help"]


def test_timers_processes_and_settings_are_real_and_stay_in_the_tests_folder(slicer_app, tmp_path: Path) -> None:
    import qt
    import slicer

    fired: list = []
    qt.QTimer.singleShot(1, lambda: fired.append("timer"))
    timer = qt.QTimer()
    timer.singleShot, timer.interval = True, 1
    timer.connect("timeout()", lambda: fired.append("own timer"))
    timer.start()
    process = qt.QProcess()
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: fired.append(code))
    process.start(sys.executable, ["-S", "-E", "-c", "raise SystemExit(3)"])
    slicer_app.wait_until(lambda: len(fired) == 3)
    assert set(fired) == {"timer", "own timer", 3}
    qt.QSettings().setValue("MRIDenoise/folder", "x")
    slicer.app.settings().sync()
    assert slicer.util.settingsValue("MRIDenoise/folder", "") == "x"
    assert Path(qt.QSettings().fileName()).is_relative_to(tmp_path)
    assert Path(slicer.util.tempDirectory()).is_relative_to(tmp_path)


def test_slicers_own_launcher_of_processes_reports_lines_and_the_end(slicer_app) -> None:
    import slicer

    told: list = []
    command = [sys.executable, "-S", "-E", "-c", "print('one')"]
    slicer.util.launchConsoleProcess(command, blocking=False, logCallback=told.append, completedCallback=told.append)
    slicer_app.wait_until(lambda: len(told) == 2)
    assert told == ["one", 0]


def test_sample_data_are_registered_at_start_up_and_checked(slicer_app, example, tmp_path: Path) -> None:
    import SampleData
    import slicer

    example()
    slicer_app.start_up()
    assert [source.sampleName for source in slicer.modules.sampleDataSources["Example"]] == ["ExampleHead"]
    logic = SampleData.SampleDataLogic()
    with pytest.raises(ValueError, match="nothing is served"):
        logic.downloadSample("ExampleHead")
    file = tmp_path / "head.nrrd"
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(file))
    assert storage.WriteData(_volume())
    logic.served["https://example.org/head.nrrd"] = file
    assert logic.downloadSample("ExampleHead").GetName() == "ExampleHead"
    source = SampleData.SampleDataSource(uris=file.as_uri(), checksums="SHA256:" + 64 * "0")
    with pytest.raises(ValueError, match="checksum"):
        logic.downloadFromSource(source)
    source.checksums = ["SHA256:" + slicer.util.computeChecksum("SHA256", str(file))]
    assert slicer.util.arrayFromVolume(logic.downloadFromSource(source)[0]).shape == (3, 4, 5)


def test_packages_are_asked_for_before_they_are_installed(slicer_app, tmp_path: Path) -> None:
    import slicer.packaging

    (tmp_path / "requirements.txt").write_text("# why\nnumpy>=1.26\npydicom>=3.0\n")
    needed = slicer.packaging.load_requirements(tmp_path / "requirements.txt")
    slicer.packaging.pip_ensure(needed, requester="Example")
    slicer_app.packages.missing.add("pydicom")
    slicer_app.questions.answer(False, containing="1 Python package")
    with pytest.raises(RuntimeError, match="declined"):
        slicer.packaging.pip_ensure(needed, requester="Example")
    slicer_app.questions.answer(True)
    slicer.packaging.pip_ensure(needed, requester="Example")
    assert [install.requirements for install in slicer_app.packages.installs] == [["pydicom>=3.0"]]
    assert slicer.packaging.pip_check(needed)
    with pytest.raises(TypeError, match="requestor"):
        slicer.packaging.pip_ensure(needed, requestor="Example")


def test_the_pytorch_extension_is_there_only_when_installed(slicer_app) -> None:
    with pytest.raises(ModuleNotFoundError):
        import PyTorchUtils
    pytorch = slicer_app.install_pytorch_extension()
    import PyTorchUtils

    logic = PyTorchUtils.PyTorchUtilsLogic()
    slicer_app.questions.answer(False)
    assert logic.installTorch(askConfirmation=True, torchVersionRequirement=">=2.5") is None
    slicer_app.questions.answer(True)
    assert logic.installTorch(askConfirmation=True, torchVersionRequirement=">=2.5") is not None
    assert logic.torchInstalled()
    assert pytorch.installs[-1]["torchVersionRequirement"] == ">=2.5"
    with pytest.raises(AssertionError, match="may not load torch"):
        logic.importTorch()


def test_the_layout_manager_shows_real_layouts(slicer_app) -> None:
    import slicer

    layouts = slicer.app.layoutManager()
    heard: list = []
    layouts.connect("layoutChanged(int)", heard.append)
    layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert layouts.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView == heard[0]
    assert layouts.sliceViewNames() == ["Red"]
    assert layouts.sliceWidget("Red").sliceLogic().GetSliceNode().GetOrientation() == "Axial"
    assert layouts.sliceWidget("Redd") is None
    with pytest.raises(ValueError, match="4711"):
        layouts.setLayout(4711)


def test_the_modules_logics_and_the_dicom_files_are_there(slicer_app) -> None:
    import slicer

    volume = _volume()
    assert slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, volume, "copy").GetName() == "copy"
    with pytest.raises(AttributeError, match="volumess"):
        _ = slicer.modules.volumess
    slicer_app.dicom.files["1.2.3"] = "/dicom/1"
    assert slicer.dicomDatabase.fileForInstance("1.2.3") == "/dicom/1"
    assert slicer.dicomDatabase.fileForInstance("1.2.4") == ""


def test_texts_go_through_the_translation(slicer_app, example) -> None:
    slicer_app.app.translations["Choose an input volume first."] = "Zuerst ein Volumen wählen."
    assert example().ui.applyButton.toolTip == "Zuerst ein Volumen wählen."


def test_reloading_gives_a_new_working_panel(slicer_app, example) -> None:
    import slicer

    before = example()
    before.onReload()
    after = slicer.modules.ExampleWidget
    assert after is not before
    after.enter()
    after.ui.stepsBox.value = 4
    assert after.parameters.steps == 4


def test_the_modules_self_test_runs_and_one_that_fails_is_an_error(slicer_app, example) -> None:
    import slicer

    example(code=("steps, 10)", "steps, 11)"))
    with pytest.raises(AssertionError, match="10 != 11"):
        slicer.selfTests["Example"]()


def test_afterwards_nothing_of_it_is_left(tmp_path: Path) -> None:
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    pytest.importorskip("slicer", exc_type=ImportError)
    import slicer.util
    from PySide6 import QtWidgets
    from stand_in.desk import Desk

    before = dict(vars(slicer)), dict(vars(slicer.util)), list(sys.path), sys.excepthook
    with Desk(tmp_path / "slicer") as desk:
        import qt

        desk.load_module(write_example(tmp_path / "Example")).open()
        assert isinstance(qt.QPushButton("a").text, str)
    assert (vars(slicer), vars(slicer.util), sys.path, sys.excepthook) == before
    assert not {"qt", "ctk", "Example", "SampleData", "slicer.packaging", "slicer.i18n"} & set(sys.modules)
    assert QtWidgets.QPushButton("a").text() == "a"


def test_a_panel_that_cannot_be_closed_is_told_and_taken_away_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    pytest.importorskip("slicer", exc_type=ImportError)
    from stand_in.desk import Desk

    path = write_example(tmp_path / "Example", code=("self.removeObservers()", "self.removeObservers(); 1 / 0"))
    with pytest.raises(ZeroDivisionError), Desk(tmp_path / "slicer") as desk:
        desk.load_module(path).open()
    assert "qt" not in sys.modules
