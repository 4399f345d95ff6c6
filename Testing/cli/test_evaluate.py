"""``mridenoise evaluate`` on real files: the figures on screen and in JSON are right, and nothing private is told."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from damage import dicom_folder

from MRIDenoiseLib import RESEARCH_USE_ONLY, io
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.evaluation.figures.yardstick import DEFINITIONS, Yardstick
from MRIDenoiseLib.volume import Unmeasured, Volume

SHAPE = (12, 80, 72)
SIGMA = 30.0


def truth() -> np.ndarray:
    z, y, x = np.mgrid[0:12, 0:80, 0:72]
    body = np.hypot((y - 40) / 34, (x - 36) / 30) < 1
    image = body * (600 + 60 * np.sin(x / 3 + z / 4) * np.cos(y / 4))
    image[np.hypot(y - 32, x - 34) < 10] = 1000
    return image


def magnitude(seed: int, sigma: float = SIGMA) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).normal(0, sigma, (2, *SHAPE))
    return np.hypot(truth() + real, imaginary)


def save(voxels: np.ndarray, path: Path, spacing: tuple[float, float, float] = (0.9, 0.9, 4.0)) -> Path:
    image = sitk.GetImageFromArray(voxels.astype(np.float32))
    image.SetSpacing(spacing)
    image.SetOrigin((-12.0, 7.0, 31.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def clean(tmp_path) -> Path:
    return save(truth(), tmp_path / "clean.nii.gz")


@pytest.fixture
def noisy(tmp_path) -> Path:
    return save(magnitude(0), tmp_path / "scan.nii.gz")


def run(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments)])


def figures(path: Path) -> dict[str, dict[str, float]]:
    return {row["image"]: row["figures"] for row in json.loads(path.read_text())["images"]}


def test_the_figures_are_those_of_the_library_and_each_has_its_definition(tmp_path, clean, noisy, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    better, out = save(truth() + 0.3 * (magnitude(0) - truth()), tmp_path / "better.nrrd"), tmp_path / "figures.json"
    assert run("--reference", clean, "--noisy", noisy, better, "--json", out, "--no-lpips") == 0
    told = figures(out)
    assert list(told) == ["noisy", "image 1"]
    volumes = {path: io.read(path).voxels for path in (clean, noisy, better)}
    expected = Yardstick.of(volumes[clean], spacing=(4.0, 0.9, 0.9)).assess(volumes[better], noisy=volumes[noisy])
    assert told["image 1"] == pytest.approx(expected, rel=1e-5)
    assert told["image 1"]["psnr"] - told["noisy"]["psnr"] == pytest.approx(-20 * math.log10(0.3), abs=0.01)
    said = capsys.readouterr().out
    flat = " ".join(said.split())
    for name in expected:
        assert DEFINITIONS[name].title in said and DEFINITIONS[name].sentence in flat
    assert f"{expected['psnr']:.2f}" in said and "higher" in said and " dB " in said
    assert "Data range L: maximum 1000" in said and "better.nrrd" in said and RESEARCH_USE_ONLY in said


def test_neither_the_screen_nor_the_file_tells_where_the_images_lie(tmp_path, clean, noisy, capfd):
    out = tmp_path / "figures.json"
    assert run("--reference", clean, noisy, "--json", out) == 0
    screen = "".join(capfd.readouterr())
    assert str(tmp_path) not in screen and noisy.name in screen
    assert str(tmp_path) not in out.read_text() and noisy.name not in out.read_text()


def test_an_equal_image_is_infinitely_good_and_the_file_is_still_json(tmp_path, clean, capsys):
    out = tmp_path / "figures.json"
    assert run("--reference", clean, clean, "--json", out) == 0
    told = json.loads(out.read_text(), parse_constant=pytest.fail)["images"][0]["figures"]
    assert told["psnr"] is None and told["ssim"] == 1 and told["bias"] == 0
    assert "inf" in capsys.readouterr().out


def test_a_reference_that_contains_the_noise_is_warned_of_and_an_honest_one_is_not(tmp_path, noisy, capsys):
    inclusive = save(np.mean([magnitude(seed) for seed in range(3)], axis=0), tmp_path / "mean.nii.gz")
    honest = save(np.mean([magnitude(seed) for seed in range(1, 4)], axis=0), tmp_path / "others.nii.gz")
    out = tmp_path / "figures.json"
    assert run("--reference", inclusive, "--noisy", noisy, noisy, "--json", out) == 0
    assert "Warning: The reference contains at least 3" in capsys.readouterr().err
    assert json.loads(out.read_text())["shared_noise"]["share"] == pytest.approx(1 / 3, abs=0.03)
    assert run("--reference", honest, "--noisy", noisy, noisy) == 0
    assert "The reference contains" not in capsys.readouterr().err


@pytest.mark.parametrize(("sigma", "share"), [(5.0, None), (20.0, 20 / 30)])
def test_a_reference_with_noise_of_its_own_is_told_and_above_a_third_it_is_said_what_that_means(tmp_path, noisy, capsys, sigma, share):
    reference, out = save(magnitude(5, sigma), tmp_path / "reference.nii.gz"), tmp_path / "figures.json"
    assert run("--reference", reference, "--noisy", noisy, noisy, "--json", out) == 0
    screen, told = capsys.readouterr(), json.loads(out.read_text())["reference_noise"]
    scale = np.percentile(truth()[truth() > 0], 99.5)
    assert told["own"] == pytest.approx(sigma / scale, rel=0.25) and told["added"] == pytest.approx(SIGMA / scale, rel=0.15)
    assert "flattest places" in told["measured"] and f"own noise is {told['own']:.2%} of P99.5" in " ".join(screen.out.split())
    assert told["counts"] is (share is None) and ("reward keeping noise" in screen.err) is (share is not None)
    if share:
        assert told["own"] / told["added"] == pytest.approx(share, rel=0.2) and f"{-20 * math.log10(told['own']):.1f} dB" in screen.err


def test_noise_that_was_added_to_the_reference_is_what_the_noisy_image_has_beside_it(tmp_path, capsys):
    reference = magnitude(5, 20.0)
    reference, twice = save(reference, tmp_path / "a.nii.gz"), save(reference + magnitude(6, 40.0) - truth(), tmp_path / "b.nii.gz")
    out = tmp_path / "figures.json"
    assert run("--reference", reference, "--noisy", twice, "--simulated", twice, "--json", out) == 0
    told = json.loads(out.read_text())["reference_noise"]
    assert told["added"] / told["own"] == pytest.approx(2, rel=0.25) and told["counts"] is False


def test_without_a_noisy_image_the_references_own_noise_is_told_and_nothing_judged(tmp_path, clean, noisy, capsys):
    out = tmp_path / "figures.json"
    assert run("--reference", noisy, clean, "--json", out) == 0
    told = json.loads(out.read_text())["reference_noise"]
    assert told["own"] > 0.02 and told["counts"] is None and "Warning" not in capsys.readouterr().err


def test_noise_that_was_added_on_purpose_has_its_own_figure_and_no_warning(tmp_path, noisy, capsys):
    mixed = save(0.5 * (magnitude(0) + magnitude(1)), tmp_path / "mixed.nii.gz")
    out = tmp_path / "figures.json"
    assert run("--reference", mixed, "--noisy", noisy, "--simulated", noisy, "--json", out) == 0
    assert "psnr_corrected" in figures(out)["image 1"] and "The reference contains" not in capsys.readouterr().err


def test_a_mask_says_what_counts(tmp_path, clean):
    body = np.zeros(SHAPE)
    body[:, 30:50, 25:45] = 1
    mask, out = save(body, tmp_path / "mask.nii.gz"), tmp_path / "figures.json"
    image = save(np.where(body > 0, truth(), truth() + 50), tmp_path / "image.nii.gz")
    assert run("--reference", clean, image, "--mask", mask, "--json", out) == 0
    content = json.loads(out.read_text())
    assert content["mask"] == {"given": True, "voxels": int(body.sum())}
    assert content["images"][0]["figures"]["psnr_foreground"] is None and content["images"][0]["figures"]["psnr"] < 40


def test_one_grid_in_another_order_is_the_same_image(tmp_path, clean, noisy):
    turned = sitk.Flip(sitk.PermuteAxes(sitk.ReadImage(str(noisy)), [2, 0, 1]), [False, True, False])
    sitk.WriteImage(turned, str(tmp_path / "turned.nrrd"))
    out = tmp_path / "figures.json"
    assert run("--reference", clean, noisy, tmp_path / "turned.nrrd", "--json", out) == 0
    told = figures(out)
    assert told["image 2"] == pytest.approx(told["image 1"], rel=1e-5)


def test_dicom_folders_are_evaluated(tmp_path, capsys):
    series = dicom_folder(tmp_path)
    assert run("--reference", series, series, "--no-lpips") == 0
    assert "inf" in capsys.readouterr().out


def test_nothing_is_replaced_without_leave(tmp_path, clean, noisy, capsys):
    out = tmp_path / "figures.json"
    out.write_text("mine")
    assert run("--reference", clean, noisy, "--json", out) == 2
    assert out.read_text() == "mine"
    assert run("--reference", clean, noisy, "--json", out, "--overwrite") == 0
    assert json.loads(out.read_text())["images"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("other.nrrd",), "other.nrrd and the reference lie on different grids"),
        (("short.nrrd",), "short.nrrd and the reference lie on different grids"),
        (("scan.nii.gz", "--noisy", "other.nrrd"), "other.nrrd and the reference lie on different grids"),
        (("scan.nii.gz", "--mask", "short.nrrd"), "another grid"),
        (("scan.nii.gz", "--mask", "empty.nrrd"), "is empty"),
        (("scan.nii.gz", "--simulated"), "give it with --noisy"),
        (("scan.nii.gz", "--json", "scan.nii.gz"), "same place"),
        (("scan.nii.gz", "--json", "figures.txt"), "must end in .json"),
        (("missing.nii.gz",), "does not exist"),
        (("nan.nrrd",), "not finite"),
        ((), "Missing parameter: images"),
    ],
)
def test_what_cannot_be_evaluated_ends_in_one_sentence(arguments, said, tmp_path, clean, noisy, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(truth(), tmp_path / "other.nrrd", spacing=(0.9, 1.0, 4.0))
    save(truth()[1:], tmp_path / "short.nrrd")
    save(np.zeros(SHAPE), tmp_path / "empty.nrrd")
    save(np.where(truth() > 900, np.nan, truth()), tmp_path / "nan.nrrd")
    assert run("--reference", "clean.nii.gz", *arguments) == 2
    words = capfd.readouterr().err
    assert said in words and words.count("\n") == 1 and "Traceback" not in words
    assert not (tmp_path / "figures.json").exists() and not (tmp_path / "figures.txt").exists()


def test_lpips_that_was_asked_for_and_is_not_at_hand_is_refused_and_otherwise_only_noted(clean, noisy, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    assert run("--reference", clean, noisy, "--lpips") == 2
    assert "perceptual" in capfd.readouterr().err
    assert run("--reference", clean, noisy) == 0
    assert "Note: LPIPS is left out" in capfd.readouterr().err
    assert run("--reference", clean, noisy, "--no-lpips") == 0
    assert "LPIPS" not in "".join(capfd.readouterr())


def test_where_one_image_holds_no_measurement_nothing_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are those of a mask without the gap, whatever stands in it; and what a reader noted is said with whose it is."""
    reference, image = save(truth(), tmp_path / "ref.nrrd"), save(magnitude(1), tmp_path / "test.nrrd")
    gap = np.zeros(SHAPE, bool)
    gap[:, 30:50] = True
    outside = truth() > 0.08 * np.percentile(truth()[truth() > 0], 99.5)
    masked = save(np.where(gap, 0, outside), tmp_path / "mask.nrrd")
    assert main(["evaluate", str(image), "--reference", str(reference), "--mask", str(masked), "--json", str(tmp_path / "a.json")]) == 0
    read = io.read

    def with_gap(path: Path, **choice: object) -> Volume:
        found = read(path, **choice)
        if path.name != "test.nrrd":
            return found
        voxels = np.where(gap, np.float32(0), found.voxels)
        return replace(found, voxels=voxels, notes=("it has a gap",), unmeasured=Unmeasured(gap, np.full(gap.sum(), np.nan, np.float32)))

    monkeypatch.setattr(io, "read", with_gap)
    assert main(["evaluate", str(image), "--reference", str(reference), "--json", str(tmp_path / "b.json")]) == 0
    assert "test.nrrd: it has a gap." in capsys.readouterr().err
    one, two = (json.loads((tmp_path / name).read_text())["images"][0]["figures"] for name in ("a.json", "b.json"))
    assert one["psnr_foreground"] == pytest.approx(two["psnr_foreground"]) and one["bias"] == pytest.approx(two["bias"])
    assert two["psnr"] > one["psnr"]
