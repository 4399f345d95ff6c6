"""Does the residual show noise or anatomy? Numbers to go with the picture, for what the eye may miss.

And what it looks like where it should be noise: how neighbours correlate, and which frequencies it contains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from MRIDenoiseLib.evaluation.blur import BLURS
from MRIDenoiseLib.evaluation.figures.psnr import FOREGROUND_THRESHOLD
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.volume import Volume

EDGE_SCALE = 1.0
"""Pixels over which an image is smoothed before its gradient is taken."""
DETAIL_SCALES = (1.0, 2.0)
"""Pixels; fine detail is what a Gaussian of the first width keeps and one of the second removes. At finer scales a clean volume is
itself mostly noise, which a denoiser rightly removes."""
LAG = 5
"""Pixels: the largest distance between neighbours that are compared."""
WINDOW = 15
"""Rows and columns over which the noise level is taken as constant."""
SOFT = 2.0
"""Pixels over which the mask fades out before a spectrum is taken: a hard border would spread low frequencies over all others."""
BINS = 24


@dataclass(frozen=True)
class ResidualCheck:
    """How the residual of one slice relates to the anatomy.

    Args:
        edges: :func:`edge_correlation` of the residual.
        noise_edges: the same of the true noise; None where that is unknown.
        detail: :func:`detail_taken` by the denoiser; None as above.
        blur_detail: the same by the Gaussian blur of smallest error on the slice; None as above.
    """

    edges: float
    noise_edges: float | None = None
    detail: float | None = None
    blur_detail: float | None = None

    @classmethod
    def of(cls, *, noisy: Volume, denoised: Volume, clean: Volume | None, index: int) -> ResidualCheck:
        """Of slice ``index`` across the acquired plane; without a clean volume the denoised one shows where edges are."""
        truth = _slice(denoised if clean is None else clean, index)
        before, after = _slice(noisy, index), _slice(denoised, index)
        mask = truth > FOREGROUND_THRESHOLD * clean_scale(truth)
        edges = edge_correlation(before - after, truth, mask)
        if clean is None:
            return cls(edges)
        volume = noisy.stack
        blurred = min((blur.of_slice(volume, index) for blur in BLURS), key=lambda image: float(np.square(image - truth)[mask].mean()))
        return cls(
            edges=edges,
            noise_edges=edge_correlation(before - truth, truth, mask),
            detail=detail_taken(before - after, truth, mask),
            blur_detail=detail_taken(before - blurred, truth, mask),
        )


def edge_correlation(residual: np.ndarray, anatomy: np.ndarray, mask: np.ndarray) -> float:
    """Whether the residual is stronger on edges than off them: the correlation of its size with the anatomy's gradient.

    Noise is independent of the anatomy, so the value is near zero. Blurred edges increase the value; a denoiser that is
    careful at edges leaves noise there, and the value is below zero.

    Args:
        residual: noisy - denoised, (rows, columns).
        anatomy: the clean image, the same shape.
        mask: bool, which pixels count.

    Returns:
        Pearson's correlation over the mask; 0 where either does not vary.
    """
    gradient = np.hypot(*np.gradient(ndimage.gaussian_filter(anatomy.astype(np.float64), EDGE_SCALE)))[mask]
    size = np.abs(residual.astype(np.float64))[mask]
    if size.std() == 0 or gradient.std() == 0:
        return 0.0
    return float(np.corrcoef(size, gradient)[0, 1])


def detail_taken(residual: np.ndarray, anatomy: np.ndarray, mask: np.ndarray) -> float:
    """The part of the anatomy's fine detail that was removed with the noise: the slope of the residual on that detail.

    The detail d is the difference of two Gaussians (:data:`DETAIL_SCALES`) of the clean image, and the part taken is
    <residual, d> / <d, d>. Noise has no part in d, so a residual of noise alone gives zero, and one that holds all detail
    gives one.

    Args:
        residual: noisy - denoised, (rows, columns).
        anatomy: the clean image, the same shape.
        mask: bool, which pixels count.
    """
    fine, coarse = (ndimage.gaussian_filter(anatomy.astype(np.float64), scale) for scale in DETAIL_SCALES)
    detail = (fine - coarse)[mask]
    return float(residual[mask] @ detail / (detail @ detail))


def _slice(volume: Volume, index: int) -> np.ndarray:
    return np.take(volume.voxels, index, axis=volume.slice_axis)


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
