"""Edges of known width are measured as wide as they are, noise or not."""

import math

import numpy as np
import pytest
from scipy import ndimage, special

from MRIDenoiseLib.evaluation.figures import Edges

WIDTH_OF_A_GAUSSIAN = 2 * special.ndtri(0.9)
"""10-90 % width of a step blurred by a Gaussian of standard deviation 1."""


def discs(blur: float, spacing: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Three slices of a disc of radius 30 mm whose border is a step blurred by ``blur`` mm; 128 mm wide and high."""
    y, x = np.meshgrid(*(np.arange(0, 128, side) for side in spacing), indexing="ij")
    slices = [special.ndtr((30 - np.hypot(y - centre, x - 63.7)) / blur) for centre in (60.2, 63.5, 66.1)]
    return 0.2 + 0.6 * np.stack(slices)


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, bool)


@pytest.mark.parametrize("blur", [0.8, 1.2, 1.6])
def test_an_edge_of_a_gaussian_blur_has_two_and_a_half_of_its_standard_deviations(blur):
    image = discs(blur)
    assert Edges.of(image, everywhere(image), (1, 1)).width(image) == pytest.approx(WIDTH_OF_A_GAUSSIAN * blur, rel=0.05)


def test_a_blurred_image_is_measured_at_the_references_edges():
    sharp, blurred = discs(0.8), discs(1.4)
    edges = Edges.of(sharp, everywhere(sharp), (1, 1))
    assert edges.width(blurred) / edges.width(sharp) == pytest.approx(1.4 / 0.8, rel=0.05)


def test_noise_does_not_widen_edges():
    sharp = discs(1.0)
    edges = Edges.of(sharp, everywhere(sharp), (1, 1))
    noisy = sharp + np.random.default_rng(0).normal(0, 0.1, sharp.shape)
    assert edges.width(noisy) == pytest.approx(edges.width(sharp), rel=0.06)
    blurred = ndimage.gaussian_filter(noisy, (0, 1, 1))
    assert edges.width(blurred) == pytest.approx(math.sqrt(2) * edges.width(sharp), rel=0.1)


def test_widths_are_millimetres_whatever_the_sides_of_a_pixel():
    image = discs(1.2, (0.5, 0.8))
    assert Edges.of(image, everywhere(image), (0.5, 0.8)).width(image) == pytest.approx(WIDTH_OF_A_GAUSSIAN * 1.2, rel=0.08)


def test_brightness_and_contrast_change_nothing():
    image, other = discs(1.0), discs(1.3)
    edges, brighter = Edges.of(image, everywhere(image), (1, 1)), Edges.of(500 * image, everywhere(image), (1, 1))
    assert brighter.width(500 * other) == pytest.approx(edges.width(other))
    assert edges.width(0.5 * other + 0.3) == pytest.approx(edges.width(other), rel=0.01)


def test_only_edges_in_the_mask_count():
    image = discs(0.8)
    image[:, :, 64:] = discs(1.6)[:, :, 64:]
    left = everywhere(image)
    left[:, :, 54:] = False
    assert Edges.of(image, left, (1, 1)).width(image) == pytest.approx(WIDTH_OF_A_GAUSSIAN * 0.8, rel=0.06)


def test_where_there_is_no_edge_no_width_is_told():
    noise = np.random.default_rng(1).normal(1, 0.1, (1, 60, 60))
    assert math.isnan(Edges.of(np.ones((1, 60, 60)), np.ones((1, 60, 60), bool), (1, 1)).width(noise))
    sharp = discs(1.0)
    assert math.isnan(Edges.of(sharp, everywhere(sharp), (1, 1)).width(np.ones_like(sharp)))
