"""The panel's own .ui and Widget on stand-in widgets, with the real scene, a real worker and the bundled model.

What only Slicer can show (its own widgets' behaviour and look, discovery of the module, installation) is on the list for a person to
try by hand; see docs/try-in-slicer.md.
"""

import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest

from MRIDenoiseLib.worker.process_tree import is_running

vtk = pytest.importorskip("vtk", reason="the panel's tests need slicer-core")

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "MRIDenoise" / "MRIDenoise.py"
SAMPLES = ROOT / "Resources" / "SampleData"


@pytest.fixture
def panel(slicer_app, monkeypatch):
    """The panel, open on an empty scene; its worker runs this Python."""
    monkeypatch.setenv("PATH", str(ROOT / "no-such-folder"))
    widget = slicer_app.load_module(MODULE).open()
    yield widget
    widget.engine.close()


def add_volume(name: str, array: np.ndarray | None = None, spacing: float = 4.0):
    """A small head-like volume of int16 in thick oblique slices."""
    import slicer

    if array is None:
        rng = np.random.default_rng(len(name))
        array = np.zeros((6, 40, 36), np.float32)
        array[:, 6:-6, 6:-6] = 300
        array[:, 10:20, 10:20] = 700
        array = np.hypot(array + rng.normal(0, 40, array.shape), rng.normal(0, 40, array.shape))
    turn = np.array([[0.98, -0.199, 0], [0.199, 0.98, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn / np.linalg.norm(turn, axis=0) * [1, 1, spacing]
    return slicer.util.addVolumeFromArray(array.astype(np.int16), ijkToRAS=matrix, name=name)


def add_region(volume, middle: tuple[float, float, float], size: tuple[float, float, float]):
    """A box about a voxel (i, j, k), with its size in mm."""
    import slicer

    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(*(slicer.util.arrayFromVTKMatrix(to_ras) @ [*middle, 1])[:3])
    roi.SetSize(*size)
    return roi


def load(*files: Path):
    """A file, or the files of a series, as Slicer's own volumes logic reads them."""
    import slicer

    names = vtk.vtkStringArray()
    for file in files:
        names.InsertNextValue(str(file))
    return slicer.modules.volumes.logic().AddArchetypeVolume(str(files[0]), files[0].name.removesuffix(".nii.gz"), 0, names)


def choose(panel, volume, organ: str = "knee", contrast: str = "T1w") -> None:
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.organBox.setEditText(organ)
    panel.ui.contrastBox.setEditText(contrast)


def run(slicer_app, panel, button, seconds: float = 120.0) -> str:
    """Press a button, wait for its job, and give what the panel says then."""
    assert button.enabled, button.toolTip
    button.click()
    slicer_app.wait_until(lambda: not panel.engine.busy, seconds)
    return panel.ui.statusLabel.text


def slice_shown(volume) -> int:
    """Which slice the comparison's first view shows."""
    import slicer

    from MRIDenoiseLib.mrml.slices import index_of_plane

    view = slicer.mrmlScene.GetSingletonNode("MRIDenoiseNoisy", "vtkMRMLSliceNode")
    return index_of_plane(volume, 0, slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()))


def nodes(kind: str = "vtkMRMLScalarVolumeNode") -> list:
    import slicer

    return slicer.util.getNodesByClass(kind)


def pid(panel) -> int:
    return panel.engine._client.process.pids[-1]


def test_it_opens_in_under_a_second_and_without_torch(slicer_app):
    # In a process of its own: this one may have loaded torch for other tests.
    code = (
        "import sys, time, tempfile; from pathlib import Path; from stand_in.desk import Desk\n"
        "with Desk(Path(tempfile.mkdtemp()) / 'desk') as desk:\n"
        "    module = desk.load_module(sys.argv[1])\n"
        "    began = time.monotonic(); module.open(); took = time.monotonic() - began\n"
        "    heavy = {'torch', 'diffusers', 'transformers', 'peft', 'matplotlib'} & set(sys.modules)\n"
        "    assert not heavy and not desk.errors, (heavy, desk.errors)\n"
        "    print(took)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code, str(MODULE)], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.splitlines()[-1]) < 1


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


@pytest.mark.slow
def test_the_sample_goes_from_its_file_to_a_denoised_volume_beside_it(slicer_app, panel, tmp_path):
    import slicer

    noisy, clean = load(SAMPLES / "head_T1w_noisy.nii.gz"), load(SAMPLES / "head_T1w_clean.nii.gz")
    panel.ui.inputSelector.setCurrentNode(noisy)
    panel.ui.referenceSelector.setCurrentNode(clean)
    assert (panel.ui.organBox.currentText, panel.ui.contrastBox.currentText) == ("head", "T1w")
    assert panel.ui.organNote.text == panel.ui.contrastNote.text == "a guess: please check"
    assert panel.ui.vendorNote.text == "not in the file: please choose"
    assert panel.ui.promptLabel.text.startswith("unknown head t1 ")
    layout = slicer_app.app.layoutManager().layout
    window = (noisy.GetDisplayNode().GetWindow(), noisy.GetDisplayNode().GetLevel())
    said = run(slicer_app, panel, panel.ui.denoiseButton, 300)
    denoised = panel.logic.getParameterNode().denoisedVolume
    assert denoised is not None, said
    assert said.startswith("Done in")
    before, after, truth = (slicer.util.arrayFromVolume(node).astype(float) for node in (noisy, denoised, clean))
    assert after.shape == before.shape and slicer.util.arrayFromVolume(denoised).dtype == slicer.util.arrayFromVolume(noisy).dtype
    head = truth > 0.1 * np.percentile(truth, 99.5)
    assert np.square(after - truth)[head].mean() < 0.5 * np.square(before - truth)[head].mean(), "it must really be cleaner"

    slicer_app.wait_until(lambda: panel.ui.compareTwoButton.checked)
    assert slicer_app.app.layoutManager().layout != layout
    panel.ui.compareFourButton.click()
    assert panel.ui.compareFourButton.checked and not panel.ui.compareTwoButton.checked
    panel.ui.flickerButton.click()
    assert panel.ui.flickerButton.checked
    panel.ui.leaveButton.click()
    assert slicer_app.app.layoutManager().layout == layout
    assert (noisy.GetDisplayNode().GetWindow(), noisy.GetDisplayNode().GetLevel()) == window
    assert not panel.ui.flickerButton.enabled and not panel.ui.flickerButton.checked

    said = run(slicer_app, panel, panel.ui.tissuesButton, 300)
    assert len(nodes("vtkMRMLSegmentationNode")) == 3, said
    assert "grey matter" in panel.ui.tissuesResult.text and "Dice" in panel.ui.tissuesResult.text
    assert panel.ui.chartButton.enabled

    target = tmp_path / "denoised.nii.gz"
    slicer_app.questions.answer(str(target), containing="Save the denoised volume")
    assert run(slicer_app, panel, panel.ui.saveFileButton).startswith("Saved") and target.is_file()


@pytest.mark.slow
def test_what_slicer_runs_as_the_modules_own_test_passes_here_too(slicer_app, panel):
    sys.modules["MRIDenoise"].MRIDenoiseTest().runTest()
    assert slicer_app.questions.texts("delay")[-1] == "Passed"


def test_a_job_can_be_cancelled_and_the_panel_is_ready_within_a_second(slicer_app, panel):
    choose(panel, add_volume("noisy"))
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("ddim"))
    panel.ui.stepsSpin.value = 900
    panel.ui.denoiseButton.click()
    assert panel.ui.denoiseButton.text == "Cancel" and not panel.ui.previewButton.enabled
    slicer_app.wait_until(lambda: panel.engine.progress is not None and panel.engine.progress.fraction > 0, 120)
    began = time.monotonic()
    panel.ui.denoiseButton.click()
    slicer_app.wait_until(lambda: not panel.engine.busy, 5)
    assert time.monotonic() - began < 1
    assert panel.ui.denoiseButton.text == "Denoise" and panel.ui.denoiseButton.enabled
    assert "Cancelled" in panel.ui.statusLabel.text and len(nodes()) == 1


def test_a_killed_worker_is_one_sentence_and_the_next_run_works(slicer_app, panel):
    choose(panel, add_volume("noisy"))
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("ddim"))
    panel.ui.stepsSpin.value = 900
    panel.ui.denoiseButton.click()
    slicer_app.wait_until(lambda: panel.engine.progress is not None, 120)
    psutil.Process(pid(panel)).kill()
    slicer_app.wait_until(lambda: not panel.engine.busy, 10)
    assert "ended unexpectedly" in panel.ui.statusLabel.text and len(nodes()) == 1
    panel.ui.stepsSpin.value = 1
    assert run(slicer_app, panel, panel.ui.denoiseButton).startswith("Done")


def test_closing_the_scene_in_the_middle_leaves_no_process_and_no_node(slicer_app, panel):
    import slicer

    choose(panel, add_volume("noisy"))
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("ddim"))
    panel.ui.stepsSpin.value = 900
    panel.ui.denoiseButton.click()
    slicer_app.wait_until(lambda: panel.engine.progress is not None, 120)
    worker, folder = pid(panel), panel.engine._client.process.folder
    slicer.mrmlScene.Clear()
    slicer_app.wait_until(lambda: not is_running(worker), 5)
    assert not nodes() and not folder.exists() and not panel.engine.busy
    assert panel.ui.denoiseButton.text == "Denoise" and panel.ui.denoiseButton.toolTip == "Choose a noisy volume first"


