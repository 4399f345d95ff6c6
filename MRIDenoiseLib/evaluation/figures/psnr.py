"""Peak signal-to-noise ratio, with a data range that the caller gives and that is never guessed.

A comparison needs two images of one shape, a given range, and a mask that is not empty.
"""

from __future__ import annotations

import math

import numpy as np

FOREGROUND_THRESHOLD = 0.08
"""Relative to the clean volume's P99.5: what is brighter counts as foreground in the tables."""


def check_pair(image: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None) -> None:
    """Raise ValueError for shapes that differ, a range that is not positive or an empty mask.

    Args:
        image: any shape.
        reference: the same shape.
        data_range: L, in the images' units.
        mask: bool, which voxels count; all when None.
    """
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, got {data_range}")
    if mask is not None and mask.shape != reference.shape:
        raise ValueError(f"shapes differ: {mask.shape} of the mask and {reference.shape}")
    if mask is not None and not mask.any():
        raise ValueError("the mask is empty")


def psnr(image: np.ndarray, reference: np.ndarray, *, data_range: float, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(L^2 / MSE), with the squared error pooled over all voxels counted.

    Args:
        image: any shape.
        reference: the same shape.
        data_range: L, in the images' units.
        mask: bool, which voxels count; all when None.

    Returns:
        Decibels; infinity for equal images.

    Raises:
        ValueError: for shapes that differ, an empty mask or a range that is not positive.
    """
    check_pair(image, reference, data_range, mask)
    return _decibels(_mean_square(np.asarray(image, np.float64) - reference, mask), data_range)


def mean_slice_psnr(image: np.ndarray, reference: np.ndarray, *, data_range: float) -> float:
    """The mean over slices of each slice's PSNR in dB.

    A mean of logarithms is not the logarithm of a mean: where slices differ in error, this comes out above :func:`psnr` of the
    whole volume (Jensen's inequality), by up to a decibel. A table has to state which of the two it shows.

    Args:
        image: (slices, rows, columns).
        reference: the same shape.
        data_range: L, the same for all slices.

    Returns:
        Decibels; infinity when a slice equals its reference.

    Raises:
        ValueError: as :func:`psnr`.
    """
    check_pair(image, reference, data_range, None)
    return float(np.mean([psnr(output, truth, data_range=data_range) for output, truth in zip(image, reference, strict=True)]))


def noise_corrected_psnr(
    image: np.ndarray,
    reference: np.ndarray,
    noisy: np.ndarray,
    *,
    data_range: float,
    reference_noise: float,
    mask: np.ndarray | None = None,
) -> float:
    """PSNR against the truth x of which only a reference r = x + e is known, whose own noise e is also in the noisy image.

    The noisy image was made from the reference, y = r + n, so the added n is known exactly while e is not. With
    o = D(y), the denoised image,

        MSE(o, r) = E|o - x - e|^2 = E|o - x|^2 - 2 E<o - x, e> + sigma_e^2 .

    For the denoiser e and n are one noise. If both have the same spectrum, it leaves the same share of both,
    E<o - x, e> = kappa sigma_e^2 with kappa = <o - r, n> / <n, n>, the share of the known noise that is still there. Hence

        E|o - x|^2 = MSE(o, r) - sigma_e^2 (1 - 2 kappa) .

    The noisy image itself has kappa = 1, which adds sigma_e^2: y is farther from x than from r. A denoiser that removes all
    noise has kappa = 0: sigma_e^2 is subtracted. (<o, n> in place of <o - r, n> has the same mean, as r does not depend on n,
    but a larger scatter.) It is an estimate: where e has another spectrum, the shares differ. For magnitude noise, n also
    contains the Rician bias, which is larger where r is dark; its mean is left out of kappa.

    Args:
        image: o, any shape.
        reference: r, the same shape.
        noisy: y, the same shape.
        data_range: L, in the images' units.
        reference_noise: sigma_e, standard deviation in the images' units, see :func:`MRIDenoiseLib.image.noise.reference_noise`.
        mask: bool, which voxels count; all when None.

    Returns:
        Decibels; infinity where nothing of the error is left.

    Raises:
        ValueError: as :func:`psnr`, and for a noisy image that equals the reference.
    """
    check_pair(image, reference, data_range, mask)
    check_pair(noisy, reference, data_range, mask)
    chosen = np.ones(reference.shape, bool) if mask is None else mask
    added = (np.asarray(noisy, np.float64) - reference)[chosen]
    added -= added.mean()
    energy = float(added @ added)
    if energy == 0:
        raise ValueError("the noisy image holds no noise except the reference's own")
    error = (np.asarray(image, np.float64) - reference)[chosen]
    kept = float(error @ added) / energy
    return _decibels(float(np.square(error).mean()) - reference_noise**2 * (1 - 2 * kept), data_range)


def _mean_square(error: np.ndarray, mask: np.ndarray | None) -> float:
    return float(np.square(error if mask is None else error[mask]).mean())


def _decibels(mean_square: float, data_range: float) -> float:
    return 10 * math.log10(data_range**2 / mean_square) if mean_square > 0 else math.inf
