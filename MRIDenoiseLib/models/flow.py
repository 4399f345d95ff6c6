"""The velocity of the rectified flow that carries the posterior mean to a sharp image.

The mean of all clean images that a noisy slice may have come from is smoother than any of them. Ohayon, Michaeli and Elad
("Posterior-Mean Rectified Flow", ICLR 2025) add a little noise to that mean and move the result to clean images along paths as
straight as can be learned: z_t = (1 - t) z_0 + t x. Here z_0 = m + sigma_s s e is the mean with noise in it, x the clean slice and
s the measured noise level. The network estimates dz/dt = E[x - z_0 | z_t], in units of the noise.

If the network sees only its state, it is the paper's flow: each mean moves approximately to the nearest clean image, which has the
smallest error of all ways to images as sharp as clean ones. If it also sees the mean and the measured slice (``posterior``), the
flow draws a sample of the posterior, whose mean squared error is twice that of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from MRIDenoiseLib.models.conditioning import NUMBERS, Conditioning
from MRIDenoiseLib.models.diffusion_denoiser import grain
from MRIDenoiseLib.models.film_unet import ConvBlock, FilmUNet, embeddable, known_width
from MRIDenoiseLib.models.layers import LastConvolution

NOISE_FLOOR = 0.01
"""Network units added (in squares) to the noise level, so that a slice without noise still has a unit."""


class FlowNetwork(FilmUNet):
    """A small U-Net with plain skips, scaled and shifted by time, text and numbers.

    Before training it does not move: the head's weights are zero.

    Args:
        channels: feature width of each level, from full resolution down; every level halves the resolution of the one before.
        text_dim: width E of the text embedding.
        film_width: width of the embedding that scales and shifts the blocks.
        patch_size: p x p pixels folded into channels before the network and unfolded after it.
        posterior: also show the posterior mean and the measured slice, see the module's text.
        start_noise: sigma_s, in units of the noise level: the noise added to the mean before the flow. Means fill a smaller
            part of the space of images than clean images do, and without noise a flow cannot reach the rest.

    Raises:
        ValueError: fewer than two levels, a width below 1, or a ``start_noise`` that is not positive.
    """

    @register_to_config
    def __init__(
        self,
        channels: Sequence[int] = (48, 64, 96),
        text_dim: int = 1024,
        film_width: int = 64,
        patch_size: int = 2,
        posterior: bool = False,
        start_noise: float = 0.1,
    ) -> None:
        super().__init__()
        if len(channels) < 2 or min(*channels, text_dim, film_width, patch_size) < 1:
            raise ValueError("channels needs at least two levels, and every width must be positive")
        if not start_noise > 0:
            raise ValueError(f"start_noise must be above 0, not {start_noise}")
        shown = (4 if posterior else 2) * patch_size**2
        self._build_encoder(shown, channels, film_width, known_width(text_dim, NUMBERS + 1))
        upward = list(pairwise(channels[::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in upward)
        self.join = nn.ModuleList(ConvBlock(2 * b, b, film_width) for _, b in upward)
        self.head = LastConvolution(channels[0], patch_size**2, zero=True)

    def forward(self, state: Tensor, mean: Tensor, measured: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The velocity dz/dt.

        Args:
            state: B x 1 x H x W, z_t, in network units.
            mean: B x 1 x H x W, the posterior mean m that the flow started from.
            measured: B x 1 x H x W, the noisy slice itself.
            time: B, 0 (the mean) to 1 (clean).
            conditioning: text and numbers of the B slices.

        Returns:
            B x 1 x H x W, network units per unit of time, in the type of ``state``.
        """
        level = noise_unit(conditioning.noise_level)
        unit = level.to(state.dtype).view(-1, 1, 1, 1)
        if self.config.posterior:
            shown = [mean, grain(mean, level), (state - mean) / unit, (measured - mean) / unit]
        else:
            shown = [state, grain(state, level)]
        numbers = torch.cat([conditioning.numbers(), 2 * time.to(level).unsqueeze(1) - 1], dim=1)
        velocity = self._answer(torch.cat(shown, dim=1), embeddable(conditioning, numbers))
        return unit * velocity.to(state.dtype)

    def example_inputs(self, image: Tensor, conditioning: Conditioning) -> tuple[Tensor | Conditioning, ...]:
        """What :meth:`forward` takes for a slice (1 x 1 x H x W)."""
        return image, image, image, image.new_ones(1), conditioning

    def _rise(self, level: int, features: Tensor, skip: Tensor, embedding: Tensor | None) -> Tensor:
        return self.join[level](torch.cat([self.up[level](features), skip], dim=1), embedding)


def noise_unit(noise_level: Tensor) -> Tensor:
    """sqrt(s^2 + floor^2): the unit of velocities, in network units."""
    return (noise_level.square() + NOISE_FLOOR**2).sqrt()
