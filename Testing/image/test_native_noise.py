"""Grain of known strength is measured for what it is, and methods of known vice get the numbers they deserve."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.native_noise import BLURRED, BM4D, DENOISED, middle_slices, scan_trial
from MRIDenoiseLib.image.native_noise import Grain, Places, Removal, equal_blur, verdict
from MRIDenoiseLib.volume import Volume

SIGMA = 0.03
WHITE_FINE, WHITE_COARSE = 0.945, 0.155
"""Of white noise's standard deviation: the root of sum (d - g)^2 over the kernel, d one pixel and g the Gaussian."""


@pytest.fixture(scope="module")
def phantom() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(clean, noisy, body): flat tissue with six bright discs in air."""
    y, x = np.mgrid[0:200, 0:200]
    body = np.hypot(y - 100, x - 100) < 80
    image = np.where(body, 0.5, 0.0)
    for k in range(6):
        image[np.hypot(y - 100 - 50 * np.sin(k), x - 100 - 50 * np.cos(k)) < 8] = 0.9
    clean = np.stack([image] * 3)
    return clean, clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape), np.stack([body] * 3)


@pytest.fixture(scope="module")
def places(phantom) -> Places:
    return Places.of(phantom[1], phantom[2])


def test_white_noise_has_the_grain_that_its_kernels_leave(phantom, places):
    found = Grain.of(phantom[1], places.flat)
    assert found.fine == pytest.approx(WHITE_FINE * SIGMA, rel=0.03)
    assert found.coarse == pytest.approx(WHITE_COARSE * SIGMA, rel=0.06)
    doubled = Grain.of(2 * phantom[1], places.flat)
    assert doubled.fine == pytest.approx(2 * found.fine) and doubled.coarse == pytest.approx(2 * found.coarse)


def test_interpolated_grain_lies_in_the_coarse_band(phantom, places):
    rng = np.random.default_rng(1)
    smooth = ndimage.gaussian_filter(rng.normal(size=phantom[0].shape), (0, 1.8, 1.8))
    grainy = Grain.of(0.5 + SIGMA * smooth / smooth.std(), places.flat)
    assert grainy.coarse > grainy.fine, "the fine measure is nearly blind to it"


def test_flat_and_steep_places_are_a_fifth_and_a_tenth_of_the_body_and_no_edge_is_flat(phantom, places):
    clean, _, body = phantom
    assert places.flat.sum() == pytest.approx(0.2 * body.sum(), rel=0.01)
    assert places.steep.sum() == pytest.approx(0.1 * body.sum(), rel=0.01)
    assert not (places.flat & ~body).any() and not (places.flat & places.steep).any()
    edges = np.abs(ndimage.sobel(clean, axis=2)) > 0
    assert not places.flat[edges].any() and places.steep[edges & body].mean() > 0.8


def test_identity_removes_nothing_and_the_truth_all_without_touching_edges(phantom, places):
    clean, noisy, _ = phantom
    nothing = Removal.of(noisy, noisy, places)
    assert (nothing.fine, nothing.coarse, nothing.edge_ratio, nothing.change) == (0, 0, None, 0)
    perfect = Removal.of(noisy, clean, places)
    assert perfect.fine > 0.99 and perfect.coarse > 0.97
    assert perfect.edge_ratio == pytest.approx(1, abs=0.05) and perfect.flat_rms == pytest.approx(SIGMA, rel=0.03)
    half = Removal.of(noisy, (noisy + clean) / 2, places)
    assert half.fine == pytest.approx(0.5, abs=0.02) and half.edge_ratio == pytest.approx(1, abs=0.05)
    assert half.change == pytest.approx(SIGMA / 2, rel=0.03)
    added = Removal.of(noisy, 2 * noisy - clean, places)
    assert added.fine < -0.9, "grain that was added is told as such"


def test_a_blur_takes_the_edges_along(phantom, places):
    noisy = phantom[1]
    blurred = Removal.of(noisy, ndimage.gaussian_filter(noisy, (0, 1, 1)), places)
    assert blurred.fine > 0.5 and blurred.edge_ratio > 2.5


@pytest.mark.parametrize("wanted", [0.1, 0.5, 0.8])
def test_the_blur_of_equal_effect_removes_as_much(phantom, places, wanted):
    noisy = phantom[1]
    sigma, blurred = equal_blur(noisy, places, wanted)
    assert sigma > 0 and Removal.of(noisy, blurred, places).fine == pytest.approx(wanted, abs=0.01)


def test_where_nothing_was_removed_there_is_no_blur(phantom, places):
    sigma, same = equal_blur(phantom[1], places, -0.1)
    assert sigma == 0 and same is phantom[1]


def test_without_a_body_there_is_nothing_to_measure(phantom):
    with pytest.raises(InputError, match="no body"):
        Places.of(phantom[1], np.zeros_like(phantom[2]))


def removal(fine: float, coarse: float, edge_ratio: float = 1.0) -> Removal:
    return Removal(fine, coarse, edge_ratio, 0.01, 0.01)


@pytest.mark.parametrize(
    ("ours", "holds"),
    [
        ([removal(0.5, 0.1), removal(0.4, 0.1)], True),
        ([removal(0.7, 0.2), removal(0.2, 0.1)], False),  # Half of BM4D's on the second scan.
        ([removal(0.4, 0.1), removal(0.4, 0.1)], False),  # Too little on average.
        ([removal(0.5, 0.1), removal(0.4, 0.05)], False),  # Too little of the coarse grain.
        ([removal(0.5, 0.1, 2.1), removal(0.4, 0.1)], False),  # Edges went along.
    ],
)
def test_the_verdict_asks_for_average_worst_scan_both_bands_and_edges(ours, holds):
    theirs = [removal(0.5, 0.1), removal(0.4, 0.1)]
    found, said = verdict(list(zip(ours, theirs, strict=True)))
    assert found is holds and "BM4D 45 %" in said


def scan(phantom) -> Volume:
    """Seven slices along the last axis, in scanner units."""
    slices = np.abs(800 * phantom[1][[0, 1, 2, 0, 1, 2, 0]]).astype(np.float32)
    return Volume(np.ascontiguousarray(np.moveaxis(slices, 0, 2)), np.diag([4.0, 1.0, 1.0, 1.0]), name="scan")


def test_a_trial_measures_the_middle_slices_and_tells_the_filter_the_fine_grain(phantom):
    volume, seen = scan(phantom), []

    def smooth(noisy: np.ndarray, level: float) -> np.ndarray:
        seen.append((noisy.shape, level))
        return ndimage.gaussian_filter(noisy, (0, 0.8, 0.8))

    def half(given: Volume, slices: tuple[int, int]) -> tuple[Volume, float]:
        assert given is volume and slices == (2, 5)
        clean = 800 * np.moveaxis(phantom[0][[0] * 7], 0, 2)
        return given.with_voxels((given.voxels + clean) / 2), 800 * SIGMA

    outcome = scan_trial(volume, half, limit=3, peer=smooth)
    assert outcome.scale == pytest.approx(800 * 0.93, rel=0.06)
    assert outcome.estimated == pytest.approx(800 * SIGMA / outcome.scale)
    assert outcome.removals[DENOISED].fine == pytest.approx(0.5, abs=0.02) and outcome.of_estimated == pytest.approx(0.5, abs=0.02)
    assert outcome.removals[BLURRED].fine == pytest.approx(outcome.removals[DENOISED].fine, abs=0.01)
    assert outcome.removals[BM4D].fine > 0.3 and outcome.removals[BM4D].edge_ratio > 2 > outcome.removals[DENOISED].edge_ratio
    [(shape, level)] = seen
    assert level == outcome.grain.fine and shape[0] == 7, "three neighbours on either side where there are so many"
    assert {image.shape for image in outcome.images.values()} == {(3, 200, 200)}
    assert outcome.images["noisy"] == pytest.approx(np.moveaxis(volume.voxels, 2, 0)[2:5], rel=1e-5)


@pytest.mark.parametrize(("count", "limit", "expected"), [(48, 5, (22, 27)), (48, 1, (24, 25)), (3, 5, (0, 3)), (11, 4, (3, 7))])
def test_middle_slices(count, limit, expected):
    assert middle_slices(count, limit) == expected


def test_the_measure_itself_needs_no_torch():
    code = "import sys, MRIDenoiseLib.image.native_noise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
