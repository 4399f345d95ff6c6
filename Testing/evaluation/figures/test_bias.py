"""Brightness that changed is found, and in which tissue; noise alone is no bias."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.evaluation.figures import bias


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return 1 + ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 8, (4, 96, 96)), (0, 6, 6)).clip(-0.8, 3)


def test_a_factor_is_the_same_bias_everywhere(truth):
    assert bias(1.03 * truth, truth, truth > 0) == pytest.approx((3, 3, 3, 3))


def test_an_offset_weighs_most_in_dark_tissue(truth):
    found = bias(truth + 0.1, truth, truth > 0)
    assert found.overall == pytest.approx(100 * 0.1 / truth.mean())
    assert found.dark > found.middle > found.bright > 0


def test_noise_of_image_and_reference_is_no_bias_in_any_class(truth):
    rng = np.random.default_rng(1)
    image, reference = (truth + rng.normal(0, 0.1, truth.shape) for _ in range(2))
    found = bias(image, reference, truth > 0)
    assert max(map(abs, found)) < 1.0
    # Classes by the noisy reference itself would give several per cent.
    order = np.argsort(reference, axis=None)[: reference.size // 3]
    assert 100 * (image - reference).ravel()[order].mean() / reference.ravel()[order].mean() > 2 * abs(found.dark) + 1


def test_the_rician_floor_is_found_in_dark_tissue(truth):
    rng = np.random.default_rng(2)
    noisy = np.hypot(truth + rng.normal(0, 0.3, truth.shape), rng.normal(0, 0.3, truth.shape))
    found = bias(noisy, truth, truth > 0)
    assert found.dark > 3 * found.bright > 0


def test_only_the_mask_counts(truth):
    mask = np.zeros(truth.shape, bool)
    mask[1, 20:60, 20:60] = True
    assert bias(np.where(mask, truth, 9), truth, mask) == (0, 0, 0, 0)


def test_nonsense_is_refused(truth):
    with pytest.raises(ValueError, match="shapes"):
        bias(truth[:1], truth, truth > 0)
    with pytest.raises(ValueError, match="mask"):
        bias(truth, truth, truth > 99)
