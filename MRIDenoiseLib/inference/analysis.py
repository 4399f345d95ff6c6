"""What is measured once on a whole volume before any slice is denoised, and is the same whichever slices are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from torch import nn

from MRIDenoiseLib.body import body_mask
from MRIDenoiseLib.inference.noise_level import estimate_noise_level, measured_noise_level
from MRIDenoiseLib.inference.normalise import intensity_scale
from MRIDenoiseLib.inference.slices import NetworkSlices, Window, body_window
from MRIDenoiseLib.volume import Volume


@dataclass(frozen=True)
class Analysis:
    """A few numbers about a volume, and no voxel of it, so that it may be kept.

    Args:
        window: the in-plane part of every slice that the networks see.
        scale: P99.5 of the body, in the volume's units; +1 in network units.
        noise_level: standard deviation of the noise inside the body, in the volume's units.
        brightest: the largest value in the window, in network units.
        negative_share: the part of all voxels, 0 to 1, that is below zero.
    """

    window: Window
    scale: float
    noise_level: float
    brightest: float
    negative_share: float


def analyse(stack: np.ndarray, noise_estimator: nn.Module | None) -> Analysis:
    """Find body, scale, noise and extremes of a volume.

    Nothing but the mask and, while it is being found, one blurred volume is held beside the input.

    Args:
        stack: float32 (slices, rows, columns) across the acquired plane.
        noise_estimator: measures the noise; without one the spectrum tells.

    Raises:
        InputError: as :func:`body_mask` and :func:`intensity_scale`.
    """
    mask = body_mask(stack)
    scale = intensity_scale(stack, mask)
    window = body_window(mask)
    slices = NetworkSlices(stack, window, scale)
    if noise_estimator is None:
        noise_level = estimate_noise_level(stack, mask)
    else:
        noise_level = measured_noise_level(noise_estimator, slices, window.of(mask)) * scale / 2
    return Analysis(
        window=window,
        scale=scale,
        noise_level=noise_level,
        brightest=max(float(slices[index].max()) for index in range(len(slices))),
        negative_share=sum(int(np.count_nonzero(image < 0)) for image in stack) / stack.size,
    )


def fingerprint(volume: Volume) -> str:
    """The same only for the same voxels cut into the same slices; reading it takes a small part of :func:`analyse`'s time."""
    content = hashlib.sha256(f"{volume.voxels.shape} across {volume.slice_axis} ".encode())
    content.update(np.ascontiguousarray(volume.voxels).data)
    return content.hexdigest()
