"""Results appear whole or not at all, and nothing of the user's is lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.io.atomic import read_rows, replacing, write_json, write_rows


def test_a_file_appears_only_after_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.nii.gz"
    with replacing(target, overwrite=False) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.parent == target.parent and temporary.name.endswith("out.nii.gz")
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_result_and_no_partial_one(tmp_path: Path, fault: type[BaseException]) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(fault), replacing(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise fault
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_vanishes_with_everything_in_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError), replacing(tmp_path / "series", overwrite=False) as temporary:
        temporary.mkdir()
        (temporary / "one").write_text("1")
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_overwrite_is_allowed(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="overwrite=True"), replacing(target, overwrite=False):
        pytest.fail("the body must not run")
    with replacing(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_a_file_that_appears_during_the_run_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    with pytest.raises(OutputError), replacing(target, overwrite=False) as temporary:
        temporary.write_text("ours")
        target.write_text("theirs")
    assert target.read_text() == "theirs"


def test_a_folder_with_foreign_files_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "documents"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    for is_ours in (None, lambda folder: False):
        with pytest.raises(OutputError), replacing(target, overwrite=True, is_ours=is_ours):
            pytest.fail("the body must not run")
    assert (target / "thesis.txt").read_text() == "years of work"


def test_a_folder_of_ours_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").write_text("1")
    with replacing(target, overwrite=True, is_ours=lambda folder: True) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("2")
    assert [p.name for p in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_parent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"), replacing(tmp_path / "nowhere" / "out.nii", overwrite=False):
        pytest.fail("the body must not run")


@pytest.mark.parametrize("before", [True, False])
def test_an_interruption_between_the_two_renames_of_a_folder_loses_neither_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").touch()
    rename = Path.rename

    def interrupted(self: Path, new: Path) -> Path:
        # Ctrl-C just before, or just after, the new folder takes the old one's place.
        if not (new == target and (self / "new").exists()):
            return rename(self, new)
        if not before:
            rename(self, new)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), replacing(target, overwrite=True, is_ours=lambda folder: True) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        monkeypatch.setattr(Path, "rename", interrupted)
    assert [p.name for p in target.iterdir()] == ["old" if before else "new"]
    assert list(tmp_path.iterdir()) == [target]


KILLED_WHILE_WRITING = """
import os, signal, sys
from MRIDenoiseLib.io.atomic import replacing, write_json
with replacing(sys.argv[1], overwrite=True) as temporary:
    temporary.mkdir()
    (temporary / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be asked there whether it runs without interrupting it")
def test_what_a_killed_run_left_goes_with_the_next_one_and_nothing_else_does(tmp_path: Path) -> None:
    target, other = tmp_path / "out.nii", tmp_path / "other-out.nii"
    for path in (target, other):
        killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], timeout=60)
        assert killed.returncode == -signal.SIGKILL
    left_of_target, left_of_other = sorted(tmp_path.iterdir(), key=lambda p: "other" in p.name)
    with replacing(target, overwrite=False) as running:
        running.write_text("first")
        assert not left_of_target.exists()
        # Another run to the same place: this process is alive, so what it is writing stays.
        with pytest.raises(ValueError), replacing(target, overwrite=False):
            raise ValueError
        assert running.exists()
    assert sorted(tmp_path.iterdir()) == sorted([left_of_other, target])


MOVED_ASIDE_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from MRIDenoiseLib.io.atomic import replacing, write_json
rename = Path.rename
def killed(self, new):
    if new == Path(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, new)
Path.rename = killed
with replacing(sys.argv[1], overwrite=True, is_ours=lambda folder: True) as temporary:
    temporary.mkdir()
"""


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be asked there whether it runs without interrupting it")
def test_a_folder_that_a_killed_run_had_moved_aside_is_not_lost_when_the_next_one_fails(tmp_path: Path) -> None:
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").touch()
    killed = subprocess.run([sys.executable, "-c", MOVED_ASIDE_AND_KILLED, str(target)], timeout=60)
    assert killed.returncode == -signal.SIGKILL and not target.exists()
    with pytest.raises(ValueError), replacing(target, overwrite=True, is_ours=lambda folder: True):
        raise ValueError
    assert [p.name for p in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_report_is_json_that_every_reader_takes_in_the_order_given(tmp_path: Path) -> None:
    told = {"z": float("nan"), "a": [1.5, float("-inf"), ("ß", None)], "deep": {"b": {"c": float("inf")}, 3: True}}
    write_json(tmp_path / "report.json", told)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found = json.loads(text, parse_constant=refuse)
    assert found == {"z": None, "a": [1.5, None, ["ß", None]], "deep": {"b": {"c": None}, "3": True}}
    assert list(found) == ["z", "a", "deep"] and "ß" in text and text.endswith("}\n")


def test_a_report_that_cannot_be_written_leaves_the_earlier_one_and_nothing_beside_it(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    write_json(report, {"first": 1})
    with pytest.raises(OutputError, match="exists already"):
        write_json(report, {"second": 2})
    with pytest.raises(TypeError):
        write_json(report, {"second": object()}, overwrite=True)
    assert json.loads(report.read_text()) == {"first": 1} and list(tmp_path.iterdir()) == [report]
    write_json(report, {"second": 2}, overwrite=True)
    assert json.loads(report.read_text()) == {"second": 2}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("kn\udce9e.nii", "kn\ufffde.nii"), ("\udcc3\udca9.nii", "é.nii"), ("\ud83d.nii", "\ufffd.nii"), ("é 日本.nii", "é 日本.nii")],
)
def test_a_file_s_name_in_another_encoding_can_be_reported(name: str, shown: str, tmp_path: Path) -> None:
    write_json(tmp_path / "report.json", {"Sources": [name]})
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == {"Sources": [shown]}
    write_rows([{"file": name}], ["file"], tmp_path / "table.csv")
    assert read_rows(tmp_path / "table.csv") == [{"file": shown}]
