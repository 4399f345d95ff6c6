"""What scripts and other modules call: the logic alone, on the real scene, with a real worker or with an engine of the test's own."""

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("vtk", reason="the panel's tests need slicer-core")

from page_blocks import blocks
from panel_driving import MODULE, ROOT, add_region, add_volume, load, nodes

from MRIDenoiseLib import mrml
from MRIDenoiseLib.errors import Cancelled, InputError, MRIDenoiseError, SettingsError
from MRIDenoiseLib.result import Result
from MRIDenoiseLib.worker.client import WorkerError
from MRIDenoiseLib.worker.protocol import Failed, Saved

SAMPLE = ROOT / "Resources" / "SampleData" / "head_T1w_noisy.nii.gz"
REPORT = {"bundle": "0123abcd", "method": "regression", "seed": 0, "warnings": []}


@pytest.fixture
def module(slicer_app, monkeypatch):
    """The module as Slicer has it when it has started: no panel was made."""
    monkeypatch.setenv("PATH", str(ROOT / "no-such-folder"))
    loaded = slicer_app.load_module(MODULE)
    slicer_app.start_up()
    return loaded


@pytest.fixture
def logic(module):
    """A logic of the script's own with its worker."""
    made = module.code.MRIDenoiseLogic()
    yield made
    made.close()
    assert module.panel is None, "nobody needs the panel"


class Scripted:
    """An engine whose answers the test gives: at once, or when it says so. It is its own client and writes down what it is asked."""

    def __init__(self, answer=None) -> None:
        self.progress, self.onChange = None, lambda: None
        self.busy = self.cancelling = self.lasting = False
        self.asked, self.kept = [], answer
        self.done = None

    def ask(self, job, done, *, lasting=False) -> None:
        self.busy, self.lasting, self.done = True, lasting, done
        job(self)
        if self.kept is not None:
            self.answer(self.kept)

    def answer(self, answer) -> None:
        self.busy = False
        self.done(answer(self.asked[-1]) if callable(answer) else answer)

    def cancel(self) -> None:
        self.answer(Failed(1, "Cancelled; nothing was written.", cancelled=True))

    def finish(self, seconds) -> None:
        pass

    def close(self) -> None:
        self.busy = False

    def denoise(self, volume, settings, *, bundle, device, region) -> int:
        self.asked.append({"volume": volume, "settings": settings, "bundle": bundle, "device": device, "region": region})
        return 1

    def save(self, volume, target, report, **more) -> int:
        self.asked.append({"target": target, "report": report, **more})
        return 1


def halved(asked) -> Result:
    """An answer: everything at half its brightness."""
    noisy = asked["volume"]
    return Result(noisy.with_voxels(noisy.voxels / 2), noisy, 1.0, REPORT)


def array(node) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVolume(node)


def test_a_script_denoises_and_saves_and_the_panel_is_never_shown(module, tmp_path):
    import slicer

    noisy = load(SAMPLE)
    logic = slicer.util.getModuleLogic("MRIDenoise")
    denoised = logic.process(noisy, slices=(7, 9), device="cpu")
    before, after = array(noisy), array(denoised)
    assert [k for k in range(len(before)) if not np.array_equal(before[k], after[k])] == [7, 8]
    assert mrml.source_of(denoised) is noisy and mrml.settings_of(denoised)["method"] == "regression"
    removed = array(denoised.GetNodeReference("MRIDenoise.residual"))
    assert np.allclose(removed[7], before[7].astype(float) - after[7], atol=0.51) and not removed[0].any()
    place = logic.export(denoised, tmp_path / "denoised.nrrd")
    assert place == tmp_path / "denoised.nrrd" and np.array_equal(array(load(place)).max(), after.max())
    with pytest.raises(MRIDenoiseError, match=r"denoised\.nrrd exists"):
        logic.export(denoised, place)
    assert not module.panel.visible


@pytest.mark.slow
def test_what_the_page_prints_runs_as_printed(module, capsys):
    import slicer

    names: dict = {}
    printed = [block.code for block in blocks("docs/script-slicer.md") if block.language == "python"]
    assert len(printed) == 3
    for code in printed:
        exec(code, names)
    said = capsys.readouterr().out
    assert "grey matter" in said and "0% done" in said and "stopped; nothing was changed" in said
    assert len(nodes("vtkMRMLSegmentationNode")) == 3 and (Path(slicer.app.temporaryPath) / "denoised.nii.gz").is_file()


