"""Noise that varies over the image: measured or given, told to the networks, written in the image's units."""

from dataclasses import replace

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.batch import Method
from MRIDenoiseLib.inference.noise_map import given_noise_map, measured_noise_map
from MRIDenoiseLib.volume import Volume


def squares(variation: float) -> list[np.ndarray]:
    """The logarithm of the noise of 24 x 28 squares of three slices, louder towards the right, uncertain from square to square."""
    random = np.random.default_rng(0)
    return [variation * np.linspace(-0.5, 0.5, 28) + random.normal(0, 0.3, (24, 28)) for _ in range(3)]


def body() -> list[np.ndarray]:
    trust = np.zeros((24, 28))
    trust[4:20, 4:24] = 1
    return [trust] * 3


@pytest.mark.parametrize(("variation", "varies"), [(0.0, False), (0.4, False), (3.0, True)])
def test_the_map_is_smooth_and_its_spread_says_whether_it_matters(variation, varies):
    found = measured_noise_map(squares(variation), body(), np.array([0, 4, 8]), 4)
    shown = found.log_of(2, (96, 112))
    assert shown.shape == (96, 112) and np.abs(np.diff(shown, axis=1)).max() < 0.1
    slope = np.polyfit(np.arange(30, 80), shown[48, 30:80], 1)[0] * 112
    # Near the border of the body the smoothing flattens it.
    assert 0.4 * variation - 0.2 < slope < variation + 0.2 and found.varies == varies


def test_the_level_of_a_slice_is_no_part_of_its_map_and_without_a_body_there_is_none():
    louder = [level + 3 * number for number, level in enumerate(squares(1.0))]
    found, even = (measured_noise_map(levels, body(), np.array([0, 4, 8]), 4) for levels in (louder, squares(1.0)))
    assert np.allclose(found.log_relative, even.log_relative, atol=1e-5)
    nothing = measured_noise_map(louder, [np.zeros((24, 28))] * 3, np.array([0, 4, 8]), 4)
    assert not nothing.varies and not nothing.log_of(3, (96, 112)).any()


def test_a_given_map_is_taken_as_it_is():
    mask = np.zeros((3, 20, 16), bool)
    mask[:2, 4:16, 4:12] = True
    noise = (5 + np.arange(16) + 10 * np.arange(3)[:, None, None] * np.ones((3, 20, 16))).astype(np.float32)
    levels, found = given_noise_map(noise, mask)
    for index in range(3):
        assert np.allclose(levels[index] * np.exp(found.log_of(index, (20, 16))), noise[index], rtol=1e-5)
    assert levels[0] == pytest.approx(np.exp(np.log(noise[0][mask[0]]).mean()))


def noise_of(volume: Volume) -> Volume:
    """A map for a volume, thirty times as strong on the right as on the left, three times within the body."""
    x = np.linspace(0, 1, volume.voxels.shape[2], dtype=np.float32)
    return volume.with_voxels(np.broadcast_to(15 * 30**x, volume.voxels.shape).astype(np.float32))


def test_the_networks_are_told_the_noise_of_the_place(models, volume):
    told = []

    def answers_what_it_is_told(batch):
        told.append(batch.conditioning.noise_level.clone())
        measured = batch.stacks(1)
        return measured - measured + batch.conditioning.noise_level.view(-1, 1, 1, 1) - 1

    method = Method("told", answers_what_it_is_told)
    result = Denoiser(models, "cpu")(volume, Settings(guarantee=0, noise_map=True), method=method, noise_map=noise_of(volume))
    assert result.report["noise_varies"] and len(told) == 2 * -(-7 // len(told[0]))
    # The answer is the level itself: half of it in the volume's units, and within the body that of the place.
    shown, given = result.volume.voxels[3, 40, 30:66], noise_of(volume).voxels[3, 40, 30:66]
    assert np.corrcoef(np.log(shown), np.log(given))[0, 1] > 0.99 and np.abs(shown / given - 1).max() < 0.25
    assert np.allclose(result.noise_map.voxels, noise_of(volume).voxels, rtol=1e-4)


def test_where_the_noise_is_even_one_level_is_told_and_the_map_lies_around_it(models, volume):
    result = Denoiser(models, "cpu")(volume, Settings(method="regression", noise_map=True, slices=(2, 4)))
    found = result.noise_map
    assert found.voxels.shape == volume.voxels.shape and np.array_equal(found.ijk_to_ras, volume.ijk_to_ras)
    assert found.pixel_type == "float32" and found.voxels.min() > 0
    assert np.median(found.voxels) == pytest.approx(result.noise_level, rel=0.5)
    assert Denoiser(models, "cpu")(volume, Settings(method="regression", slices=(2, 4))).noise_map is None


def test_another_map_is_another_measurement(models, volume):
    warm = Denoiser(models, "cpu")
    levels = [warm(volume, Settings(slices=(3, 4)), noise_map=map_).noise_level for map_ in (None, noise_of(volume), None)]
    assert levels[0] == levels[2] != levels[1]
    double = noise_of(volume).with_voxels(2 * noise_of(volume).voxels)
    assert warm(volume, Settings(slices=(3, 4)), noise_map=double).noise_level == pytest.approx(2 * levels[1])


def test_zeros_outside_a_reconstruction_mask_are_filled_with_the_nearest_noise(models, volume):
    whole = noise_of(volume)
    masked = whole.with_voxels(np.where(volume.voxels > 150, whole.voxels, 0))
    found = Denoiser(models, "cpu")(volume, Settings(slices=(3, 4), noise_map=True), noise_map=masked).noise_map
    assert found.voxels.min() >= 15 and np.allclose(found.voxels[masked.voxels > 0], masked.voxels[masked.voxels > 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda noise: replace(noise, voxels=noise.voxels[:, :-1]), "7 x 95 x 112 voxels and the image 7 x 96 x 112"),
        (lambda noise: replace(noise, ijk_to_ras=np.diag([1.0, 1.0, 4.4, 1.0])), "at another place"),
        (lambda noise: noise.with_voxels(-noise.voxels), "standard deviations"),
        (lambda noise: noise.with_voxels(0 * noise.voxels), "standard deviations"),
        (lambda noise: noise.with_voxels(noise.voxels * np.nan), "standard deviations"),
    ],
)
def test_a_map_that_does_not_belong_to_the_image_is_refused(models, volume, change, said):
    with pytest.raises(InputError, match=said):
        Denoiser(models, "cpu")(volume, noise_map=change(noise_of(volume)))
