"""``mridenoise segment``: the label map and all that goes with it, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tissue_files import files, run, save

from MRIDenoiseLib import RESEARCH_USE_ONLY


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_label_map_lies_on_the_images_grid_with_a_colour_table_beside_it(tmp_path, capsys, ending):
    image, mask, truth = files(tmp_path)
    out, report = tmp_path / f"tissues{ending}", tmp_path / "report.json"
    assert run("segment", image, out, "--mask", mask, "--report", report) == 0
    labels = sitk.ReadImage(str(out))
    assert labels.GetPixelID() == sitk.sitkUInt8
    for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(labels, part)() == pytest.approx(getattr(sitk.ReadImage(str(image)), part)(), abs=1e-5)
    assert (sitk.GetArrayFromImage(labels) == truth).mean() > 0.98
    table = (tmp_path / "tissues.ctbl").read_text().splitlines()
    assert table[1] == "0 background 0 0 0 0" and table[2].startswith("1 cerebrospinal_fluid 85 188 255 255") and len(table) == 5
    account = json.loads(report.read_text())
    assert [kind["name"] for kind in account["classes"]] == ["cerebrospinal fluid", "grey matter", "white matter"]
    assert account["settings"]["smoothness"] == 0.1 and str(tmp_path) not in report.read_text()
    said = capsys.readouterr().out
    assert "white matter" in said and RESEARCH_USE_ONLY in said
    note = {key: labels.GetMetaData(key) for key in labels.GetMetaDataKeys()}
    assert any("NOT FOR DIAGNOSTIC USE" in text for text in note.values())


def test_a_segmentation_file_holds_its_own_names_and_colours(tmp_path):
    image, mask, _ = files(tmp_path)
    assert run("segment", image, tmp_path / "t.seg.nrrd", "--mask", mask) == 0
    header = sitk.ReadImage(str(tmp_path / "t.seg.nrrd"))
    assert header.GetMetaData("Segment2_Name") == "white matter" and header.GetMetaData("Segment2_LabelValue") == "3"
    assert header.GetMetaData("Segment0_Color").split()[2] == "1.000000"
    assert not (tmp_path / "t.seg.ctbl").exists() and not (tmp_path / "t.ctbl").exists()


def test_probabilities_and_parts_are_four_dimensional(tmp_path):
    image, mask, _ = files(tmp_path)
    options = ("--posteriors", tmp_path / "p.nii.gz", "--partial-volumes", tmp_path / "v.nrrd", "--classes", 4, "--no-bias")
    assert run("segment", image, tmp_path / "t.nii.gz", "--mask", mask, *options) == 0
    for name in ("p.nii.gz", "v.nrrd"):
        maps = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name)))
        inside = sitk.GetArrayFromImage(sitk.ReadImage(str(mask))) > 0
        assert maps.shape == (4, *inside.shape) and maps.sum(axis=0)[inside] == pytest.approx(1, abs=1e-4)


def test_a_knee_has_classes_of_intensity_and_says_so(tmp_path, capsys):
    image, _, _ = files(tmp_path, name="knee_PDw")
    assert run("segment", image, tmp_path / "t.nii.gz") == 0
    said = capsys.readouterr().out
    assert "intensity class 2" in said and "not of anatomy" in said


def damaged(folder: Path, kind: str) -> tuple[Path, Path]:
    """An image and a mask of which one will not do."""
    image, mask, labels = files(folder)
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(image)))
    if kind == "constant":
        save(np.full_like(voxels, 7), image)
    elif kind == "constant inside":
        save(np.where(labels > 0, 7, voxels).astype(np.int16), image)
    elif kind == "NaN":
        save(np.where(labels == 2, np.nan, voxels).astype(np.float32), image)
    elif kind == "empty mask":
        save(np.zeros(labels.shape, np.uint8), mask)
    elif kind == "mask of another shape":
        save((labels[1:] > 0).astype(np.uint8), mask)
    elif kind == "mask of another spacing":
        save((labels > 0).astype(np.uint8), mask, spacing=(1.0, 1.1, 3.0))
    elif kind == "no mask":
        mask.unlink()
    return image, mask


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("constant", "same value"),
        ("constant inside", "fewer grey values"),
        ("NaN", "not finite numbers"),
        ("empty mask", "is empty"),
        ("mask of another shape", "another grid"),
        ("mask of another spacing", "another grid"),
        ("no mask", "not an image file"),
    ],
)
def test_what_cannot_be_segmented_ends_in_one_sentence(kind, said, tmp_path, capsys):
    image, mask = damaged(tmp_path, kind)
    assert run("segment", image, tmp_path / "t.nii.gz", "--mask", mask, "--report", tmp_path / "r.json") == 2
    words = capsys.readouterr().err.strip()
    assert said in " ".join(words.split()) and "Traceback" not in words
    assert not any((tmp_path / name).exists() for name in ("t.nii.gz", "t.ctbl", "r.json"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("a.nii.gz",), "Missing parameter: out"),
        (("a.nii.gz", "b.nii.gz", "--classes", 9), "2 to 6"),
        (("a.nii.gz", "b.png"), "give a name that ends in"),
        (("a.nii.gz", "b.nii.gz", "--posteriors", "b.nii.gz"), "same place"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image, _, _ = files(tmp_path)
    image.rename(tmp_path / "a.nii.gz")
    assert run("segment", *options) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_nothing_is_replaced_without_leave(tmp_path, capsys):
    image, mask, _ = files(tmp_path)
    (tmp_path / "t.ctbl").write_text("mine")
    assert run("segment", image, tmp_path / "t.nii.gz", "--mask", mask) == 2
    assert (tmp_path / "t.ctbl").read_text() == "mine" and not (tmp_path / "t.nii.gz").exists()
    assert run("segment", image, tmp_path / "t.nii.gz", "--mask", mask, "--overwrite") == 0
    assert (tmp_path / "t.ctbl").read_text() != "mine"


def test_segmenting_loads_no_torch(tmp_path):
    image, mask, _ = files(tmp_path)
    code = (
        "import sys; from MRIDenoiseLib.cli import main; "
        f"status = main(['segment', {str(image)!r}, {str(tmp_path / 't.nii.gz')!r}, '--mask', {str(mask)!r}]); "
        "sys.exit(status or ('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
