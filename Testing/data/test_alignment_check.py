"""The gate sees movement, and neither noise nor brightness looks like movement to it."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.data.alignment_check import gradient_agreement, residual_motion

Y, X = np.mgrid[-1:1:112j, -1:1:112j]
BODY = np.repeat((np.hypot(Y / 0.85, X / 0.7) < 1)[None], 3, axis=0)


def anatomy() -> np.ndarray:
    """Three slices of tissue with structures of all sizes, bright at the skin and as dark as noise in the middle."""
    rng = np.random.default_rng(3)
    image = np.full(Y.shape, 0.7)
    for _ in range(40):
        cy, cx, ry, rx, value = rng.uniform((-0.7, -0.6, 0.03, 0.03, -0.4), (0.7, 0.6, 0.2, 0.2, 0.5))
        image = image + value * (np.hypot((Y - cy) / ry, (X - cx) / rx) < 1)
    received = 0.1 + 0.9 * (Y**2 + X**2)
    return np.repeat(ndimage.gaussian_filter(np.maximum(image, 0.1) * received * BODY[0], 0.8)[None], 3, axis=0)


def magnitude(image: np.ndarray, snr: float) -> np.ndarray:
    real, imaginary = np.random.default_rng(0).standard_normal((2, *image.shape)) * np.median(anatomy()[BODY]) / snr
    return np.hypot(image + real, imaginary)


def moved(rows: np.ndarray | float) -> np.ndarray:
    y, x = np.mgrid[:112, :112].astype(float)
    return np.stack([ndimage.map_coordinates(image, (y + rows, x), order=3, mode="nearest") for image in anatomy()])


@pytest.mark.parametrize("snr", [3, 20])
def test_noise_and_another_brightness_are_not_taken_for_movement(snr: float):
    assert residual_motion(magnitude(anatomy(), snr), 37 * anatomy(), BODY) < 0.2


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_a_shift_is_measured_in_pixels(shift: float):
    assert residual_motion(magnitude(moved(shift), 20), anatomy(), BODY) == pytest.approx(shift, abs=0.15)


def test_a_deformation_of_a_part_is_seen():
    swallowing = 3 * np.exp(-(Y**2 + X**2) / 0.18)
    assert residual_motion(magnitude(moved(swallowing), 20), anatomy(), BODY) > 0.7


def test_what_lies_outside_the_mask_does_not_matter():
    cut = anatomy()
    cut[:, :, :40] = 0
    covered = BODY.copy()
    covered[:, :, :40] = False
    assert residual_motion(magnitude(anatomy(), 20), cut, covered) < 0.2
    assert residual_motion(magnitude(anatomy(), 20), cut, np.zeros_like(BODY)) == 0


def test_edges_agree_with_themselves_in_any_contrast_and_not_with_others():
    assert gradient_agreement(anatomy(), 3 - 2 * anatomy(), BODY) == pytest.approx(1, abs=1e-9)
    assert gradient_agreement(anatomy(), moved(4), BODY) < 0.6
    unrelated = np.random.default_rng(0).standard_normal(anatomy().shape)
    assert abs(gradient_agreement(anatomy(), unrelated, BODY)) < 0.1
    assert gradient_agreement(anatomy(), np.ones_like(anatomy()), BODY) == 0


def test_the_measurement_can_be_stopped_at_every_slice() -> None:
    asked: list[int] = []
    residual_motion(anatomy(), anatomy(), BODY, lambda: asked.append(1))
    assert len(asked) == len(BODY)
