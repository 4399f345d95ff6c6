"""How far an image is from its reference, with the data range said and never guessed."""

from __future__ import annotations

import math

import numpy as np

from MRIDenoiseLib.evaluation.optional import needed

FOREGROUND_THRESHOLD = 0.08
"""Of the clean volume's P99.5: what lies above it counts as foreground in the tables."""


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
    _check(image, reference, data_range, mask)
    return _decibels(_mean_square(np.asarray(image, np.float64) - reference, mask), data_range)


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

    The denoiser sees e and n as one noise. If both have the same grain, it lets the same share of both through,
    E<o - x, e> = kappa sigma_e^2 with kappa = <o - r, n> / <n, n>, the share of the known noise that is still there. Hence

        E|o - x|^2 = MSE(o, r) - sigma_e^2 (1 - 2 kappa) .

    The noisy image itself has kappa = 1, which adds sigma_e^2: y is farther from x than from r. A denoiser that removes all
    noise has kappa = 0: sigma_e^2 is taken out. (<o, n> in place of <o - r, n> has the same mean, as r does not depend on n,
    but a larger scatter.) It is an estimate: where e has a grain of its own, the shares differ. Of magnitude noise, n
    also holds the Rician bias, which is larger where r is dark; its mean is left out of kappa.

    Args:
        image: o, any shape.
        reference: r, the same shape.
        noisy: y, the same shape.
        data_range: L, in the images' units.
        reference_noise: sigma_e, standard deviation in the images' units, see :mod:`.reference_noise`.
        mask: bool, which voxels count; all when None.

    Returns:
        Decibels; infinity where nothing of the error is left.

    Raises:
        ValueError: as :func:`psnr`, and for a noisy image that equals the reference.
    """
    _check(image, reference, data_range, mask)
    _check(noisy, reference, data_range, mask)
    chosen = np.ones(reference.shape, bool) if mask is None else mask
    added = (np.asarray(noisy, np.float64) - reference)[chosen]
    added -= added.mean()
    energy = float(added @ added)
    if energy == 0:
        raise ValueError("the noisy image holds no noise beside the reference's own")
    error = (np.asarray(image, np.float64) - reference)[chosen]
    kept = float(error @ added) / energy
    return _decibels(float(np.square(error).mean()) - reference_noise**2 * (1 - 2 * kept), data_range)


def ssim(image: np.ndarray, reference: np.ndarray, *, data_range: float, mask: np.ndarray | None = None) -> float:
    """Structural similarity (Wang et al. 2004) slice by slice, averaged over the voxels counted.

    11 x 11 Gaussian window of standard deviation 1.5, K1 = 0.01, K2 = 0.03, population covariance. Air is as similar as can
    be and would dominate the mean, so the tables average the map over the foreground only.

    Args:
        image: (slices, rows, columns), at least 11 x 11.
        reference: the same shape.
        data_range: L, in the images' units.
        mask: bool, the same shape, which voxels of the map are averaged; all when None.

    Returns:
        The mean, at most 1.

    Raises:
        ValueError: as :func:`psnr`.
        SettingsError: scikit-image, of the extra ``evaluate``, is not installed.
    """
    _check(image, reference, data_range, mask)
    similarity = needed("skimage.metrics", "evaluate").structural_similarity
    chosen = np.ones(reference.shape, bool) if mask is None else mask
    total = 0.0
    for output, truth, counted in zip(image, reference, chosen, strict=True):
        _, values = similarity(
            np.asarray(output, np.float64),
            np.asarray(truth, np.float64),
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        total += float(values[counted].sum())
    return total / int(chosen.sum())


def _check(image: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None) -> None:
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, got {data_range}")
    if mask is not None and not mask.any():
        raise ValueError("the mask is empty")


def _mean_square(error: np.ndarray, mask: np.ndarray | None) -> float:
    return float(np.square(error if mask is None else error[mask]).mean())


def _decibels(mean_square: float, data_range: float) -> float:
    return 10 * math.log10(data_range**2 / mean_square) if mean_square > 0 else math.inf
