"""The scripts whose numbers go into a model's card, on phantoms and with a model that learned nothing."""

import json
import shutil

import draw_sheets
import measure_grain
import measure_lesions
import measure_pairs
import measure_posterior
import measure_repeats
import measure_text
import measure_tissues
import numpy as np
import pytest
import SimpleITK as sitk
from command import command_line
from scipy import ndimage
from training_cases import record, record_folder
from typer.testing import CliRunner

from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.evaluation.prepared_pairs import score_pairs
from MRIDenoiseLib.evaluation.repeats import REPEAT_SETS
from MRIDenoiseLib.training.preparation.records import RecordStore


@pytest.fixture
def measure(data_folder, tiny_bundle, tmp_path):
    """Run a script's command; give what it wrote to its JSON file, and what it printed, in one line."""

    def run(script, *options: str) -> tuple[dict, str]:
        target = tmp_path / "measured.json"
        common = ["--data", str(data_folder), "--bundle", str(tiny_bundle), "--json", str(target)]
        done = CliRunner().invoke(command_line(script.main), [*common, *options], catch_exceptions=False, env={"COLUMNS": "140"})
        assert done.exit_code == 0, done.output
        content = json.loads(target.read_text())
        assert content["files"] == json.loads((tiny_bundle / "card.json").read_text())["files"] and content["what"]
        assert content["command"] == " ".join([f"python scripts/{script.__name__}.py --data DIR", *options]), "what gives them again"
        return content, " ".join(done.output.split())

    return run


def test_lesions(measure):
    content, output = measure(measure_lesions, "--rows", "R", "--subjects", "s1,s2", "--count", "2")
    assert content["summary"]["denoised"]["all"]["number"] == len(content["details"]["lesions"]) == 2
    assert content["summary"].keys() == {"noisy", "best blur", "denoised", "wrong metadata"}
    assert "5th percentile" in output


def test_lesions_of_a_sharpened_image(measure):
    content, _ = measure(measure_lesions, "--method", "sharpened", "--sharpness", "1.0", "--rows", "R", "--subjects", "s1", "--count", "1")
    assert content["method"] == "sharpened" and content["summary"]["denoised"]["all"]["number"] == 1


def test_grain(measure):
    content, output = measure(measure_grain, "--seeds", "2", "--rows", "R", "--subjects", "s2")
    [row] = content["rows"]
    assert 0 < row["share"] <= 1 and 0 < row["deviation"] <= row["changed"], "the noise field that the flow starts from is the seed's"
    assert content["means"]["share"] == row["share"] and "following the seed" in output


def test_posterior(measure):
    content, output = measure(measure_posterior, "--rows", "R", "--subjects", "s2", "--slices", "1", "--seeds", "2")
    ours, nothing = content["means"]["this model"], content["means"]["untrained"]
    assert ours["regression"] == nothing["regression"] and ours["posterior mean"] != nothing["posterior mean"]
    [image] = content["details"]["images"]
    drawn = [image[name]["one sample"]["calibration"] for name in ("this model", "untrained")]
    assert drawn[0] > drawn[1] == 0, "an untrained one knows one answer only"
    assert ours["default"]["edges"] in (0, 1) and content["verdict"] in output and "one sample, untrained" in output


def test_text(measure):
    content, output = measure(measure_text, "--subjects", "s1,s2", "--per-volume", "2", "--size", "64")
    assert content["crops"] == 4 and {effect["method"] for effect in content["effects"]} == {"regression", "posterior-mean"}
    assert all(effect["verdict"] in output for effect in content["effects"])


def test_tissues(measure):
    content, output = measure(measure_tissues, "--rows", "R", "--subjects", "s2")
    [row] = content["rows"]
    assert row["noise"] == "R" and len(row["classes"]) == len(row["denoised"]) == 3
    assert np.nanmean(row["best blur"]) > np.nanmean(row["noisy"]) and f"{np.nanmean(row['noisy']):.3f}" in output


