"""Grain: what of a sampler's change follows its seed."""

from __future__ import annotations

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.claims.grain import grain

SHAPE = (200, 200)


def answers(anatomy: float, grains: float, seeds: int = 4) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Samples of a start plus a fixed pattern plus white noise of its own for each seed, of these deviations."""
    generator = np.random.default_rng(0)
    start, pattern = generator.normal(size=SHAPE), anatomy * generator.normal(size=SHAPE)
    return [start + pattern + grains * generator.normal(size=SHAPE) for _ in range(seeds)], start, np.ones(SHAPE, bool)


@pytest.mark.parametrize(("anatomy", "grains"), [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (0.5, 2.0)])
def test_the_two_parts_are_told_apart(anatomy: float, grains: float) -> None:
    found = grain(*answers(anatomy, grains))
    assert found.share == pytest.approx(grains**2 / (grains**2 + anatomy**2), rel=0.02)
    assert found.deviation == pytest.approx(grains, rel=0.02)
    assert found.changed == pytest.approx((grains**2 + anatomy**2) ** 0.5, rel=0.02)


def test_two_seeds_say_the_same_as_many() -> None:
    assert grain(*answers(1.0, 1.0, seeds=2)).share == pytest.approx(grain(*answers(1.0, 1.0, seeds=12)).share, abs=0.02)


def test_what_every_seed_gives_is_no_grain() -> None:
    assert grain(*answers(1.0, 0.0)).share < 1e-12


def test_nothing_changed_is_no_grain_either() -> None:
    samples, start, where = answers(0.0, 0.0)
    assert grain(samples, start, where) == (0.0, 0.0, 0.0)


def test_pixels_outside_do_not_count() -> None:
    samples, start, where = answers(1.0, 0.0)
    where[:100] = False
    for seed, sample in enumerate(samples):
        sample[:100] += 100 * seed
    assert grain(samples, start, where).share < 1e-12


@pytest.mark.parametrize(("seeds", "inside"), [(1, True), (4, False)])
def test_too_little_to_compare_is_refused(seeds: int, inside: bool) -> None:
    samples, start, where = answers(1.0, 1.0, seeds)
    with pytest.raises(ValueError, match="two samples"):
        grain(samples, start, where & inside)
