"""The adversary of the multi-cycle chain: a small network that tells real patches from made ones.

A conditional PatchGAN (Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017) with
spectral norm (Miyato et al., ICLR 2018) in the place of batch norm, so that the slices of a batch do not see each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from MRIDenoiseLib.models.layers import full_precision

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """Judges every patch of an image: positive logits for real, negative for made.

    One backward pass serves both sides: :meth:`critic_loss` has gradients for this network only and
    :meth:`generator_loss` for the images only, so the losses are added up with all others under one optimiser.
    Runs in float32 with autocast off, which the power iteration of the spectral norm needs.

    Args:
        in_channels: 1 for an image alone, 2 for an image with what it was made from.
        widths: channels of the 4x4 convolutions, each of which halves the resolution.
    """

    def __init__(self, in_channels: int = 1, widths: Sequence[int] = (64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((in_channels, *widths)):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4, padding=1)))

    def forward(self, images: Tensor) -> Tensor:
        """B x in_channels x H x W in network units -> B x 1 x h x w logits, one for each patch."""
        with full_precision(images.device):
            return self.layers(images.float())

    def critic_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Binary cross-entropy of telling ``real`` from ``made``, half of it from each; no gradient reaches the images.

        Both pass in one call, because in training every call moves the power iteration of the spectral norm on by a step.
        """
        of_real, of_made = self(torch.cat([real, made]).detach()).split([len(real), len(made)])
        # -log sigmoid(l) for what is real, -log(1 - sigmoid(l)) for what is made.
        return (functional.softplus(-of_real).mean() + functional.softplus(of_made).mean()) / 2

    def generator_loss(self, made: Tensor) -> Tensor:
        """The non-saturating loss -log D of whoever made the images; no gradient reaches this network, and nothing in it moves."""
        frozen = {name: parameter.detach() for name, parameter in self.named_parameters()}
        training = self.training
        self.eval()
        logits = functional_call(self, frozen, (made,))
        self.train(training)
        return functional.softplus(-logits).mean()