def test_repeats(measure, data_folder, request, monkeypatch):
    truth = np.zeros((4, 40, 36), np.float32)
    truth[:, 8:32, 6:30] = 700
    rng = np.random.default_rng(0)
    (data_folder / "repeats").mkdir()
    request.addfinalizer(lambda: shutil.rmtree(data_folder / "repeats"))
    for repeats in REPEAT_SETS:
        number = 1 + max(max(group) for group in repeats.groups)
        volumes = [sitk.GetImageFromArray(np.abs(truth + rng.normal(0, 40, truth.shape)).astype(np.float32)) for _ in range(number)]
        sitk.WriteImage(sitk.JoinSeries(volumes), str(data_folder / repeats.file))
    monkeypatch.setattr(measure_repeats, "bm4d_trials", lambda noisy, level: [("", ndimage.gaussian_filter(noisy, 5 * level))])
    content, output = measure(measure_repeats, "--limit", "1", "--bm4d")
    assert list(content["sets"]) == ["pCASL", "EPI", "EPI, noise alone", "DWI b0"]
    assert all(numbers["best_blur"]["psnr"] > numbers["noisy"]["psnr"] for numbers in content["sets"].values())
    assert all(numbers["others"]["BM4D"]["setting"].endswith("spread of the repeats") for numbers in content["sets"].values())
    assert "best blur" in output and content["note"] in output


def test_pairs(tiny_bundle, tmp_path, monkeypatch):
    folder = record_folder(tmp_path / "pairs", record("train"), record("test"), record("test", subject="other", contrast="T2w"))

    def smooth(volume):
        return volume.with_voxels(ndimage.uniform_filter(volume.voxels, 3))

    monkeypatch.setattr(measure_pairs, "_denoise", lambda model: smooth)
    options = ["--data", str(folder), "--bundle", str(tiny_bundle), "--json", str(tmp_path / "pairs.json")]
    done = CliRunner().invoke(command_line(measure_pairs.main), options, catch_exceptions=False)
    content = json.loads((tmp_path / "pairs.json").read_text())
    assert [pair["name"] for pair in content["details"]["pairs"]] == ["1 knee PDw", "2 knee T2w"], "no pair of the training"
    gain = content["gains"]["noisy"]
    assert (gain["rows"], gain["won"]) == (2, 2) and gain["mean"] > 2 and content["gains"]["bundled model"]["mean"] == 0
    assert "resampling 2 patients" in " ".join(done.output.split())


def test_a_pair_is_denoised_as_its_patients_file_would_be(tmp_path):
    """Physical intensities, thick slices on axis 0, and what its headers told."""
    made = record("test", slice_spacing=4.0)
    store = RecordStore(record_folder(tmp_path / "pairs", made))
    seen = []

    def same(volume):
        seen.append(volume)
        return volume

    [score] = score_pairs(store, "test", {"same": same})
    assert np.array_equal(seen[0].voxels, made.noisy) and seen[0].spacing == (4.0, 0.5, 0.5) and seen[0].slice_axis == 0
    assert seen[0].acquisition.organ.value == "knee"
    limit = np.percentile(made.clean[made.mask], 99.5)
    expected = 20 * np.log10(limit / np.sqrt(np.square(made.noisy - made.clean)[made.mask].mean()))
    assert score.psnr == {"noisy": pytest.approx(expected, abs=1e-3), "same": pytest.approx(expected, abs=1e-3)}


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        (measure_repeats, [], r"head_pCASL_siemens\.nii\.gz"),
        (measure_lesions, ["--subjects", "s1", "--rows", "M0.5"], "no noise 'M0.5'"),
        (measure_lesions, ["--subjects", "s1,s9"], "no volume of 's9'"),
        (measure_text, ["--subjects", "s1,s9"], "no volume of 's9'"),
        (measure_tissues, ["--subjects", "s1", "--rows", "M9"], "no noise 'M9'"),
        (draw_sheets, ["--subjects", "s1", "--noise", "X"], "no noise 'X'"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(script, options, said, data_folder, tiny_bundle):
    given = ["--data", str(data_folder), "--bundle", str(tiny_bundle), *options]
    with pytest.raises(MRIDenoiseError, match=said):
        CliRunner().invoke(command_line(script.main), given, catch_exceptions=False)
