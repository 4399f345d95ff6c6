"""A body lit by a surface coil is evened out; one that only has contrasts is left alone."""

import numpy as np
import pytest

from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.inference.disturbances import MOST, find_reception

_, Y, X = np.mgrid[:4, :128, :128].astype(float)
RADIUS = np.hypot((Y - 64) / 54, (X - 64) / 46)
TRUTH = np.select([RADIUS < 0.5, RADIUS < 0.85, RADIUS < 1], [1000.0, 720.0, 450.0], 0.0)
INSIDE = RADIUS < 0.8


def lit(ratio, reach=15.0):
    """The head near a coil, in Rician noise of 40; and the light on it."""
    rng = np.random.default_rng(0)
    light = 1 + (ratio - 1) * np.exp(-(Y - 8) / reach)
    return np.hypot(TRUTH * light + rng.normal(0, 40, Y.shape), rng.normal(0, 40, Y.shape)).astype(np.float32), light


@pytest.mark.parametrize("ratio", [1, 4])
def test_a_mild_profile_and_contrasts_are_left_alone(ratio):
    assert find_reception(lit(ratio)[0], np.inf) is None


def test_the_profile_of_a_surface_coil_is_followed():
    voxels, light = lit(20)
    found = find_reception(voxels, np.inf)
    assert found is not None and 5 < found.ratio < 20
    left = np.log(light[1] / found.of(1, (128, 128)))[INSIDE[1]]
    assert np.ptp(np.log(light[1][INSIDE[1]])) > 1.8 and np.percentile(left, 95) - np.percentile(left, 5) < 0.8


def test_the_profile_is_smooth_and_within_its_limit_everywhere():
    profile = find_reception(lit(60)[0], np.inf).of(0, (128, 128))
    assert profile.min() >= 1 / MOST - 1e-4 and profile.max() <= 1 + 1e-4
    assert np.abs(np.diff(np.log(profile), axis=0)).max() < 0.2


def test_letters_make_no_profile():
    voxels, _ = lit(1)
    voxels[:, 4:16, 4:6] = 32000
    assert find_reception(voxels, 5000.0) is None


def test_scale_and_noise_of_an_unevenly_lit_body_are_those_of_its_evened_out_tissue():
    voxels, light = lit(20)
    found = analyse(voxels, None)
    assert found.disturbances.reception is not None
    # The noise of 40 is told relative to what the depth looks like, not to the rim that is twenty times as bright.
    assert found.given_level[0] > 3 * 2 * 40 / float(np.percentile(voxels[INSIDE], 99.5))
    assert found.noise_level == pytest.approx(40, rel=0.4)
    assert any("near the coil" in sentence for sentence in found.disturbances.sentences())
