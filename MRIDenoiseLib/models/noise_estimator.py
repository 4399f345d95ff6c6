"""How strong is the noise of a slice? A small network that was trained on much anatomy and much noise distinguishes them.

A spectrum cannot: where pixels are coarse or tissue is textured, anatomy fills all of k-space, and an estimate from the high
frequencies of flat places is several times too high. A denoiser that relies on it removes detail from clean images.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.layers import full_precision

FILTER = 5
"""Rows and columns of the learned filters."""
SQUARE = 4
"""Rows and columns of the squares in which their energy is measured."""
SMALLEST = 1e-4
"""Network units; a smaller energy counts as this."""
SLOPE = 0.2
SMALLEST_LEVEL = 1e-3
"""Network units; the smallest noise level that the networks are given."""


class NoiseEstimator(ModelMixin, ConfigMixin):
    """The standard deviation of the noise in the body, from one slice.

    The logarithm of the energy of learned high-pass filters in small squares goes through a few convolutions. For every square
    they give the noise level and a weight: how reliable it is. The result is the weighted mean over the body's squares. An image
    twice as bright has twice the noise, by construction.

    Args:
        filters: how many filters are applied to the image.
        channels: of the convolutions.
        layers: how many of them.
    """

    @register_to_config
    def __init__(self, filters: int = 24, channels: int = 48, layers: int = 3) -> None:
        super().__init__()
        self.high_pass = nn.Conv2d(1, filters, FILTER, bias=False)
        widths = [filters + 1, *[channels] * layers]
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in zip(widths, widths[1:], strict=False))
        self.head = nn.Conv2d(channels, 2, 1)

    def forward(self, image: Tensor, body: Tensor) -> Tensor:
        """B standard deviations in the units of ``image``.

        Args:
            image: B x 1 x H x W.
            body: B x 1 x H x W, 1 inside the body.
        """
        return weighted_level(*self.squares(image, body))

    def squares(self, image: Tensor, body: Tensor) -> tuple[Tensor, Tensor]:
        """What is found in each square: the logarithm of the noise level, and that of how far it counts; both B x 1 x H/4 x W/4.

        It runs in float32, because weak noise has to be distinguished from rounding. Arguments are those of :meth:`forward`.
        """
        with full_precision(image.device):
            kernel = self.high_pass.weight - self.high_pass.weight.mean(dim=(2, 3), keepdim=True)
            padded = functional.pad(image.float(), (FILTER // 2,) * 4, mode="reflect")
            energy = functional.avg_pool2d(functional.conv2d(padded, kernel).square(), SQUARE)
            log_energy = (energy + SMALLEST**2).log() / 2
            inside = functional.avg_pool2d(body.float(), SQUARE)
            level = log_energy.mean(dim=1, keepdim=True)
            features = torch.cat([log_energy - level, inside], dim=1)
            for convolution in self.convolutions:
                features = functional.leaky_relu(convolution(features), SLOPE)
            correction, trust = self.head(features).chunk(2, dim=1)
            return level + correction, trust + (inside + 1e-6).log()

    def example_inputs(self, image: Tensor, conditioning: Conditioning) -> tuple[Tensor | Conditioning, ...]:
        """What :meth:`forward` takes for a slice (1 x 1 x H x W)."""
        return image, torch.ones_like(image)


def weighted_level(log_level: Tensor, log_weight: Tensor) -> Tensor:
    """B noise levels from those of the squares (B x 1 x h x w) and their weights, both as logarithms."""
    weight = torch.softmax(log_weight.flatten(1), dim=1)
    return (weight * log_level.flatten(1)).sum(dim=1).exp()


def estimated_noise_level(estimator: nn.Module, image: Tensor, body: Tensor) -> Tensor:
    """The B noise levels that the networks are given; image and body B x 1 x H x W, in network units."""
    return estimator(image, body).clamp_min(SMALLEST_LEVEL)
