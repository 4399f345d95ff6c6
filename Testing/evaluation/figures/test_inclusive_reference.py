"""A reference that contains the noisy image's own noise is found out, an honest one is not accused, and doubt is said."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib import io
from MRIDenoiseLib.data.references import leave_one_out
from MRIDenoiseLib.data.repeats import read_repeat_sets
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.figures.honest_reference import find_inclusion

SHAPE = (8, 144, 160)
REPEATS = 8


def anatomy(roughness: float = 0.02) -> np.ndarray:
    """A body with organs, vessels and texture; air around."""
    y, x = np.mgrid[-1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    rng = np.random.default_rng(0)
    slices = []
    for _ in range(SHAPE[0]):
        texture = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE[1:]), 1.5)
        image = 0.6 + roughness * texture / texture.std()
        for _ in range(12):
            centre_y, centre_x, radius = *rng.uniform(-0.6, 0.6, 2), rng.uniform(0.02, 0.2)
            image[np.hypot(y - centre_y, x - centre_x) < radius] += rng.uniform(-0.3, 0.4)
        slices.append(np.where(np.hypot(y, x) < 0.8, image, 0))
    return ndimage.gaussian_filter(np.stack(slices), (0, 0.6, 0.6))


def repeats(sigma: float = 0.05, grain: float = 0.0, seed: int = 1) -> np.ndarray:
    """Magnitudes of the anatomy with independent noise."""
    rng = np.random.default_rng(seed)

    def noise() -> np.ndarray:
        white = rng.normal(0, 1, SHAPE)
        grained = ndimage.gaussian_filter(white, (0, grain, grain)) if grain else white
        return sigma * grained / grained.std()

    truth = anatomy()
    return np.stack([np.hypot(truth + noise(), noise()) for _ in range(REPEATS)])


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    return repeats()


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("grain", [0.0, 0.6])
def test_a_mean_that_contains_the_image_has_its_share_of_the_noise(stack, count, grain):
    measured = repeats(grain=grain) if grain else stack
    found = find_inclusion(measured[0], measured[:count].mean(axis=0))
    assert found.inclusive and found.share == pytest.approx(1 / count, abs=0.03)
    assert f"{found.share:.0%}" in found.sentence


def test_honest_references_are_not_accused(stack):
    for reference in (stack[1:].mean(axis=0), stack[3], anatomy(), leave_one_out(stack)[0]):
        found = find_inclusion(stack[0], reference)
        assert found.inclusive is False and found.share < 0.03


def test_the_brightness_of_a_reference_does_not_matter(stack):
    assert find_inclusion(stack[0], 700 * stack[:3].mean(axis=0)).share == pytest.approx(1 / 3, abs=0.03)
    assert find_inclusion(300 * stack[0], stack[1:].mean(axis=0)).inclusive is False


def test_a_denoised_copy_of_the_image_is_no_reference(stack):
    assert find_inclusion(stack[0], 0.7 * stack[0] + 0.3 * anatomy()).share > 0.5
    assert find_inclusion(stack[0], 0.3 * stack[0] + 0.7 * anatomy()).inclusive


def test_without_air_tissue_alone_tells(stack):
    body = ndimage.gaussian_filter(anatomy(), (0, 1, 1)) > 0.3
    masked = stack * body
    found = find_inclusion(masked[0], masked[:3].mean(axis=0))
    assert found.inclusive and found.share == pytest.approx(1 / 3, abs=0.05)
    assert find_inclusion(masked[0], masked[1:].mean(axis=0)).inclusive is False


def test_where_anatomy_is_everywhere_nothing_is_claimed():
    rough = anatomy(roughness=0.15)
    rng = np.random.default_rng(2)
    body = ndimage.gaussian_filter(rough, (0, 1, 1)) > 0.3
    measured = [np.abs(rough + rng.normal(0, 0.005, SHAPE)) * body for _ in range(4)]
    for reference in (np.mean(measured[1:], axis=0), np.mean(measured[:2], axis=0)):
        found = find_inclusion(measured[0], reference)
        assert found.inclusive is None and "is unknown" in found.sentence


def test_an_image_too_small_to_tell_is_said_to_be():
    found = find_inclusion(repeats()[0][:1, :32, :32] + 1e-3, anatomy()[:1, :32, :32] + 1e-3 + np.eye(32))
    assert found.inclusive is None


def test_zero_filling_leaves_the_finest_band_empty_and_is_no_excuse(stack):
    spectrum = np.fft.fftshift(np.fft.fft2(stack), axes=(-2, -1))
    y, x = np.ogrid[-0.5 : 0.5 : SHAPE[1] * 1j, -0.5 : 0.5 : SHAPE[2] * 1j]
    filled = np.rint(1000 * np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum * (np.hypot(y, x) < 0.33), axes=(-2, -1)))))
    assert find_inclusion(filled[0], np.rint(filled[:3].mean(axis=0))).inclusive
    assert find_inclusion(filled[0], np.rint(filled[1:].mean(axis=0))).inclusive is False


def test_other_shapes_are_refused(stack):
    with pytest.raises(InputError, match="shape"):
        find_inclusion(stack[0], stack[0][1:])


@pytest.mark.parametrize("name", ["pCASL", "DWI b0"])
def test_measured_repeats_are_told_apart(data_dir, name):
    source = next(one for one in read_repeat_sets(data_dir) if one.name == name)
    volumes = [io.read(data_dir / source.file, volume=number + 1) for number in source.groups[0]]
    measured = np.stack([volume.stack for volume in volumes])
    others = leave_one_out(measured)
    for index in range(0, len(measured), 2):
        assert find_inclusion(measured[index], others[index]).inclusive is False
        for count in (2, 3, len(measured)):
            chosen = [(index + number) % len(measured) for number in range(count)]
            found = find_inclusion(measured[index], measured[chosen].mean(axis=0))
            assert found.inclusive and found.share == pytest.approx(1 / count, abs=0.05)
