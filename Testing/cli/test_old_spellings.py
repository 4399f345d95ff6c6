"""Command lines of version 0.1 still do what they did, and each says in one sentence how it is written now."""

import json
from pathlib import Path

import pytest
from tissue_files import files, run

from MRIDenoiseLib.cli.app import _complete
from MRIDenoiseLib.cli.old_spellings import in_new_words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("prepare --repeats IN OUT --volumes 1,3 --site ours", "prepare repeats IN OUT --volumes 1,3 --site ours"),
        ("prepare IN OUT --m4raw", "prepare m4raw IN OUT"),
        ("prepare --external --fastmri IN OUT --level 0", "prepare fastmri --external IN OUT --level 0"),
        ("prepare --site ours FAST FULL OUT", "prepare pairs --site ours FAST FULL OUT"),
        ("prepare FAST FULL OUT --inclusive 4", "prepare pairs FAST FULL OUT --inclusive 4"),
        ("benchmark --networks --config paper", "benchmark networks --config paper"),
        ("benchmark --rounds 2 --ladder regression --repeats 2", "benchmark ladder regression --rounds 2 --repeats 2"),
        ("benchmark --ladder=regression", "benchmark ladder regression"),
        ("benchmark --peers --latency --json x.json", "benchmark methods --peers --latency --json x.json"),
        ("segment --compare A B --reference R --report=r.json", "evaluate --tissues A B --reference R --json=r.json"),
        ("segment A B --no-bias --report r.json --reference R --compare", "evaluate A B --no-bias --json r.json --reference R --tissues"),
    ],
)
def test_an_old_command_line_becomes_the_new_one_with_one_sentence(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FAST").mkdir()
    assert in_new_words(old.split()) == new.split()
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert " ".join(new.split()[:2]) in said.err or "benchmark latency" in said.err or "evaluate --tissues" in said.err


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--help",
        "prepare",
        "prepare --help",
        "prepare repeats IN OUT",
        "prepare pairs --help",
        "prepare pair FAST FULL OUT",
        "benchmark",
        "benchmark --peers",
        "benchmark methods --repeats 3",
        "segment IN OUT --report r.json",
        "denoise --compare --repeats OUT",
        "segment IN -- --compare",
    ],
)
def test_what_is_written_as_today_stays_and_nothing_is_said(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_new_words(words.split()) == words.split()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "complete"),
    [
        ("benchmark", "benchmark methods"),
        ("benchmark --peers", "benchmark methods --peers"),
        ("benchmark --help", "benchmark --help"),
        ("benchmark networks", "benchmark networks"),
        ("prepare", "prepare"),
        ("", ""),
    ],
)
def test_benchmark_by_itself_times_the_methods(words: str, complete: str) -> None:
    assert _complete(words.split()) == complete.split()


def test_a_command_that_is_mistyped_is_named_and_not_taken_for_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prepare", "repeat", "IN", "OUT") == 2
    said = capsys.readouterr().err
    assert "No such command 'repeat'" in said and said.count("\n") == 1


def test_an_old_comparison_of_tissues_gives_the_report_it_gave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, mask, _ = files(tmp_path)
    options = (reference, "--reference", reference, "--mask", mask)
    assert run("evaluate", "--tissues", *options, "--json", tmp_path / "new.json") == 0
    today = capsys.readouterr()
    assert run("segment", "--compare", *options, "--report", tmp_path / "old.json") == 0
    before = capsys.readouterr()
    assert json.loads((tmp_path / "old.json").read_text()) == json.loads((tmp_path / "new.json").read_text())
    assert before.out == today.out.replace("new.json", "old.json")
    assert "ends with version 0.3" in before.err and "ends with version 0.3" not in today.err
