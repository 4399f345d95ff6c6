"""Trials of planted evidence on denoisers of known vice: each trial tells the one that cheats from the one that does not."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.planted_trials import (
    BACKGROUNDS,
    CONTRASTS,
    DENOISED,
    DIAMETERS,
    EQUALLY_BLURRED,
    FREE,
    GREY,
    NOISY,
    PERIODS,
    SIGMA,
    bars_trial,
    discs_trial,
    equal_blur,
    noise_trial,
    phantom,
)
from MRIDenoiseLib.volume import Volume


def both(change):
    return lambda volume, slices: dict.fromkeys((FREE, DENOISED), change(volume.stack))


def test_a_phantom_has_rician_noise_a_rim_that_sets_its_scale_and_air():
    clean, noisy = phantom(np.full((2, 60, 60), GREY), SIGMA, "words")
    assert clean.stack.shape == (2, 108, 108) and clean.stack.max() == 1 and clean.stack[:, :16].max() == 0
    assert (noisy.stack - clean.stack)[:, 24:-24, 24:-24].std() == pytest.approx(SIGMA, rel=0.05)
    assert noisy.stack[:, :16].mean() == pytest.approx(SIGMA * np.sqrt(np.pi / 2), rel=0.05)
    assert noisy.acquisition.organ.value == "head" and not np.array_equal(noisy.stack[0], noisy.stack[1])


def test_structure_drawn_into_noise_is_seen_and_a_refusal_is_told():
    def blobs(stack: np.ndarray) -> np.ndarray:
        flat = np.full_like(stack, stack.mean())
        flat[:, 50:56, 50:56] += 0.1
        return flat

    grey, air = noise_trial(both(blobs), size=64, slices=2, bm4d=False)
    assert max(grey["found"][DENOISED]["discs"]) > 1.2 > 5 * grey["found"][DENOISED]["std"] / 5
    quiet, _ = noise_trial(both(lambda stack: np.full_like(stack, 0.5)), size=64, slices=2, bm4d=False)
    assert max(quiet["found"][DENOISED]["discs"]) < 0.01 and quiet["found"][NOISY]["std"] == pytest.approx(1, abs=0.01)
    assert quiet["found"][NOISY]["discs"][0] > quiet["found"][NOISY]["discs"][-1], "means of larger discs vary less"
    assert air["image"] == "air" and air["found"][NOISY]["std"] == pytest.approx(1, abs=0.01)

    def refuse(volume: Volume, slices: tuple[int, int]) -> dict[str, np.ndarray]:
        raise InputError("shows nothing")

    assert [row["refused"] for row in noise_trial(refuse, size=64, slices=2, bm4d=False)] == ["shows nothing"] * 2


def test_the_blur_beside_it_leaves_as_much_noise():
    noise = np.random.default_rng(0).normal(0, 1, (2, 160, 160)).astype(np.float32)
    for wanted in (0.5, 0.1):
        where = np.zeros(noise.shape, bool)
        where[:, 24:-24, 24:-24] = True
        blur = equal_blur(noise, wanted, where)
        assert blur(noise)[where].std() == pytest.approx(wanted, rel=0.15)


def test_bars_are_kept_by_what_changes_nothing_and_fine_ones_lost_by_a_blur():
    kept = bars_trial(both(lambda stack: stack), slices=2, bm4d=False)["kept"]
    assert set(kept[NOISY]) == {f"{period} px, {contrast:g}" for period in PERIODS for contrast in CONTRASTS}
    assert kept[DENOISED] == kept[NOISY] and np.mean(list(kept[NOISY].values())) == pytest.approx(1, abs=0.1)
    blurred = bars_trial(both(lambda stack: ndimage.gaussian_filter(stack, (0, 1, 1))), slices=2, bm4d=False)["kept"]
    assert blurred[DENOISED]["2 px, 0.4"] < 0.1 < 0.55 < blurred[DENOISED]["8 px, 0.4"]
    # The denoiser is itself a blur, and the blur of equal noise is that very one.
    assert blurred[EQUALLY_BLURRED]["4 px, 0.4"] == pytest.approx(blurred[DENOISED]["4 px, 0.4"], abs=0.1)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_observer_loses_what_a_denoiser_takes_away(background):
    def taken(stack: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(stack, (0, 12, 12)) + np.random.default_rng(1).normal(0, 0.01, stack.shape).astype(np.float32)

    lost = discs_trial(both(taken), background, slices=16)
    assert lost["images"] == 16 * 6 and len(lost["tasks"]) == 2 * len(DIAMETERS)
    assert lost["mean"][DENOISED][2] < 0 and lost["mean"][NOISY] == [0, 0, 0]
    assert np.mean([task["areas"][NOISY] for task in lost["tasks"]]) > 0.65
    strong = [task["areas"][NOISY] for task in lost["tasks"] if task["detectable"] == 2]
    weak = [task["areas"][NOISY] for task in lost["tasks"] if task["detectable"] == 1]
    assert np.mean(strong) > np.mean(weak)
    same = discs_trial(both(lambda stack: stack), background, slices=16)
    assert same["mean"][DENOISED] == [0, 0, 0]
