"""The denoisers of other packages: each treats the axes as it should, and one that is not installed is named."""

import sys

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.denoisers.peers import block_matching, denoise_image, non_local_means

SIGMA = 0.06
SSIM_WINDOW = np.ones((1, 11, 11))


@pytest.fixture(scope="module")
def phantom() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(clean, noisy, wanted): unequal sides, so that no two axes can be mistaken for one another."""
    rng = np.random.default_rng(0)
    clean = np.zeros((8, 30, 36), np.float32)
    clean[:, 4:24, 6:30] = 0.6
    clean[:, 8:14, 10:24] = 1
    noisy = np.hypot(clean + rng.normal(0, SIGMA, clean.shape), rng.normal(0, SIGMA, clean.shape)).astype(np.float32)
    wanted = np.zeros(clean.shape, bool)
    wanted[3:5] = clean[3:5] > 0.08
    return clean, noisy, wanted


@pytest.mark.parametrize("algorithm", ["classic", "blockwise"])
def test_the_mask_of_non_local_means_changes_nothing_near_what_is_looked_at(phantom, algorithm):
    pytest.importorskip("dipy", reason="DIPY of the extra 'peers' is not installed")
    _, noisy, wanted = phantom
    near = ndimage.binary_dilation(wanted, np.ones((1, 3, 3)), iterations=6)
    some, every = (
        non_local_means(noisy, SIGMA, algorithm=algorithm, patch=1, search=2, rician=True, wanted=mask)
        for mask in (near, np.ones_like(near))
    )
    seen_by_ssim = ndimage.binary_dilation(wanted, SSIM_WINDOW)
    assert np.array_equal(some[seen_by_ssim], every[seen_by_ssim])


def test_ants_treats_rows_and_columns_alike_and_slices_apart(phantom):
    pytest.importorskip("ants", reason="ANTsPy of the extra 'peers' is not installed")
    _, noisy, wanted = phantom
    straight = denoise_image(noisy, model="Rician", patch=1, search=1)
    turned = denoise_image(np.ascontiguousarray(noisy.transpose(0, 2, 1)), model="Rician", patch=1, search=1)
    assert np.abs(straight - turned.transpose(0, 2, 1))[wanted].mean() < 5e-4


def test_a_peer_lowers_the_error_and_leaves_its_input_alone(phantom):
    pytest.importorskip("bm4d", reason="BM4D of the extra 'peers' is not installed")
    clean, noisy, wanted = phantom
    before = noisy.copy()
    found = block_matching(noisy, SIGMA)
    assert np.array_equal(noisy, before), "the next peer gets the same image"
    assert np.square(found - clean)[wanted].mean() < 0.35 * np.square(noisy - clean)[wanted].mean()


def test_a_peer_that_is_not_installed_is_named_with_its_extra(phantom, monkeypatch):
    monkeypatch.setitem(sys.modules, "bm4d", None)
    with pytest.raises(SettingsError, match="bm4d.*'peers'"):
        block_matching(phantom[1], SIGMA)
