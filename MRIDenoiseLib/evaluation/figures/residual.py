"""Does the residual show noise or anatomy? Numbers to go with the picture, for what the eye may miss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.evaluation.blur import BLURS
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.image.scale import clean_scale
from MRIDenoiseLib.volume import Volume

EDGE_SCALE = 1.0
"""Pixels over which an image is smoothed before its gradient is taken."""
DETAIL_SCALES = (1.0, 2.0)
"""Pixels; fine detail is what a Gaussian of the first width keeps and one of the second removes. At finer scales a clean volume is
itself mostly noise, which a denoiser rightly removes."""


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
