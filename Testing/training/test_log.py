"""The curves of a run: for people as JSON lines, for TensorBoard as events, and whole whatever happened to the run."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.training.run_folder import CURVES, LOG, TrainingLog, read_log


def test_what_is_written_can_be_read_and_is_in_the_curves(tmp_path):
    with TrainingLog(tmp_path, 0) as log:
        log.write(25, {"loss/denoiser": 0.5})
        log.write(25, {})
        log.write(50, {"loss/denoiser": 0.25})
    assert read_log(tmp_path) == [{"step": 25, "loss/denoiser": 0.5}, {"step": 50, "loss/denoiser": 0.25}]
    curves = EventAccumulator(str(tmp_path / CURVES)).Reload()
    assert [(event.step, event.value) for event in curves.Scalars("loss/denoiser")] == [(25, 0.5), (50, 0.25)]


def test_entries_behind_the_checkpoint_that_is_gone_on_from_are_dropped_here_and_in_the_curves(tmp_path):
    with TrainingLog(tmp_path, 0) as log:
        for step in (25, 50, 75):
            log.write(step, {"loss": 1.0})
    with TrainingLog(tmp_path, 60) as log:
        assert [entry["step"] for entry in read_log(tmp_path)] == [25, 50]
        log.write(75, {"loss": 2.0})
    assert read_log(tmp_path)[-1] == {"step": 75, "loss": 2.0}
    curves = EventAccumulator(str(tmp_path / CURVES)).Reload()
    assert [(event.step, event.value) for event in curves.Scalars("loss")] == [(25, 1.0), (50, 1.0), (75, 2.0)]


def test_a_last_line_that_a_kill_cut_short_is_left_out_and_not_written_behind(tmp_path):
    (tmp_path / LOG).write_text('{"step": 25, "loss": 1.0}\n{"step": 50, "lo', encoding="utf-8")
    assert read_log(tmp_path) == [{"step": 25, "loss": 1.0}]
    with TrainingLog(tmp_path, 50) as log:
        log.write(75, {"loss": 3.0})
    assert [entry["step"] for entry in read_log(tmp_path)] == [25, 75]


def test_curves_that_were_flushed_survive_a_kill(tmp_path):
    log = TrainingLog(tmp_path, 0)
    log.write(25, {"loss": 1.0})
    log.flush()
    assert [event.step for event in EventAccumulator(str(tmp_path / CURVES)).Reload().Scalars("loss")] == [25]


def test_a_silent_log_writes_nothing(tmp_path):
    with TrainingLog(tmp_path / "run", 0, silent=True) as log:
        log.write(25, {"loss": 1.0})
        log.flush()
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        TrainingLog(tmp_path / "file" / "run", 0)
