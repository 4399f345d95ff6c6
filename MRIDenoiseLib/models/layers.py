"""Subspace attention: keep of an image's skip features only what a few learned pixel patterns can express.

Noise is spread evenly over all directions of pixel space while anatomy is not, so projecting features on K patterns
computed from the image itself removes most noise and uses the whole slice to do so (Cheng et al., NBNet, CVPR 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.models.full_precision import full_precision

FIRST_RIDGE = 1e-5
SECOND_RIDGE = 4e-6


def project_on_subspace(features: Tensor, basis: Tensor) -> Tensor:
    """P X with P = Vᵀ (V Vᵀ)⁻¹ V: each feature channel projected on the span of the basis images.

    Runs in float32 (float64 stays float64) with autocast off: half precision cannot hold the Gram matrix.

    Args:
        features: B x C x H x W skip features X.
        basis: B x K x H x W basis images V; neither their order nor their scale matters.

    Returns:
        B x C x H x W in the type of ``features``.
    """
    batch, channels, height, width = features.shape
    with full_precision(features.device):
        exact = torch.promote_types(features.dtype, torch.float32)
        # Pixels first: for channels_last tensors these are views, not copies.
        pixels = features.permute(0, 2, 3, 1).reshape(batch, height * width, channels).to(exact)
        patterns = basis.permute(0, 2, 3, 1).reshape(batch, height * width, basis.shape[1]).to(exact)
        projected = _project(pixels, patterns)
    return projected.reshape(batch, height, width, channels).permute(0, 3, 1, 2).to(features.dtype)


def _project(pixels: Tensor, patterns: Tensor) -> Tensor:
    """Project B x N x C columns on the span of B x N x K columns by Cholesky QR in two passes with a small ridge.

    The Gram matrix of learned patterns is nearly singular (condition 1e3 to 1e5), so one pass of normal equations loses
    most digits of float32, and a QR decomposition has no gradient where patterns coincide. The ridge makes the first pass
    safe for any patterns and the second removes what it left over; patterns that coincide or vanish fade to zero.
    """
    # cholesky_ex: the ridge makes failure impossible, and checking for it would make a GPU wait.
    identity = torch.eye(patterns.shape[-1], device=patterns.device, dtype=patterns.dtype)
    gram = patterns.mT @ patterns
    unit = torch.rsqrt(gram.diagonal(dim1=-2, dim2=-1) + 1e-8).unsqueeze(-1)
    factor = torch.linalg.cholesky_ex(unit * gram * unit.mT + FIRST_RIDGE * identity).L
    columns = patterns @ (unit * torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False).mT)
    factor = torch.linalg.cholesky_ex(columns.mT @ columns + SECOND_RIDGE * identity).L
    return columns @ torch.cholesky_solve(columns.mT @ pixels, factor)
