"""Compare three methods and a blur on one volume whose clean original is known. It needs the extra ``evaluate``.

Many volumes, other programs' denoisers, intervals and tests are what ``mridenoise compare`` is for.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

import MRIDenoiseLib as m
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.cli import main

METHODS = ("regression", "posterior-mean", "sharpened")


def middle(volume: m.Volume) -> m.Volume:
    """Two slices, so that this takes seconds."""
    return m.Volume(volume.voxels[7:9], volume.ijk_to_ras, volume.pixel_type, volume.acquisition, acquired_axis=0)


clean, noisy = (middle(m.read(sample_data(f"head_T1w_{which}.nii.gz"))) for which in ("clean", "noisy"))
denoise = m.open_denoiser()
images = {"noisy": noisy} | {name: denoise(noisy, m.Settings(method=name)).volume for name in METHODS}
# The control that every comparison needs: what looks smooth is not yet good.
images["blur"] = noisy.with_voxels(np.stack([gaussian_filter(image, 0.7) for image in noisy.voxels]))
for name, volume in (images | {"reference": clean}).items():
    m.write(volume, f"{name}.nii.gz", overwrite=True)

tests = [f"{name}.nii.gz" for name in images]
if main(["evaluate", "--reference", "reference.nii.gz", *tests, "--no-lpips", "--json", "figures.json", "--overwrite"]):
    sys.exit("the evaluation failed; its message is above")
print("every figure:", Path("figures.json").resolve(), sorted(json.loads(Path("figures.json").read_text())))
