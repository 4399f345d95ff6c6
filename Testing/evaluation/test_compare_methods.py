"""The whole comparison as one command, on a folder of phantoms and with a model that learned nothing."""

import json
from pathlib import Path

import pytest
from command import command_line
from compare_methods import compare as script
from typer.testing import CliRunner

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.evaluation import rivals


@pytest.fixture
def compare(data_folder, tiny_bundle, tmp_path):
    """Run the command; give what it wrote to its JSON file, and what it printed."""

    def run(*options: str, subjects: str = "s1,s2") -> tuple[dict, str]:
        target = tmp_path / "measured.json"
        common = ["--data", str(data_folder), "--bundle", str(tiny_bundle), "--json", str(target), "--subjects", subjects]
        done = CliRunner().invoke(command_line(script), [*common, *options], catch_exceptions=False, env={"COLUMNS": "190"})
        assert done.exit_code == 0, done.output
        return json.loads(target.read_text()) if target.is_file() else {}, done.output

    return run


def test_regression_and_posterior_mean_are_always_in_the_table(compare, tiny_bundle):
    content, output = compare("--rows", "R,M0.05", "--rivals", "blur,median", "--methods", "ddim")
    assert [(row["volume"], row["noise"]) for row in content["rows"]] == [
        (f"head_T1w_{subject}", noise) for noise in ("R", "M0.05") for subject in ("s1", "s2")
    ]
    assert set(content["rows"][0]) == {"volume", "noise", "noisy", "blur", "median", "regression", "posterior-mean", "ddim"}
    assert content["command"].startswith("python scripts/compare_methods.py") and content["what"]
    assert content["files"] == json.loads((tiny_bundle / "card.json").read_text())["files"]
    for text in ("Foreground PSNR", "reference's own noise", "Foreground SSIM", "resampling 2 subjects"):
        assert text in output


def test_the_rivals_numbers_are_taken_from_the_cache_and_what_is_missing_is_left_out_on_request(compare, tmp_path, monkeypatch):
    cache = str(tmp_path / "cache.json")
    first, _ = compare("--rows", "R", "--rivals", "median", "--cache", cache)
    stored = Path(cache).read_text()

    def never(row):
        raise AssertionError("measured again")

    for name in ("median", "blur"):
        monkeypatch.setitem(rivals.RIVALS, name, rivals.Rival(never, rivals.RIVALS[name].grid))
    again, _ = compare("--rows", "R", "--rivals", "blur,median", "--cache", cache, "--cached-only")
    assert again["rows"] == first["rows"] and "blur" not in again["rows"][0]
    assert Path(cache).read_text() == stored


def test_only_peers_fills_the_cache_in_other_processes_and_goes_on_where_it_was(compare, tmp_path):
    cache = tmp_path / "cache.json"
    compare("--rows", "R", "--rivals", "median", "--cache", str(cache), subjects="s1")
    (tmp_path / "measured.json").unlink()
    before = json.loads(cache.read_text())
    assert list(before) == ["volumes/head_T1w_s1.nii.gz R median"]
    before["volumes/head_T1w_s1.nii.gz R median"]["best"]["scores"]["psnr"] = 99.0
    cache.write_text(json.dumps(before))
    content, _ = compare("--rows", "R", "--rivals", "median", "--cache", str(cache), "--only-peers", "--jobs", "2")
    after = json.loads(cache.read_text())
    assert content == {} and len(after) == 2
    assert after["volumes/head_T1w_s1.nii.gz R median"]["best"]["scores"]["psnr"] == 99.0, "what was there is not measured again"
    content, _ = compare("--rows", "R", "--rivals", "median", "--cache", str(cache), "--cached-only")
    assert content["rows"][0]["median"] == 99


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rows", "M0.07"], "no noise 'M0.07'"),
        (["--rivals", "median,mean"], "no rival 'mean'"),
        (["--methods", "magic"], "no method 'magic'"),
        (["--only-peers"], "--cache FILE"),
        (["--cached-only"], "--cache FILE"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(compare, options, said):
    with pytest.raises(SettingsError, match=said):
        compare(*options)


def test_a_subject_that_the_folder_lacks_is_named(compare):
    with pytest.raises(SettingsError, match="'ms12'"):
        compare(subjects="s1,ms12")


def test_the_same_weights_are_not_run_again_and_other_weights_numbers_are_refused(compare, tmp_path, monkeypatch):
    first, _ = compare("--rows", "R", "--rivals", "blur")
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(first))

    def never(*_):
        raise AssertionError("run again")

    monkeypatch.setattr("compare_methods.Denoiser.__call__", never)
    again, _ = compare("--rows", "R", "--rivals", "blur", "--earlier", str(earlier))
    assert again["rows"] == first["rows"]
    earlier.write_text(json.dumps(first | {"files": {}}))
    with pytest.raises(InputError, match="another model"):
        compare("--rows", "R", "--rivals", "blur", "--earlier", str(earlier))
