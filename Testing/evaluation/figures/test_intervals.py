"""Maps of uncertainty whose worth is known: coverage, width at equal coverage, and ranks beside the best that there is."""

import math

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.figures.intervals import PATCH, best_rank_correlation, coverage, factor_at, patch_rms, rank_correlation

SHAPE = (2, 160, 160)
EVERYWHERE = np.ones(SHAPE, bool)


def expected() -> np.ndarray:
    """A scale of the error that changes from patch to patch."""
    coarse = np.random.default_rng(5).uniform(0.5, 1.5, (SHAPE[0], SHAPE[1] // PATCH, SHAPE[2] // PATCH))
    return np.kron(coarse, np.ones((1, PATCH, PATCH)))


def error(seed: int, scale: np.ndarray | float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=SHAPE)


def test_the_normal_distributions_own_interval_covers_nine_of_ten():
    assert coverage(error(0), np.full(SHAPE, 1.6449), EVERYWHERE) == pytest.approx(0.9, abs=0.005)
    inside = EVERYWHERE.copy()
    inside[0] = False
    assert coverage(error(0), np.where(inside, 9.0, 0.0), inside) == 1


def test_at_equal_coverage_the_right_map_is_narrower_than_one_constant_width():
    scale = np.where(np.arange(SHAPE[2]) < 80, 0.5, 2.0) * np.ones(SHAPE)
    off = np.abs(error(0, scale))
    of_map, constant = factor_at(0.9, [(off / scale).ravel()]), factor_at(0.9, [off.ravel()])
    assert of_map == pytest.approx(1.645, rel=0.02)
    assert np.median(of_map * scale) < 0.8 * constant and (of_map * scale).mean() < constant


def test_every_image_counts_alike_for_a_factor():
    small, large = np.full(10, 5.0), np.full(10_000, 1.0)
    assert factor_at(0.49, [small, large]) == 1 and factor_at(0.51, [small, large]) == 5
    assert factor_at(1.0, [small, large]) == 5


def test_patches_are_counted_where_at_least_half_of_them_lies_inside():
    where = np.zeros((1, 16, 24), bool)
    where[0, :8, :8] = True
    where[0, :8, 8:12] = True
    where[0, :8, 16:19] = True
    image = np.where(where, 3.0, 100.0)
    assert patch_rms(image, where).tolist() == [3.0, 3.0]


def test_a_map_that_knows_the_expected_error_reaches_what_is_called_the_best():
    scale = expected()
    best = best_rank_correlation(error(1, scale), error(2, scale), EVERYWHERE)
    reached = rank_correlation(scale, error(3, scale), EVERYWHERE)
    assert 0.5 < reached < 1 and reached == pytest.approx(best, abs=0.04)
    assert abs(rank_correlation(error(4), error(3, scale), EVERYWHERE)) < 0.1, "a map of chance knows nothing"
    assert best_rank_correlation(error(1), error(2), EVERYWHERE) < 0.35, "nothing to know"


def test_with_too_few_patches_or_a_constant_map_nothing_is_said():
    few = np.zeros(SHAPE, bool)
    few[0, :16, :16] = True
    assert math.isnan(rank_correlation(error(0), error(1), few)) and math.isnan(best_rank_correlation(error(0), error(1), few))
    assert math.isnan(rank_correlation(np.ones(SHAPE), error(1), EVERYWHERE))
