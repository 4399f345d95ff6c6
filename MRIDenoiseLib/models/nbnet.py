"""NBNet: a U-Net whose skip features pass through subspace attention; the degradation and the restoration network.

Structure after Cheng et al., "NBNet: Noise Basis Learning for Image Denoising with Subspace Projection", CVPR 2021. The
paper this program follows runs it with widths 128-64-32-16-8 and adds "text information of degradation", which here enters
as a scale and shift of every block (``film``) or as a map of the noise level (``plane``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from MRIDenoiseLib.models.conditioning import NUMBERS, Conditioning
from MRIDenoiseLib.models.film_unet import ConvBlock, FilmUNet, embeddable, known_width
from MRIDenoiseLib.models.layers import LastConvolution, project_on_subspace

ConditioningMode = Literal["film", "plane", "none"]
ResidualUnit = Literal["intensity", "noise"]


class SkipBlocks(nn.Module):
    """The convolutions a skip connection passes: ``max(2, repeats)`` ConvBlocks of a fixed inner width in parallel with a 1x1 shortcut."""

    def __init__(self, channels: int, mid_channels: int, repeats: int, film_width: int = 0) -> None:
        super().__init__()
        widths = [channels, *[mid_channels] * (max(2, repeats) - 1), channels]
        self.blocks = nn.ModuleList(ConvBlock(a, b, film_width) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor, embedding: Tensor | None = None) -> Tensor:
        """B x channels x H x W -> the same shape."""
        hidden = features
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return hidden + self.shortcut(features)


class UpBlock(nn.Module):
    """Doubles the resolution and joins the skip features after projecting them on a basis computed from both."""

    def __init__(
        self, in_channels: int, out_channels: int, mid_channels: int, repeats: int, subspace_dim: int, film_width: int = 0
    ) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.skip = SkipBlocks(out_channels, mid_channels, repeats, film_width)
        self.basis = ConvBlock(2 * out_channels, subspace_dim, film_width)
        self.basis_shortcut = nn.Conv2d(2 * out_channels, subspace_dim, 1)
        self.join = ConvBlock(2 * out_channels, out_channels, film_width)

    def forward(self, features: Tensor, skip: Tensor, embedding: Tensor | None = None) -> Tensor:
        """B x in x H/2 x W/2 and the skip B x out x H x W -> B x out x H x W."""
        raised = self.up(features)
        bridge = self.skip(skip, embedding)
        both = torch.cat([raised, bridge], dim=1)
        basis = self.basis(both, embedding) + self.basis_shortcut(both)
        projected = project_on_subspace(bridge, basis)
        return self.join(torch.cat([raised, projected], dim=1), embedding)


class NBNet(FilmUNet):
    """Image to image network with subspace attention in its skips.

    Args:
        in_channels: 1, or an odd number of slices of which the centre one is predicted and the others are its neighbours.
        channels: feature width of each level, from full resolution down; every level halves the resolution of the one before.
        mid_channels: width inside the skip convolutions, the same at all levels.
        subspace_dim: K, how many basis images span the skip features.
        residual: add the centre slice of the input to the output; the network then starts as the identity.
        conditioning: ``film`` scales and shifts every block by text, acceleration, noise level and slice spacing;
            ``plane`` adds a map of the noise level as an input channel; ``none`` gives the network nothing.
        text_dim: width E of the text embedding (``film`` only).
        residual_unit: ``noise`` multiplies what is added to the input by the noise level, so that no noise means no change.
        film_width: width of the embedding that scales and shifts the blocks (``film`` only).
        patch_size: p x p pixels folded into channels before the network and unfolded after it (1: the published form).
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 1,
        channels: Sequence[int] = (128, 64, 32, 16, 8),
        mid_channels: int = 128,
        subspace_dim: int = 16,
        residual: bool = True,
        conditioning: ConditioningMode = "film",
        text_dim: int = 1024,
        residual_unit: ResidualUnit = "intensity",
        film_width: int = 256,
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        if in_channels < 1 or in_channels % 2 == 0:
            raise ValueError(f"in_channels must be odd, the centre one being the slice itself, got {in_channels}")
        if len(channels) < 2 or min(*channels, mid_channels, subspace_dim) < 1:
            raise ValueError("channels needs at least two levels, and every width must be positive")
        if conditioning not in get_args(ConditioningMode):
            raise ValueError(f"conditioning must be one of {get_args(ConditioningMode)}, got {conditioning!r}")
        if residual_unit not in get_args(ResidualUnit):
            raise ValueError(f"residual_unit must be one of {get_args(ResidualUnit)}, got {residual_unit!r}")
        if residual_unit == "noise" and not residual:
            raise ValueError("residual_unit 'noise' needs residual=True")
        if conditioning == "film" and min(text_dim, film_width) < 1:
            raise ValueError("conditioning 'film' needs text_dim and film_width of at least 1")
        film = film_width if conditioning == "film" else 0
        entry = (in_channels + (conditioning == "plane")) * patch_size**2
        self._build_encoder(entry, channels, film, known_width(text_dim, NUMBERS))
        steps = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.decoder = nn.ModuleList(UpBlock(a, b, mid_channels, i + 1, subspace_dim, film) for i, (a, b) in enumerate(steps))
        self.head = LastConvolution(channels[0], patch_size**2, zero=residual)

    def forward(self, image: Tensor, conditioning: Conditioning | None = None) -> Tensor:
        """Predict the centre slice.

        Args:
            image: B x in_channels x H x W in network units, any H and W.
            conditioning: what is known about the B slices; may be None only where nothing of it is used.

        Returns:
            B x 1 x H x W in network units, in the type of ``image``.

        Raises:
            ValueError: when the conditioning is needed and missing, or the channels do not fit.
        """
        config = self.config
        if image.shape[1] != config.in_channels:
            raise ValueError(f"expected {config.in_channels} input channels, got {image.shape[1]}")
        needed = config.conditioning != "none" or config.residual_unit == "noise"
        if needed and conditioning is None:
            raise ValueError("this network needs a Conditioning")
        centre = image[:, config.in_channels // 2, None]
        shown, known = image, None
        if config.conditioning == "plane":
            assert conditioning is not None
            level = conditioning.noise_level.to(image.dtype)[:, None, None, None]
            shown = torch.cat([image, level.expand(-1, 1, *image.shape[-2:])], dim=1)
        if config.conditioning == "film":
            assert conditioning is not None
            known = embeddable(conditioning, conditioning.numbers())
        output = self._answer(shown, known).to(image.dtype)
        if not config.residual:
            return output
        if config.residual_unit == "noise":
            assert conditioning is not None
            output = output * conditioning.noise_level.to(image.dtype)[:, None, None, None]
        return centre + output

    def example_inputs(self, image: Tensor, conditioning: Conditioning) -> tuple[Tensor | Conditioning, ...]:
        """What :meth:`forward` takes for a slice (1 x 1 x H x W)."""
        return image.expand(-1, self.config.in_channels, -1, -1), conditioning

    def _rise(self, level: int, features: Tensor, skip: Tensor, embedding: Tensor | None) -> Tensor:
        return self.decoder[level](features, skip, embedding)
