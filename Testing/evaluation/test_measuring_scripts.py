"""The scripts whose numbers go into a model's card, on phantoms and with a model that learned nothing."""

import json

import measure_lesions
import measure_repeats
import measure_text
import numpy as np
import pytest
import SimpleITK as sitk
from command import command_line
from typer.testing import CliRunner

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.repeats import REPEAT_SETS


@pytest.fixture
def measure(data_folder, tiny_bundle, tmp_path):
    """Run a script's command; give what it wrote to its JSON file, and what it printed, in one line."""

    def run(script, *options: str) -> tuple[dict, str]:
        target = tmp_path / "measured.json"
        common = ["--data", str(data_folder), "--bundle", str(tiny_bundle), "--json", str(target)]
        done = CliRunner().invoke(command_line(script.main), [*common, *options], catch_exceptions=False, env={"COLUMNS": "140"})
        assert done.exit_code == 0, done.output
        content = json.loads(target.read_text())
        assert content["files"] == json.loads((tiny_bundle / "card.json").read_text())["files"]
        assert content["command"] == f"python scripts/{script.__name__}.py --data DIR" and content["what"]
        return content, " ".join(done.output.split())

    return run


def test_lesions(measure):
    content, output = measure(measure_lesions, "--subjects", "s1,s2", "--rows", "R", "--count", "2")
    assert content["summary"]["denoised"]["all"]["number"] == len(content["details"]["lesions"]) == 2
    assert content["summary"].keys() == {"noisy", "best blur", "denoised", "wrong metadata"}
    assert "5th percentile" in output


def test_text(measure):
    content, output = measure(measure_text, "--subjects", "s1,s2", "--per-volume", "2", "--size", "64")
    assert content["crops"] == 4 and {effect["method"] for effect in content["effects"]} == {"regression", "posterior-mean"}
    assert all(effect["verdict"] in output for effect in content["effects"])


def test_repeats(measure, data_folder):
    truth = np.zeros((4, 40, 36), np.float32)
    truth[:, 8:32, 6:30] = 700
    rng = np.random.default_rng(0)
    (data_folder / "repeats").mkdir()
    for repeats in REPEAT_SETS:
        number = 1 + max(max(group) for group in repeats.groups)
        volumes = [sitk.GetImageFromArray(np.abs(truth + rng.normal(0, 40, truth.shape)).astype(np.float32)) for _ in range(number)]
        sitk.WriteImage(sitk.JoinSeries(volumes), str(data_folder / repeats.file))
    content, output = measure(measure_repeats, "--limit", "1")
    assert list(content["sets"]) == [repeats.name for repeats in REPEAT_SETS]
    assert all(numbers["best_blur"]["psnr"] > numbers["noisy"]["psnr"] for numbers in content["sets"].values())
    assert "best blur" in output and content["note"] in output


def test_a_folder_without_what_is_measured_is_said_in_one_sentence(tmp_path, tiny_bundle):
    with pytest.raises(InputError, match=r"head_pCASL_siemens\.nii\.gz"):
        CliRunner().invoke(
            command_line(measure_repeats.main), ["--data", str(tmp_path), "--bundle", str(tiny_bundle)], catch_exceptions=False
        )
