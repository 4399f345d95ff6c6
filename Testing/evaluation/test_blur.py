"""The control blur is a Gaussian that keeps slices apart where it says so."""

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.blur import BLURS, Blur, equally_clean_blur, remaining_noise
from MRIDenoiseLib.image.native_noise import Places


@pytest.mark.parametrize("index", [0, 1, 4, 8])
def test_one_slice_is_blurred_as_in_the_whole_volume(index):
    slices = np.random.default_rng(0).random((9, 20, 24)).astype(np.float32)
    for blur in BLURS:
        assert np.allclose(blur.of_slice(slices, index), blur(slices)[index], atol=1e-6)


def test_a_point_spreads_with_the_widths_asked_for():
    slices = np.zeros((15, 41, 41))
    slices[7, 20, 20] = 1
    spread = Blur(2.0, 1.0)(slices)
    z, y, x = np.indices(slices.shape)
    assert spread.sum() == pytest.approx(1)
    for place, middle, width in ((z, 7, 1.0), (y, 20, 2.0), (x, 20, 2.0)):
        # A Gaussian cut at three standard deviations is a little narrower.
        assert (spread * (place - middle) ** 2).sum() ** 0.5 == pytest.approx(width, rel=0.03)
    flat = Blur(2.0, 0.0)(slices)
    assert flat[7].sum() == pytest.approx(1) and not flat[[6, 8]].any()


def test_the_equally_clean_blur_leaves_the_noise_that_the_result_has():
    y, x = np.mgrid[0:120, 0:120]
    clean = np.where(x < 60, 0.4, 0.8) * np.ones((2, 1, 1))
    noise = np.random.default_rng(0).normal(0, 0.05, clean.shape)
    tissue = np.ones(clean.shape, bool)
    flat = Places.of(clean, tissue).flat
    for part in (0.7, 0.25):
        blur = equally_clean_blur(clean + noise, clean + part * noise + 0.02, clean, tissue)
        assert remaining_noise(blur(noise), flat) == pytest.approx(part * remaining_noise(noise, flat), rel=0.01)
        assert blur.across == 0
    assert equally_clean_blur(clean + noise, clean + noise, clean, tissue) == Blur(0, 0)
