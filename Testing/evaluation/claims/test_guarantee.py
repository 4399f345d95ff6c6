"""Discs in the networks' answer: without a guarantee they break the table, with it none does, and each is counted where it belongs."""

from types import SimpleNamespace

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims import guarantee
from MRIDenoiseLib.evaluation.claims.guarantee import Disc, tampered
from MRIDenoiseLib.inference import Settings
from MRIDenoiseLib.inference.guarantee import RADII
from MRIDenoiseLib.volume import Volume


@pytest.fixture(scope="module")
def source() -> Volume:
    y, x = np.mgrid[:112, :112]
    inside = np.hypot(y - 56, x - 56) < 48
    slices = [np.where(inside, 0.7 + 0.1 * np.sin(x / 20 + k), 0.0) + np.where(inside & (x > 90), 0.25, 0) for k in range(5)]
    return Volume((800 * np.stack(slices)).astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]), name="round")


class Knowing:
    """A denoiser that knows nearly the truth of the untampered volume; it has no network."""

    def __init__(self, clean: np.ndarray) -> None:
        self.answer = (clean + np.random.default_rng(3).normal(0, 0.01, clean.shape)).astype(np.float32)
        self.bundle = SimpleNamespace(network=lambda name: None)

    def __call__(self, volume: Volume, settings: Settings) -> SimpleNamespace:
        assert settings.guarantee == 0 and settings.denoise_clean, "the guarantee is tested apart from the networks"
        return SimpleNamespace(volume=volume.with_stack(self.answer))


def trial(source: Volume, count: int = 40, **changes) -> tuple[list, dict]:
    clean = source.stack / np.percentile(source.stack[source.stack > 0], 99.5)
    return tampered(source, "R", Knowing(clean), Settings(guarantee=3.0), limit=2, count=count, seed=0, **changes)


def test_the_guarantee_bounds_every_disc(source):
    outcomes, cost = trial(source)
    assert len(outcomes) == 40 and {one.real for one in outcomes} == {True, False}
    assert not any(one.violates for one in outcomes)
    assert any(one.radius in RADII for one in outcomes) and any(one.radius not in RADII for one in outcomes)
    strong = [one.left for one in outcomes if one.contrast > 2.5]
    weak = [one.left for one in outcomes if one.contrast < 0.4]
    assert strong and weak and np.median(strong) < 0.3 < 0.9 < np.median(weak), "strong ones are undone, weak ones may stay"
    # One that takes all of the noise takes more than three standard deviations in a few places.
    assert -0.4 < cost["on"] - cost["off"] <= 0 and 0 < cost["holding"] <= cost["seconds"]


def test_without_it_discs_above_the_table_are_violations(source, monkeypatch):
    real = guarantee.held_to

    def off(noisy, answer, analysis, slices, kappa):
        return answer.copy(), real(noisy, answer, analysis, slices, kappa)[1]

    monkeypatch.setattr(guarantee, "held_to", off)
    outcomes, _ = trial(source)
    broken = [one for one in outcomes if one.violates]
    assert broken and all(one.left == pytest.approx(1) for one in outcomes), "nothing is taken back"
    assert all(one.violates for one in outcomes if one.contrast > 2.5) and not any(one.violates for one in outcomes if one.contrast < 0.2)


def test_a_disc_has_the_row_of_the_next_smaller_radius_and_its_mean():
    disc = Disc((0, 10, 10), 2.9, 1.0, False)
    assert RADII[disc.row] == 2.0 and RADII[Disc((0, 0, 0), 8.0, 1.0, False).row] == 8.0
    stack = np.zeros((1, 21, 21), np.float32)
    disc.drawn(stack)
    assert stack[0, 10, 10] == pytest.approx(1) and stack[0, 10, 15] == 0
    assert 0.8 < disc.mean(stack) < 1 and disc.mean(np.full((1, 21, 21), 3.0)) == pytest.approx(3)


def test_where_nothing_is_guaranteed_no_disc_is_put(source):
    with pytest.raises(InputError, match="no room for a disc"):
        faint = source.with_voxels(source.voxels * 0)
        faint.voxels[:, 50:53, 50:53] = 800  # nothing is as large as a disc
        trial(faint)
