"""The other packages' denoisers really denoise, at every setting they may choose from."""

import importlib.util
import sys

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.peers import NLM_SEARCHES, NLM_STRENGTHS, ants_trials, bm4d_trials, nlm_trials

PACKAGES = {"nlm": "dipy", "ants": "ants", "bm4d": "bm4d"}
COUNT = {"nlm": 2 * len(NLM_SEARCHES) * len(NLM_STRENGTHS), "ants": 2, "bm4d": 1}
SIGMA = 0.06


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


def trials(name: str, noisy: np.ndarray, wanted: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{PACKAGES[name]} of the extra 'peers' is not installed")
    run = {
        "nlm": lambda: nlm_trials(noisy, SIGMA, wanted),
        "ants": lambda: ants_trials(noisy),
        "bm4d": lambda: bm4d_trials(noisy, SIGMA),
    }[name]
    return list(run())


@pytest.mark.parametrize("name", PACKAGES)
def test_a_peer_lowers_the_error_and_every_setting_gives_an_image_of_its_own(phantom, name):
    clean, noisy, wanted = phantom
    before = noisy.copy()
    found = trials(name, noisy, wanted)
    assert np.array_equal(noisy, before), "the next peer gets the same image"
    assert len({setting for setting, _ in found}) == len({image.tobytes() for _, image in found}) == COUNT[name]
    assert all(image.shape == clean.shape for _, image in found)
    errors = [float(np.square(image - clean)[wanted].mean()) for _, image in found]
    assert min(errors) < 0.35 * float(np.square(noisy - clean)[wanted].mean())


def test_the_mask_of_non_local_means_changes_nothing_that_is_looked_at(phantom):
    _, noisy, wanted = phantom
    some, every = (dict(trials("nlm", noisy, mask)) for mask in (wanted, np.ones_like(wanted)))
    seen_by_ssim = ndimage.binary_dilation(wanted, np.ones((1, 11, 11)))
    for setting, image in some.items():
        assert np.array_equal(image[seen_by_ssim], every[setting][seen_by_ssim]), setting


def test_ants_treats_rows_and_columns_alike_and_slices_apart(phantom):
    _, noisy, wanted = phantom
    straight = trials("ants", noisy, wanted)
    turned = trials("ants", np.ascontiguousarray(noisy.transpose(0, 2, 1)), wanted.transpose(0, 2, 1))
    for (setting, image), (_, other) in zip(straight, turned, strict=True):
        assert np.abs(image - other.transpose(0, 2, 1))[wanted].mean() < 5e-4, setting


def test_a_peer_that_is_not_installed_is_named_with_its_extra(phantom, monkeypatch):
    _, noisy, _ = phantom
    monkeypatch.setitem(sys.modules, "bm4d", None)
    with pytest.raises(SettingsError, match="bm4d.*'peers'"):
        next(bm4d_trials(noisy, SIGMA))
