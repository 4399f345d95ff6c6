"""What no training had is told in words and less is removed from it; what every scan may be is not odd."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.evaluation.claims.oddities import ODDITIES, planted
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.oddities import LEAST_SIDE, SENTENCES, STRENGTH, Oddities, find_oddities
from MRIDenoiseLib.volume import Volume

SHAPE = (8, 120, 136)


def phantom() -> np.ndarray:
    """A body with a rim, some organs and fine texture, in air; P99.5 is about 1."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]].astype(np.float32)
    radius = np.hypot((y - 57) / 44, (x - 70) / 51)
    image = np.where(radius < 1, np.where(radius > 0.93, 1.0, 0.5), 0.0)
    generator = np.random.default_rng(3)
    for _ in range(40):
        cy, cx, size, value = generator.uniform((25, 30, 2, 0.1), (90, 110, 9, 0.95))
        image[(np.hypot(y - cy, (x - cx) * 0.8 + z) < size) & (radius < 0.9)] = value
    texture = ndimage.gaussian_filter(generator.standard_normal(SHAPE), (0, 1, 1))
    return np.abs(ndimage.gaussian_filter(image, (0, 0.6, 0.6)) + np.where(radius < 1, 0.06 * texture, 0)).astype(np.float32)


def rician(image: np.ndarray, sigma: float, coarse: float = 0.0) -> np.ndarray:
    parts = np.random.default_rng(1).standard_normal((2, *image.shape))
    if coarse:
        parts = ndimage.gaussian_filter(parts, (0, 0, coarse, coarse))
        parts /= parts.std()
    return np.hypot(image + sigma * parts[0], sigma * parts[1]).astype(np.float32)


def coil(image: np.ndarray) -> np.ndarray:
    return (image * np.exp(-np.linspace(0, 2.3, image.shape[1]))[:, None]).astype(np.float32)


ORDINARY = {
    "plain": lambda image: rician(image, 0.005),
    "noise of 3 %": lambda image: rician(image, 0.03),
    "noise of 6 %": lambda image: rician(image, 0.06),
    "noise of 10 %": lambda image: rician(image, 0.1),
    "coarse grain": lambda image: rician(image, 0.05, coarse=0.8),
    "wiped air": lambda image: np.where(ndimage.gaussian_filter(image, (0, 2, 2)) > 0.1, rician(image, 0.04), 0).astype(np.float32),
    "surface coil": lambda image: rician(coil(image), 0.02),
    "padded": lambda image: np.pad(rician(image, 0.03), ((0, 0), (20, 20), (0, 0))),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_nothing_is_odd_about_a_scan_with_any_ordinary_noise(name):
    found = find_oddities(ORDINARY[name](phantom()), 1.0)
    assert found.found == () and found.strength == 1 and found.sentences(1.0, chosen=False) == []
    assert found.scores.keys() == SENTENCES.keys()


@pytest.mark.parametrize("noise", [0.02, 0.045, 0.09])
def test_rings_of_a_phantom_are_no_ghosts(noise):
    y, x = np.mgrid[:128, :128]
    radius = np.hypot((y - 64) / 54, (x - 64) / 46)
    rings = np.select([radius < 0.5, radius < 0.85, radius < 1], [1.0, 0.8, 0.5], 0.0)
    assert find_oddities(rician(np.stack([rings] * 5), noise), 1.0).found == ()


@pytest.mark.parametrize("part", [0.5, 0.65, 0.8])
def test_a_tight_field_of_view_is_nothing_odd(part):
    rows, columns = (slice(int(size * (1 - part) / 2), int(size * (1 + part) / 2)) for size in SHAPE[1:])
    assert find_oddities(rician(phantom(), 0.04)[:, rows, columns], 1.0).found == ()


@pytest.mark.parametrize("name", ODDITIES)
def test_every_oddity_is_recognised_in_noise_and_called_by_its_name(name):
    kind = ODDITIES[name].kind
    found = find_oddities(planted(name, phantom(), seed=1), 1.0)
    assert kind in found.found and found.scores[kind] >= 1
    assert SENTENCES[kind] in found.sentences(0.6, chosen=False)
    assert found.strength == STRENGTH


def test_tiny_slices_are_too_small_to_tell_a_pattern_from_anatomy():
    assert find_oddities(phantom()[:, : LEAST_SIDE - 1, :60], 1.0) == Oddities()


@pytest.mark.filterwarnings("error")
def test_empty_slices_show_nothing():
    image = rician(phantom(), 0.03)
    image[5:] = 0
    assert find_oddities(image, 1.0).found == ()
    assert find_oddities(np.zeros_like(image), 1.0) == Oddities()


def test_the_unit_of_the_image_does_not_matter():
    image = planted("a spike in the raw data", phantom(), seed=0)
    one, other = find_oddities(image, 1.0), find_oddities(image * np.float32(800), 800.0)
    assert one.found == other.found == ("stripes",)


@pytest.fixture
def odd() -> Volume:
    voxels = planted("a spike in the raw data", phantom(), seed=0) * np.float32(500)
    return Volume(voxels[:3], np.diag([1.0, 1.0, 4.0, 1.0]), "float32", name="odd")


def test_less_is_removed_from_an_odd_volume_and_it_is_said(models, odd):
    result, whole = (Denoiser(models)(odd, Settings(seed=1, guarantee=None, strength=strength)) for strength in (None, 1.0))
    assert result.report["outside_training"] == whole.report["outside_training"] == ["stripes"]
    assert (result.report["strength"], whole.report["strength"]) == (STRENGTH, 1.0), "what the user chooses is kept"
    taken, all_of_it = (odd.voxels - one.volume.voxels for one in (result, whole))
    assert np.abs(all_of_it).max() > 1 and np.allclose(taken, STRENGTH * all_of_it, atol=1e-2)
    assert SENTENCES["stripes"] in result.report["warnings"] and SENTENCES["stripes"] in whole.report["warnings"]
    assert any("only 60% of what would be removed" in one for one in result.report["warnings"])
    assert not any("try strength" in one for one in result.report["warnings"]), "it is less on purpose"
    assert any("The strength 1 that you chose was kept." in one for one in whole.report["warnings"])


def test_an_ordinary_volume_is_denoised_at_full_strength_and_its_report_says_that_nothing_is_outside(models, odd):
    ordinary = odd.with_stack(rician(phantom(), 0.04)[:3] * np.float32(500))
    report = Denoiser(models)(ordinary, Settings(seed=1)).report
    assert report["outside_training"] == [] and report["strength"] == 1


def test_noise_in_the_air_of_a_quotient_is_known_and_not_odd(models):
    body = phantom()
    drawn = np.random.default_rng(5).uniform(0, 1, SHAPE)
    quotient = np.where(ndimage.binary_fill_holes(body > 0.1), rician(0.3 + 0.4 * body, 0.02), drawn).astype(np.float32)
    volume = Volume(quotient * 900, np.diag([1.0, 1.0, 4.0, 1.0]), acquired_axis=0)
    report = Denoiser(models, "cpu")(volume, Settings(method="regression", slices=(3, 4), denoise_clean=True)).report
    assert any("noise as bright as tissue" in said for said in report["warnings"])
    assert report["outside_training"] == [] and report["strength"] == 1
    assert find_oddities(volume.stack, 900.0).found, "by itself it would look odd"
