"""Repeats that differ by noise alone, as strong and as grainy as what makes measured repeats differ.

Measured repeats differ by noise, and by what moved, pulsated and drifted, which no denoiser can know of. Where a denoiser
does well on synthetic repeats and not on the measured ones they were made after, the difference is not noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.volume import Volume

SOFT = 2.0
"""Pixels over which tissue fades out where the noise's spectrum is measured."""
ENOUGH = 16
"""Repeats whose mean is clean enough to stand for the truth; of fewer, a denoiser would rightly take noise out of the truth."""


def synthetic_repeats(repeats: Sequence[Volume], seed: int = 0) -> list[Volume]:
    """As many magnitude images of the repeats' mean, each with independent complex Gaussian noise.

    The noise has the power spectrum within slices that the differences of successive repeats have inside tissue, and their
    strength there, everywhere.

    Args:
        repeats: of one condition, three or more on one grid.
        seed: of the noise.
    """
    first = repeats[0]
    stack = np.stack([first.stacked(volume.voxels) for volume in repeats]).astype(np.float64)
    mean = stack.mean(axis=0)
    tissue = body_mask(mean)
    # A soft border: a hard one would spread the spectrum's low frequencies over all others.
    window = ndimage.gaussian_filter(tissue.astype(np.float64), (0, SOFT, SOFT))
    differences = np.diff(stack, axis=0) / np.sqrt(2) * window
    power = (np.abs(np.fft.fft2(differences)) ** 2).mean(axis=(0, 1))
    sigma = float(np.sqrt(stack.var(axis=0, ddof=1)[tissue].mean()))
    grain = np.sqrt(power / power.mean())
    generator = np.random.default_rng(seed)

    def noise() -> np.ndarray:
        white = generator.normal(0, sigma, mean.shape)
        return np.fft.ifft2(np.fft.fft2(white) * grain).real

    return [volume.with_voxels(first.unstacked(np.hypot(mean + noise(), noise()))) for volume in repeats]
