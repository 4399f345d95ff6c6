"""The restoration network alone: plain regression, no diffusion."""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.interfaces import Callback, ImageNetwork, Limits, centre

VIEWS = (0, 3, 5, 6, 1, 2, 4, 7)
"""The eight ways to mirror and turn a slice: bit 0 mirrors columns, bit 1 rows, bit 2 exchanges rows and columns."""


@torch.no_grad()
def regression(
    restoration: ImageNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    *,
    samples: int = 1,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """f_psi(y, c), the mean over some mirrored and turned views of the slice, clamped to ``limits``.

    A network trained on all views errs a little differently on each, so their mean is closer to E[x | y] (self-ensemble,
    Timofte et al. 2016).

    Args:
        restoration: f_psi(image, conditioning) -> clean image.
        measured: B x N x H x W noisy slices with their neighbours.
        conditioning: text and numbers for the B slices.
        samples: how many views are averaged, 1 to 8.
        limits: lowest and highest estimate allowed.
        callback: called after every network call, with ``t`` = 0.

    Returns:
        B x 1 x H x W.
    """
    total = torch.zeros_like(centre(measured))
    for i, view in enumerate(VIEWS[:samples]):
        estimate = _seen_back(restoration(_seen(measured, view), conditioning), view).clamp(*limits)
        total += estimate
        if callback:
            callback({"i": i, "steps": samples, "t": 0, "x": total / (i + 1), "denoised": estimate})
    return total / samples


def _seen(images: Tensor, view: int) -> Tensor:
    return _mirrored(images.transpose(-1, -2) if view & 4 else images, view)


def _seen_back(images: Tensor, view: int) -> Tensor:
    images = _mirrored(images, view)
    return images.transpose(-1, -2) if view & 4 else images


def _mirrored(images: Tensor, view: int) -> Tensor:
    return images.flip([axis for axis, bit in ((-1, 1), (-2, 2)) if view & bit])