def test_a_run_is_cancelled_within_a_second_and_the_next_one_works(logic, slicer_app, tiny_bundle):
    volume = add_volume("noisy")
    run = logic.process(volume, wait=False, bundle=tiny_bundle, device="cpu", method="ddim", steps=900)
    assert not run.done and run.progress == 0
    with pytest.raises(WorkerError, match="busy; wait for it or cancel"):
        logic.process(volume)
    slicer_app.wait_until(lambda: run.progress > 0, 120)
    assert run.secondsLeft is not None
    began = time.monotonic()
    run.cancel()
    with pytest.raises(Cancelled, match="Cancelled; nothing was written"):
        run.wait()
    assert time.monotonic() - began < 1 and run.done and nodes() == [volume]
    assert mrml.source_of(logic.process(volume, bundle=tiny_bundle, device="cpu")) is volume
    run.cancel()
    assert not logic.engine.cancelling, "a run that has ended stops no other"


def test_a_series_is_derived_from_the_volumes_own_files_and_none_from_nothing(logic, slicer_app, tiny_bundle, tmp_path):
    from dicom_factory import series
    from pydicom import dcmread

    from MRIDenoiseLib import io
    from MRIDenoiseLib.mrml.volumes import INSTANCES

    files = sorted(series(tmp_path / "source").iterdir(), key=lambda path: int(dcmread(path).InstanceNumber))
    volume = load(*files)
    slicer_app.dicom.files = {str(dcmread(path).SOPInstanceUID): str(path) for path in files}
    volume.SetAttribute(INSTANCES, " ".join(slicer_app.dicom.files))
    denoised = logic.process(volume, bundle=tiny_bundle, device="cpu")
    for result, said in ((denoised, "denoised"), (denoised.GetNodeReference("MRIDenoise.residual"), "residual")):
        place = logic.export(result, tmp_path / said)
        derived = [dcmread(path) for path in place.iterdir()]
        assert len(derived) == len(files) and all(said in one.SeriesDescription for one in derived)
        assert {one.StudyInstanceUID for one in derived} == {"1.2.3.1"} and all(
            "NOT FOR DIAGNOSTIC USE" in one.ImageComments for one in derived
        )
        assert np.allclose(io.read(place).ijk_to_ras, io.read(tmp_path / "source").ijk_to_ras, atol=1e-4)
    elsewhere = logic.process(add_volume("noisy"), bundle=tiny_bundle, device="cpu")
    with pytest.raises(MRIDenoiseError, match=r"^[A-Z].*\.$"):
        logic.export(elsewhere, tmp_path / "series")
    assert not (tmp_path / "series").exists()


def test_tissues_of_a_result_are_held_against_a_reference(logic):
    noisy, clean = add_volume("noisy"), add_volume("clean")
    alone = logic.segment(noisy, classes=2, organ="knee")
    assert list(alone.segmentations) == ["noisy"] and alone.agreement is None and len(alone.found.images[0].classes) == 2
    both = logic.segment(noisy, reference=clean, classes=2, organ="knee")
    assert list(both.segmentations) == ["noisy", "reference"] and mrml.source_of(both.segmentations["reference"]) is clean
    assert 0.5 < both.found.images[0].dice[-1] <= 1 and both.agreement.table.GetNumberOfRows() > 0
    with pytest.raises(MRIDenoiseError, match="different grids"):
        logic.segment(noisy, reference=add_volume("far", spacing=9.0))
    with pytest.raises(SettingsError, match="unknown setting 'organs'"):
        logic.segment(noisy, organs="knee")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stepz": 3}, "unknown setting 'stepz': choose among method, steps,"),
        ({"method": "magic"}, "unknown method 'magic': choose one of regression,"),
        ({"strength": 3}, "at most 1, not 3"),
        ({"steps": "many"}, "a value of the wrong kind"),
        ({"acceleration": 99}, "acceleration"),
    ],
)
def test_a_wrong_setting_is_one_sentence_before_anything_starts(module, settings, said):
    engine = Scripted(halved)
    with pytest.raises(SettingsError, match=said):
        module.code.MRIDenoiseLogic(engine=engine).process(add_volume("noisy"), **settings)
    assert not engine.asked and not engine.busy


