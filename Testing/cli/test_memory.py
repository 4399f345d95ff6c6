"""The command line stays small enough for an ordinary computer."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.evaluation.speed.rows import phantom
from MRIDenoiseLib.inference import METHODS

PROGRAM = """
import json, sys
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.evaluation.speed.usage import peak_memory
peaks = {}
for method in json.loads(sys.argv[1]):
    # Every step takes the memory of the one before.
    few = ["--steps", "2"] if method in ("fidelity-guided", "ddim") else []
    assert main(["denoise", *sys.argv[2:], *few, "--method", method, "--slices", "20:21", "--device", "cpu", "--overwrite"]) == 0
    peaks[method] = peak_memory()
print(json.dumps(peaks))
"""


@pytest.mark.slow
def test_the_bundled_model_needs_less_than_one_and_a_half_gigabytes_with_any_method(tmp_path: Path) -> None:
    io.write(replace(phantom(256, 48, seed=0), pixel_type="int16"), tmp_path / "noisy.nii")
    command = [sys.executable, "-c", PROGRAM, json.dumps(list(METHODS)), str(tmp_path / "noisy.nii"), str(tmp_path / "out.nii")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peaks = json.loads(said.splitlines()[-1])
    assert set(peaks) == set(METHODS) and max(peaks.values()) < 1500, peaks