def test_a_volume_that_is_removed_meanwhile_gets_no_result(slicer_app, panel):
    import slicer

    volume = add_volume("noisy")
    choose(panel, volume)
    panel.ui.denoiseButton.click()
    slicer.mrmlScene.RemoveNode(volume)
    slicer_app.wait_until(lambda: not panel.engine.busy, 120)
    assert "removed in the meantime" in panel.ui.statusLabel.text and not nodes()


def test_a_result_stays_with_the_volume_it_was_made_from(slicer_app, panel, tmp_path):
    first, second = add_volume("first"), add_volume("second")
    choose(panel, first)
    panel.ui.denoiseButton.click()
    panel.ui.inputSelector.setCurrentNode(second)
    slicer_app.wait_until(lambda: not panel.engine.busy, 120)
    choices = panel.logic.getParameterNode()
    assert choices.denoisedVolume is None and "first is denoised" in panel.ui.statusLabel.text
    assert panel.ui.saveFileButton.toolTip == "Denoise a volume first" and not panel.ui.compareTwoButton.enabled
    panel.ui.inputSelector.setCurrentNode(first)
    assert choices.denoisedVolume.GetName() == "first denoised" and choices.residualVolume.GetName() == "first residual"
    assert panel.ui.compareTwoButton.enabled