def test_what_is_asked_of_the_engine_is_what_was_said(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine, volume = Scripted(halved), add_volume("noisy")
    logic = module.code.MRIDenoiseLogic(engine=engine)
    box = add_region(volume, (17.5, 19.5, 2.5), (10, 10, 8))
    logic.process(volume, region=box, bundle="model", method="sharpened", sharpness=0.2, device="cpu", organ="knee", acceleration=2)
    asked = engine.asked[0]
    assert asked["settings"] == {"method": "sharpened", "sharpness": 0.2} and asked["device"] == "cpu"
    assert asked["bundle"] == tmp_path / "model", "the worker works in a folder of its own"
    assert asked["region"] == mrml.region_of(box, volume)
    facts = asked["volume"].acquisition
    assert (facts.organ.value, facts.organ.source, facts.acceleration.value) == ("knee", "user", 2)
    with pytest.raises(SettingsError, match="a region or slices"):
        logic.process(volume, region=box, slices=(0, 2))
    logic.preview(volume, 3)
    assert engine.asked[-1]["settings"] == {"slices": (3, 4)} and engine.asked[-1]["device"] == "auto"


def test_an_output_is_filled_again_and_again_without_more_nodes(module):
    import slicer

    volume, clean = add_volume("noisy"), add_volume("clean")
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    logic = module.code.MRIDenoiseLogic(engine=Scripted(halved))
    for _ in range(2):
        assert logic.process(volume, output, reference=clean) is output
    assert output.GetName() == "mine" and np.allclose(array(output), array(volume) / 2, atol=0.51)
    assert len(nodes()) == 4 and mrml.result_of(slicer.mrmlScene, volume, "residual") is output.GetNodeReference("MRIDenoise.residual")
    assert np.allclose(array(output.GetNodeReference("MRIDenoise.residual")), array(volume) / 2)
    choices = logic.getParameterNode()
    choices.inputVolume = volume
    module.open()
    assert choices.denoisedVolume is output and choices.referenceVolume is clean, "the panel takes up what a script has done"


def test_an_output_that_cannot_be_one_is_refused_and_a_copy_of_the_input_loses_its_files(module):
    import slicer

    from MRIDenoiseLib.mrml.volumes import INSTANCES

    volume, engine = add_volume("noisy"), Scripted(halved)
    logic = module.code.MRIDenoiseLogic(engine=engine)
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    for output, said in ((volume, "the noisy volume itself"), (labels, "labels cannot hold the result")):
        with pytest.raises(InputError, match=said):
            logic.process(volume, output)
    with pytest.raises(InputError, match="no volume"):
        logic.process(None)
    assert not engine.asked
    copy = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, volume, "copy")
    copy.SetAttribute(INSTANCES, "1.2.3")
    assert logic.process(volume, copy).GetAttribute(INSTANCES) is None


def test_what_the_worker_could_not_do_is_raised_once_it_is_waited_for(module):
    engine, volume = Scripted(), add_volume("noisy")
    logic = module.code.MRIDenoiseLogic(engine=engine)
    told = []
    run = logic.process(volume, wait=False)
    run.whenDone(told.append)
    engine.answer(Failed(1, "the model is damaged"))
    assert told == [run] and run.done
    with pytest.raises(MRIDenoiseError, match=r"^The model is damaged\.$"):
        run.wait()


@pytest.mark.parametrize("which", ["input", "output", "reference"])
def test_a_node_that_is_removed_meanwhile_gets_no_result(module, which):
    import slicer

    given = {"input": add_volume("noisy"), "output": add_volume("output"), "reference": add_volume("clean")}
    engine = Scripted()
    run = module.code.MRIDenoiseLogic(engine=engine).process(**given, wait=False)
    slicer.mrmlScene.RemoveNode(given[which])
    engine.answer(halved)
    with pytest.raises(InputError, match="removed in the meantime"):
        run.wait()
    assert len(nodes()) == 2


def test_nobody_waits_for_ever_when_everything_is_closed(module):
    logic = module.code.MRIDenoiseLogic(engine=Scripted())
    run = logic.process(add_volume("noisy"), wait=False)
    told = []
    run.whenDone(told.append)
    logic.close()
    with pytest.raises(Cancelled, match="closed"):
        run.wait()
    assert run.done and not told


def test_only_results_are_exported_and_to_where_the_script_is(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine, volume = Scripted(halved), add_volume("noisy")
    logic = module.code.MRIDenoiseLogic(engine=engine)
    preview = logic.preview(volume, 2)
    for node in (volume, preview):
        with pytest.raises(InputError, match=f"{node.GetName()} is not a result"):
            logic.export(node, "out.nii.gz")
    denoised = logic.process(volume)
    engine.kept = Saved(1)
    assert logic.export(denoised, "out.nii.gz") == tmp_path / "out.nii.gz" == engine.asked[-1]["target"]
    assert engine.asked[-1]["report"] == REPORT and engine.asked[-1]["suffix"] == "denoised" and engine.lasting


def test_missing_packages_are_named_and_where_to_install_them(module, slicer_app):
    slicer_app.packages.missing.add("torch")
    engine = Scripted(halved)
    with pytest.raises(MRIDenoiseError, match=r"missing \(torch.*Set-up"):
        module.code.MRIDenoiseLogic(engine=engine).process(add_volume("noisy"))
    slicer_app.packages.missing.clear()
    assert not engine.asked
