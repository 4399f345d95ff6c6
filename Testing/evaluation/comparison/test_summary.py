"""Tables and tests: subjects are the samples, and who beats ours stands there in bold."""

import math

import numpy as np
import pytest
from comparison_cases import findings_of
from scipy import stats

from MRIDenoiseLib.evaluation.comparison import sections, summary
from MRIDenoiseLib.evaluation.comparison.cells import Outcome
from MRIDenoiseLib.evaluation.comparison.report import Report


def figures(psnr, ssim=0.8, dice=0.7):
    return {"psnr_foreground": psnr, "ssim_foreground": ssim, "dice": dice, "bias": 0.0}


@pytest.fixture
def plan(plan_of):
    """Ours, a better one, a worse one, and one that failed on a subject; ten subjects with two noises each."""
    plan = plan_of(methods=["noisy", "blur", "median", "ours"], volumes=[{"subjects": ["s1", "s2"], "noises": ["R", "M0.10"]}], tuning=None)
    [first, *_] = plan.cases.values()
    cases = {}
    for number in range(10):
        for noise in ("R", "M0.10"):
            spec = type(first)(**{**vars(first), "subject": f"p{number}", "source": f"volumes/v{number}.nii.gz", "noise": noise})
            cases[spec.name] = spec
    return type(plan)(**{**vars(plan), "cases": cases})


def found(plan):
    ours = {f"p{number}": 30.0 + number / 3 for number in range(10)}
    table = {("ours", subject): figures(value) for subject, value in ours.items()}
    table |= {("blur", subject): figures(value + 0.4 + (number % 3) / 10) for number, (subject, value) in enumerate(ours.items())}
    table |= {("noisy", subject): figures(value - 5 - number / 10) for number, (subject, value) in enumerate(ours.items())}
    table |= {("median", subject): figures(value + 0.01 * (-1) ** number) for number, (subject, value) in enumerate(ours.items()) if number}
    return findings_of(plan, table), ours


def test_a_subject_counts_once_however_many_images_it_has(plan):
    cells = [cell for cell in plan.scored(plan.choose({})) if cell.method == "blur"]
    mixed = [(cell, Outcome({"psnr_foreground": 40.0 if cell.case.subject == "p0" else 20.0})) for cell in cells]
    one_more = [*mixed, (mixed[0][0], Outcome({"psnr_foreground": 40.0}))]
    assert summary.over_subjects(mixed, "psnr_foreground") == pytest.approx(22.0)
    assert summary.over_subjects(one_more, "psnr_foreground") == pytest.approx(22.0)
    assert math.isnan(summary.over_subjects(mixed, "lpips"))


def test_the_rows_hold_means_costs_and_failures(plan):
    findings, ours = found(plan)
    rows = {row.entrant.method: row for row in summary.rows(findings)}
    assert rows["ours"].figures["psnr_foreground"] == pytest.approx(np.mean(list(ours.values())))
    assert rows["median"].images == 18 and set(rows["median"].errors) == {"v0_R", "v0_M0.10"}
    assert rows["ours"].seconds == pytest.approx(1.0) and rows["ours"].processor == pytest.approx(2.0), "three slices an image"


def test_differences_p_values_and_equivalence_are_over_subjects(plan):
    findings, ours = found(plan)
    entries = {(one.figure, one.other.method): one for one in summary.against(findings)}
    blur, median = entries["psnr_foreground", "blur"], entries["psnr_foreground", "median"]
    assert blur.difference.n == 20 and blur.difference.subjects == 10 and blur.first == "other"
    expected = [-0.4 - (number % 3) / 10 for number in range(10)]
    assert blur.difference.mean == pytest.approx(np.mean(expected)) and blur.difference.mean_high < 0
    assert blur.test.n == 10 and blur.test.p == pytest.approx(
        stats.wilcoxon(expected, zero_method="pratt", method="exact").pvalue, abs=2e-3
    )
    assert blur.p_holm >= blur.test.p and blur.same.verdict == "no"
    assert median.difference.subjects == 9 and median.same.verdict == "yes", "within the margin of 0.1 dB"
    ssim = entries["ssim_foreground", "noisy"]
    assert ssim.first == "neither" and ssim.test.p == 1 and ssim.same is None, "no difference is not called equal without a margin"


def test_who_beats_ours_is_named_and_stands_in_bold(plan, tmp_path):
    findings, _ = found(plan)
    report = Report(findings, tmp_path, "command")
    assert report.verdict.startswith("Ahead of ours by foreground PSNR") and "Gaussian blur by 0.49 dB" in report.verdict
    assert "Noisy" not in report.verdict
    page = "".join(report._main_table())
    assert "<td class='best'>Gaussian blur</td>" in page and "<td class='best'>Noisy</td>" not in page
    assert "<td class='best'>Ours (default)</td>" not in page


def test_where_nobody_beats_ours_the_page_says_so(plan, tmp_path):
    table = {("ours", f"p{number}"): figures(30.0) for number in range(10)} | {
        ("blur", f"p{number}"): figures(29.0) for number in range(10)
    }
    report = Report(findings_of(plan, table), tmp_path, "command")
    assert report.verdict.startswith("By foreground PSNR no method is ahead of ours")


def test_groups_are_organs_and_noises_or_subjects(plan):
    findings, ours = found(plan)
    assert set(summary.groups(findings, "psnr_foreground", summary.organ_and_noise)) == {"head, R", "head, M0.10"}
    subjects = summary.groups(findings, "psnr_foreground", summary.organ_and_subject)
    means = {name: {entrant.method: value for entrant, value in of_it.items()} for name, of_it in subjects.items()}
    assert {name: of_it["ours"] for name, of_it in means.items()} == {f"head, {subject}": value for subject, value in ours.items()}
    assert math.isnan(means["head, p0"]["median"]) and math.isfinite(means["head, p1"]["median"])


def test_the_page_has_a_column_a_subject_as_long_as_they_fit(plan, monkeypatch):
    findings, _ = found(plan)
    tables = sections.Tables(findings, summary.rows(findings), summary.against(findings))
    page = "".join(sections.by_group(tables))
    assert all(f"head, p{number}<" in page for number in range(10)) and "by subject" in page
    monkeypatch.setattr(sections, "COLUMNS", 9)
    page = "".join(sections.by_group(tables))
    assert "by subject" not in page and "by organ and noise" in page
