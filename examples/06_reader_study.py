"""A blinded reader study with two simulated readers, from the images to the report. It needs the extra ``evaluate``.

The readers see what people would see, a blinded volume, and grade it by its grain: from 1 (unusable) to 4 (excellent).
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import yaml

import MRIDenoiseLib as m
from MRIDenoiseLib.cli import main

GRAIN = {"noisy": 60.0, "denoised": 12.0}


def study(*words: str) -> str:
    """Run ``mridenoise study`` and give what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = main(["study", *words])
    return said.getvalue() if status == 0 else sys.exit(status)


def grade(volume: Path) -> int:
    """Of a blinded image: the flatter its grain beside its brightness, the better."""
    voxels = m.read(volume).voxels
    grain = np.median(np.abs(np.diff(voxels, axis=2))) / np.percentile(voxels, 99.5)
    return int(np.clip(round(4 - 40 * grain), 1, 4))


random = np.random.default_rng(0)
y, x = np.mgrid[-1:1:48j, -1:1:48j]
cases = [f"H{number:02}" for number in range(6)]
for number, case in enumerate([*cases, "practice"]):
    anatomy = np.where(np.hypot(x, y) < 0.8, 600.0 + 20 * number, 100.0) * np.ones((6, 1, 1))
    Path("images", case).mkdir(parents=True, exist_ok=True)
    for arm, grain in GRAIN.items():
        voxels = np.abs(anatomy + grain * random.standard_normal(anatomy.shape)).astype(np.float32)
        m.write(m.Volume(voxels, np.diag([1.0, 1.0, 4.0, 1.0]), "int16"), f"images/{case}/{arm}.nii.gz", overwrite=True)

plan = {"name": "Simulated", "seed": 1, "readers": ["R1", "R2"], "sessions": 2, "washout_days": 0, "volumes": "images", "group": "head"}
plan |= {"arms": {arm: f"{{subject}}/{arm}.nii.gz" for arm in GRAIN}, "cases": cases, "practice": ["practice"], "reference": "denoised"}
plan |= {"forms": [{"kind": "likert", "field": "image_quality"}], "primary_outcome": "image_quality"}
Path("study.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
study("create", "--config", "study.yaml", "--out", "STUDY")
for reader in ("R1", "R2"):
    while (shown := json.loads(study("next", "STUDY", "--reader", reader, "--json"))) is not None:
        study("rate", "STUDY", "--reader", reader, f"image_quality={grade(Path(shown['panels'][0]['path']))}")
print(study("status", "STUDY"))
print(study("analyse", "STUDY", "--out", "report.html"))
