"""Settings chosen on the very image: only other people's methods choose, by the truth, and their cost is paid once."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.comparison import store
from MRIDenoiseLib.evaluation.comparison.cells import TRIAL, run_cell
from MRIDenoiseLib.evaluation.comparison.report import Report
from MRIDenoiseLib.evaluation.comparison.run import Findings, Noises
from MRIDenoiseLib.evaluation.comparison.store import run_kept
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS

EACH = {"choose": "on-each-image", "tuning": None, "volumes": [{"subjects": ["s1"], "noises": ["R"]}]}


def cells_of(plan):
    return {cell.method: cell for cell in plan.scored(plan.choose({}))}


@pytest.fixture
def median(plan_of):
    """The median filter's cell on one image, with the choice of its four settings."""
    return cells_of(plan_of(methods=["median"], **EACH))["median"]


@pytest.fixture
def asked(monkeypatch):
    """Cells that were really run."""
    done = []
    monkeypatch.setattr(store, "run_cell", lambda cell: (done.append(cell), run_cell(cell))[1])
    return done


def test_the_setting_that_comes_closest_to_the_truth_is_taken(median):
    alone = [replace(median, setting=setting, choices=()) for setting in median.choices]
    scores = [run_cell(replace(cell, trial=True)).figures[TRIAL] for cell in alone]
    assert len(scores) == 4 and max(scores) > min(scores) + 0.1
    found = run_cell(median)
    best = int(np.argmax(scores))
    assert found.setting == median.choices[best] and found.figures[TRIAL] == pytest.approx(scores[best])
    assert np.array_equal(found.image, run_cell(alone[best]).image)


def test_methods_of_the_model_never_choose_on_the_truth(plan_of):
    plan = plan_of(methods=["blur", "tuned", "ours", "nbnet", "noisy"], **EACH)
    assert plan.trials() == []
    cells = cells_of(plan)
    assert cells["blur"].choices == CONTENDERS["blur"].settings and not cells["blur"].setting
    assert all(not cells[name].choices for name in ("tuned", "ours", "nbnet", "noisy"))
    assert cells["tuned"].setting == CONTENDERS["tuned"].settings[0]


def test_a_wide_grid_holds_the_settings_of_earlier_comparisons():
    wide = CONTENDERS["nlm"].grid("wide")
    assert {(one["algorithm"], one["search"]) for one in wide} == {("classic", 2), ("classic", 3), ("blockwise", 2)}
    for name in ("gradient", "curvature"):
        settings = CONTENDERS[name].grid("wide")
        assert len({tuple(one.values()) for one in settings}) == 2 * 4 * 3
        assert all(one in settings for one in CONTENDERS[name].settings)
    assert CONTENDERS["median"].grid("wide") == CONTENDERS["median"].settings


def test_a_peer_that_is_told_the_true_noise_does_not_change_with_the_model(plan_of):
    """Where noise was added it is known; where the scanner left it the model measures it."""
    plan = plan_of(methods=["nlm"], repeats=["EPI"], grid="wide", **EACH)
    known = {cell.case.noise: cell.bundle for cell in plan.scored(plan.choose({})) if cell.method == "nlm"}
    assert known["R"] == "" and known["measured"] != ""


def test_a_peer_is_paid_once_for_all_comparisons_and_scored_anew(median, asked, tmp_path):
    first = run_kept(median, tmp_path)
    again = run_kept(replace(median, model="another", folder="/elsewhere"), tmp_path)
    assert len(asked) == 1 and again.setting == first.setting and np.array_equal(again.image, first.image)
    for name, value in first.figures.items():
        assert again.figures[name] == pytest.approx(value, rel=5e-3, abs=2e-3, nan_ok=True), name


@pytest.mark.parametrize("change", ["noise", "settings", "package", "code", "damage"])
def test_a_peer_runs_again_when_anything_that_decides_its_result_has_changed(median, asked, tmp_path, monkeypatch, change):
    run_kept(median, tmp_path)
    cell = median
    if change == "noise":
        cell = replace(median, case=replace(median.case, noise="U"))
    elif change == "settings":
        cell = replace(median, choices=median.choices[:2])
    elif change == "package":
        monkeypatch.setattr(store, "version", lambda package: "another")
    elif change == "code":
        monkeypatch.setattr(store, "image_code", lambda name, networks: "another")
    else:
        [kept] = tmp_path.rglob("*.npy")
        kept.write_bytes(b"damaged")
    run_kept(cell, tmp_path)
    assert len(asked) == 2


def test_our_own_methods_are_never_kept(plan_of, tmp_path):
    run_kept(cells_of(plan_of(methods=["nbnet"], **EACH))["nbnet"], tmp_path / "peers")
    assert not (tmp_path / "peers").exists()


def test_a_store_that_cannot_be_written_costs_no_result(median, tmp_path):
    (tmp_path / "file").write_text("")
    assert not run_kept(median, tmp_path / "file").error


def test_rows_with_a_noisy_reference_are_shown_apart_and_count_nowhere(plan_of, tmp_path):
    plan = plan_of(methods=["noisy", "blur"], choose="on-each-image", tuning=None)
    cells = [(cell, run_cell(cell)) for cell in plan.scored(plan.choose({})) if cell.method != "limits"]
    noises = {cell.case.name: Noises(0.005 if cell.case.subject == "s1" else 0.02, 0.05) for cell, _ in cells}
    findings = Findings(plan, plan.choose({}), {}, cells, {}, noises, {})
    (tmp_path / "out").mkdir()
    report = Report(findings, tmp_path / "out", "command")
    page = report.write().read_text()
    assert list(findings.apart.plan.cases) == ["knee_T2w_s2_R"] and list(findings.counted.plan.cases) == ["head_T1w_s1_R"]
    assert "Shown apart, because the reference" in page and "1 of 1 subjects; 1 more is shown apart" in page
    assert "chosen on the truth: an advantage that no user has" in page
    s1 = next(outcome for cell, outcome in cells if cell.method == "blur" and cell.case.subject == "s1")
    row = next(row for row in report._tables.rows if row.entrant.method == "blur")
    assert row.figures[TRIAL] == pytest.approx(s1.figures[TRIAL]) and row.images == 1
    assert sorted(path.name for path in (tmp_path / "out" / "pictures").glob("*_R.png")) == ["head_T1w_s1_R.png"]
    with (tmp_path / "out" / "cells.csv").open(newline="") as lines:
        told = {(row["image"], row["method"]): row for row in csv.DictReader(lines)}
    assert told["head_T1w_s1_R", "blur"]["counts"] == "yes"
    assert told["knee_T2w_s2_R", "blur"]["counts"].startswith("Shown apart, because")
    assert "chosen on the truth" in told["head_T1w_s1_R", "blur"]["how it was chosen"]
    assert told["head_T1w_s1_R", "blur"]["setting"] != "-" and not told["head_T1w_s1_R", "noisy"]["how it was chosen"]
