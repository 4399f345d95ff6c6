"""What the U-Nets of this program share: convolutions that text and numbers scale and shift, and the way down and up again.

Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018, is the scale and shift.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.models.conditioning import Conditioning, fourier_features
from MRIDenoiseLib.models.layers import LastConvolution, pad_to_multiple

SLOPE = 0.2
FREQUENCIES = 4
"""Octaves of the Fourier features that carry the numbers."""


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with LeakyReLU 0.2, plus a 1x1 shortcut added after the second activation; no normalisation.

    With ``film_width`` the features after the first convolution are multiplied by 1 + scale and get a shift added, both
    linear in the embedding and zero at the start.
    """

    def __init__(self, in_channels: int, out_channels: int, film_width: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
        self.film = nn.Linear(film_width, 2 * out_channels) if film_width else None
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)

    def forward(self, features: Tensor, embedding: Tensor | None = None) -> Tensor:
        """B x in x H x W (and B x film_width) -> B x out x H x W."""
        hidden = self.first(features)
        if self.film is not None:
            assert embedding is not None
            scale, shift = self.film(embedding).to(hidden.dtype)[:, :, None, None].chunk(2, dim=1)
            hidden = hidden * (1 + scale) + shift
        hidden = functional.leaky_relu(hidden, SLOPE, inplace=True)
        return functional.leaky_relu(self.second(hidden), SLOPE, inplace=True) + self.shortcut(features)


class FilmUNet(ModelMixin, ConfigMixin):
    """A U-Net of :class:`ConvBlock` s without normalisation, scaled and shifted by what is known about a slice.

    A subclass calls :meth:`_build_encoder`, adds its own way up, makes ``head``, and defines in :meth:`_rise` how one level
    goes up. Weights and optimisers' states are stored in that order. Its configuration has a ``patch_size``: squares with that
    many pixels per side are folded into channels before the network and unfolded after it.
    """

    config_name = "config.json"

    embed: nn.Sequential | None
    encoder: nn.ModuleList
    down: nn.ModuleList
    head: LastConvolution

    def _build_encoder(self, entry: int, channels: Sequence[int], film_width: int, known: int) -> None:
        """The embedding and the way down.

        Args:
            entry: features that the first block takes.
            channels: feature width of each level, from full resolution down; every level halves the resolution of the one before.
            film_width: width of the embedding; 0 for a network that is not conditioned.
            known: width of what is embedded, see :func:`known_width`.
        """
        self.embed = None
        if film_width:
            self.embed = nn.Sequential(nn.Linear(known, film_width), nn.SiLU(), nn.Linear(film_width, film_width), nn.SiLU())
        self.encoder = nn.ModuleList(ConvBlock(a, b, film_width) for a, b in pairwise([entry, *channels]))
        self.down = nn.ModuleList(nn.Conv2d(c, c, 4, stride=2, padding=1, bias=False) for c in channels[:-1])

    @property
    def multiple(self) -> int:
        """Heights and widths are padded to a multiple of this."""
        return int(self.config.patch_size) << len(self.down)

    @abstractmethod
    def _rise(self, level: int, features: Tensor, skip: Tensor, embedding: Tensor | None) -> Tensor:
        """From B x c x H/2 x W/2 and the skip features to B x c' x H x W; level 0 is the lowest."""

    def _answer(self, shown: Tensor, known: Tensor | None) -> Tensor:
        """One image from ``shown`` and ``known``.

        Args:
            shown: B x C x H x W, any H and W.
            known: B x K, from :func:`embeddable`; used only where there is an embedding.

        Returns:
            B x 1 x H x W, float32 at least.
        """
        embedding = None
        if self.embed is not None:
            assert known is not None
            embedding = self.embed(known.to(self.head.weight.dtype))
        features, crop = pad_to_multiple(shown, self.multiple)
        output = self._unet(functional.pixel_unshuffle(features, self.config.patch_size), embedding)
        return crop(functional.pixel_shuffle(output, self.config.patch_size))

    def _unet(self, features: Tensor, embedding: Tensor | None) -> Tensor:
        """Folded features down and up again."""
        skips = []
        for index, block in enumerate(self.encoder):
            features = block(features, embedding)
            if index < len(self.down):
                skips.append(features)
                features = self.down[index](features)
        for level, skip in enumerate(reversed(skips)):
            features = self._rise(level, features, skip, embedding)
        return self.head(features)


def known_width(text_dim: int, numbers: int) -> int:
    """Width of what :func:`embeddable` makes of texts of this width and so many numbers."""
    return text_dim + 2 * FREQUENCIES * numbers


def embeddable(conditioning: Conditioning, numbers: Tensor) -> Tensor:
    """B x K: the text's mean, followed by Fourier features of B x N numbers of order one."""
    return torch.cat([conditioning.pooled_text(), fourier_features(numbers, FREQUENCIES)], dim=1)
