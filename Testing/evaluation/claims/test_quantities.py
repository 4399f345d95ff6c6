"""Denoisers of known vice get the score they deserve, in T2 and in ADC; and nothing of what is judged is in its reference."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.quantities import BLURRED, DENOISED, NO_FLOOR, NOISY, adc_trials, t2_trial
from MRIDenoiseLib.volume import Volume

TIMES = (6.3, 18.9, 31.6, 50.5)
MATRIX = np.diag([1.0, 1.0, 4.0, 1.0])


def body(shape=(3, 72, 72)) -> np.ndarray:
    y, x = np.mgrid[: shape[1], : shape[2]]
    return np.broadcast_to(np.hypot(y - shape[1] / 2, x - shape[2] / 2) < 0.42 * shape[1], shape)


@pytest.fixture(scope="module")
def echoes() -> list[Volume]:
    _, y, x = np.mgrid[:3, :72, :72]
    t2 = 40 + 20 * np.sin(x / 9) * np.cos(y / 9)
    return [Volume((900 * body() * np.exp(-time / t2)).astype(np.float32), MATRIX, acquired_axis=0) for time in TIMES]


def found(echoes: list[Volume], change) -> dict:
    clean = iter(echoes)
    scale = np.percentile(echoes[0].voxels[echoes[0].voxels > 0], 99.5)

    def denoise(volume: Volume, slices: tuple[int, int]) -> tuple[Volume, float]:
        return volume.with_stack(change(volume.stack, next(clean).stack / scale)), 0.035

    return t2_trial(echoes, TIMES, "M0.05", denoise, 3)["maps"]


def test_what_is_right_has_no_bias_and_what_does_nothing_is_the_noisy_map(echoes):
    right = found(echoes, lambda noisy, clean: clean)
    assert abs(right[DENOISED]["bias"]) < 0.1 and right[DENOISED]["spread"] < 0.1 < right[BLURRED]["spread"] < right[NOISY]["spread"]
    nothing = found(echoes, lambda noisy, clean: noisy)
    assert nothing[DENOISED] == nothing[NOISY] and nothing[NOISY]["spread"] > 5
    assert nothing[NO_FLOOR]["bias"] < nothing[NOISY]["bias"], "the floor makes T2 long"


def test_one_that_brightens_dark_echoes_makes_t2_too_long(echoes):
    raised = found(echoes, lambda noisy, clean: np.maximum(clean, 0.3 * body()))
    assert raised[DENOISED]["thirds"][0] > 3 and raised[DENOISED]["thirds"][0] > raised[DENOISED]["thirds"][2]


def test_noise_is_another_in_every_echo(echoes):
    seen = []
    found(echoes, lambda noisy, clean: seen.append(noisy - clean) or noisy)
    inside = ndimage.binary_erosion(body(), np.ones((1, 17, 17)))  # the window of the acquisition rings at the border, in all alike
    assert len(seen) == 4 and abs(np.corrcoef(seen[0][inside], seen[1][inside])[0, 1]) < 0.1


def diffusion(adc: float = 1e-3, sigma: float = 15.0) -> list[Volume]:
    generator = np.random.default_rng(0)
    volumes = []
    for k in range(13):
        signal = 600 * body((3, 48, 48)) * (1.0 if k in (0, 11, 12) else np.exp(-800 * adc))
        real, imaginary = generator.normal(0, sigma, (2, *signal.shape))
        volumes.append(Volume(np.hypot(signal + real, imaginary).astype(np.float32), MATRIX))
    return volumes


def test_adc_of_measured_images_is_held_against_that_of_the_others():
    made = diffusion()
    same = adc_trials(made, (0, 11, 12), lambda volume, slices: (volume, 15.0), 800)
    assert (same["trials"], same["directions"]) == (3, 3) and same["maps"][DENOISED] == same["maps"][NOISY]
    assert abs(same["maps"][NO_FLOOR]["bias"]) < 0.5 < same["maps"][NOISY]["spread"]
    # A denoiser that darkens dark images makes ADC too large: exp(-0.8) less 8 % is 0.083 / 800 more.

    def darken(volume: Volume, slices: tuple[int, int]) -> tuple[Volume, float]:
        return volume.with_voxels(volume.voxels * np.float32(1 if volume.voxels.max() > 500 else 0.92)), 15.0

    darker = adc_trials(made, (0, 11, 12), darken, 800)
    assert darker["maps"][DENOISED]["bias"] == pytest.approx(100 * 0.0834 / 0.8, abs=1)


def test_a_repeat_is_not_in_its_own_reference():
    """A single image that is far off is off by itself and hardly so in the others' trials."""
    made = diffusion(sigma=2.0)
    made[0] = made[0].with_voxels(made[0].voxels * np.float32(1.5))
    biases = []
    for single in (0, 11):
        others = tuple(index for index in (0, 11, 12) if index != single)
        one = adc_trials(made, (single, *others), lambda volume, slices: (volume, 2.0), 800)
        biases.append(one["maps"][NOISY]["bias"])
    # The mean over all three trials is the same however they are listed.
    assert biases[0] == pytest.approx(biases[1], abs=1.5)
    expected = 100 * (np.log(1.5) - 2 * np.log(1.25)) / 0.8 / 3
    assert np.mean(biases) == pytest.approx(expected, abs=4)


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="too few"):
        adc_trials(diffusion()[:4], (0,), lambda volume, slices: (volume, 1.0), 800)
