"""Subspace attention: keep only that part of an image's skip features which a few learned pixel patterns can express.

Noise is spread evenly over all directions of pixel space while anatomy is not, so projecting features on K patterns
computed from the image itself removes most noise and uses the whole slice to do so (Cheng et al., NBNet, CVPR 2021).

Where digits matter, networks compute in float32 whatever was chosen for the rest of them.

The last convolution of a network, in float32 whatever the rest computes in.

Padding a batch of slices to a size a U-Net can halve, and cropping the answer back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """Switches off the automatic choice of number formats on a device; does nothing where there is none (``meta``, which only counts)."""
    kind = device.type if torch.amp.is_autocast_available(device.type) else "cpu"
    return torch.autocast(kind, enabled=False)


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
    safe for any patterns, and the second removes the rest of its error; patterns that coincide or vanish fade to zero.
    """
    # cholesky_ex: the ridge makes failure impossible, and checking for it would make a GPU wait.
    identity = torch.eye(patterns.shape[-1], device=patterns.device, dtype=patterns.dtype)
    gram = patterns.mT @ patterns
    unit = torch.rsqrt(gram.diagonal(dim1=-2, dim2=-1) + 1e-8).unsqueeze(-1)
    factor = torch.linalg.cholesky_ex(unit * gram * unit.mT + FIRST_RIDGE * identity).L
    columns = patterns @ (unit * torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False).mT)
    factor = torch.linalg.cholesky_ex(columns.mT @ columns + SECOND_RIDGE * identity).L
    return columns @ torch.cholesky_solve(columns.mT @ pixels, factor)


class LastConvolution(nn.Conv2d):
    """A 3x3 convolution that keeps the digits of an image: bfloat16 has eight bits, which show as steps in even tissue.

    Args:
        in_channels: of the features.
        out_channels: of the image.
        zero: start with weights of zero, so that a network that adds its answer to its input starts as the identity.
    """

    def __init__(self, in_channels: int, out_channels: int, *, zero: bool = False) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        if zero:
            for weights in self.parameters():
                nn.init.zeros_(weights)

    def forward(self, features: Tensor) -> Tensor:
        """B x in x H x W -> B x out x H x W, float32 at least."""
        with full_precision(features.device):
            exact = torch.promote_types(features.dtype, torch.float32)
            bias = None if self.bias is None else self.bias.to(exact)
            return self._conv_forward(features.to(exact), self.weight.to(exact), bias)


def pad_to_multiple(images: Tensor, multiple: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Reflect-pad B x C x H x W at the bottom and right to a multiple of ``multiple``; also give the matching crop.

    Reflection cannot reach further than the image itself, so an axis shorter than its padding repeats its edge instead.
    """
    height, width = images.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if below or right:
        mode = "reflect" if below < height and right < width else "replicate"
        images = functional.pad(images, (0, right, 0, below), mode=mode)
    return images, lambda output: output[..., :height, :width]