def test_closing_the_scene_does_not_stop_what_is_being_written(slicer_app, panel, tmp_path):
    import slicer

    choose(panel, add_volume("noisy"))
    run(slicer_app, panel, panel.ui.denoiseButton)
    target = tmp_path / "kept.nii.gz"
    slicer_app.questions.answer(str(target))
    panel.ui.saveFileButton.click()
    assert panel.engine.busy and not panel.ui.denoiseButton.enabled, "writing is not stopped half-way"
    slicer.mrmlScene.Clear()
    slicer_app.wait_until(lambda: not panel.engine.busy, 30)
    assert target.is_file() and panel.ui.statusLabel.text.startswith("Saved")


def test_a_name_without_an_ending_gets_one_and_replaces_nothing(slicer_app, panel, tmp_path):
    choose(panel, add_volume("noisy"))
    run(slicer_app, panel, panel.ui.denoiseButton)
    (tmp_path / "result.nii.gz").write_text("somebody's")
    slicer_app.questions.answer(str(tmp_path / "result"))
    assert "exists" in run(slicer_app, panel, panel.ui.saveFileButton)
    assert (tmp_path / "result.nii.gz").read_text() == "somebody's" and not (tmp_path / "result").exists()


def test_an_error_that_nobody_expected_leaves_a_panel_that_works(slicer_app, panel, monkeypatch):
    choose(panel, add_volume("noisy"))

    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr(sys.modules["MRIDenoisePanel.actions"], "add_results", no_memory)
    assert "not enough memory" in run(slicer_app, panel, panel.ui.denoiseButton)
    assert panel.ui.denoiseButton.text == "Denoise" and panel.ui.denoiseButton.enabled


