"""``mridenoise evaluate --tissues``: the tissues of volumes against a reference's, and what is refused."""

import json

import numpy as np
import pytest
from tissue_files import files, run, save


def test_images_are_compared_with_a_reference_and_with_a_blur(tmp_path, capsys):
    reference, mask, _ = files(tmp_path, snr=40)
    noisy, _, _ = files(tmp_path, snr=5, seed=1, name="noisy")
    better, _, _ = files(tmp_path, snr=15, seed=2, name="better")
    report = tmp_path / "report.json"
    assert run("evaluate", "--tissues", noisy, better, "--reference", reference, "--mask", mask, "--json", report) == 0
    rows = json.loads(report.read_text())["compared"]
    assert [row["image"].split(",")[0] for row in rows] == ["image 1", "image 1", "image 2"]
    assert rows[0]["mean"] < rows[1]["mean"] and rows[0]["mean"] < rows[2]["mean"]
    assert sum(rows[0]["millilitres"]) == pytest.approx(sum(rows[2]["millilitres"]))
    said = capsys.readouterr().out
    assert f"{rows[2]['mean']:.3f}" in said and "noisy" in said


def test_a_reference_agrees_with_itself(tmp_path):
    reference, mask, _ = files(tmp_path)
    report = tmp_path / "report.json"
    assert run("evaluate", "--tissues", reference, "--reference", reference, "--mask", mask, "--json", report) == 0
    assert json.loads(report.read_text())["compared"][0]["dice"] == [1, 1, 1]


def test_an_image_on_another_grid_is_not_compared(tmp_path, capsys):
    reference, mask, labels = files(tmp_path)
    other = save((100 * labels).astype(np.int16), tmp_path / "o.nrrd", spacing=(1.0, 1.0, 2.0))
    assert run("evaluate", "--tissues", other, "--reference", reference, "--mask", mask) == 2
    assert "image 1 and the reference lie on different grids" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--classes", 4), "--classes says how to segment; give it with --tissues"),
        (("--no-bias",), "give it with --tissues"),
        (("--tissues", "--lpips"), "leave --noisy, --simulated and --lpips out"),
        (("--tissues", "--noisy", "head_T1w.nii.gz"), "leave --noisy, --simulated and --lpips out"),
        (("--tissues", "--classes", 9), "2 to 6"),
        (("--tissues", "--json", "report.txt"), "must end in .json"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reference, _, _ = files(tmp_path)
    assert run("evaluate", reference, "--reference", reference, *options) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_options_of_the_segmentation_are_heeded(tmp_path):
    reference, mask, _ = files(tmp_path)
    report = tmp_path / "report.json"
    asked = ("--classes", 2, "--smoothness", 0.3, "--no-bias", "--contrast", "T1w", "--organ", "head")
    assert run("evaluate", "--tissues", reference, "--reference", reference, "--mask", mask, *asked, "--json", report) == 0
    settings = json.loads(report.read_text())["reference"]["settings"]
    assert (settings["classes"], settings["smoothness"], settings["bias_rounds"]) == (2, 0.3, 0)
