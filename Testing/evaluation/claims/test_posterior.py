"""Calibration: draws from the posterior scatter as much as their mean errs."""

from __future__ import annotations

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.claims.posterior import calibration

SHAPE = (200, 200)


def drawn(spread: float, seeds: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """A truth that is itself a draw, with deviation 1 about a mean unknown to nobody, and samples of this deviation about it."""
    generator = np.random.default_rng(0)
    mean = generator.normal(size=SHAPE)
    truth = mean + generator.normal(size=SHAPE)
    return [mean + spread * generator.normal(size=SHAPE) for _ in range(seeds)], truth, np.ones(SHAPE, bool)


@pytest.mark.parametrize("seeds", [2, 4, 12])
def test_draws_from_the_posterior_are_calibrated_however_few(seeds: int) -> None:
    assert calibration(*drawn(1.0, seeds)) == pytest.approx(1, abs=0.03)


def test_samples_too_sure_and_too_wild_are_told_apart() -> None:
    assert calibration(*drawn(0.5, 8)) < 0.3 and calibration(*drawn(2.0, 8)) > 2


def test_what_no_seed_changes_has_none_nor_has_what_is_right() -> None:
    samples, truth, where = drawn(1.0, 1)
    assert calibration(samples * 3, truth, where) < 1e-12
    assert calibration([truth] * 2, truth, where) == 0


@pytest.mark.parametrize(("seeds", "inside"), [(1, True), (4, False)])
def test_too_little_to_compare_is_refused(seeds: int, inside: bool) -> None:
    samples, truth, where = drawn(1.0, seeds)
    with pytest.raises(ValueError, match="two samples"):
        calibration(samples, truth, where & inside)