def test_an_answer_is_let_go_of_when_it_has_been_delivered(slicer_app, panel, monkeypatch):
    choose(panel, add_volume("noisy"))
    kept = []
    take = panel._actions._denoised
    monkeypatch.setattr(panel._actions, "_denoised", lambda node, answer: (kept.append(weakref.ref(answer)), take(node, answer)))
    run(slicer_app, panel, panel.ui.denoiseButton)
    gc.collect()
    assert kept and kept[0]() is None


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


def test_nothing_is_installed_over_a_worker_at_work(slicer_app, panel):
    choose(panel, add_volume("noisy"))
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("ddim"))
    panel.ui.stepsSpin.value = 900
    panel.ui.denoiseButton.click()
    panel.ui.repairButton.click()
    assert "Wait until" in slicer_app.questions.texts("error")[-1] and not slicer_app.packages.installs


def test_a_preview_changes_the_slice_in_view_and_goes_when_the_result_comes(slicer_app, panel):
    import slicer

    volume = add_volume("noisy")
    choose(panel, volume)
    said = run(slicer_app, panel, panel.ui.previewButton)
    preview = next(node for node in nodes() if "preview" in node.GetName())
    before, after = slicer.util.arrayFromVolume(volume), slicer.util.arrayFromVolume(preview)
    changed = [k for k in range(len(before)) if not np.array_equal(before[k], after[k])]
    assert len(changed) == 1 and f"slice {changed[0] + 1}" in said
    assert slice_shown(volume) == changed[0]
    run(slicer_app, panel, panel.ui.denoiseButton)
    assert not [node for node in nodes() if "preview" in node.GetName()] and len(nodes()) == 3


def test_the_slice_that_was_scrolled_to_stays_when_the_layout_changes(slicer_app, panel):
    import slicer

    volume = add_volume("noisy")
    choose(panel, volume)
    run(slicer_app, panel, panel.ui.denoiseButton)
    slicer_app.wait_until(lambda: panel.ui.compareTwoButton.checked)
    view = slicer.mrmlScene.GetSingletonNode("MRIDenoiseNoisy", "vtkMRMLSliceNode")
    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    view.JumpSliceByOffsetting(*(slicer.util.arrayFromVTKMatrix(to_ras) @ [17, 19, 5, 1])[:3])
    assert slice_shown(volume) == 5
    panel.ui.compareResidualButton.click()
    time.sleep(0.2)
    slicer_app.app.processEvents()
    assert panel.ui.compareResidualButton.checked and slice_shown(volume) == 5


def test_only_the_region_changes(slicer_app, panel):
    import slicer

    volume = add_volume("noisy")
    choose(panel, volume)
    roi = add_region(volume, (17.5, 19.5, 2.5), (10, 10, 8))
    panel.ui.regionSelector.setCurrentNode(roi)
    assert run(slicer_app, panel, panel.ui.denoiseButton).startswith("Done")
    denoised = panel.logic.getParameterNode().denoisedVolume
    changed = np.argwhere(slicer.util.arrayFromVolume(volume) != slicer.util.arrayFromVolume(denoised))
    assert changed[:, 0].min() >= 1 and changed[:, 0].max() <= 4 and changed[:, 1].min() > 8 and changed[:, 2].max() < 28
    roi.SetCenter(500, 500, 500)
    assert "outside" in run(slicer_app, panel, panel.ui.denoiseButton)


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


