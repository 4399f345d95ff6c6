"""The restoration network alone: one call, no diffusion."""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.interfaces import Callback, ImageNetwork, Limits


@torch.no_grad()
def regression(
    restoration: ImageNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    *,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """f_psi(y, c), clamped to ``limits``.

    Args:
        restoration: f_psi(image, conditioning) -> clean image.
        measured: B x N x H x W noisy slices with their neighbours.
        conditioning: text and numbers for the B slices.
        limits: lowest and highest estimate allowed.
        callback: called once, with ``t`` = 0.

    Returns:
        B x 1 x H x W.
    """
    estimate = restoration(measured, conditioning).clamp(*limits)
    if callback:
        callback({"i": 0, "steps": 1, "t": 0, "x": estimate, "denoised": estimate})
    return estimate
