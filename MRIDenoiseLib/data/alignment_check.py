"""How well two images lie on each other: do their edges agree, and does anything still move between them?

Misalignment that is left in a pair limits every method alike and rewards the one that blurs most.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from skimage.registration import optical_flow_tvl1

from MRIDenoiseLib.data.cases import Check, unchecked
from MRIDenoiseLib.image.body import intensity_scale
from MRIDenoiseLib.image.noise import estimate_noise_level

SMOOTHING = 1.0
"""Pixels, standard deviation, within each slice, before gradients and flow are taken."""
SLICES = 8
"""Slices, spread over the volume, in which the flow is measured."""
ATTACHMENT = 5.0
"""How closely the flow follows the images rather than being smooth, for brightness up to 1: a third of the library's own."""
WARPS = 3


def gradient_agreement(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> float:
    """Normalised cross-correlation of the two gradient magnitudes; 1 for the same edges, 0 for unrelated ones.

    Args:
        first, second: float arrays (slices, rows, columns).
        mask: bool, the same shape: where to compare.
    """
    smooth = [ndimage.gaussian_filter(image.astype(np.float64), (0, SMOOTHING, SMOOTHING)) for image in (first, second)]
    one, other = (np.hypot(*np.gradient(image, axis=(1, 2)))[mask] for image in smooth)
    one, other = one - one.mean(), other - other.mean()
    strength = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / strength if strength else 0.0


def residual_motion(noisy: np.ndarray, moved: np.ndarray, mask: np.ndarray, check: Check = unchecked) -> float:
    """95th percentile of the in-plane displacement still seen between two images of one contrast, in pixels.

    TV-L1 optical flow (Zach, Pock and Bischof 2007): a smooth field that may jump, robust where single pixels disagree. It
    takes every difference in brightness for movement, so the clean image is first made as bright as the noisy one and given
    the noise floor of its magnitude. Noise alone then gives 0.1 to 0.2 pixels at a signal-to-noise ratio of 5.

    Args:
        noisy: float array (slices, rows, columns).
        moved: the clean image on the same grid, in any unit.
        mask: bool, the same shape: where both show the body; what ``moved`` holds elsewhere does not matter.
        check: called for every slice that is measured; raises :class:`Cancelled` to stop.

    Returns:
        Pixels; 0 where the mask is empty.
    """
    useful = np.flatnonzero(mask.any(axis=(1, 2)))
    if not useful.size:
        return 0.0
    scale, sigma = intensity_scale(noisy, mask), estimate_noise_level(noisy, mask)
    like_noisy = _brightness(noisy, moved, mask, sigma) * moved
    # The mean of a magnitude with no signal under it is sqrt(pi / 2) sigma.
    partner = np.where(mask, np.hypot(like_noisy, math.sqrt(math.pi / 2) * sigma), noisy)
    chosen = useful[np.unique(np.linspace(0, useful.size - 1, SLICES).round().astype(int))]
    lengths = []
    for z in chosen:
        check()
        lengths.append(_flow(noisy[z] / scale, partner[z] / scale)[mask[z]])
    return float(np.percentile(np.concatenate(lengths), 95))


def _brightness(noisy: np.ndarray, moved: np.ndarray, mask: np.ndarray, sigma: float) -> float:
    """The factor that gives ``moved`` the energy of ``noisy``; the mean square of a magnitude exceeds its signal's by 2 sigma^2."""
    signal = float(np.mean(noisy[mask].astype(np.float64) ** 2)) - 2 * sigma**2
    energy = float(np.mean(moved[mask].astype(np.float64) ** 2))
    return math.sqrt(signal / energy) if signal > 0 and energy > 0 else 1.0


def _flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The length of the displacement at each pixel of a slice."""
    images = (ndimage.gaussian_filter(image, SMOOTHING) for image in (first, second))
    return np.hypot(*optical_flow_tvl1(*images, attachment=ATTACHMENT, num_warp=WARPS, dtype=np.float32))
