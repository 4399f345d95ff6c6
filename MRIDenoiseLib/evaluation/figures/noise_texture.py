"""What a residual or an error looks like where it should be noise: how neighbours correlate, and which frequencies it contains."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

LAG = 5
"""Pixels: the largest distance between neighbours that are compared."""
WINDOW = 15
"""Rows and columns over which the noise level is taken as constant."""
SOFT = 2.0
"""Pixels over which the mask fades out before a spectrum is taken: a hard border would spread low frequencies over all others."""
BINS = 24


def autocorrelation(residual: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How much a pixel of a residual correlates with its neighbours, within slices.

    The residual is first divided by its own local strength, so that noise that is stronger in one place than in another (coils,
    parallel imaging) has the same weight everywhere. Over pairs of pixels inside the mask, r(lag) = <u(p) u(p + lag)> / <u(p)^2>.

    Args:
        residual: (slices, rows, columns).
        mask: bool, the same shape, which voxels count.

    Returns:
        (2 LAG + 1, 2 LAG + 1), rows and columns of the lag, 1 in the middle; all 0 for a residual of zeros.

    Raises:
        ValueError: an empty mask.
    """
    if not mask.any():
        raise ValueError("the mask is empty")
    inside = mask.astype(np.float64)
    values = np.where(mask, residual, 0.0)
    counts = ndimage.uniform_filter(inside, (0, WINDOW, WINDOW))
    power = ndimage.uniform_filter(values**2, (0, WINDOW, WINDOW))
    local = np.sqrt(np.maximum(power, 0) / np.maximum(counts, 1 / WINDOW**2))
    # Where nothing was removed there is nothing to divide by.
    alive = mask & (local > 1e-6 * (np.abs(values).max() or 1))
    evened = np.divide(values, local, out=np.zeros_like(values), where=alive)
    products, pairs = (_lagged(each) for each in (evened, alive.astype(np.float64)))
    found = products / np.maximum(pairs, 1)
    return found / found[LAG, LAG] if found[LAG, LAG] > 0 else np.zeros_like(found)


def neighbour_correlation(residual: np.ndarray, mask: np.ndarray) -> float:
    """One figure for whiteness: root mean square of :func:`autocorrelation` over all lags up to :data:`LAG` pixels except zero.

    It is 0 for white noise, and larger for coarse noise (zero filling, filters, coils) and for a residual that holds anatomy. A
    perfect denoiser's residual has the value of the true noise over the same mask.
    """
    found = autocorrelation(residual, mask)
    lags = np.hypot(*np.mgrid[-LAG : LAG + 1, -LAG : LAG + 1])
    return float(np.sqrt(np.mean(np.square(found[(lags > 0) & (lags <= LAG)]))))


def noise_power_spectrum(residual: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The radial noise power spectrum inside a mask, as measured on flat phantoms in radiology (IEC 62220, ICRU 54).

    Args:
        residual: image - reference or noisy - denoised, (slices, rows, columns).
        mask: bool, the same shape.

    Returns:
        Frequencies in cycles per pixel, the middles of :data:`BINS` rings from 0 to 0.5, and the power in each, in squared
        units of the residual: white noise of standard deviation s has s^2 in every ring.

    Raises:
        ValueError: an empty mask.
    """
    if not mask.any():
        raise ValueError("the mask is empty")
    window = np.where(mask, ndimage.gaussian_filter(mask.astype(np.float64), (0, SOFT, SOFT)), 0.0)
    weight = np.square(window).sum(axis=(1, 2))
    used = weight > 0
    mean = float((residual * window).sum() / window.sum())
    power = np.abs(fft.fft2((residual[used] - mean) * window[used])) ** 2
    spectrum = power.sum(axis=0) / weight[used].sum()
    radius = np.hypot(*np.meshgrid(*(fft.fftfreq(size) for size in residual.shape[1:]), indexing="ij"))
    edges = np.linspace(0, 0.5, BINS + 1)
    rings = np.digitize(radius, edges) - 1
    kept = rings < BINS
    counts = np.bincount(rings[kept], minlength=BINS)
    sums = np.bincount(rings[kept], spectrum[kept], minlength=BINS)
    return (edges[:-1] + edges[1:]) / 2, sums / np.maximum(counts, 1)


def _lagged(values: np.ndarray) -> np.ndarray:
    """Sums over all slices of products of pixels that are up to LAG apart."""
    shape = [fft.next_fast_len(size + LAG, real=True) for size in values.shape[1:]]
    power = np.square(np.abs(fft.rfft2(values, shape))).sum(axis=0)
    sums = fft.irfft2(power, shape)
    return np.roll(sums, (LAG, LAG), axis=(0, 1))[: 2 * LAG + 1, : 2 * LAG + 1]
