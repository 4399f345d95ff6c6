"""How far an image is from another, as losses: the absolute error, and what MS-SSIM lacks to one."""

from __future__ import annotations

import torch
from pytorch_msssim import ssim
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.models.layers import full_precision

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment", 2003."""
WINDOW = 11
WINDOW_SIGMA = 1.5
K1, K2 = 0.01, 0.03
NO_LUMINANCE = 1e6
"""A K1 beside which the brightness of both images vanishes: SSIM is then its contrast-structure term alone."""
SMALLEST_TERM = 1e-4
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1


def absolute_error(estimate: Tensor, target: Tensor, unit: Tensor) -> Tensor:
    """Mean absolute difference of two images, B x 1 x H x W, in units of ``unit``, B x 1 x 1 x 1."""
    return ((estimate.float() - target.float()).abs() / unit).mean()


def structural_dissimilarity(estimate: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM, averaged over the batch: five scales, Gaussian window of 11 pixels and sigma 1.5, data range 1.

    Computed in float32 with autocast off. Images are mapped from [-1, 1] to [0, 1] but not clamped: the range only sets
    the two constants, and a clamp would take the gradient from fat brighter than the scale.

    Args:
        estimate: B x 1 x H x W in network units.
        target: the same.

    Returns:
        A scalar, 0 for equal images and at most about 1.

    Raises:
        ValueError: for images of fewer than 161 rows or columns, too small for five scales.
    """
    if min(target.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(f"MS-SSIM needs images of at least {SMALLEST_SIDE} pixels, got {tuple(target.shape[-2:])}")
    with full_precision(target.device):
        first, second = ((image.float() + 1) / 2 for image in (estimate, target))
        similarity = torch.ones(len(first), device=first.device)
        for scale, weight in enumerate(SCALE_WEIGHTS):
            coarsest = scale == len(SCALE_WEIGHTS) - 1
            term = _ssim(first, second, K1 if coarsest else NO_LUMINANCE)
            # A term falls to zero and below where the images are anti-correlated. Its fractional power would have a gradient
            # without bound on the way there, and at zero it would take the gradients of all other scales with it.
            similarity = similarity * term.clamp_min(SMALLEST_TERM) ** weight
            if not coarsest:
                first, second = (functional.avg_pool2d(image, 2, ceil_mode=True) for image in (first, second))
        return 1 - similarity.mean()


def _ssim(first: Tensor, second: Tensor, k1: float) -> Tensor:
    """SSIM of each image of a batch (B)."""
    return ssim(first, second, data_range=1.0, size_average=False, win_size=WINDOW, win_sigma=WINDOW_SIGMA, K=(k1, K2))