def test_a_dicom_volume_reads_as_the_command_line_reads_it_and_saves_a_series(slicer_app, panel, tmp_path):
    from dicom_factory import series
    from pydicom import dcmread

    from MRIDenoiseLib import io
    from MRIDenoiseLib.mrml.headers import INSTANCES
    from MRIDenoiseLib.prompt import describe

    folder = series(tmp_path / "source")
    read = io.read(folder)
    # In the order of their places, as Slicer's own DICOM plug-in hands them over.
    files = sorted(folder.iterdir(), key=lambda path: int(dcmread(path).InstanceNumber))
    volume = load(*files)
    slicer_app.dicom.files = {str(dcmread(path).SOPInstanceUID): str(path) for path in files}
    volume.SetAttribute(INSTANCES, " ".join(slicer_app.dicom.files))
    panel.ui.inputSelector.setCurrentNode(None)
    panel.ui.inputSelector.setCurrentNode(volume)
    for name in ("organ", "contrast", "vendor", "acceleration"):
        fact = getattr(read.acquisition, name)
        assert getattr(panel.ui, f"{name}Box").toolTip == fact.source, name
    assert panel.ui.promptLabel.text == describe(read.acquisition)
    assert run(slicer_app, panel, panel.ui.denoiseButton).startswith("Done")
    place = tmp_path / "out"
    place.mkdir()
    slicer_app.questions.answer(str(place), containing="folder")
    said = run(slicer_app, panel, panel.ui.saveSeriesButton)
    assert said.startswith("Saved"), said
    assert np.allclose(io.read(place / "denoised").ijk_to_ras, read.ijk_to_ras, atol=1e-4)


def test_a_folder_that_is_no_model_is_said_and_nothing_can_be_denoised_with_it(slicer_app, panel, tmp_path):
    choose(panel, add_volume("noisy"))
    slicer_app.questions.answer(str(tmp_path))
    panel.ui.bundleButton.click()
    assert "holds no model" in panel.ui.cardLabel.text and not panel.ui.denoiseButton.enabled
    panel.ui.bundledButton.click()
    assert "Recommends regression" in panel.ui.cardLabel.text and panel.ui.denoiseButton.enabled


def test_only_what_the_method_knows_can_be_set(panel):
    assert not panel.ui.strengthSlider.enabled and "strength" not in panel._model.settings, "the card's recommendation holds"
    panel.ui.ownStrengthCheck.checked = True
    panel.ui.strengthSlider.value = 0.5
    assert panel._model.settings["strength"] == 0.5
    assert not panel.ui.stepsSpin.enabled and "regression" in panel.ui.stepsSpin.toolTip
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("fidelity-guided"))
    assert panel.ui.stepsSpin.enabled and not panel.ui.fidelitySlider.enabled
    panel.ui.ownFidelityCheck.checked = True
    assert panel.ui.fidelitySlider.enabled and panel._model.settings["fidelity"] == panel.ui.fidelitySlider.value


def test_a_sheared_volume_is_one_sentence(slicer_app, panel):
    import slicer

    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    volume = slicer.util.addVolumeFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5), ijkToRAS=matrix, name="sheared")
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.denoiseButton.click()
    assert "sheared" in panel.ui.statusLabel.text and not panel.engine.busy


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


@pytest.mark.slow
def test_nothing_blocks_the_window_for_long(slicer_app, panel):
    """A volume of usual size: 256 x 256 x 48."""
    rng = np.random.default_rng(0)
    array = np.zeros((48, 256, 256), np.float32)
    array[:, 40:-40, 40:-40] = 500
    volume = add_volume("noisy", np.abs(array + rng.normal(0, 40, array.shape)))
    choose(panel, volume)
    # All of it travels; denoising two slices of it is enough here.
    panel.ui.regionSelector.setCurrentNode(add_region(volume, (128, 128, 24), (300, 300, 6)))
    # The processor's time, not the clock's: other programs on this machine are no fault of the panel's.
    began = time.process_time()
    panel.ui.denoiseButton.click()
    longest = time.process_time() - began
    while panel.engine.busy or not panel.ui.compareTwoButton.checked:
        before = time.process_time()
        slicer_app.app.processEvents()
        longest = max(longest, time.process_time() - before)
        time.sleep(0.005)
        assert panel.engine.busy or panel.logic.getParameterNode().denoisedVolume is not None, panel.ui.statusLabel.text
    print(f"the window waited {1000 * longest:.0f} ms at most")
    assert longest < 0.05


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
