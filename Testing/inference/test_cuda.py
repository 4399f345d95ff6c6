"""What only a GPU can show; skipped where there is none."""

import numpy as np
import pytest
import torch

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model, sample_data
from MRIDenoiseLib.errors import Cancelled
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.evaluation.speed.rows import CHANGE
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.backend import NOT_COMPILED
from MRIDenoiseLib.models.bundle.bundle import Bundle

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

SLICES = (6, 11)


@pytest.fixture(scope="module")
def sample():
    return io.read(sample_data("head_T1w_noisy.nii.gz")), io.read(sample_data("head_T1w_clean.nii.gz"))


def judged(denoiser, sample, **settings):
    noisy, clean = sample
    result = denoiser(noisy, Settings(slices=SLICES, **settings))
    truth = clean.voxels[slice(*SLICES)]
    value = psnr(result.volume.voxels[slice(*SLICES)], truth, data_range=float(truth.max()), mask=truth > 0.08 * truth.max())
    return result, value


@pytest.mark.parametrize("method", ["regression", "posterior-mean", "fidelity-guided"])
def test_the_gpu_gives_the_processors_image_in_both_number_formats(sample, method):
    bundle = Bundle.load(bundled_model())
    _, expected = judged(Denoiser(bundle, "cpu"), sample, method=method)
    for precision in ("float32", "bfloat16"):
        result, found = judged(Denoiser(bundle, "cuda"), sample, method=method, precision=precision)
        assert abs(found - expected) < CHANGE and result.report["device"] == "cuda"


def test_slices_that_are_placed_while_the_next_are_computed_land_where_they_belong(sample):
    denoiser = Denoiser(Bundle.load(bundled_model()), "cuda")
    single, _ = judged(denoiser, sample, batch_size=1, precision="float32")
    whole, _ = judged(denoiser, sample, batch_size=5, precision="float32")
    assert np.abs(single.volume.voxels - whole.volume.voxels).max() < 1e-3 * whole.volume.voxels.max()


@pytest.mark.slow
def test_compiled_networks_with_recorded_launches_give_the_same_image(sample):
    denoiser = Denoiser(Bundle.load(bundled_model()), "cuda")
    _, expected = judged(denoiser, sample, method="fidelity-guided")
    result, found = judged(denoiser, sample, method="fidelity-guided", compiled=True, batch_size=2)
    assert abs(found - expected) < CHANGE and NOT_COMPILED not in result.report["warnings"]


def test_a_cancel_is_heard_after_a_few_calls(sample):
    asked = iter([False] * 6)
    with pytest.raises(Cancelled):
        Denoiser(Bundle.load(bundled_model()), "cuda")(sample[0], Settings(method="fidelity-guided"), should_stop=lambda: next(asked, True))
