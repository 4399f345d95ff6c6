"""LPIPS is computed as its definition says, or says in one sentence what is missing; it never fetches anything."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.figures import lpips_vgg, perceptual

SHAPE = (3, 50, 60)


class SquaredDifference:
    """A stand-in for the network: what it is given, and the mean squared difference of each pair."""

    def __init__(self):
        self.seen = []

    def __call__(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        self.seen.append((one, other))
        return (one - other).square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def network(monkeypatch) -> SquaredDifference:
    stand_in = SquaredDifference()
    monkeypatch.setattr(perceptual, "_network", lambda: stand_in)
    return stand_in


def body() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[0, 5:40, 8:30] = mask[2, 10:45, 12:48] = True
    return mask


def test_slices_go_in_as_three_grey_channels_cut_to_the_body_between_minus_one_and_one(network):
    reference = np.random.default_rng(0).random(SHAPE) * 600
    lpips_vgg(reference, reference, data_range=500, mask=body())
    given, _ = network.seen[0]
    assert given.shape == (3, 3, 40, 40) and given.dtype == torch.float32
    assert torch.equal(given[:, 0], given[:, 1]) and torch.equal(given[:, 0], given[:, 2])
    expected = np.clip(reference[:, 5:45, 8:48] / 500, 0, 1) * 2 - 1
    assert given[:, 0].numpy() == pytest.approx(expected, abs=1e-6)


def test_equal_images_have_no_distance_and_the_mean_is_over_slices(network):
    reference = np.zeros((9, *SHAPE[1:]))
    mask = np.repeat(body()[:1], 9, axis=0)
    assert lpips_vgg(reference, reference, data_range=1, mask=mask) == 0
    image = reference + np.linspace(0, 0.4, 9)[:, None, None]
    assert lpips_vgg(image, reference, data_range=1, mask=mask) == pytest.approx(np.mean((2 * np.linspace(0, 0.4, 9)) ** 2), abs=1e-6)


def test_brightness_of_images_and_range_together_changes_nothing(network):
    image, reference = np.random.default_rng(1).random((2, *SHAPE))
    plain = lpips_vgg(image, reference, data_range=0.9, mask=body())
    assert lpips_vgg(300 * image, 300 * reference, data_range=270, mask=body()) == pytest.approx(plain, rel=1e-5)


def test_a_small_body_gets_a_box_that_the_network_can_work_on(network):
    mask = np.zeros(SHAPE, bool)
    mask[1, 47:49, 1:3] = True
    lpips_vgg(np.zeros(SHAPE), np.zeros(SHAPE), data_range=1, mask=mask)
    assert network.seen[0][0].shape[2:] == (perceptual.SMALLEST, perceptual.SMALLEST)


def test_without_the_package_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(SettingsError, match="install the extra 'perceptual'"):
        perceptual.check_at_hand()


def test_without_the_weights_one_sentence_says_which_and_where(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lpips", object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(SettingsError, match="vgg16-397923af.pth.*nothing is downloaded"):
        perceptual.check_at_hand()
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_damaged_are_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lpips", object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual.WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(SettingsError, match="damaged"):
        perceptual.check_at_hand()


def test_the_packages_own_network_takes_the_backbone_from_the_file(monkeypatch, tmp_path):
    pytest.importorskip("lpips")
    vgg16 = pytest.importorskip("torchvision").models.vgg16(weights=None)
    file = Path(tmp_path / "random.pth")
    torch.save(vgg16.state_dict(), file)
    monkeypatch.setattr(perceptual, "_weights", lambda: file)
    perceptual._network.cache_clear()
    try:
        reference = np.random.default_rng(2).random(SHAPE)
        assert lpips_vgg(reference, reference, data_range=1, mask=body()) == 0
        assert lpips_vgg(reference[:, ::-1], reference, data_range=1, mask=body()) > 0
        backbone = perceptual._network().net.state_dict()
        assert torch.equal(backbone["slice5.28.weight"], vgg16.features[28].weight)
    finally:
        perceptual._network.cache_clear()


@pytest.mark.parametrize(("change", "said"), [({"data_range": 0}, "range"), ({"mask": np.zeros(SHAPE, bool)}, "mask")])
def test_nonsense_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        lpips_vgg(np.ones(SHAPE), np.ones(SHAPE), **({"data_range": 1.0, "mask": body()} | change))
