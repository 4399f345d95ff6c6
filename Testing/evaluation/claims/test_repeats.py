"""Synthetic repeats differ as much and as grainily as those they are made after, and by noise alone."""

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.evaluation.claims.repeat_trial import measure_repeats
from MRIDenoiseLib.evaluation.claims.repeats import synthetic_repeats
from MRIDenoiseLib.volume import Volume


def measured(grain: float, moving: bool = False, count: int = 20) -> list[Volume]:
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:64, 0:64]
    body = np.where(np.hypot(y - 32, x - 32) < 28, 800 + 200 * np.sign(np.sin(x / 3)), 0.0)

    def one() -> np.ndarray:
        noise = ndimage.gaussian_filter(generator.normal(0, 1, (2, 4, 64, 64)), (0, 0, grain, grain))
        clean = np.stack([ndimage.shift(body, (0, generator.normal(0, 0.2) if moving else 0), order=1) for _ in range(4)])
        return np.hypot(clean + 30 * noise[0] / noise.std(), 30 * noise[1] / noise.std()).astype(np.float32)

    return [Volume(one(), np.diag([2.0, 2.0, 4.0, 1.0])) for _ in range(count)]


def spectrum(repeats: list[Volume]) -> np.ndarray:
    stack = np.stack([volume.voxels for volume in repeats])[:, :, 20:44, 20:44]
    window = np.outer(np.hanning(24), np.hanning(24))
    power = (np.abs(np.fft.fft2(np.diff(stack, axis=0) * window)) ** 2).mean(axis=(0, 1))
    return np.sqrt([power[:3, :3].mean(), power[3:6, 3:6].mean(), power[6:9, 6:9].mean()])


@pytest.mark.parametrize("grain", [0.0, 0.7])
def test_they_have_the_strength_and_the_spectrum_of_the_measured_ones(grain):
    repeats = measured(grain)
    synthetic = synthetic_repeats(repeats, seed=3)
    inside = np.s_[:, 20:44, 20:44]
    spread, again = (np.stack([v.voxels[inside] for v in some]).std(axis=0, ddof=1).mean() for some in (repeats, synthetic))
    assert again == pytest.approx(spread, rel=0.05)
    assert spectrum(synthetic) == pytest.approx(spectrum(repeats), rel=0.15)
    assert np.array_equal(synthetic_repeats(repeats, seed=3)[5].voxels, synthetic[5].voxels)


def test_what_moved_is_no_longer_at_the_edges():
    """A denoiser that knows the truth of every repeat's noise, and nothing of motion, wins on the synthetic ones alone."""
    repeats = measured(0.0, moving=True)
    mean = np.mean([volume.voxels for volume in repeats], axis=0)
    edges = np.abs(np.gradient(mean, axis=2)) > 60
    for some, ratio in ((repeats, (2.0, 9.0)), (synthetic_repeats(repeats), (0.8, 1.25))):
        spread = np.stack([volume.voxels for volume in some]).std(axis=0)
        body = mean > 300
        assert ratio[0] < spread[edges & body].mean() / spread[body & ~edges].mean() < ratio[1]
    assert measure_repeats([synthetic_repeats(repeats)], lambda volume: volume.with_voxels(mean)).denoised.true_psnr > 40
