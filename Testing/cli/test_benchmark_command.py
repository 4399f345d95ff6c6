"""``mridenoise benchmark`` as its user runs it."""

import json

import pytest

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.errors import MRIDenoiseError

SMALL = ["--size", "64", "--slices", "2", "--repeats", "2", "--threads", "1", "--device", "cpu"]


def test_it_prints_its_tables_and_writes_every_figure_without_folders(tiny_bundle, tmp_path, capsys):
    out = tmp_path / "speed.json"
    given = [
        "benchmark",
        "methods",
        "--bundle",
        str(tiny_bundle),
        "--method",
        "posterior-mean",
        "--precision",
        "float32",
        *SMALL,
        "--json",
        str(out),
    ]
    assert main(given) == 0
    shown = capsys.readouterr().out
    assert "posterior-mean" in shown and "GFLOP/s" in shown
    account = json.loads(out.read_text())
    (row,) = account["rows"]
    assert row["measured"]["slice"] and row["row"]["bundle"] == tiny_bundle.name
    assert str(tiny_bundle.parent) not in out.read_text()


def test_a_volume_holds_at_least_as_many_slices_as_a_call(tmp_path):
    out = tmp_path / "speed.json"
    only = ["--method", "posterior-mean", "--precision", "float32", "--batch", "3"]
    assert main(["benchmark", "--config", "tiny", *only, *SMALL, "--json", str(out)]) == 0
    (row,) = json.loads(out.read_text())["rows"]
    assert row["row"]["batch"] == row["row"]["slices"] == 3


def test_waiting_times_that_cannot_be_measured_are_a_note_and_cost_nothing_else(monkeypatch, tmp_path, capsys):
    from MRIDenoiseLib.evaluation.speed import latency

    def broken(*_):
        yield latency.Wait("one thing", 1.0, "s")
        raise MRIDenoiseError("the worker did not start")

    monkeypatch.setattr(latency, "waiting_times", broken)
    out = tmp_path / "waits.json"
    assert main(["benchmark", "latency", "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "one thing" in shown and "waiting times: the worker did not start" in shown
    account = json.loads(out.read_text())
    assert account["waiting"] == [{"what": "one thing", "value": 1.0, "unit": "s"}] and account["machine"] and account["rows"] == []


def test_the_paper_sized_networks_are_counted_without_computing(capsys):
    assert main(["benchmark", "networks", "--config", "paper"]) == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("denoiser", "flow", "noise estimator", "LoRA adapters"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--method", "magic"], "no way to denoise 'magic'"),
        (["--precision", "float8"], "no number format 'float8'"),
        (["ladder", "magic"], "no way to denoise"),
        (["ladder", "regression", "--config", "tiny"], "No such option"),
        (["ladder", "regression", "--peers"], "No such option"),
        (["networks", "--json", "x.json"], "No such option"),
        (["latency", "--threads", "2"], "No such option"),
        (["ladders"], "No such command"),
        (["--config", "tiny", "--bundle", "x"], "two different models"),
    ],
)
def test_a_wrong_choice_is_one_sentence(capsys, wrong, said):
    assert main(["benchmark", *wrong]) == 2
    assert said in capsys.readouterr().err


def test_an_existing_report_is_not_replaced(tmp_path, capsys):
    out = tmp_path / "there.json"
    out.write_text("mine")
    assert main(["benchmark", "--json", str(out), *SMALL]) == 2
    assert out.read_text() == "mine"
