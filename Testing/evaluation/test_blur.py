"""The control blur is a Gaussian that keeps slices apart where it says so."""

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.blur import BLURS, Blur


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
