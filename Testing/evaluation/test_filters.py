"""Slicer's filters run at every setting, and going on from an earlier result equals starting anew."""

import numpy as np
import pytest
import SimpleITK as sitk

from MRIDenoiseLib.evaluation.filters import FILTERS, trials


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    rng = np.random.default_rng(0)
    clean = np.zeros((5, 32, 32), np.float32)
    clean[:, 8:24, 8:24] = 1
    return clean + rng.normal(0, 0.1, clean.shape).astype(np.float32)


@pytest.mark.parametrize("name", FILTERS)
def test_every_setting_gives_an_image_of_its_own(noisy, name):
    outputs = list(trials(name, noisy, (3.0, 1.0, 1.0)))
    assert len({how for how, _ in outputs}) == len(outputs)
    assert len({image.tobytes() for _, image in outputs}) == len(outputs)
    clean = np.zeros_like(noisy)
    clean[:, 8:24, 8:24] = 1
    assert min(np.square(image - clean).mean() for _, image in outputs) < 0.5 * np.square(noisy - clean).mean()


def test_diffusion_in_steps_equals_diffusion_at_once(noisy):
    found = dict(trials("gradient", noisy, (3.0, 1.0, 1.0)))
    image = sitk.GetImageFromArray(noisy)
    image.SetSpacing((1.0, 1.0, 3.0))
    direct = sitk.GetArrayFromImage(sitk.GradientAnisotropicDiffusion(image, 0.0625, 1.0, 1, 6))
    assert np.allclose(found["3-D, conductance 1, 6 iterations"], direct, atol=1e-5)
