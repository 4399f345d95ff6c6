"""Train a tiny model on two volumes for two steps, and denoise with it: the whole way, without its quality.

It needs the extra ``train``. A real training differs in its recipe (``scripts/recipes``) and its data alone.
"""

import csv
import sys
from pathlib import Path

import yaml

import MRIDenoiseLib as m
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.cli import main

STAGES = [
    {"network": "noise_estimator", "steps": 1, "batch_size": 1, "crop": 64},
    {"network": "restoration", "steps": 2, "batch_size": 1, "crop": 64, "text": "whole"},
    {"network": "denoiser", "steps": 2, "batch_size": 1, "crop": 64},
    {"network": "degradation", "steps": 1, "batch_size": 1, "crop": 64, "structural": 0.0, "adversarial": 0.0},
]

# Clean volumes with a manifest, which says of each where it is from, what it is for and how much noise it holds of its own.
clean = m.read(sample_data("head_T1w_clean.nii.gz"))
row = {"source": "sample data", "licence": "CC-BY", "organ": "head", "contrast": "T1w", "vendor": "unknown", "own_noise": "0.005"}
Path("data/volumes").mkdir(parents=True, exist_ok=True)
with open("data/MANIFEST.csv", "w", newline="", encoding="utf-8") as file:
    table = csv.DictWriter(file, ["file", "subject", "split", *row])
    table.writeheader()
    for subject, slices in (("first", slice(0, 8)), ("second", slice(8, 16))):
        part = m.Volume(clean.voxels[slices], clean.ijk_to_ras, clean.pixel_type, acquired_axis=0)
        m.write(part, f"data/volumes/{subject}.nii.gz", overwrite=True)
        table.writerow(row | {"file": f"volumes/{subject}.nii.gz", "subject": subject, "split": "train"})

recipe = {"config": "tiny", "method": "regression", "settings": {"strength": 1.0}, "stages": STAGES}
Path("recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
if main(["train", "recipe.yaml", "run", "--data", "data", "--out", "model", "--overwrite"]):
    sys.exit("the training failed; its message is above")
result = m.open_denoiser("model")(clean, m.Settings(slices=(8, 9)))
print(f"the new model runs: {result.report['method']}, model {result.report['bundle'][:12]}")
