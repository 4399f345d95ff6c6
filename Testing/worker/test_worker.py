"""A real worker process: does jobs, stops, dies, and leaves nothing behind."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from dicom_factory import series
from worker_listener import Listener, head

from MRIDenoiseLib import io
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.result import Result
from MRIDenoiseLib.segmentation import TissueSettings, dice, segment
from MRIDenoiseLib.volume import Acquisition, AcquisitionField
from MRIDenoiseLib.worker.client import SegmentedImages, State, WorkerError
from MRIDenoiseLib.worker.process_tree import is_running
from MRIDenoiseLib.worker.protocol import Failed, Loaded, Progress, Saved

LONG = {"method": "ddim", "steps": 900}
"""Work that does not end within a test."""


def ready(listener: Listener, bundle: Path) -> Listener:
    """A worker that has the tiny model ready."""
    listener.client.load(bundle, "cpu")
    assert isinstance(listener.answer(), Loaded)
    return listener


@pytest.fixture(scope="module")
def shared(tiny_bundle) -> Iterator[Listener]:
    made = ready(Listener(), tiny_bundle)
    yield made
    made.client.close()


@pytest.fixture
def warm(shared, tiny_bundle) -> Listener:
    """A worker that other tests use too, for those that leave it as they found it."""
    if shared.client.state is not State.READY:
        shared.client.close()
        ready(shared, tiny_bundle)
    shared.told.clear()
    return shared


@pytest.fixture
def own(listener, tiny_bundle) -> Listener:
    """A worker for a test that ends it, or looks at all it has."""
    return ready(listener, tiny_bundle)


def gone(pid: int, seconds: float = 5.0) -> bool:
    began = time.monotonic()
    while is_running(pid) and time.monotonic() - began < seconds:
        time.sleep(0.02)
    return not is_running(pid)


def test_a_volume_comes_back_as_the_library_denoises_it(warm, tiny_bundle, noisy):
    job = warm.client.denoise(noisy, {"seed": 3}, bundle=tiny_bundle, device="cpu")
    assert warm.client.state is State.BUSY
    answer = warm.answer()
    assert isinstance(answer, Result) and warm.client.state is State.READY
    expected = Denoiser(Bundle.load(tiny_bundle), "cpu")(noisy, Settings(seed=3))
    assert np.abs(answer.volume.voxels - expected.volume.voxels).max() <= 1e-4 * noisy.voxels.max()
    assert np.abs(answer.residual.voxels - expected.residual.voxels).max() <= 1e-4 * noisy.voxels.max()
    assert np.array_equal(answer.volume.ijk_to_ras, noisy.ijk_to_ras)
    assert (answer.volume.pixel_type, answer.residual.pixel_type) == ("int16", "float32")
    assert answer.noise_level == pytest.approx(expected.noise_level)
    assert 0 <= answer.report["noise_removed"] <= 1
    assert {**answer.report, "seconds": 0} == {**expected.report, "seconds": 0, "slices": [0, 6]}
    told = [event for event in warm.told if isinstance(event, Progress)]
    assert told and all(event.job == job and 0 <= event.fraction <= 1 for event in told)


def test_maps_come_back_on_the_volumes_grid_where_they_were_computed(warm, tiny_bundle, noisy):
    settings = {"noise_map": True, "uncertainty": True, "slices": (2, 4)}
    warm.client.denoise(noisy, settings, bundle=tiny_bundle, device="cpu")
    answer = warm.answer()
    expected = Denoiser(Bundle.load(tiny_bundle), "cpu")(noisy, Settings(**settings))
    assert list(answer.maps) == ["noise map", "uncertainty"]
    for kind, image in answer.maps.items():
        other = expected.maps[kind].stack
        assert image.pixel_type == "float32" and image.stack.shape == other.shape and image.stack[2:4].max() > 0
        assert np.allclose(image.stack[2:4], other[2:4], rtol=1e-3, atol=1e-4 * other.max()) and not image.stack[:2].any()


def test_the_panel_never_waits_for_it(warm, tiny_bundle, noisy):
    began = time.process_time()
    warm.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert time.process_time() - began < 0.05
    warm.longest_poll = 0.0
    warm.answer()
    assert warm.longest_poll < 0.05


def test_one_slice_as_a_preview(warm, tiny_bundle, noisy):
    warm.client.denoise(noisy, {"slices": (2, 3)}, bundle=tiny_bundle, device="cpu")
    answer = warm.answer()
    changed = [k for k in range(len(noisy.voxels)) if not np.array_equal(answer.volume.voxels[k], noisy.voxels[k])]
    assert changed == [2]


def test_only_a_region_changes_and_inside_it_nothing_differs_from_the_whole(warm, tiny_bundle, noisy):
    whole, box = [(0, 6), (0, 40), (0, 36)], [(1, 4), (8, 30), (10, 25)]
    results = []
    for region in (None, whole, box):
        warm.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu", region=region)
        results.append(warm.answer())
    everything, same, part = results
    assert np.array_equal(everything.volume.voxels, same.volume.voxels)
    inside = tuple(slice(*side) for side in box)
    expected = noisy.voxels.copy()
    expected[inside] = everything.volume.voxels[inside]
    outside = np.ones(expected.shape, bool)
    outside[inside] = False
    assert np.array_equal(part.volume.voxels[outside], noisy.voxels[outside]) and not part.residual.voxels[outside].any()
    assert np.abs(part.volume.voxels - expected).max() <= 1e-4 * noisy.voxels.max(), "a batch of another size may round otherwise"
    assert np.array_equal(part.residual.voxels, noisy.voxels - part.volume.voxels)
    assert part.report["region"] == [list(side) for side in box]
    warm.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu", region=[(0, 6), (30, 30), (0, 36)])
    assert "region" in warm.answer().sentence


def test_tissues_are_the_librarys_and_dice_is_held_against_the_reference(listener, noisy):
    noisy = noisy.with_acquisition(Acquisition(organ=AcquisitionField("knee", "user", "high")))
    other = replace(noisy, voxels=head(seed=5).voxels)
    listener.client.segment([("noisy", noisy), ("reference", other)], reference=1)
    answer = listener.answer()
    assert isinstance(answer, SegmentedImages), answer
    first, second = answer.images
    expected = segment(other, TissueSettings(classes=3))
    assert np.array_equal(second.labels, expected.labels) and second.labels.dtype == np.uint8
    assert [kind.name for kind in second.classes] == [kind.name for kind in expected.classes]
    assert (answer.anatomical, answer.mask) == (False, "body")
    agreement = dice(first.labels, second.labels, 3)
    assert first.dice == pytest.approx([*agreement.classes, agreement.mean]) and second.dice == []
    assert np.array_equal(first.labels > 0, second.labels > 0), "one mask for all"


def test_images_of_different_grids_are_refused(listener, noisy):
    moved = replace(noisy, ijk_to_ras=noisy.ijk_to_ras + np.diag([0, 0, 0.5, 0]))
    listener.client.segment([("a", noisy), ("b", moved)])
    answer = listener.answer()
    assert isinstance(answer, Failed) and "different grids" in answer.sentence and not answer.fault


def test_a_result_is_saved_whole_and_not_over_another(warm, tiny_bundle, noisy, tmp_path):
    warm.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    result = warm.answer()
    target = tmp_path / "out.nii.gz"
    warm.client.save(result.volume, target, result.report)
    assert isinstance(warm.answer(), Saved)
    read = io.read(target)
    assert np.abs(read.voxels - result.volume.voxels).max() <= 0.5 and read.pixel_type == "int16"
    before = target.read_bytes()
    warm.client.save(result.volume, target, result.report)
    answer = warm.answer()
    assert isinstance(answer, Failed) and not answer.fault and target.read_bytes() == before


def test_a_derived_series_is_written_from_a_node_that_is_stored_the_other_way_round(warm, tiny_bundle, tmp_path):
    folder = series(tmp_path / "source")
    source = io.read(folder)
    files = sorted(folder.iterdir())
    turn = np.eye(4)
    turn[2, 2], turn[2, 3] = -1, len(source.voxels) - 1
    node = replace(
        source, voxels=np.ascontiguousarray(source.voxels[::-1]), ijk_to_ras=source.ijk_to_ras @ turn, headers=(), acquired_axis=0
    )
    warm.client.denoise(node, {}, bundle=tiny_bundle, device="cpu")
    result = warm.answer()
    warm.client.save(result.volume, tmp_path / "derived", result.report, sources=files)
    assert isinstance(warm.answer(), Saved)
    read = io.read(tmp_path / "derived")
    assert np.allclose(read.ijk_to_ras, source.ijk_to_ras, atol=1e-4)
    assert np.abs(read.voxels - result.volume.voxels[::-1]).max() <= 0.5 * max(1, np.abs(read.voxels).max() / 2000)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"method": "magic"}, "unknown method"), ({"slices": (5, 99)}, "outside the volume"), ({"colour": 1}, "unknown setting")],
)
def test_a_bad_setting_is_one_sentence_and_the_worker_goes_on(warm, tiny_bundle, noisy, settings, words):
    warm.client.denoise(noisy, settings, bundle=tiny_bundle, device="cpu")
    answer = warm.answer()
    assert isinstance(answer, Failed) and words in answer.sentence and not (answer.fault or answer.cancelled)
    pid = warm.pid
    warm.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(warm.answer(), Result) and warm.pid == pid


def test_a_model_that_is_none_is_one_sentence(listener, tmp_path):
    listener.client.load(tmp_path, "cpu")
    answer = listener.answer()
    assert isinstance(answer, Failed) and not answer.fault and "\n" not in answer.sentence


def test_two_things_at_once_are_refused(own, tiny_bundle, noisy):
    own.client.denoise(noisy, LONG, bundle=tiny_bundle, device="cpu")
    with pytest.raises(WorkerError, match="busy"):
        own.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")


def test_a_job_is_cancelled_between_two_steps_and_the_worker_stays_warm(warm, tiny_bundle, noisy, monkeypatch):
    # On a machine that has other things to do it may not get its turn in the usual time.
    monkeypatch.setattr("MRIDenoiseLib.worker.client.PATIENCE", 10.0)
    warm.client.denoise(noisy, LONG, bundle=tiny_bundle, device="cpu")
    warm.until(lambda: any(isinstance(event, Progress) and event.what == "Denoising" for event in warm.told))
    pid = warm.pid
    warm.client.cancel()
    answer = warm.answer()
    assert isinstance(answer, Failed) and answer.cancelled
    assert warm.client.state is State.READY
    warm.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(warm.answer(), Result) and warm.pid == pid


@pytest.mark.alone
def test_a_worker_that_does_not_hear_the_cancel_is_ended_and_the_next_job_starts_another(own, tiny_bundle, noisy):
    own.client.denoise(noisy, LONG, bundle=tiny_bundle, device="cpu")
    pid = own.pid
    psutil.Process(pid).suspend()
    began = time.monotonic()
    own.client.cancel()
    own.client.cancel()
    answer = own.answer()
    assert isinstance(answer, Failed) and answer.cancelled and time.monotonic() - began < 1
    assert own.client.state is State.STOPPED and gone(pid)
    own.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(own.answer(), Result)


@pytest.mark.alone
def test_a_cancel_while_it_starts_is_heard(listener, tiny_bundle, noisy):
    listener.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert listener.client.state is State.STARTING
    began = time.monotonic()
    listener.client.cancel()
    assert listener.answer().cancelled and time.monotonic() - began < 1


def test_a_killed_worker_is_one_sentence_and_the_next_job_works(own, tiny_bundle, noisy):
    folder = own.client.process.folder
    own.client.denoise(noisy, LONG, bundle=tiny_bundle, device="cpu")
    psutil.Process(own.pid).kill()
    answer = own.answer()
    assert isinstance(answer, Failed) and answer.fault and "ended unexpectedly" in answer.sentence and "\n" not in answer.sentence
    assert not folder.exists()
    own.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(own.answer(), Result)


def test_a_worker_that_died_while_it_had_nothing_to_do_is_replaced_without_a_word(own, tiny_bundle, noisy):
    pid = own.pid
    psutil.Process(pid).kill()
    assert gone(pid)
    own.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(own.answer(), Result)


def test_a_worker_that_dies_at_start_says_its_last_words():
    listener = Listener([sys.executable, "-c", "import sys; sys.exit('torch is not installed.')"])
    listener.client.load()
    answer = listener.answer()
    assert answer.sentence == "The worker ended unexpectedly (torch is not installed); try again." and answer.fault
    assert listener.client.state is State.STOPPED


def test_a_command_that_does_not_exist_is_one_sentence():
    listener = Listener(["no-such-python"])
    with pytest.raises(WorkerError, match="cannot be started"):
        listener.client.load()
    assert listener.client.state is State.STOPPED
    with pytest.raises(WorkerError, match="cannot be started"):
        listener.client.load()


def test_a_worker_that_talks_nonsense_is_ended():
    listener = Listener([sys.executable, "-c", "print('hello', flush=True); import time; time.sleep(60)"])
    listener.client.load()
    pid = listener.client.process.pids[-1]
    assert "cannot be understood" in listener.answer().sentence and gone(pid)


def test_a_broken_line_to_the_worker_is_answered_and_survived(own, tiny_bundle, noisy):
    pid = own.pid
    own.client.process._unsent += b"{broken\n"
    own.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(own.answer(), Failed)
    own.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(own.answer(), Result) and own.pid == pid


def test_what_a_library_prints_does_not_break_the_conversation(tiny_bundle, noisy):
    program = (
        "import sys; from MRIDenoiseLib.worker import jobs, server; sys.argv[:] = ['worker', sys.argv[-1]]; do = jobs.Jobs.do; "
        "jobs.Jobs.do = lambda *all: (print('a library speaks', flush=True), do(*all))[1]; server.main()"
    )
    listener = Listener([sys.executable, "-c", program])
    try:
        listener.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
        assert isinstance(listener.answer(), Result)
    finally:
        listener.client.close()


LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"


def test_behind_a_launcher_as_in_slicer_both_processes_end(tiny_bundle, noisy):
    listener = Listener([sys.executable, "-c", LAUNCHER])
    listener.client.denoise(noisy, LONG, bundle=tiny_bundle, device="cpu")
    listener.until(lambda: len(listener.client.process.pids) == 2)
    launcher, worker = listener.client.process.pids
    listener.client.cancel()
    assert listener.answer().cancelled
    listener.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(listener.answer(), Result)
    pids = {launcher, worker, *listener.client.process.pids}
    listener.client.close()
    assert all(gone(pid) for pid in pids)


def test_a_process_that_got_the_workers_number_is_not_ended(own):
    class Another:
        """What psutil knows of a process that is gone and whose number is another's now."""

        pid = 1

        def is_running(self) -> bool:
            return False

        def children(self, recursive: bool) -> list:
            raise AssertionError("asked about a process that is not ours")

        kill = children

    own.client.process._members.append(Another())
    own.client.close()
    assert own.client.state is State.STOPPED


