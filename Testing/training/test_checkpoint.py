"""A checkpoint is whole or not there, and never loads anything but tensors and plain values."""

import pickle
import sys

import pytest
import torch

from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.training.checkpoint import NAME, load_checkpoint, save_checkpoint

STATE = {"identity": "x", "weights": {"a": torch.arange(3.0)}, "step": 7}


def test_what_was_saved_comes_back(tmp_path):
    assert load_checkpoint(tmp_path) is None
    save_checkpoint(tmp_path / "a" / "b", STATE)
    state = load_checkpoint(tmp_path / "a" / "b")
    assert state["step"] == 7 and torch.equal(state["weights"]["a"], torch.arange(3.0))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files to set")
def test_a_full_disk_is_one_sentence_and_the_checkpoint_before_stays(tmp_path):
    import resource

    save_checkpoint(tmp_path, STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match=f"cannot write .*{NAME}: File too large"):
            save_checkpoint(tmp_path, STATE | {"weights": {"a": torch.zeros(1_000_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(tmp_path)["step"] == 7
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


class Program:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("content", [pickle.dumps(Program(), 2), b"nonsense"])
def test_a_file_that_could_run_a_program_is_refused(content, tmp_path, capsys):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(tmp_path)
    assert capsys.readouterr().out == ""


def test_somebody_elses_checkpoint_is_refused(tmp_path):
    torch.save({"model": torch.zeros(2)}, tmp_path / NAME)
    with pytest.raises(InputError, match="not a checkpoint of this program"):
        load_checkpoint(tmp_path)
