"""What the program comes to is what is committed, and the check would notice if it were not."""

import copy
import json
import os
import re
from pathlib import Path

import golden
import golden_values
import numpy as np
import pytest
from golden_results import SECTIONS, results, weights
from golden_values import OTHER_WEIGHTS, changed, differences, digests, read, write
from typer.testing import CliRunner

from MRIDenoiseLib.cli.exit_status import command_line

SMALL = {
    "denoised/regression": np.linspace(0, 1000, 2 * 40 * 30, dtype=np.float32).reshape(2, 40, 30),
    "trained/losses": {"loss": 0.7, "probe": 0.000168, "unknown": float("nan")},
    "study/lists": "R1 session 1: S0 noisy, S1 ours\nR1 session 2: S1 noisy",
}
MODEL = {"restoration/weights.safetensors": "0" * 64}
NAME = "denoised/regression"


@pytest.fixture
def committed(tmp_path) -> Path:
    """Values of :data:`SMALL`."""
    path = tmp_path / "values.json"
    write(SMALL, MODEL, path)
    return path


def with_one_changed(name: str, result: object) -> dict:
    return copy.deepcopy(SMALL) | {name: result}


def brighter(part: float) -> np.ndarray:
    return SMALL[NAME] * np.float32(1 + part)


@pytest.mark.slow
def test_the_program_comes_to_the_committed_results():
    """One test for all sections: they are made together, which takes a minute. The comparison's cells need real data."""
    data = os.environ.get("MRIDENOISE_DATA")
    folder = Path(data) if data and (Path(data) / "MANIFEST.csv").is_file() else None
    made = results(folder)
    assert {name.split("/")[0] for name in made} == {title for title, section in SECTIONS.items() if folder or not section.on_data}
    wrong = list(differences(made, weights(), read()))
    assert not wrong, "\n".join(wrong)


def test_the_committed_values_hold_every_section_and_twenty_cells():
    names = [name.split("/")[0] for name in read()["values"]]
    assert set(names) == set(SECTIONS) and names.count("compared") == 20


@pytest.mark.parametrize(
    ("name", "result", "told"),
    [
        (NAME, brighter(1e-4), "instead of"),
        (NAME, SMALL[NAME][:1], r"its shape is \[1, 40, 30\]"),
        (NAME, "a text", "of another kind"),
        ("trained/losses", SMALL["trained/losses"] | {"loss": 0.71}, "loss 0.71 instead of 0.7"),
        ("trained/losses", SMALL["trained/losses"] | {"unknown": 1.0}, "unknown 1.0 instead of nan"),
        ("trained/losses", SMALL["trained/losses"] | {"new": 1.0}, "other figures: new"),
        ("study/lists", "R1 session 1: S1 ours, S0 noisy\nR1 session 2: S1 noisy", "'R1 session 1: S1 ours, S0 noisy' instead of"),
        ("study/lists", "R1 session 1: S0 noisy, S1 ours", "another number of lines"),
        ("denoised/a new method", SMALL[NAME], "no value is committed"),
    ],
)
def test_a_changed_result_is_named(name, result, told, committed):
    (sentence,) = differences(with_one_changed(name, result), MODEL, read(committed))
    assert sentence.startswith(f"{name}: ")
    assert re.search(told, sentence)


def test_a_result_that_is_gone_is_named_but_not_a_section_that_was_not_made(committed):
    more = SMALL | {"denoised/ddim": SMALL[NAME]}
    write(more, MODEL, committed)
    assert list(differences(SMALL, MODEL, read(committed))) == ["denoised/ddim: there is no such result any more"]
    assert not list(differences({"study/lists": SMALL["study/lists"]}, MODEL, read(committed)))


def test_a_few_weights_may_go_the_other_way_but_not_their_mean_and_not_many(committed):
    row = np.linspace(-1, 1, 5000, dtype=np.float32)
    for name, changed_places, noticed in (("trained", 4, False), ("trained", 5, True), ("study", 4, True)):
        write(SMALL | {f"{name}/weights": row}, MODEL, committed)
        stray = row.copy()
        stray[golden_values._places(row.size)[:changed_places]] += np.float32(0.02)
        assert bool(list(differences(SMALL | {f"{name}/weights": stray}, MODEL, read(committed)))) is noticed
    write(SMALL | {"trained/weights": row}, MODEL, committed)
    (sentence,) = differences(SMALL | {"trained/weights": row + np.float32(0.002)}, MODEL, read(committed))
    assert sentence.startswith("trained/weights: mean 0.00")


def test_what_another_processor_may_add_up_otherwise_is_no_change_unless_bits_are_compared(committed):
    other = with_one_changed(NAME, brighter(2e-6))
    assert not list(differences(SMALL, MODEL, read(committed))) and not list(differences(other, MODEL, read(committed)))
    assert changed(digests(SMALL), digests(copy.deepcopy(SMALL))) == []
    assert changed(digests(SMALL), digests(other)) == [NAME]
    one_bit = SMALL[NAME].copy()
    one_bit[1, 20, 20] = np.nextafter(one_bit[1, 20, 20], np.float32(0))
    assert changed(digests(SMALL), digests(with_one_changed(NAME, one_bit))) == [NAME]


def test_values_of_other_weights_are_said_to_be_that_and_the_rest_is_still_held(committed):
    others = {name: "1" * 64 for name in MODEL}
    found = with_one_changed(NAME, brighter(0.1)) | {"study/lists": "R1"}
    model, study = differences(found, others, read(committed))
    assert model == OTHER_WEIGHTS and "python scripts/golden.py --write" in model and study.startswith("study/lists: ")


@pytest.fixture
def command(committed, monkeypatch):
    """Runs the script on results that cost nothing."""
    monkeypatch.setattr(golden, "weights", lambda: MODEL)
    monkeypatch.setattr(golden, "read", lambda: read(committed))
    monkeypatch.setattr(golden, "write", lambda found, model: write(found, model, committed))
    monkeypatch.delenv("MRIDENOISE_DATA", raising=False)

    def run(found: dict, *words: object):
        monkeypatch.setattr(golden, "results", lambda data: found)
        return CliRunner().invoke(command_line(golden.golden), [str(word) for word in words])

    return run


def test_the_command_ends_with_1_where_a_result_changed(command, tmp_path):
    file = tmp_path / "digests.json"
    assert command(SMALL).exit_code == 0
    assert command(SMALL, "--digests", file).exit_code == 0 and set(json.loads(file.read_text())) == set(SMALL)
    assert command(SMALL, "--compare", file).exit_code == 0
    other = with_one_changed(NAME, brighter(1e-3))
    for words in ([], ["--compare", file]):
        done = command(other, *words)
        assert done.exit_code == 1 and NAME in done.output and "study/lists" not in done.output


def test_the_command_writes_new_values_but_none_without_those_of_the_comparison(command, committed, tmp_path):
    other = with_one_changed(NAME, brighter(1e-3))
    before = committed.read_text()
    assert command(other, "--write").exit_code != 0 and committed.read_text() == before
    assert command(other, "--write", "--data", tmp_path).exit_code == 0 and committed.read_text() != before
    assert command(other).exit_code == 0


def test_committed_voxels_lie_all_over_an_array():
    places = golden_values._places(2 * 160 * 160)
    rows, columns = np.unravel_index(places, (320, 160))
    assert len(set(places)) == golden_values.VOXELS and len(set(rows // 40)) == 8 and len(set(columns // 20)) == 8
