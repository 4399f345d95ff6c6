"""The scale and the body of a volume come from the noisy volume alone and follow its units."""

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask, intensity_scale


@pytest.fixture
def head() -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    disc = np.where(np.hypot(x, y) < 0.7, 100.0, 0.0)
    return np.hypot(disc + rng.normal(0, 5, (6, 64, 64)), rng.normal(0, 5, (6, 64, 64))).astype(np.float32)


def test_the_mask_is_the_body(head):
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    radius = np.hypot(x, y)
    mask = body_mask(head)
    assert mask[:, radius < 0.64].mean() > 0.99
    assert mask[:, radius > 0.8].mean() < 0.01


@pytest.mark.parametrize("factor", [0.01, 37.0])
def test_mask_and_scale_follow_the_units(head, factor):
    assert np.array_equal(body_mask(head), body_mask(head * np.float32(factor)))
    assert intensity_scale(head * np.float32(factor)) == pytest.approx(factor * intensity_scale(head), rel=1e-4)


def test_the_scale_is_the_percentile_inside_the_body_not_of_the_field_of_view(head):
    wide = np.pad(head, ((0, 0), (100, 100), (100, 100)))
    assert intensity_scale(wide) == pytest.approx(intensity_scale(head), rel=0.01)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_refused(head, value):
    head[2, 3, 4] = value
    with pytest.raises(InputError, match="not numbers"):
        body_mask(head)


def test_a_constant_image_is_refused():
    with pytest.raises(InputError, match="same value"):
        body_mask(np.full((2, 16, 16), 7, np.float32))


def test_an_image_without_positive_signal_is_refused(head):
    with pytest.raises(InputError, match="positive"):
        intensity_scale(-1000 + head)
