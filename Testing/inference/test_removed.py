"""The part of the noise that went is told as it is, and a warning comes where it helps and nowhere else."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.image.noise import estimate_noise_level
from MRIDenoiseLib.inference.report import removal_warnings, removed_in_flat_tissue

SCALE = 750.0


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """Fourteen slices of a smooth body with a bright square in it, air around."""
    z, y, x = np.mgrid[0:14, 0:96, 0:96]
    body = np.where(((y - 48) / 40) ** 2 + ((x - 48) / 36) ** 2 < 1, 500 + 100 * np.sin(x / 20) * np.cos(y / 25 + z), 0)
    body[:, 30:40, 30:44] = SCALE
    return body.astype(np.float32)


def with_noise(clean: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.hypot(clean + rng.normal(0, sigma, clean.shape), rng.normal(0, sigma, clean.shape)).astype(np.float32)


def removed(noisy: np.ndarray, denoised: np.ndarray, slices: tuple[int, int] = (0, 14)) -> float | None:
    return removed_in_flat_tissue(noisy, denoised.astype(np.float32), slices, SCALE)


@pytest.mark.parametrize("sigma", [8, 30, 75])
def test_known_parts_are_told_at_any_noise(clean, sigma):
    noisy = with_noise(clean, sigma)
    assert removed(noisy, noisy) == 0
    assert removed(noisy, clean) > 0.95
    for part in (0.25, 0.5, 0.8):
        assert removed(noisy, noisy + part * (clean - noisy)) == pytest.approx(part, abs=0.03)
    # White noise and a Gaussian of one pixel: what is left beside the blur of 1.5 pixels, from the two transfer functions.
    frequency = 2 * np.pi * np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96)[None])
    high, low = 1 - np.exp(-(frequency**2) * 1.5**2 / 2), np.exp(-(frequency**2) / 2)
    expected = 1 - np.sqrt(((high * low) ** 2).mean() / (high**2).mean())
    assert removed(noisy, ndimage.gaussian_filter(noisy, (0, 1, 1))) == pytest.approx(expected, abs=0.03)


def test_what_happens_at_edges_or_in_air_counts_for_nothing(clean):
    noisy = with_noise(clean, 30)
    edges = ndimage.binary_dilation(ndimage.grey_dilation(clean, (1, 3, 3)) - ndimage.grey_erosion(clean, (1, 3, 3)) > 150, iterations=2)
    spoiled = np.where(edges | (clean == 0), clean, noisy)
    assert removed(noisy, spoiled) < 0.03


def test_more_grain_than_before_is_none_removed(clean):
    noisy = with_noise(clean, 30)
    assert removed(noisy, 2 * noisy - ndimage.gaussian_filter(noisy, (0, 1, 1))) == 0


def test_only_the_slices_that_were_denoised_count(clean):
    noisy = with_noise(clean, 30)
    denoised = noisy.copy()
    denoised[5:8] = clean[5:8]
    assert removed(noisy, denoised, (5, 8)) > 0.95
    assert removed(noisy, denoised) < 0.3


@pytest.mark.parametrize("count", [1, 11, 12, 13, 25, 41])
def test_no_more_than_twelve_slices_are_looked_at_and_nothing_is_changed(clean, count, monkeypatch):
    noisy = np.concatenate([with_noise(clean, 30, seed) for seed in range(3)])
    looked_at = []
    monkeypatch.setattr("MRIDenoiseLib.inference.report.body_mask", lambda part, gaps: looked_at.append(len(part)) or body_mask(part, gaps))
    kept = noisy.copy()
    assert removed(noisy, noisy, (1, 1 + count)) == 0
    assert min(count, 7) <= looked_at[0] <= 12
    assert np.array_equal(noisy, kept)


def test_where_there_is_no_flat_tissue_to_look_at_nothing_is_told(clean):
    noisy = with_noise(clean, 30)
    air = with_noise(np.zeros_like(clean), 30)
    assert removed(air, 0 * air) is None
    assert removed(0 * air, 0 * air) is None
    assert removed(noisy[:, 44:60, 44:60], clean[:, 44:60, 44:60], (3, 4)) is None
    assert removed(np.where(clean > 0, np.float32(500), np.float32(0)), clean) is None, "tissue without any grain"


@pytest.mark.parametrize(
    ("part", "noise", "strength", "expected"),
    [
        (0.12, 0.03, 1.0, "Only 12% of the noise in flat tissue was removed: check organ and contrast, and try another method;"),
        (0.12, 0.03, 0.9, "try strength 1 or another method;"),
        (0.2, 0.03, 0.3, "because the strength is 0.3: try strength 1."),
        (0.0, 0.03, 1.0, "None of the noise in flat tissue was removed:"),
        (0.34, 0.03, 1.0, None),
        (0.0, 0.008, 1.0, None),
        (None, 0.03, 1.0, None),
    ],
)
def test_one_sentence_where_noise_worth_removing_stayed(part, noise, strength, expected):
    said = removal_warnings(part, noise, strength)
    if expected is None:
        assert said == []
    else:
        assert len(said) == 1 and expected in said[0] and said[0].count(".") - said[0].count("0.") == 1


@pytest.mark.parametrize("shape", [(3, 1, 900), (900, 3, 1), (1, 8, 8)])
def test_slices_of_one_row_or_of_a_few_pixels_are_no_error(shape):
    noisy = with_noise(np.full(shape, 500, np.float32), 30)
    assert removed(noisy, noisy, (0, shape[0])) in (None, 0)
    assert 0 <= estimate_noise_level(noisy, np.ones(shape, bool)) < 60


def test_a_slice_with_nothing_but_one_bright_pixel_tells_nothing():
    lone = np.zeros((1, 64, 64), np.float32)
    lone[0, 30, 30] = 100
    assert removed(lone, lone, (0, 1)) is None
