"""The observer reaches the areas that theory gives, is not fooled by a blur, and its differences know that the noise is shared."""

import numpy as np
import pytest
from scipy import ndimage, special, stats

from MRIDenoiseLib.evaluation.figures.observer import Detection, laguerre_gauss, observer_scores

SIDE, DIAMETER = 25, 6.0


def images(count: int, contrast: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    signal = contrast * np.exp(-np.pi * (x**2 + y**2) / (1.5 * DIAMETER) ** 2)
    absent, present = generator.normal(0, 1, (2, count, SIDE, SIDE))
    return present + signal, absent


def area(present: np.ndarray, absent: np.ndarray) -> float:
    return Detection.of({"one": observer_scores(present, absent, DIAMETER)}).areas["one"]


def test_channels_are_orthogonal():
    channels = laguerre_gauss(101, 20.0, 4)
    products = channels @ channels.T
    assert products == pytest.approx(np.eye(4), abs=1e-3)


@pytest.mark.parametrize("contrast", [0.0, 0.25, 0.6])
def test_in_white_noise_a_signal_in_the_channels_is_read_as_well_as_can_be(contrast):
    """The signal is the first channel itself: the ideal reader's area is Phi(d / sqrt 2), d its length over the noise."""
    present, absent = images(3000, contrast)
    length = np.sqrt(np.square((present - images(3000, 0.0)[0])[0]).sum())
    ideal = stats.norm.cdf(length / np.sqrt(2))
    assert area(present, absent) == pytest.approx(ideal, abs=0.025)


def test_a_blur_that_could_be_undone_changes_little_and_one_that_takes_the_signal_away_leaves_guessing():
    present, absent = images(1500, 0.4)
    before = area(present, absent)
    blurred = [ndimage.gaussian_filter(some, (0, 1.0, 1.0)) for some in (present, absent)]
    assert area(*blurred) == pytest.approx(before, abs=0.03)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    signal = 0.4 * np.exp(-np.pi * (x**2 + y**2) / (1.5 * DIAMETER) ** 2)
    assert area(present - signal, absent) == pytest.approx(0.5, abs=0.04)


def test_the_template_does_not_know_the_noise_it_is_judged_on():
    """Learned and judged on the same few images, an observer would see signals where there are none."""
    areas = [area(*images(60, 0.0, seed)) for seed in range(30)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="24 images"):
        observer_scores(*images(20, 0.0), DIAMETER)


def test_differences_are_paired_and_their_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        shared = generator.normal(0, 1, (2, 100))
        scores = {name: (shared[0] + 1 + generator.normal(0, 0.7, 100), shared[1] + generator.normal(0, 0.7, 100)) for name in ("a", "b")}
        low, high = Detection.of(scores).difference["b"][1:]
        held += low <= 0 <= high
    assert 0.92 <= held / 300 <= 0.985
    single = Detection.of({"one": (np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 2.5])), "same": (np.ones(3), np.ones(3))})
    assert single.areas == pytest.approx({"one": 5.5 / 9, "same": 0.5}) and single.difference["one"] == (0, 0, 0)
    known = Detection.of({"one": (generator.normal(1, 1, 4000), generator.normal(0, 1, 4000))})
    assert known.areas["one"] == pytest.approx(special.ndtr(1 / np.sqrt(2)), abs=4 * known.errors["one"]) and known.errors["one"] < 0.01
