"""Lesions of known size and contrast go where they should, and what is left of them is measured for what it is."""

import math

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.claims.lesion_contrast import (
    APART,
    BRIGHTEST,
    CONTRASTS,
    DIAMETERS,
    FLOOR,
    Lesion,
    Summary,
    contrast,
    insert,
    kept,
    place_lesions,
)

SHAPE, SHAPE_OF_SCENE = (64, 72), (200, 220)


def lesion(shape="disc", diameters=(6.0, 6.0), turn=0.0, depth=2.0, strength=0.2) -> Lesion:
    return Lesion((2, 30, 40), diameters, turn, depth, strength, 3.0, shape)


def test_a_disc_has_the_area_of_its_diameters():
    for diameters in ((6.0, 6.0), (4.0, 7.5)):
        assert lesion(diameters=diameters).profile(SHAPE, 2).sum() == pytest.approx(math.pi / 4 * diameters[0] * diameters[1], rel=0.06)


def test_a_gaussian_falls_to_half_at_its_diameters_and_to_a_sixteenth_at_twice_as_much():
    profile = lesion("gaussian", (8.0, 4.0)).profile(SHAPE, 2)
    assert profile[30, 40] == 1 and profile.max() == 1
    assert profile[34, 40] == profile[30, 42] == pytest.approx(0.5)
    assert profile[38, 40] == profile[30, 44] == pytest.approx(1 / 16)


def test_turning_by_a_right_angle_exchanges_the_axes():
    turned = lesion("gaussian", (8.0, 4.0), turn=math.pi / 2).profile(SHAPE, 2)
    assert turned[30, 44] == turned[32, 40] == pytest.approx(0.5)


def test_it_reaches_as_many_slices_as_it_is_deep():
    clean = np.full((5, *SHAPE), 0.5, np.float32)
    for depth, touched in ((0.8, [2]), (2.6, [1, 2, 3]), (4.5, [0, 1, 2, 3, 4])):
        changed = insert(clean, [lesion(depth=depth)]) != clean
        assert np.flatnonzero(changed.any(axis=(1, 2))).tolist() == touched
    assert (clean == 0.5).all(), "the clean volume itself is left alone"


@pytest.mark.parametrize("shape", ["disc", "gaussian"])
def test_lesion_and_ring_do_not_overlap_and_the_ring_is_free_of_the_lesion(shape):
    one = lesion(shape, (7.0, 4.0), turn=0.6)
    inside, ring = one.regions(SHAPE)
    assert inside.any() and ring.any() and not (inside & ring).any()
    assert one.profile(SHAPE, 2)[ring].max() < 0.05 < 0.5 <= one.profile(SHAPE, 2)[inside].min()


@pytest.mark.parametrize("strength", [0.2, -0.2])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0, 1.2])
def test_the_part_of_the_contrast_that_is_kept_is_found(part, strength):
    rng = np.random.default_rng(0)
    tissue = 0.5 + 0.02 * rng.standard_normal((5, *SHAPE)).astype(np.float32)
    one = lesion(strength=strength)
    without, with_it = tissue[2], insert(tissue, [one])[2]
    # A denoiser that smooths everything and lets only a part of the lesion through.
    background = 0.4 + 0.1 * rng.standard_normal(SHAPE)
    result = background + part * (with_it - without), background
    assert kept(one, clean=(with_it, without), result=result).paired == pytest.approx(part, abs=1e-6)


