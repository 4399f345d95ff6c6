"""One brightness for both images of a pair: vendors scale every series by itself, so equal tissue has unequal values."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.inference.noise_level import estimate_noise_level

MINIMUM_SNR = 10.0
"""Below it the noise floor of a magnitude image raises its mean by more than 0.5 % (1 / (2 SNR^2), Gudbjartsson 1995)."""
BLUR = 2.0
"""Pixels, standard deviation, within each slice: the ratio of two single voxels would be mostly noise."""
MINIMUM_VOXELS = 200


def match_gain(clean: np.ndarray, noisy: np.ndarray, mask: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """How much brighter the clean volume is than the noisy one, and the clean volume divided by it.

    The median of blurred clean / blurred noisy over the body, where the noisy volume's signal-to-noise ratio is above ten.

    Args:
        clean: float array (slices, rows, columns) on the grid of ``noisy``.
        noisy: float array of the same shape, slices across the acquired plane.
        mask: bool, the same shape: where the two show the same body; the noisy volume's body when not given.

    Returns:
        The gain, and float32 ``clean / gain``.

    Raises:
        InputError: too little of the noisy volume rises clear of its noise, or the clean one is dark there.
    """
    mask = body_mask(noisy) if mask is None else mask
    smooth_clean, smooth_noisy = (ndimage.gaussian_filter(image.astype(np.float64), (0, BLUR, BLUR)) for image in (clean, noisy))
    trusted = mask & (smooth_noisy > MINIMUM_SNR * estimate_noise_level(noisy, mask))
    if np.count_nonzero(trusted) < MINIMUM_VOXELS:
        raise InputError(f"too little of the noisy image rises {MINIMUM_SNR:g} times above its noise to compare the two images' brightness")
    gain = float(np.median(smooth_clean[trusted] / smooth_noisy[trusted]))
    if gain <= 0:
        raise InputError("the clean image is dark where the noisy one shows tissue, so the two do not belong together")
    return gain, (clean / gain).astype(np.float32)