def test_nothing_is_imported_from_the_folder_that_the_owner_was_started_in(tiny_bundle, noisy, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('json of the folder was imported')")
    monkeypatch.chdir(tmp_path)
    listener = Listener()
    try:
        listener.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
        assert isinstance(listener.answer(), Result)
    finally:
        listener.client.close()


def test_a_value_that_is_no_number_is_one_sentence_and_the_client_stays_free(warm, tiny_bundle, noisy):
    with pytest.raises(WorkerError, match="not a number"):
        warm.client.denoise(noisy, {"fidelity": float("nan")}, bundle=tiny_bundle, device="cpu")
    warm.client.denoise(noisy, {}, bundle=tiny_bundle, device="cpu")
    assert isinstance(warm.answer(), Result)


def test_closing_ends_the_process_and_removes_the_voxels(own, tiny_bundle, noisy):
    own.client.denoise(noisy, LONG, bundle=tiny_bundle, device="cpu")
    pid, folder, told = own.pid, own.client.process.folder, len(own.ends)
    own.client.close()
    assert gone(pid) and not folder.exists() and len(own.ends) == told
    own.client.close()


OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from worker_listener import Listener, head
listener = Listener()
listener.client.load(Path(sys.argv[1]), "cpu")
listener.answer()
listener.client.denoise(head(), {"method": "ddim", "steps": 900}, bundle=Path(sys.argv[1]), device="cpu")
print(listener.pid, listener.client.process.folder, flush=True)
time.sleep(60)
"""


def test_a_worker_ends_with_its_owner_also_when_the_owner_is_killed(tiny_bundle):
    helpers = str(Path(__file__).parent)
    command = [sys.executable, "-c", OWNER, str(tiny_bundle), "", helpers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        pid, folder = owner.stdout.readline().split()
        assert psutil.pid_exists(int(pid)) and Path(folder).is_dir()
        owner.kill()
    assert gone(int(pid)), "an orphan worker"
    began = time.monotonic()
    while Path(folder).exists() and time.monotonic() - began < 5:
        time.sleep(0.05)
    assert not Path(folder).exists(), "voxels were left behind"


@pytest.mark.slow
def test_a_hundred_jobs_do_not_grow_it(own, tiny_bundle, noisy):
    pid = own.pid
    for job in range(100):
        own.client.denoise(noisy, {"seed": job}, bundle=tiny_bundle, device="cpu")
        assert isinstance(own.answer(), Result)
        if job == 20:
            before = psutil.Process(pid).memory_info().rss
    assert own.pid == pid and psutil.Process(pid).memory_info().rss < before + 30 * 2**20
    assert sorted(path.suffix for path in own.client.process.folder.iterdir()) == [".json", ".txt"]


def test_the_client_needs_no_torch():
    code = "import sys; import MRIDenoiseLib.worker.client; assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0
