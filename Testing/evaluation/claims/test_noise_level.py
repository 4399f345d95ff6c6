"""Noise of known strength has that strength, and the estimate is judged by the whole of it."""

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.claims.noise_level import KINDS, Estimate, coarser, estimate_of


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    y, x = np.mgrid[0:128, 0:128]
    return np.stack([np.where(np.hypot(y - 64, x - 64) < 50, 0.8, 0)] * 3).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.01, 0.1])
def test_the_noise_added_is_the_noise_asked_for(clean, kind, sigma):
    estimated = estimate_of(clean, kind, sigma, lambda noisy: sigma)
    # SENSE: its g-factor raises the strength, and its window lowers it.
    assert estimated.true == pytest.approx(sigma, rel=0.3 if kind == "SENSE 2" else 0.04)
    assert estimated.ratio == pytest.approx(sigma / estimated.true) and estimated.counts


def test_interpolated_noise_is_coarse_and_white_noise_is_not(clean):
    seen = {}
    for kind in KINDS:
        estimate_of(clean, kind, 0.05, lambda noisy, kind=kind: seen.setdefault(kind, noisy[:, 40:88, 40:88]) is None)
    across = {kind: neighbours(noise - noise.mean()) for kind, noise in seen.items()}
    assert across["white"] == pytest.approx(0, abs=0.05)
    # A band of half the k-space: sinc(1/2); of two thirds: sinc(2/3).
    assert across["interpolated 2"] == pytest.approx(2 / np.pi, abs=0.06)
    assert across["interpolated 1.5"] == pytest.approx(np.sinc(2 / 3), abs=0.06)
    assert across["SENSE 2"] > 0.05


def neighbours(noise: np.ndarray) -> float:
    return float((noise[:, :, 1:] * noise[:, :, :-1]).mean() / (noise**2).mean())


def test_the_volumes_own_noise_is_part_of_the_truth_and_too_much_of_it_does_not_count(clean):
    small, large = (estimate_of(clean, "white", 0.04, lambda noisy: 0.04, own_noise=own) for own in (0.012, 0.03))
    assert small.true == pytest.approx(np.hypot(0.04, 0.012), rel=0.02) and small.counts
    assert large.true == pytest.approx(0.05, rel=0.02) and not large.counts


@pytest.mark.parametrize(("estimated", "holds"), [(0.0116, False), (0.0114, True), (0.0086, True), (0.0084, False)])
def test_fifteen_per_cent_to_either_side_are_allowed(estimated, holds):
    assert Estimate("white", 0.01, estimated, True).holds is holds


@pytest.mark.parametrize("shape", [(2, 96, 128), (2, 97, 131)])
def test_a_coarser_grid_keeps_anatomy_and_lowers_noise_by_its_factor(shape):
    noise = np.random.default_rng(0).normal(0, 0.02, shape)
    y, x = np.indices(shape)[1:]
    smooth = 0.6 + 0.2 * np.sin(2 * np.pi * 2 * y / shape[1]) * np.cos(2 * np.pi * 3 * x / shape[2])
    image, noisy = coarser(smooth, 2.0), coarser(smooth + noise, 2.0)
    assert image.shape == (2, *(2 * round(size / 4) for size in shape[1:]))
    assert (noisy - image).std() == pytest.approx(0.01, rel=0.05)
    rows, columns = (np.arange(size) / size for size in image.shape[1:])
    expected = 0.6 + 0.2 * np.sin(4 * np.pi * rows)[:, None] * np.cos(6 * np.pi * columns)
    assert image[0] == pytest.approx(expected, abs=1e-4), "the first pixel stays the first"


@pytest.mark.parametrize(("size", "factor", "expected"), [(7, 1.0, 6), (8, 1.0, 8), (9, 1.0, 8), (255, 1.0, 254), (255, 2.0, 128)])
def test_a_coarser_grid_has_an_even_number_of_rows_and_columns(size, factor, expected):
    assert coarser(np.ones((1, size, size), np.float32), factor).shape == (1, expected, expected)
