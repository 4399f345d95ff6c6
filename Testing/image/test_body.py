"""The body is found whatever somebody burned in, wiped out or divided by; an ordinary image is split as Otsu splits it."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask, find_body, otsu_threshold


@pytest.fixture
def head():
    """(noisy head, where it is): an ellipse of 450 to 1000 in Rician noise of 40, float32 (3, 128, 128)."""
    rng = np.random.default_rng(0)
    _, y, x = np.mgrid[:3, :128, :128]
    radius = np.hypot((y - 64) / 54, (x - 64) / 46)
    truth = np.select([radius < 0.5, radius < 0.85, radius < 1], [1000.0, 720.0, 450.0], 0.0)
    noisy = np.hypot(truth + rng.normal(0, 40, truth.shape), rng.normal(0, 40, truth.shape))
    return noisy.astype(np.float32), radius < 1


def shares(mask, inside):
    return mask[inside].mean(), mask[~ndimage.binary_dilation(inside, np.ones((1, 3, 3)), iterations=4)].mean()


def test_an_ordinary_image_is_split_by_otsus_threshold(head):
    voxels, inside = head
    blurred = ndimage.uniform_filter(voxels, size=(1, 5, 5))
    found = find_body(voxels)
    assert np.array_equal(found.mask, blurred > otsu_threshold(blurred))
    assert not found.noisy_air and found.ceiling > voxels.max()
    assert shares(found.mask, inside)[0] > 0.9 and shares(found.mask, inside)[1] == 0


@pytest.mark.parametrize("value", [6000, 32000])
def test_a_burned_in_letter_and_spikes_do_not_hide_the_body(head, value):
    voxels, inside = head
    voxels[:, 4:16, 4:6] = voxels[:, 14:16, 4:12] = value
    voxels[1, 60, 60:64] = value
    found = find_body(voxels)
    assert found.ceiling < value
    assert shares(found.mask, inside)[0] > 0.9
    assert not found.mask[voxels == value].any()


@pytest.mark.parametrize("noise", ["uniform", "exponential"])
def test_noise_as_bright_as_tissue_is_no_body(head, noise):
    voxels, inside = head
    rng = np.random.default_rng(1)
    air = rng.uniform(0, 4095, voxels.shape) if noise == "uniform" else rng.exponential(1500, voxels.shape)
    found = find_body(np.where(inside, voxels, air).astype(np.float32))
    body, beside = shares(found.mask, inside)
    assert found.noisy_air and body > 0.7 and beside < 0.02


def test_small_bright_anatomy_in_smooth_air_is_no_noise():
    """As in the mean of many diffusion-weighted images of a spinal cord: it is rough, and only the air beside it is smooth."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:36, :96]
    cord = 1500 * np.exp(-(((y - 18) / 4.0) ** 2 + ((x % 12 - 6) / 2.5) ** 2)) + 150
    assert not find_body((cord + rng.normal(0, 8, (5, 36, 96))).astype(np.float32)).noisy_air


def test_a_very_noisy_image_has_no_noisy_air(head):
    voxels, inside = head
    rng = np.random.default_rng(1)
    noisy = np.hypot(voxels + rng.normal(0, 150, voxels.shape), rng.normal(0, 150, voxels.shape)).astype(np.float32)
    assert not find_body(noisy).noisy_air


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match="numbers"):
        body_mask(np.array([[[1.0, np.nan]]]))
    with pytest.raises(InputError, match="same value"):
        body_mask(np.ones((2, 8, 8)))


@pytest.mark.parametrize("kind", ["ordinary", "letters", "noisy air"])
def test_nothing_but_the_mask_and_one_volume_is_held(head, kind):
    voxels, inside = (np.tile(part, (60, 1, 1)) for part in head)
    if kind == "letters":
        voxels[:, 4:16, 4:6] = 32000
    elif kind == "noisy air":
        voxels[~inside] = np.random.default_rng(1).uniform(0, 4095, np.count_nonzero(~inside))
    tracemalloc.start()
    try:
        found = find_body(voxels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.ceiling < voxels.max(), found.noisy_air) == (kind == "letters", kind == "noisy air")
    assert peak < 1.4 * voxels.nbytes, "1.25, and what a few slices take"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_value_has_a_threshold_too_even_where_rounding_spread_it(kind):
    values = np.full(100, 4.6, kind)
    assert otsu_threshold(values) == values[0]
    values[:50] = np.nextafter(values[0], kind(5))
    assert otsu_threshold(values) == values[0]


def test_a_lone_bright_pixel_or_slices_of_one_value_each_are_an_image_all_the_same():
    lone, constant = np.zeros((2, 2, 64, 64), np.float32)
    lone[0, 30, 30] = constant[1] = 100
    assert find_body(lone).mask[0, 30, 30] and find_body(lone).mask.sum() <= 25
    assert find_body(constant).mask[1].all() and not find_body(constant).mask[0].any()
