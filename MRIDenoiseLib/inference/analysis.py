"""What is measured once on a whole volume before any slice is denoised, and is the same whichever slices are requested."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import find_body
from MRIDenoiseLib.image.noise import estimate_noise_level
from MRIDenoiseLib.image.scale import intensity_scale
from MRIDenoiseLib.inference.disturbances import Disturbances, find_wiped, occupied
from MRIDenoiseLib.inference.noise_level import air_level, measured_noise_levels
from MRIDenoiseLib.inference.reception import find_reception
from MRIDenoiseLib.inference.slices import NetworkSlices, Window, content_window
from MRIDenoiseLib.volume import Volume

LEAST_SIDE = 4
"""Rows and columns of a slice; a network that measures noise looks at squares of that size."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A few numbers about a volume, and no voxel of it, so that it may be kept.

    Args:
        window: the in-plane part of every slice that the networks see.
        scale: P99.5 of the body, in the volume's units; +1 in network units. An unevenly lit body is evened out first.
        noise_level: standard deviation of the noise inside the body, in the volume's units.
        given_level: the noise level that the networks are given for each slice, (slices,), in network units.
        disturbances: what is not evenly lit tissue.
        brightest: the largest value that the networks see, in network units.
        negative_share: the part of all voxels, 0 to 1, that is below zero.
    """

    window: Window
    scale: float
    noise_level: float
    given_level: np.ndarray
    disturbances: Disturbances
    brightest: float
    negative_share: float

    def slices(self, stack: np.ndarray, window: Window | None = None) -> NetworkSlices:
        """The volume as the networks see it; another window than the analysis's own may be given."""
        return NetworkSlices(stack, window or self.window, self.scale, self.disturbances, float(np.median(self.given_level)))


def analyse(stack: np.ndarray, noise_estimator: nn.Module | None, gaps: np.ndarray | None = None) -> Analysis:
    """Find body, scale, noise, disturbances and extremes of a volume.

    Apart from the input, memory holds the mask and, while the mask is being found, one blurred volume. While the body of an
    unevenly lit volume is measured, it also holds an evened-out copy.

    Args:
        stack: float32 (slices, rows, columns) across the acquired plane.
        noise_estimator: measures the noise; without one it is measured from the spectrum.
        gaps: bool, the same shape, where nothing was measured and ``stack`` was filled, see :mod:`.unmeasured`: neither body nor
            noise. None where there are none.

    Raises:
        InputError: as :func:`find_body` and :func:`intensity_scale`, and when slices have too few pixels.
    """
    rows, columns = stack.shape[1:]
    if min(rows, columns) < LEAST_SIDE:
        raise InputError(f"the slices have {rows} x {columns} pixels, too few to distinguish noise from anatomy")
    body = find_body(stack, gaps)
    wiped = find_wiped(stack, body)
    ceiling = body.ceiling if float(stack.max()) > body.ceiling else float("inf")
    reception = None if body.noisy_air else find_reception(stack, ceiling)
    disturbances = Disturbances(wiped, body.noisy_air, ceiling, reception)
    mask, even = body.mask, stack
    if reception is not None:
        even = np.stack([np.minimum(image, ceiling) / reception.of(z, image.shape) for z, image in enumerate(stack)])
        mask = find_body(even, gaps).mask
    scale = intensity_scale(even, mask)
    rows_shown, columns_shown = occupied(stack, wiped)
    if gaps is not None:
        rows_shown, columns_shown = rows_shown & ~gaps.all(axis=(0, 2)), columns_shown & ~gaps.all(axis=(0, 1))
    window = content_window(rows_shown, columns_shown)
    if noise_estimator is None:
        given_level = np.full(len(stack), 2 * estimate_noise_level(even, mask) / scale)
    else:

        def air(index: int) -> float | None:
            return None if body.noisy_air else air_level(stack[index], body.mask[index], wiped)

        given_level = measured_noise_levels(noise_estimator, NetworkSlices(even, window, scale), window.of(mask), air)
    amplification = 1.0 if reception is None else reception.amplification
    found = Analysis(
        window=window,
        scale=scale,
        noise_level=float(np.median(given_level)) * scale / 2 / amplification,
        given_level=given_level,
        disturbances=disturbances,
        brightest=0.0,
        negative_share=sum(int(np.count_nonzero(image < 0)) for image in stack) / stack.size,
    )
    slices = found.slices(stack)
    return replace(found, brightest=max(float(slices[index].max()) for index in range(len(slices))))


def fingerprint(volume: Volume) -> str:
    """A text that is the same only for the same voxels in the same slices, measured in the same places.

    It takes a small part of :func:`analyse`'s time.
    """
    content = hashlib.sha256(f"{volume.voxels.shape} across {volume.slice_axis} ".encode())
    content.update(np.ascontiguousarray(volume.voxels).data)
    if volume.unmeasured is not None:
        content.update(np.packbits(volume.unmeasured.mask).data)
    return content.hexdigest()
