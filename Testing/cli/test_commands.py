"""The command as a whole: help is quick and complete, models are shown and checked."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from MRIDenoiseLib import __version__
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.cli.app import COMMANDS, GROUPS
from MRIDenoiseLib.models.bundle.bundle import Bundle

HEAVY = {"torch", "diffusers", "transformers", "peft", "SimpleITK", "pydicom", "numpy", "scipy", "matplotlib", "dask", "nibabel"}


DEEPER = [["prepare", "pairs"], ["benchmark", "methods"], ["benchmark", "latency"]]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS + GROUPS), *DEEPER], ids=lambda command: " ".join(command) or "all")
def test_help_loads_no_heavy_library(command: list[str]) -> None:
    arguments = [*command, "--help"]
    code = f"import sys; from MRIDenoiseLib.cli import main; status = main({arguments!r}); print('loaded', *sys.modules); sys.exit(status)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.splitlines()[-1].split())


def test_help_names_every_command_and_the_research_mark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for word in (*COMMANDS, *GROUPS, "NOT FOR DIAGNOSTIC USE"):
        assert word in shown


def test_every_option_of_the_design_is_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["denoise", "--help"]) == 0
    shown = capsys.readouterr().out
    acquisition, method = "organ contrast vendor acceleration", "method steps fidelity mode seed bundle device"
    options = f"{acquisition} {method} series echo volume slices residual uncertainty report overwrite"
    assert [option for option in options.split() if f"--{option}" not in shown] == []


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"mridenoise {__version__}"


def test_an_unknown_command_ends_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["denoize"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_bundle_info_shows_card_and_hash(tiny_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["bundle", "info", str(tiny_bundle)]) == 0
    shown = capsys.readouterr().out
    assert Bundle.load(tiny_bundle).hash in shown
    assert "tests of the code path" in shown
    assert "NOT FOR DIAGNOSTIC USE" in shown


def test_bundle_verify_accepts_a_whole_model_and_refuses_a_changed_one(
    tiny_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "verify", str(tiny_bundle)]) == 0
    capfd.readouterr()
    changed = tmp_path / "changed"
    shutil.copytree(tiny_bundle, changed)
    weights = next((changed / "denoiser").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert main(["bundle", "verify", str(changed)]) == 2
    complaint = capfd.readouterr().err
    assert weights.name in complaint
    assert complaint.count("\n") == 1
