"""The table says who wins, by how much, and on how many rows that is known."""

import io
import json

import pytest
from rich.console import Console

from MRIDenoiseLib.evaluation.contest import RowResult
from MRIDenoiseLib.evaluation.table import (
    BEST_OTHER,
    COIL_NOISE,
    against,
    card_content,
    comparisons,
    means,
    print_comparisons,
    print_means,
    print_rows,
    winner,
)

RIVALS = ("median", "nlm", "bm4d")


def result(volume: str, noise: str, subject: str, **psnr: float) -> RowResult:
    scores = {name: {"psnr": value, "corrected": value + 1, "ssim": value / 40} for name, value in psnr.items()}
    settings = {name: dict.fromkeys(("psnr", "corrected", "ssim"), "radius 1") for name in psnr if name in RIVALS}
    return RowResult(volume, subject, noise, 0.05, 0.01, scores, settings)


RESULTS = [
    result("head", "R", "s1", noisy=25, median=27, nlm=29, bm4d=31, regression=30),
    result("head", "M0.05", "s1", noisy=29, median=27, nlm=31, bm4d=33, regression=33.5),
    result("spine", "R", "s2", noisy=25, median=28, nlm=27, regression=28.5),
    result("spine", "L2-2", "s2", noisy=26, median=27, nlm=30, bm4d=32, regression=29.8),
]


def test_the_winner_of_a_row_is_the_best_of_all():
    assert [winner(row, "psnr") for row in RESULTS] == ["bm4d", "regression", "regression", "bm4d"]


def test_means_are_taken_over_the_rows_that_were_scored():
    table = means(RESULTS, "psnr")
    assert list(table) == ["R", "M0.05", "L2-2", COIL_NOISE, "all"]
    assert table["R"]["bm4d"] == 31 and table["R"]["regression"] == pytest.approx(29.25)
    assert table["all"]["bm4d"] == 32 and table[COIL_NOISE]["nlm"] == pytest.approx(30.5)


def test_a_method_is_compared_on_the_rows_that_both_have():
    found, worst = against(RESULTS, "regression", "bm4d", "psnr")
    assert found.rows == 3 and found.mean == pytest.approx((-1 + 0.5 - 2.2) / 3)
    assert (found.won, worst) == (1, "spine L2-2")
    assert against(RESULTS, "regression", "ants", "psnr") is None


def test_the_best_other_is_the_best_of_the_rivals_but_bm4d_row_by_row():
    found, worst = against(RESULTS, "regression", BEST_OTHER, "psnr")
    assert found.mean == pytest.approx((1 + 2.5 + 0.5 - 0.2) / 4)
    assert (found.rows, found.won, found.worst, worst) == (4, 3, pytest.approx(-0.2), "spine L2-2")


def test_bm4d_is_also_compared_on_the_rows_of_coil_noise_alone():
    entries = comparisons(RESULTS, ["regression"])
    groups = {entry["rival"]: {e["group"] for e in entries if e["rival"] == entry["rival"]} for entry in entries}
    assert groups["bm4d"] == {"all", COIL_NOISE} and groups["median"] == groups["noisy"] == groups[BEST_OTHER] == {"all"}
    coil = next(e for e in entries if (e["rival"], e["group"], e["measure"]) == ("bm4d", COIL_NOISE, "psnr"))
    assert (coil["rows"], coil["mean"]) == (2, pytest.approx(-0.85))
    assert all(entry["rival"] != "regression" for entry in entries)


def test_the_card_gets_every_row_and_the_default_methods_comparisons_and_keeps_the_rest_as_details():
    content, details = json.loads(json.dumps(card_content(RESULTS, "regression", ["regression", "nlm"])))
    assert content["rows"][0] == {"volume": "head", "noise": "R", "noisy": 25, "median": 27, "nlm": 29, "bm4d": 31, "regression": 30}
    assert content["means"]["ssim"]["all"]["noisy"] == pytest.approx(26.25 / 40, abs=1e-4)
    assert "bm4d" not in content["means"]["ssim"]["all"] and "bm4d" in content["means"]["ssim"]["L2-2"], "no mean over fewer rows"
    assert content["lost"] == {"nlm": ["spine L2-2"], "bm4d": ["head R", "spine L2-2"]}
    assert {entry["rival"] for entry in content["against"]} == {"noisy", "median", "nlm", "bm4d", BEST_OTHER}
    assert details["rows"][1]["settings"]["median"]["psnr"] == "radius 1"
    assert {entry["method"] for entry in details["comparisons"]} == {"regression", "nlm"}


def printed(show, *values) -> str:
    console = Console(file=io.StringIO(), width=190)
    show(console, *values)
    return console.file.getvalue()


def test_what_is_printed_marks_what_is_missing():
    rows = printed(print_rows, RESULTS, "psnr")
    spine = next(line for line in rows.splitlines() if "spine" in line and " R " in line)
    assert " - " in spine and "28.50" in spine
    averages = printed(print_means, RESULTS, "psnr")
    assert "32.00 (3)" in averages and "(4)" not in averages
    differences = printed(print_comparisons, comparisons(RESULTS, ["regression"]), 2)
    assert "resampling 2 subjects" in differences and "1 of 3" in differences
