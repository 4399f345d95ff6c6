"""``mridenoise denoise``: the options, the files it leaves and the words it ends with."""

import errno
import json
import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from damage import dicom_folder, dicom_slice, good, phantom, save
from pydicom.uid import generate_uid

from MRIDenoiseLib import RESEARCH_USE_ONLY, io
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle


def noisy_head(path: Path) -> Path:
    """A volume large enough for its noise to be measured, which a network needs to change anything."""
    return save(phantom((5, 64, 72)), path)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_volume_residual_and_report_belong_together(tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = noisy_head(tmp_path / "in.nii.gz")
    out, residual, report = tmp_path / "out.nrrd", tmp_path / "residual.mha", tmp_path / "run.json"
    options = ("--residual", residual, "--report", report, "--seed", 5, "--organ", "knee", "--contrast", "PDw", "--vendor", "GE")

    assert run("denoise", source, out, "--bundle", tiny_bundle, *options, "--acceleration", 3) == 0

    noisy, denoised, taken = io.read(source), io.read(out), io.read(residual)
    assert denoised.pixel_type == "int16"
    assert np.allclose(denoised.ijk_to_ras, noisy.ijk_to_ras)
    assert not np.array_equal(noisy.voxels, denoised.voxels)
    # Half a unit: the denoised volume is rounded to the stored type, the residual is not.
    assert np.abs(noisy.voxels - denoised.voxels - taken.voxels).max() <= 0.501
    told = json.loads(report.read_text())
    assert told["seed"] == 5
    assert told["bundle"] == Bundle.load(tiny_bundle).hash
    assert told["research_use"] == RESEARCH_USE_ONLY
    assert {"knee", "ge", "3x"} <= set(told["prompt"].split())
    said = capsys.readouterr().out
    assert RESEARCH_USE_ONLY in said
    assert f"noise removed  {told['noise_removed']:.0%}" in said and "in flat tissue" in said


@pytest.mark.parametrize("name", ["width.nii.gz", "width.mha", "width"])
def test_the_map_of_uncertainty_is_written_with_the_result(
    name: str, tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = dicom_folder(tmp_path) if name == "width" else noisy_head(tmp_path / "in.nii.gz")
    out, width, report = tmp_path / "out.nrrd", tmp_path / name, tmp_path / "run.json"
    options = ("--method", "regression", "--slices", "2:4", "--bundle", tiny_bundle)
    assert run("denoise", source, out, "--uncertainty", width, "--report", report, *options) == 0
    noisy, told = io.read(source), json.loads(report.read_text())
    expected = Denoiser(Bundle.load(tiny_bundle), "cpu")(noisy, Settings(method="regression", slices=(2, 4), uncertainty=True))
    assert expected.uncertainty is not None
    assert told["uncertainty_median"] == expected.report["uncertainty_median"] > 0
    found, wanted = io.read(width), expected.uncertainty.stack
    if name == "width":
        assert found.stack.shape[0] == 2, "a derived series holds the slices alone that were computed"
        assert found.headers[0].SeriesDescription.endswith("uncertainty")
        assert np.abs(found.stack - wanted[2:4]).max() < 1e-3 * wanted.max()
    else:
        assert np.allclose(found.stack, wanted, rtol=1e-5) and not found.stack[[0, 1, 4]].any() and found.stack[2:4].min() > 0
    if name.endswith("gz"):
        beside = json.loads((tmp_path / "width.json").read_text())
        assert "half-width of the 90 % interval" in beside["Description"] and beside["MRIDenoise"]["uncertainty_median"]
    assert f"± {told['uncertainty_median']:.1%}" in (said := capsys.readouterr().out) and "uncertainty:" in said


def test_a_model_that_cannot_say_how_sure_it_is_says_so_and_writes_nothing(
    tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_bundle, model)
    card = json.loads((model / "card.json").read_text())
    del card["uncertainty"]
    (model / "card.json").write_text(json.dumps(card))
    source = noisy_head(tmp_path / "in.nii")
    assert run("denoise", source, tmp_path / "out.nii", "--bundle", model, "--uncertainty", tmp_path / "width.nii") == 2
    assert "nobody has measured yet" in (said := capsys.readouterr().err) and said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.nii", "model"]


def test_a_json_file_beside_every_nifti_result_says_what_was_done(tmp_path: Path, tiny_bundle: Path) -> None:
    source = noisy_head(tmp_path / "in.nii.gz")
    (tmp_path / "in.json").write_text('{"RepetitionTime": 2.0, "PatientName": "Nobody^Real"}')
    (tmp_path / "removed.json").write_text('{"mine": 1}')
    command = (
        "denoise",
        source,
        tmp_path / "out.nii.gz",
        "--bundle",
        tiny_bundle,
        "--slices",
        "2:3",
        "--residual",
        tmp_path / "removed.nii",
    )
    assert run(*command) == 2  # a file of somebody's own stays, and nothing is computed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.json", "in.nii.gz", "removed.json"]
    assert run(*command, "--overwrite", "--report", tmp_path / "out.json") == 0
    # The report was given the name of the result's sidecar, and keeps it.
    assert json.loads((tmp_path / "out.json").read_text())["slices"] == [2, 3]
    assert run(*command, "--overwrite") == 0
    told, removed = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("out", "removed"))
    assert told["Sources"] == ["in.nii.gz"] and told["RepetitionTime"] == 2.0 and told["MRIDenoise"]["slices"] == [2, 3]
    assert "removed" in removed["Description"] and "Nobody" not in str(told) + str(removed)
    # The source's own sidecar is no place for a result's.
    before = (tmp_path / "in.json").read_bytes()
    assert run("denoise", source, tmp_path / "in.nii", "--bundle", tiny_bundle, "--slices", "2:3") == 0
    assert (tmp_path / "in.json").read_bytes() == before


def test_the_map_of_the_noise_goes_out_with_the_result_and_comes_in_again(
    tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, noise = noisy_head(tmp_path / "in.nii.gz"), tmp_path / "noise.nii.gz"
    assert run("denoise", source, tmp_path / "out.nii.gz", "--bundle", tiny_bundle, "--noise-map", noise) == 0
    assert "(and noise.json beside it)" in capsys.readouterr().out
    assert "standard deviation of the noise" in json.loads((tmp_path / "noise.json").read_text())["Description"]
    found = io.read(noise)
    assert found.pixel_type == "float32" and found.voxels.min() > 0 and np.allclose(found.ijk_to_ras, io.read(source).ijk_to_ras)
    twice = save(2 * found.voxels, tmp_path / "twice.nii.gz")
    reports = []
    for given in (noise, twice):
        report = tmp_path / f"report-{given.name[:5]}.json"
        options = ("--noise-map-in", given, "--report", report)
        assert run("denoise", source, tmp_path / f"{given.name[:5]}.nrrd", "--bundle", tiny_bundle, *options) == 0
        reports.append(json.loads(report.read_text()))
    assert reports[1]["noise_level"] == pytest.approx(2 * reports[0]["noise_level"], rel=1e-3)
    # The map is an input like the image: nothing takes its place.
    assert run("denoise", source, noise, "--bundle", tiny_bundle, "--noise-map-in", noise, "--overwrite") == 2
    assert (
        run(
            "denoise",
            source,
            tmp_path / "x.nrrd",
            "--bundle",
            tiny_bundle,
            "--noise-map-in",
            save(phantom((5, 24, 28)), tmp_path / "s.nii.gz"),
        )
        == 2
    )
    assert "give a map on the image's own grid" in " ".join(capsys.readouterr().err.split())


def test_a_map_in_dicom_is_finer_than_the_images_own_steps(tmp_path: Path, tiny_bundle: Path) -> None:
    source = dicom_folder(tmp_path)
    assert run("denoise", source, tmp_path / "out", "--bundle", tiny_bundle, "--noise-map", tmp_path / "noise", "--denoise-clean") == 0
    assert run("denoise", source, tmp_path / "out.nrrd", "--bundle", tiny_bundle, "--noise-map", tmp_path / "noise.nrrd") == 0
    stored, exact = io.read(tmp_path / "noise").voxels, io.read(tmp_path / "noise.nrrd").voxels
    assert exact.max() > 0 and np.abs(stored - exact).max() <= exact.max() / 1000


def test_the_guarantee_is_told_and_can_be_left_out(tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, report = noisy_head(tmp_path / "in.nii.gz"), tmp_path / "run.json"
    tables = {}
    for kappa in ("off", "3", "4"):
        options = ("--guarantee", kappa, "--report", report, "--overwrite")
        assert run("denoise", source, tmp_path / "out.nrrd", "--bundle", tiny_bundle, *options) == 0
        said = " ".join(capsys.readouterr().out.split())
        tables[kappa] = json.loads(report.read_text())["guarantee"]
        assert ("Guaranteed for this volume" in said) == (kappa != "off")
    assert tables["off"] is None and tables["4"]["kappa"] == 4
    assert tables["3"]["table"][0]["contrast"] < tables["4"]["table"][0]["contrast"]
    assert run("denoise", source, tmp_path / "out.nrrd", "--bundle", tiny_bundle, "--guarantee", "5", "--overwrite") == 2


def test_a_second_scan_is_treated_as_the_first_was(tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, first, second = noisy_head(tmp_path / "in.nii.gz"), tmp_path / "first.json", tmp_path / "second.json"
    options = ("--method", "posterior-mean", "--strength", 0.7, "--seed", 3, "--guarantee", "off", "--organ", "knee")
    assert run("denoise", source, tmp_path / "a.nrrd", "--bundle", tiny_bundle, *options, "--report", first) == 0
    assert run("denoise", source, tmp_path / "b.nrrd", "--bundle", tiny_bundle, "--like", first, "--report", second) == 0
    assert np.array_equal(io.read(tmp_path / "a.nrrd").voxels, io.read(tmp_path / "b.nrrd").voxels)
    told, again = (json.loads(path.read_text()) for path in (first, second))
    # What is not known of the second scan itself is said all the same.
    apart = {"seconds": 0, "warnings": []}
    assert told | apart == again | apart
    # A scan with somewhat more noise is told the first one's; one with much more is told its own, and it is said.
    for extra, said in ((15, False), (120, True)):
        more = np.abs(phantom((5, 64, 72)) + np.random.default_rng(2).normal(0, extra, (5, 64, 72)))
        noisier, out = save(more.astype(np.int16), tmp_path / f"{extra}.nii.gz"), tmp_path / f"{extra}.nrrd"
        assert run("denoise", noisier, out, "--bundle", tiny_bundle, "--like", first, "--report", second, "--overwrite") == 0
        found = json.loads(second.read_text())
        assert any("is to be like" in sentence for sentence in found["warnings"]) == said
        assert (found["noise_level_fraction"] == pytest.approx(told["noise_level_fraction"])) != said
    capsys.readouterr()


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("{}", (), "not the report of a volume"),
        ("no json", (), "cannot be read as the report"),
        ('{"volumes": []}', (), "one of several volumes"),
        (None, ("--method", "ddim"), "leave --method out"),
        (None, ("--noise-map-in", "measured"), "leave --noise-map-in out"),
        ('"bundle": "other"', (), "made with another model"),
    ],
)
def test_what_cannot_be_like_is_said_in_a_sentence(
    content: str | None, options: tuple[str, ...], said: str, tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, report = noisy_head(tmp_path / "in.nii.gz"), tmp_path / "first.json"
    assert run("denoise", source, tmp_path / "a.nrrd", "--bundle", tiny_bundle, "--slices", "2:3", "--report", report) == 0
    if content is not None:
        known = json.loads(report.read_text())
        report.write_text(json.dumps(known | {"bundle": "other"}) if "bundle" in content else content)
    capsys.readouterr()
    assert run("denoise", source, tmp_path / "b.nrrd", "--bundle", tiny_bundle, "--like", report, *options) == 2
    assert said in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "b.nrrd").exists()


def test_where_too_little_tissue_is_flat_the_part_removed_is_not_made_up(
    tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, report = save(phantom((5, 24, 28)), tmp_path / "in.nii.gz"), tmp_path / "run.json"
    assert run("denoise", source, tmp_path / "out.nii.gz", "--bundle", tiny_bundle, "--slices", "2:3", "--report", report) == 0
    assert json.loads(report.read_text())["noise_removed"] is None
    assert "noise removed  not known" in capsys.readouterr().out


def test_the_report_says_nothing_about_the_patient_or_the_place(tmp_path: Path, tiny_bundle: Path) -> None:
    source = dicom_folder(tmp_path)
    report = tmp_path / "run.json"
    assert run("denoise", source, tmp_path / "derived", "--bundle", tiny_bundle, "--report", report) == 0
    text = report.read_text()
    for private in ("Nobody", "phantom", "20200101", "1.2.826", str(tmp_path), "series"):
        assert private not in text


def test_slices_outside_the_range_are_copied(tmp_path: Path, tiny_bundle: Path) -> None:
    source, out = noisy_head(tmp_path / "in.nrrd"), tmp_path / "out.nrrd"
    assert run("denoise", source, out, "--bundle", tiny_bundle, "--slices", "1:3") == 0
    changed = [not np.array_equal(a, b) for a, b in zip(io.read(source).voxels, io.read(out).voxels, strict=True)]
    assert changed == [False, True, True, False, False]


def test_the_same_seed_gives_the_same_file_and_another_seed_another(tmp_path: Path, tiny_bundle: Path) -> None:
    source = noisy_head(tmp_path / "in.nrrd")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ("--bundle", tiny_bundle, "--method", "ddim", "--steps", 3, "--seed", seed)
        assert run("denoise", source, tmp_path / f"{name}.nrrd", *options) == 0
    a, b, c = (io.read(tmp_path / f"{name}.nrrd").voxels for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_least_sharp_image_is_that_of_regression_and_the_report_says_how_sharp(tmp_path: Path, tiny_bundle: Path) -> None:
    source, report = noisy_head(tmp_path / "in.nrrd"), tmp_path / "report.json"
    options = ("--bundle", tiny_bundle, "--method", "sharpened", "--report", report, "--overwrite")
    for name, sharpness in (("faithful", 0), ("sharp", 0.7)):
        assert run("denoise", source, tmp_path / f"{name}.nrrd", *options, "--sharpness", sharpness) == 0
    told = json.loads(report.read_text())
    assert (told["method"], told["sharpness"]) == ("sharpened", 0.7)
    faithful, sharp = (io.read(tmp_path / f"{name}.nrrd").voxels for name in ("faithful", "sharp"))
    assert not np.array_equal(faithful, sharp)
    by_python = Denoiser(Bundle.load(tiny_bundle))(io.read(source), Settings(method="regression", samples=told["samples"])).volume
    assert np.array_equal(faithful, np.round(by_python.voxels))
    assert run("denoise", source, tmp_path / "views.nrrd", *options, "--samples", 3) == 0
    assert json.loads(report.read_text())["samples"] == 3


def test_the_chosen_volume_of_a_4d_image_is_the_one_denoised(tmp_path: Path, tiny_bundle: Path) -> None:
    source = save(np.stack([phantom(), 3 * phantom()]), tmp_path / "two.nii.gz")
    out = tmp_path / "out.nii.gz"
    assert run("denoise", source, out, "--bundle", tiny_bundle, "--volume", 2, "--slices", "0:1") == 0
    assert np.array_equal(io.read(out).voxels[1:], 3.0 * phantom()[1:])


def test_the_chosen_echo_of_a_series_becomes_a_derived_series(tmp_path: Path, tiny_bundle: Path) -> None:
    def two_echoes(slices: list) -> list:
        later = [dicom_slice(index, image // 2) for index, image in enumerate(phantom())]
        for slice_ in later:
            slice_.EchoTime, slice_.EchoNumbers = 80.0, 2
            slice_.SOPInstanceUID = slice_.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[slice_.SOPInstanceUID])
        return slices + later

    source, out = dicom_folder(tmp_path, two_echoes), tmp_path / "derived"
    assert run("denoise", source, out, "--bundle", tiny_bundle, "--echo", 2) == 0
    derived = io.read(out)
    assert derived.voxels.shape == (5, 24, 28)
    assert {float(header.EchoTime) for header in derived.headers} == {80.0}


WRONG_OPTIONS = {
    "a range that is none": ["--slices", "4"],
    "a range backwards": ["--slices", "3:1"],
    "a range outside": ["--slices", "2:99"],
    "no steps": ["--steps", "0"],
    "more views than a slice has": ["--method", "regression", "--samples", "9"],
    "a negative weight": ["--fidelity", "-1"],
    "more than the sharpest": ["--sharpness", "1.2"],
    "an acceleration of zero": ["--acceleration", "0"],
    "an acceleration that is no number": ["--acceleration", "nan"],
    "an unknown method": ["--method", "magic"],
    "an unknown device": ["--device", "abacus"],
    "an unknown option": ["--brighter"],
    "a report that is no JSON": ["--report", "{tmp}/report.txt"],
    "a report in no folder": ["--report", "{tmp}/nowhere/report.json"],
    "a residual in no folder": ["--residual", "{tmp}/nowhere/residual.nii"],
    "a map of uncertainty that is the output": ["--uncertainty", "{tmp}/out.nii"],
    "a map of uncertainty in no folder": ["--uncertainty", "{tmp}/nowhere/width.nii"],
    "a residual that is the map of uncertainty": ["--residual", "{tmp}/width.nii", "--uncertainty", "{tmp}/width.nii"],
    "a residual that is the output": ["--residual", "{tmp}/out.nii"],
    "a residual inside the output": ["--residual", "{tmp}/out.nii/residual.nii"],
    "a residual that is the input": ["--residual", "{tmp}/image.nii", "--overwrite"],
    "a model that is not there": ["--bundle", "{tmp}/nowhere"],
    "a series where there is none": ["--echo", "7"],
}


@pytest.mark.parametrize("what", WRONG_OPTIONS)
def test_a_wrong_option_ends_in_one_sentence(what: str, tmp_path: Path, tiny_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, out = good("nii", tmp_path), tmp_path / "out.nii"
    before = source.read_bytes()
    options = [option.format(tmp=tmp_path) for option in WRONG_OPTIONS[what]]
    assert run("denoise", source, out, "--bundle", tiny_bundle, *options) == 2
    complaint = capfd.readouterr().err
    assert complaint.startswith("mridenoise: ")
    assert complaint.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["image.nii"]
    assert source.read_bytes() == before


@pytest.mark.parametrize("which", ["out.nii", "residual.nii", "width.nii", "report.json"])
def test_what_is_there_already_stays_unless_overwriting_is_allowed(which: str, tmp_path: Path, tiny_bundle: Path) -> None:
    source = good("nii", tmp_path)
    (tmp_path / which).write_text("precious")
    places = (source, tmp_path / "out.nii", "--residual", tmp_path / "residual.nii", "--report", tmp_path / "report.json")
    places += ("--uncertainty", tmp_path / "width.nii")

    assert run("denoise", *places, "--bundle", tiny_bundle) == 2
    assert (tmp_path / which).read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["image.nii", which])

    assert run("denoise", *places, "--bundle", tiny_bundle, "--overwrite") == 0
    assert b"precious" not in (tmp_path / which).read_bytes()


def test_the_input_is_never_replaced_by_the_output(tmp_path: Path, tiny_bundle: Path) -> None:
    source = good("nii", tmp_path)
    before = source.read_bytes()
    assert run("denoise", source, tmp_path / "." / "image.nii", "--bundle", tiny_bundle, "--overwrite") == 2
    assert source.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize(
    "places", [("loop", "out.nii"), ("image.nii", "loop"), ("image.nii", "loop/out.nii"), ("image.nii", "o.nii --residual loop")]
)
def test_links_that_lead_back_to_themselves_are_said(places: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good("nii", tmp_path)
    (tmp_path / "loop").symlink_to("other")
    (tmp_path / "other").symlink_to("loop")
    source, *others = (word if word.startswith("-") else tmp_path / word for word in " ".join(places).split())
    assert run("denoise", source, *others) == 2
    assert "fault" not in capsys.readouterr().err


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def derived(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A folder that holds an earlier result of ours, which ``--overwrite`` may therefore replace."""
    assert run("denoise", dicom_folder(tmp_path), tmp_path / "derived", "--bundle", tiny_bundle, "--slices", "0:1") == 0
    return tmp_path / "derived"


@pytest.mark.parametrize("option", ["--residual residual.nii", "--residual deeper", "--report run.json"])
@pytest.mark.parametrize("outer", ["OUT", "--residual"])
def test_an_output_inside_a_folder_that_is_replaced_is_refused_up_front(
    option: str, outer: str, derived: Path, tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, inner = option.split()
    if outer == "OUT":
        places: tuple[object, ...] = (derived, name, derived / inner)
    elif name == "--report":
        places = (tmp_path / "out.nii", "--residual", derived, "--report", derived / inner)
    else:
        places = (derived / inner, "--residual", derived)
    before = contents(tmp_path)
    assert run("denoise", tmp_path / "series", *places, "--bundle", tiny_bundle, "--overwrite") == 2
    assert "lies inside" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", ["denoise", "simulate"])
def test_an_input_inside_the_folder_that_is_replaced_is_refused(
    command: str, derived: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(derived)
    options = ("--bundle", tiny_bundle) if command == "denoise" else ("--acceleration", 2)
    assert run(command, derived / min(before), derived, *options, "--overwrite") == 2
    assert "IN lies inside OUT" in capsys.readouterr().err
    assert contents(derived) == before


def _disk_full(*_: object) -> str:
    """What becomes full while the volume is being denoised is found out only while writing."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("failing", ["OUT", "--report"])
def test_when_one_output_cannot_be_written_every_earlier_result_stays_and_nothing_new_appears(
    failing: str, derived: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, residual, out = tmp_path / "run.json", derived, tmp_path / "out.nii"
    monkeypatch.setattr(
        *("MRIDenoiseLib.io.write_image", _disk_full) if failing == "OUT" else ("MRIDenoiseLib.io.atomic.json_text", _disk_full)
    )
    for path in (report, out):
        path.write_text("precious")
    before = contents(tmp_path)
    places = (tmp_path / "series", out, "--residual", residual, "--report", report)
    assert run("denoise", *places, "--bundle", tiny_bundle, "--slices", "0:1", "--overwrite") == 2
    assert contents(tmp_path) == before


def test_a_residual_folder_goes_again_when_the_volume_cannot_be_written(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("MRIDenoiseLib.io.write_image", _disk_full)
    source, out = dicom_folder(tmp_path), tmp_path / "out.nii"
    before = contents(tmp_path)
    assert run("denoise", source, out, "--residual", tmp_path / "taken", "--bundle", tiny_bundle, "--slices", "0:1") == 2
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["series"]


def test_all_volumes_are_denoised_with_a_prompt_each_and_written_as_one(
    tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = nibabel.Nifti1Image(np.stack([phantom((3, 24, 28)).T + 10 * time for time in range(3)], axis=-1), np.diag([-1, 1, 4, 1.0]))
    nibabel.save(image, tmp_path / "dwi.nii.gz")
    (tmp_path / "dwi.bval").write_text("0 500 1000\n")
    out, report, residual, width = (tmp_path / name for name in ("out.nii", "run.json", "residual.nii", "width.nii"))
    options = ("--bundle", tiny_bundle, "--slices", "1:3", "--report", report, "--residual", residual, "--uncertainty", width)
    assert run("denoise", tmp_path / "dwi.nii.gz", out, *options) == 2
    assert "2 (b = 500 s/mm2)" in (said := capsys.readouterr().err) and said.endswith("or do all of them with --all.\n")
    assert run("denoise", tmp_path / "dwi.nii.gz", out, "--all", "--volume", 2, *options) == 2

    assert run("denoise", tmp_path / "dwi.nii.gz", out, "--all", *options) == 0

    noisy, denoised, taken = (np.asarray(nibabel.load(path).dataobj) for path in (tmp_path / "dwi.nii.gz", out, residual))
    assert denoised.shape == (28, 24, 3, 3) and np.array_equal(denoised[:, :, 0], noisy[:, :, 0])
    assert np.abs(noisy - denoised - taken).max() <= 0.501
    widths = np.asarray(nibabel.load(width).dataobj)
    assert widths.shape == denoised.shape and (widths[:, :, 1:3] > 0).all() and not widths[:, :, 0].any()
    told = json.loads(report.read_text())
    assert [one["image"] for one in told["volumes"]] == [f"volume {k} (b = {b} s/mm2)" for k, b in ((1, 0), (2, 500), (3, 1000))]
    assert all(any("the others are unchanged copies" in said for said in one["warnings"]) for one in told["volumes"])
    assert (tmp_path / "out.bval").read_text() == "0 500 1000\n" and not (tmp_path / "out.bvec").exists()


def test_a_derived_series_of_some_slices_says_so_and_holds_no_copies(
    tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("denoise", dicom_folder(tmp_path), tmp_path / "out", "--bundle", tiny_bundle, "--slices", "1:3") == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert "Only slices 1 to 2 of 0 to 4 were denoised; the DICOM series holds them alone." in capsys.readouterr().out


def test_commands_that_cannot_choose_name_no_option_for_it() -> None:
    several = InputError("x holds 2 series; choose one with --series N (1 = a; 2 = b)")
    missing = InputError("1 slice missing; export it, or go on with a part by --stack N (1 = a)")
    assert several.words(["--series"]) == "x holds 2 series; choose one with --series N (1 = a; 2 = b)"
    assert "--" not in several.words([]) and several.words([]).startswith("x holds 2 series; ")
    assert missing.words([]) == "1 slice missing; export it"
