"""A volume is measured once, whichever of its slices are asked for, and never held a second time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import find_body, intensity_scale
from MRIDenoiseLib.inference import Denoiser, Settings, denoiser
from MRIDenoiseLib.inference.analysis import air_level, analyse, fingerprint, measured_noise
from MRIDenoiseLib.inference.disturbances import find_wiped, occupied
from MRIDenoiseLib.inference.slices import BRIGHTEST_SHOWN, NetworkSlices, content_window
from MRIDenoiseLib.models.noise_estimator import SQUARE
from MRIDenoiseLib.volume import Volume


@pytest.fixture
def measured(monkeypatch) -> list[int]:
    """One entry for every volume that a denoiser measures."""
    done = []

    def counted(stack, *others):
        done.append(len(stack))
        return analyse(stack, *others)

    monkeypatch.setattr(denoiser, "analyse", counted)
    return done


def test_one_slice_after_the_other_measures_the_volume_once_and_gives_what_a_fresh_denoiser_gives(models, volume, measured):
    warm = Denoiser(models, "cpu")
    previews = [warm(volume, Settings(slices=(k, k + 1))) for k in (2, 3, 4)]
    assert len(measured) == 1
    for k, preview in zip((2, 3, 4), previews, strict=True):
        fresh = Denoiser(models, "cpu")(volume, Settings(slices=(k, k + 1)))
        assert np.array_equal(preview.volume.voxels, fresh.volume.voxels)
        assert {**preview.report, "seconds": 0} == {**fresh.report, "seconds": 0}


def test_a_voxel_that_changes_even_in_place_is_another_volume(models, volume, measured):
    warm = Denoiser(models, "cpu")
    before = warm(volume).report["intensity_scale"]
    volume.voxels[:] *= 3
    assert warm(volume).report["intensity_scale"] == pytest.approx(3 * before)
    volume.voxels[0, 0, 0] += 1
    warm(volume)
    assert len(measured) == 3


def test_the_same_voxels_cut_the_other_way_are_another_volume(volume):
    other = replace(volume, acquired_axis=2)
    assert fingerprint(volume) == fingerprint(volume.with_voxels(volume.voxels.copy())) != fingerprint(other)
    turned = replace(volume, voxels=volume.voxels.reshape(7, 112, 96))
    assert fingerprint(volume) != fingerprint(turned)


def test_what_is_measured_is_measured_on_all_slices(models, volume):
    scale = intensity_scale(volume.voxels)
    volume.voxels[6, 40, 48] = 1.6 * scale
    volume.voxels[5, 0, :] = -1
    found = analyse(volume.voxels, models.networks["noise_estimator"])
    assert found.scale == intensity_scale(volume.voxels)
    assert found.brightest == pytest.approx(2 * 1.6 - 1, rel=1e-2) and found.brightest < BRIGHTEST_SHOWN
    assert found.negative_share == pytest.approx((volume.voxels < 0).mean())


def test_slices_in_network_units_are_those_of_the_whole_stack(volume):
    window, scale = content_window(*occupied(volume.voxels, None)), intensity_scale(volume.voxels)
    whole = window.of(volume.voxels) * np.float32(2 / scale) - 1
    slices = NetworkSlices(volume.voxels, window, scale)
    assert len(slices) == 7 and slices[3].dtype == np.float32
    assert np.array_equal(slices[3], whole[3]) and np.array_equal(slices[1:4], whole[1:4])
    assert np.array_equal(slices[np.array([0, 0, 1])], whole[[0, 0, 1]])
    slices[3][:] = 0
    assert np.array_equal(slices[3], whole[3]), "the volume is not written to"


class Loud(torch.nn.Module):
    """Tells each slice's standard deviation in its body."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def squares(self, image, body):
        level = torch.stack([one[mask > 0].std() for one, mask in zip(image, body, strict=True)]).log()
        shape = (len(image), 1, image.shape[2] // SQUARE, image.shape[3] // SQUARE)
        return level.view(-1, 1, 1, 1).expand(shape), torch.zeros(shape)


def test_slices_whose_air_differs_as_their_tissue_does_are_each_told_their_own():
    rng = np.random.default_rng(0)
    strength = np.where(np.arange(12) < 6, 5.0, 25.0)
    stack = (100 + strength[:, None, None] * rng.standard_normal((12, 64, 64))).astype(np.float32)
    body = np.ones(stack.shape, bool)
    told, _ = measured_noise(Loud(), stack, body, lambda index: strength[index])
    assert told[:5] == pytest.approx(5, rel=0.1) and told[7:] == pytest.approx(25, rel=0.1)
    for air in (lambda index: 1 + 0.02 * index, lambda index: None, lambda index: None if index == 3 else strength[index]):
        told, _ = measured_noise(Loud(), stack, body, air)
        assert told == pytest.approx(np.full(12, 5.0), rel=0.1), "fine anatomy can only seem to add noise"
    even = (100 + 5 * rng.standard_normal((12, 64, 64))).astype(np.float32)
    assert len(set(measured_noise(Loud(), even, body)[0])) == 1


def test_the_noise_of_the_air_is_told_beside_ghosts_and_wiped_pixels():
    rng = np.random.default_rng(0)
    body = np.zeros((80, 80), bool)
    body[25:55, 25:55] = True
    noise = np.hypot(*rng.normal(0, 3, (2, 80, 80)))
    image = np.where(body, 500, noise)
    faint = air_level(image, body, None)
    image[:8] += 200
    assert air_level(image, body, None) == pytest.approx(faint, rel=0.25)
    assert air_level(np.where(body, 500, 2 * noise), body, None) == pytest.approx(2 * faint)
    image[:40] = -7
    assert air_level(image, body, -7) == pytest.approx(faint, rel=0.1)
    assert air_level(np.where(body, 500, 0), body, 0) is None


def test_wiped_out_air_is_found_and_bright_tissue_at_the_end_of_the_scale_is_not():
    rng = np.random.default_rng(0)
    stack = rng.uniform(500, 1000, (3, 64, 64)).astype(np.float32)
    stack[:, :, :20] = -7
    stack[:, 20:40, 30:60] = 1000
    assert find_wiped(stack, find_body(stack)) == -7
    stack[:, :, :20] = np.abs(rng.normal(0, 20, (3, 64, 20)))
    assert find_wiped(stack, find_body(stack)) is None


@pytest.mark.parametrize("shape", [(1, 1, 40), (3, 3, 3)])
def test_slices_of_a_few_pixels_are_refused_in_a_sentence(models, shape):
    tiny = Volume(np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32), np.eye(4))
    with pytest.raises(InputError, match="too few to distinguish noise from anatomy"):
        Denoiser(models, "cpu")(tiny)
    larger = replace(tiny, voxels=np.tile(tiny.voxels, (1, 4, 4)))
    assert Denoiser(models, "cpu")(larger).volume.voxels.shape == larger.voxels.shape
