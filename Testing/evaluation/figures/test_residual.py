"""A residual of noise is told from one that holds anatomy."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.evaluation.figures.residual import DETAIL_SCALES, ResidualCheck, detail_taken, edge_correlation
from MRIDenoiseLib.volume import Volume


@pytest.fixture(scope="module")
def anatomy() -> np.ndarray:
    """A slice with edges and fine structures in a body, air around."""
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    image = np.where(np.hypot(x, y) < 0.9, 0.5 + 0.1 * np.sin(60 * x) * np.sin(45 * y), 0.0)
    image[np.hypot(x - 0.3, y) < 0.2] = 0.9
    image[np.hypot(x + 0.4, y + 0.2) < 0.15] = 0.2
    return ndimage.gaussian_filter(image, 0.7)


@pytest.fixture(scope="module")
def noise(anatomy: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.04, anatomy.shape)


def test_noise_follows_no_edges_and_holds_no_detail(anatomy, noise):
    mask = anatomy > 0.1
    assert abs(edge_correlation(noise, anatomy, mask)) < 0.03
    assert abs(detail_taken(noise, anatomy, mask)) < 0.03


def test_the_residual_of_a_blur_does(anatomy, noise):
    mask = anatomy > 0.1
    noisy = anatomy + noise
    residual = noisy - ndimage.gaussian_filter(noisy, 1.5)
    assert edge_correlation(residual, anatomy, mask) > 0.2
    assert detail_taken(residual, anatomy, mask) > 0.4


def test_noise_that_is_left_on_edges_counts_the_other_way(anatomy, noise):
    mask = anatomy > 0.1
    gradient = np.hypot(*np.gradient(ndimage.gaussian_filter(anatomy, 1)))
    assert edge_correlation(np.where(gradient > np.quantile(gradient[mask], 0.8), 0.2, 1.0) * noise, anatomy, mask) < -0.1


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_the_part_of_the_detail_that_was_taken_is_found(anatomy, noise, part):
    fine, coarse = (ndimage.gaussian_filter(anatomy, scale) for scale in DETAIL_SCALES)
    assert detail_taken(noise + part * (fine - coarse), anatomy, anatomy > 0.1) == pytest.approx(part, abs=0.03)


def volumes(anatomy: np.ndarray, noise: np.ndarray) -> tuple[Volume, Volume]:
    """Noisy and clean, slices along the last axis and the slice in question in the middle of three."""
    clean = np.repeat(anatomy[..., None], 3, axis=2).astype(np.float32)
    noisy = clean + np.stack([np.roll(noise, k, axis=0) for k in (40, 0, 90)], axis=2)
    matrix = np.diag([4.0, 1.0, 1.0, 1.0])
    return Volume(noisy.astype(np.float32), matrix), Volume(clean, matrix)


def test_the_truth_takes_noise_alone_and_is_told_from_a_blur(anatomy, noise):
    noisy, clean = volumes(anatomy, noise)
    perfect = ResidualCheck.of(noisy=noisy, denoised=clean, clean=clean, index=1)
    assert perfect.edges == perfect.noise_edges and abs(perfect.edges) < 0.03
    assert perfect.detail is not None and perfect.blur_detail is not None
    assert abs(perfect.detail) < 0.03 < 0.1 < perfect.blur_detail
    blurred = noisy.with_voxels(ndimage.gaussian_filter(noisy.voxels, (1.5, 1.5, 0)))
    blurry = ResidualCheck.of(noisy=noisy, denoised=blurred, clean=clean, index=1)
    assert blurry.edges > 0.2 and blurry.noise_edges == perfect.noise_edges
    assert blurry.detail is not None and blurry.detail > perfect.blur_detail


def test_without_a_clean_volume_the_denoised_one_tells_the_edges(anatomy, noise):
    noisy, clean = volumes(anatomy, noise)
    check = ResidualCheck.of(noisy=noisy, denoised=clean, clean=None, index=1)
    assert check.edges == ResidualCheck.of(noisy=noisy, denoised=clean, clean=clean, index=1).edges
    assert (check.noise_edges, check.detail, check.blur_detail) == (None, None, None)


def test_nothing_taken_away_follows_nothing(anatomy):
    assert edge_correlation(np.zeros_like(anatomy), anatomy, anatomy > 0.1) == 0