def test_blindly_the_surroundings_count_too():
    clean = np.full((5, *SHAPE), 0.5, np.float32)
    one = lesion()
    with_it = insert(clean, [one])[2]
    inside, _ = one.regions(SHAPE)
    # Something else dark at the lesion's place hides half of it from a reader, although the lesion itself was kept.
    shade = np.where(inside, -0.5 * contrast(with_it, one), 0.0)
    seen = kept(one, clean=(with_it, clean[2]), result=(with_it + shade, clean[2] + shade))
    assert seen.paired == pytest.approx(1) and seen.blind == pytest.approx(0.5)


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five slices, half of them bright and flat, half striped; the noise's strength; where tissue is."""
    rng = np.random.default_rng(3)
    y, x = np.indices(SHAPE_OF_SCENE)
    image = 0.5 + 0.01 * np.sin(y / 20) + 0.005 * rng.standard_normal(SHAPE_OF_SCENE)
    image[:, 120:] += 0.3 * np.sign(np.sin(x[:, 120:]))
    tissue = np.zeros(image.shape, bool)
    tissue[20:180, 10:210] = True
    slices = np.repeat(np.where(tissue, image, 0)[None], 5, axis=0).astype(np.float32)
    return slices, np.full(image.shape, 0.05), tissue


def placed(scene, count=6, seed=0, noise=None) -> tuple[Lesion, ...]:
    slices, level, tissue = scene
    level = level if noise is None else np.full(level.shape, noise)
    return place_lesions(slices, 2, level, tissue, (4.0, 1.0), count, np.random.default_rng(seed))


def test_lesions_lie_in_flat_tissue_far_from_each_other(scene):
    found = [one for seed in range(3) for one in placed(scene, seed=seed)]
    assert len(found) == 18
    for one in found:
        inside, ring = one.regions(SHAPE_OF_SCENE)
        assert one.centre[0] == 2 and scene[2][inside | ring].all()
        assert one.centre[2] < 120, "not among the stripes"
    for first in range(0, 18, 6):
        centres = [one.centre for one in found[first : first + 6]]
        assert all(math.dist(a, b) >= APART for i, a in enumerate(centres) for b in centres[:i])


def test_size_strength_and_depth_are_those_promised(scene):
    found = [one for seed in range(4) for one in placed(scene, seed=seed)]
    for one in found:
        assert all(DIAMETERS[0] <= diameter <= DIAMETERS[1] for diameter in one.diameters)
        assert CONTRASTS[0] <= abs(one.sigmas) <= CONTRASTS[1]
        assert one.contrast == pytest.approx(one.sigmas * 0.05)
        assert one.depth == pytest.approx(one.diameter / 4), "as deep as wide, in slices of four pixels"
    assert {one.shape for one in found} == {"disc", "gaussian"} and {one.sigmas > 0 for one in found} == {True, False}


def test_dark_lesions_stay_above_the_noise_floor_and_bright_ones_below_saturation(scene):
    found = [one for seed in range(3) for one in placed(scene, seed=seed, noise=0.12)]
    assert found
    assert all(FLOOR * 0.12 - 0.03 <= 0.5 + one.contrast <= BRIGHTEST + 0.03 for one in found)


def test_the_same_generator_places_the_same_lesions(scene):
    assert placed(scene, seed=4) == placed(scene, seed=4) != placed(scene, seed=5)


def test_without_flat_tissue_nothing_is_placed(scene):
    slices, noise, tissue = scene
    for nowhere in (np.zeros_like(tissue), np.indices(tissue.shape)[0] % 12 < 6):
        assert place_lesions(slices, 2, noise, nowhere, (4.0, 1.0), 3, np.random.default_rng(0)) == ()


def test_a_summary_counts_what_is_missing_and_lost_and_judges_by_median_tail_and_losses():
    values = [0.9] * 95 + [0.4] * 3 + [0.7] * 2
    assert Summary.of(values) == Summary(100, 0.9, pytest.approx(0.9, abs=0.02), 3, 0)
    assert Summary.of(values).holds
    assert not Summary.of([0.9] * 90 + [0.4] * 10).holds, "one in ten is gone"
    assert not Summary.of([0.8] * 100).holds
    one_lost = Summary.of([0.9] * 99 + [0.2])
    assert one_lost.lost == one_lost.missing == 1 and not one_lost.holds, "no average makes up for one that is lost"
