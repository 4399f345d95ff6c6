"""How far the regression network's answer is likely to be off, pixel by pixel.

The network looks at what went into the restoration network, at its answer and at what was taken away, and gives the logarithm of the
error's scale in units of the noise: the mean absolute error of a Laplace distribution, to which it is trained by maximum likelihood
(Kendall and Gal, "What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?", NeurIPS 2017). What interval such a
scale stands for is measured on patients that were never trained on, see :mod:`MRIDenoiseLib.inference.uncertainty`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.models.conditioning import NUMBERS, Conditioning
from MRIDenoiseLib.models.diffusion_denoiser import grain
from MRIDenoiseLib.models.film_unet import ConvBlock, FilmUNet, embeddable, known_width
from MRIDenoiseLib.models.flow import noise_unit
from MRIDenoiseLib.models.layers import LastConvolution

WINDOW = 9
"""Pixels a side, over which the network is shown how strong what was taken away is: noise is not equally strong everywhere."""
LIMIT = 5.0
"""Of the logarithm, either way."""


class UncertaintyNetwork(FilmUNet):
    """A small U-Net with plain skips, scaled and shifted by text and numbers; it costs a few percent of the restoration network.

    Before training it answers the noise level itself: the head's weights are zero.

    Args:
        in_channels: an odd number of measured slices, the one in question in the middle.
        channels: feature width of each level, from full resolution down; every level halves the resolution of the one before.
        text_dim: width E of the text embedding.
        film_width: width of the embedding that scales and shifts the blocks.
        patch_size: p x p pixels folded into channels before the network and unfolded after it.

    Raises:
        ValueError: fewer than two levels, a width below 1, or an even number of slices.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (24, 32, 48),
        text_dim: int = 1024,
        film_width: int = 32,
        patch_size: int = 2,
    ) -> None:
        super().__init__()
        if in_channels < 1 or in_channels % 2 == 0:
            raise ValueError(f"in_channels must be odd, the centre one being the slice itself, got {in_channels}")
        if len(channels) < 2 or min(*channels, text_dim, film_width, patch_size) < 1:
            raise ValueError("channels needs at least two levels, and every width must be positive")
        self._build_encoder((in_channels + 3) * patch_size**2, channels, film_width, known_width(text_dim, NUMBERS))
        upward = list(pairwise(channels[::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in upward)
        self.join = nn.ModuleList(ConvBlock(2 * b, b, film_width) for _, b in upward)
        self.head = LastConvolution(channels[0], patch_size**2, zero=True)

    def forward(self, measured: Tensor, estimate: Tensor, conditioning: Conditioning) -> Tensor:
        """The logarithm of the error's scale, in units of the noise as :func:`.flow.noise_unit` gives it.

        Args:
            measured: B x in_channels x H x W noisy slices in network units, any H and W.
            estimate: B x 1 x H x W, the restoration network's answer for the centre slices.
            conditioning: text and numbers of the B slices.

        Returns:
            B x 1 x H x W, float32 at least, within +-``LIMIT``.
        """
        level = conditioning.noise_level
        unit = noise_unit(level).to(estimate.dtype).view(-1, 1, 1, 1)
        taken = (measured - estimate) / unit
        middle = measured.shape[1] // 2
        shown = torch.cat([estimate, grain(estimate, level), taken, local_scale(taken[:, middle, None])], dim=1)
        return self._answer(shown, embeddable(conditioning, conditioning.numbers())).clamp(-LIMIT, LIMIT)

    def example_inputs(self, image: Tensor, conditioning: Conditioning) -> tuple[Tensor | Conditioning, ...]:
        """What :meth:`forward` takes for a slice (1 x 1 x H x W)."""
        return image.expand(-1, self.config.in_channels, -1, -1), image, conditioning

    def _rise(self, level: int, features: Tensor, skip: Tensor, embedding: Tensor | None) -> Tensor:
        return self.join[level](torch.cat([self.up[level](features), skip], dim=1), embedding)


def local_scale(images: Tensor) -> Tensor:
    """B x 1 x H x W: the logarithm of the root mean square over ``WINDOW`` x ``WINDOW`` pixels, within +-``LIMIT``."""
    reach = WINDOW // 2
    padded = functional.pad(images.square(), (reach, reach, reach, reach), mode="replicate")
    return (functional.avg_pool2d(padded, WINDOW, stride=1).clamp_min(1e-8).log() / 2).clamp(-LIMIT, LIMIT)
