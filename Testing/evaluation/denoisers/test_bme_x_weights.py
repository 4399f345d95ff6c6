"""The weights of BME-X that come with the program: whole, small, honest about themselves, and better than nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.denoisers import bme_x
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import FOLDER, load
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, psnr
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle

SAMPLE = Path(__file__).resolve().parents[3] / "Resources" / "SampleData"
LARGEST = 2 * 2**20


@pytest.fixture(scope="module")
def card() -> dict:
    return json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))


def test_the_folder_fits_its_size():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= LARGEST


def test_the_card_says_whose_weights_these_are_and_what_they_saw(card):
    assert "not the authors' weights" in card["weights"]
    training = card["training"]
    assert training["command"].startswith("python scripts/train_bme_x.py") and training["minutes"] > 0
    assert all(entry["licence"] and entry["source"] and entry["organ"] == "head" for entry in training["data"])
    seen = {entry["subject"] for entry in training["data"]}
    assert seen and not seen & {"ms12", "sct03", *training["kept_out"]}


def test_a_head_that_it_never_saw_comes_closer_to_its_clean_partner():
    noisy, clean = (io.read(SAMPLE / f"head_T1w_{kind}.nii.gz") for kind in ("noisy", "clean"))
    slices = slice(7, 9)
    denoiser = Denoiser(Bundle.load(bundled_model()), "cpu")
    enhanced = denoiser(noisy, Settings(slices=(slices.start, slices.stop)), method=bme_x.method(load())).volume
    scale = float(np.percentile(clean.voxels, 99.5))
    mask = clean.voxels[slices] > FOREGROUND_THRESHOLD * scale
    before, after = (psnr(image.voxels[slices], clean.voxels[slices], data_range=scale, mask=mask) for image in (noisy, enhanced))
    assert after > before + 2.5
