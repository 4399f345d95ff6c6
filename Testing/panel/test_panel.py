"""The panel's own .ui and Widget on stand-in widgets, with the real scene, a real worker and the bundled model.

What only Slicer can show (its own widgets' behaviour and look, discovery of the module, installation) is on the list for a person to
try by hand; see docs/try-in-slicer.md.
"""

import os
import subprocess
import sys
import time
from hashlib import sha256

import numpy as np
import pytest

pytest.importorskip("vtk", reason="the panel's tests need slicer-core")

import vtk
from panel_driving import MODULE, add_region, add_volume, choose, load, nodes, run, slice_shown


def test_it_opens_in_under_a_second_and_without_torch(slicer_app):
    # In a process of its own: this one may have loaded torch for other tests. The processor's time: other programs on this machine are
    # no fault of the panel's.
    code = (
        "import sys, time, tempfile; from pathlib import Path; from stand_in.desk import Desk\n"
        "with Desk(Path(tempfile.mkdtemp()) / 'desk') as desk:\n"
        "    module = desk.load_module(sys.argv[1])\n"
        "    began = time.process_time(); module.open(); took = time.process_time() - began\n"
        "    heavy = {'torch', 'diffusers', 'transformers', 'peft', 'matplotlib'} & set(sys.modules)\n"
        "    assert not heavy and not desk.errors, (heavy, desk.errors)\n"
        "    print(took)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code, str(MODULE)], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.splitlines()[-1]) < 1


@pytest.mark.slow
def test_the_sample_goes_from_its_file_to_a_denoised_volume_beside_it(slicer_app, panel, small_sample, tmp_path):
    import slicer

    noisy, clean = load(small_sample / "head_T1w_noisy.nii.gz"), load(small_sample / "head_T1w_clean.nii.gz")
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
    panel.ui.chartButton.click()
    assert slicer_app.app.layoutManager().layout != layout, "a layout with a plot view"

    target = tmp_path / "denoised.nii.gz"
    slicer_app.questions.answer(str(target), containing="Save the denoised volume")
    assert run(slicer_app, panel, panel.ui.saveFileButton).startswith("Saved") and target.is_file()


@pytest.mark.slow
def test_what_slicer_runs_as_the_modules_own_test_passes_here_too(slicer_app, panel, small_sample, monkeypatch):
    """On a part of the sample; that the whole one is registered with its checksum is for the test of the sample data."""
    samples = sys.modules["MRIDenoisePanel.sampledata"]
    small = {name: (file, sha256((small_sample / file).read_bytes()).hexdigest()) for name, (file, _) in samples.FILES.items()}
    monkeypatch.setattr(samples, "FILES", small)
    monkeypatch.setattr(samples, "samplePath", lambda name: small_sample / small[name][0])
    sys.modules["MRIDenoise"].MRIDenoiseTest().runTest()
    assert slicer_app.questions.texts("delay")[-1] == "Passed"


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


def test_one_line_tells_the_noise_found_and_the_part_of_it_that_went(slicer_app, panel):
    from MRIDenoiseLib.mrml import settings_of

    choose(panel, add_volume("noisy"))
    said = run(slicer_app, panel, panel.ui.denoiseButton)
    report = settings_of(panel.logic.getParameterNode().denoisedVolume)
    found = f"noise {report['noise_level']:.3g}, {report['noise_level_fraction']:.1%} of the bright tissue"
    assert report["noise_removed"] > 0.3
    assert f" s; {found}; {report['noise_removed']:.0%} of it removed in flat tissue." in said and "was removed" not in said
    # One slice so small has too little flat tissue to tell.
    said = run(slicer_app, panel, panel.ui.previewButton)
    assert "the other slices are unchanged; noise " in said and "% of the bright tissue." in said and "removed" not in said


def test_noise_that_stayed_is_spoken_of_once(slicer_app, panel):
    choose(panel, add_volume("noisy"))
    panel.ui.ownStrengthCheck.checked = True
    panel.ui.strengthSlider.value = 0.1
    said = run(slicer_app, panel, panel.ui.denoiseButton)
    assert said.count("was removed, because the strength is 0.1: try strength 1.") == 1 and "\n" not in said


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


def test_uncertainty_is_one_line_and_one_button(slicer_app, panel):
    import slicer

    volume = add_volume("noisy")
    choose(panel, volume)
    run(slicer_app, panel, panel.ui.denoiseButton)
    slicer_app.wait_until(lambda: panel.ui.compareTwoButton.checked)
    assert not panel.ui.compareUncertaintyButton.enabled and "Uncertainty" in panel.ui.compareUncertaintyButton.toolTip
    panel.ui.uncertaintyCheck.checked = True
    said = run(slicer_app, panel, panel.ui.denoiseButton)
    assert "Guaranteed for this volume" in said
    # The panel shows the new result by itself first.
    time.sleep(0.2)
    slicer_app.app.processEvents()
    panel.ui.compareUncertaintyButton.click()
    time.sleep(0.2)
    slicer_app.app.processEvents()
    assert panel.ui.compareUncertaintyButton.checked and not panel.ui.compareResidualButton.checked
    shown = slicer.mrmlScene.GetSingletonNode("MRIDenoiseResidual", "vtkMRMLSliceCompositeNode").GetBackgroundVolumeID()
    assert slicer.mrmlScene.GetNodeByID(shown).GetAttribute("MRIDenoise.role") == "uncertainty"
    panel.ui.compareResidualButton.click()
    assert panel.ui.compareResidualButton.checked and not panel.ui.compareUncertaintyButton.checked


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


def test_a_dicom_volume_reads_as_the_command_line_reads_it_and_saves_a_series(slicer_app, panel, tmp_path):
    from dicom_factory import series
    from pydicom import dcmread

    from MRIDenoiseLib import io
    from MRIDenoiseLib.mrml.volumes import INSTANCES
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


def test_a_sheared_volume_is_one_sentence(slicer_app, panel):
    import slicer

    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    volume = slicer.util.addVolumeFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5), ijkToRAS=matrix, name="sheared")
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.denoiseButton.click()
    assert "sheared" in panel.ui.statusLabel.text and not panel.engine.busy
