"""The command line stays small enough for an ordinary computer."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.volume import Volume

PROGRAM = """
import json, sys
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.evaluation.peak_memory import peak_memory
peaks = {}
for method in json.loads(sys.argv[1]):
    assert main(["denoise", *sys.argv[2:], "--method", method, "--slices", "20:21", "--device", "cpu", "--overwrite"]) == 0
    peaks[method] = peak_memory()
print(json.dumps(peaks))
"""
OFFERED = ("regression", "posterior-mean", "fidelity-guided", "ddim")


@pytest.mark.slow
def test_the_bundled_model_needs_less_than_one_and_a_half_gigabytes_with_any_method(tmp_path: Path) -> None:
    z, y, x = np.mgrid[0:48, 0:256, 0:256]
    body = np.where(np.hypot(x - 128, y - 128) < 120, 500 + 100 * np.sin(x / 20) * np.cos(y / 30 + z), 0)
    noise = np.random.default_rng(0).normal(0, 40, (2, *body.shape))
    noisy = Volume(np.hypot(body + noise[0], noise[1]).astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]), "int16")
    io.write(noisy, tmp_path / "noisy.nii")
    command = [sys.executable, "-c", PROGRAM, json.dumps(OFFERED), str(tmp_path / "noisy.nii"), str(tmp_path / "out.nii")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peaks = json.loads(said.splitlines()[-1])
    assert set(peaks) == set(OFFERED) and max(peaks.values()) < 1500, peaks
