"""What the claim on change looks at: lesions in a difference, and false changes far from them."""

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.claims.change import SEEDS, Pair
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.volume import Volume


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Twelve slices of a large even body, with lesions in the second scan."""
    z, y, x = np.mgrid[:12, :120, :128]
    body = np.where(((y - 60) / 54) ** 2 + ((x - 64) / 58) ** 2 < 1, 600 + 60 * np.sin(x / 25), 0).astype(np.float32)
    return Pair.of(Volume(body, np.diag([1.0, 1.0, 4.0, 1.0]), acquired_axis=0, name="head"), "R", 3, seed=0)


def test_the_two_scans_have_their_own_noise_and_differ_by_the_lesions_alone(pair):
    first, second = pair.noisy()
    noise = [image - truth for image, truth in zip((first, second), pair.truths, strict=True)]
    tissue = pair.truths[0] > FOREGROUND_THRESHOLD
    assert abs(np.corrcoef(noise[0][tissue], noise[1][tissue])[0, 1]) < 0.05 and SEEDS[0] != SEEDS[1]
    assert 1 <= len(pair.lesions) <= 3 and 0 < (pair.truths[0] != pair.truths[1]).mean() < 0.1


def test_the_truth_keeps_every_change_whole_and_the_first_scan_twice_none(pair):
    assert pair.kept_of(pair.truths) == pytest.approx([1.0] * len(pair.lesions))
    assert pair.kept_of((pair.truths[0], pair.truths[0])) == pytest.approx([0.0] * len(pair.lesions))


def test_a_false_change_is_seen_far_from_the_lesions_and_only_there(pair):
    first, _ = pair.truths
    assert pair.of_nothing(pair.truths) == pytest.approx(0, abs=1e-6)
    y, x = np.mgrid[: first.shape[0], : first.shape[1]]
    _, row, column = pair.lesions[0].centre
    near = first + 0.1 * (np.hypot(y - row, x - column) < 4)
    assert pair.of_nothing((first, near)) == pytest.approx(0, abs=1e-6)
    away = np.ones(first.shape, bool)
    for lesion in pair.lesions:
        away &= np.hypot(y - lesion.centre[1], x - lesion.centre[2]) > 25
    away &= (np.hypot(y - 60, x - 64) < 40) & (first > 0)
    row, column = np.argwhere(away)[0]
    far = first + 0.1 * (np.hypot(y - row, x - column) < 4)
    assert pair.of_nothing((first, far)) == pytest.approx(0.1, rel=0.05)
