"""The last convolution of a network, in float32 whatever the rest computes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from MRIDenoiseLib.models.full_precision import full_precision


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
