"""BME-X's architecture: a densely connected U-Net names the tissues, a second one enhances the image with their help.

After Sun, Wang, Li, Lin and Wang, "A foundation model for enhancing magnetic resonance images and downstream segmentation,
registration and diagnostic tasks", Nature Biomedical Engineering 2024 (code: DBC-Lab/Brain_MRI_Enhancement, MIT licence);
written anew from the published layer sizes. What is as published: both U-Nets with their dense blocks, where they halve
and double, the two convolutions that bring image and tissue probabilities together, batch normalisation in all blocks.
What is not, so that it fits thick slices and two CPU cores: neighbouring slices are channels of plane
convolutions instead of a third axis, widths are a quarter (what a layer of a dense block adds: a half), there is no dropout,
and the second U-Net predicts what is to be added to the slice, in units of its noise, whose level it is told as this program's
own networks are.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.models.layers import pad_to_multiple
from MRIDenoiseLib.sampling.interfaces import centre

TISSUES = ("background", "cerebrospinal fluid", "grey matter", "white matter")
"""What the first U-Net tells apart, in the order of its channels; the brain's names are those of the segmentation."""

LAYERS = 3
"""Of a dense block."""
HALVINGS = 3


class Unit(nn.Sequential):
    """Batch normalisation, ReLU and a 3x3 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.BatchNorm2d(in_channels), nn.ReLU(), nn.Conv2d(in_channels, out_channels, 3, padding=1))


class DenseBlock(nn.Module):
    """A unit to ``width`` channels, then units that each see all channels so far and add ``growth`` to them."""

    def __init__(self, in_channels: int, width: int, growth: int) -> None:
        super().__init__()
        self.entry = Unit(in_channels, width)
        self.layers = nn.ModuleList(Unit(width + k * growth, growth) for k in range(LAYERS))
        self.out_channels = width + LAYERS * growth

    def forward(self, features: Tensor) -> Tensor:
        """B x in x H x W -> B x out x H x W."""
        features = self.entry(features)
        for layer in self.layers:
            features = torch.cat([features, layer(features)], dim=1)
        return features


class DenseUNet(nn.Module):
    """A U-Net of dense blocks that halves the image three times; two blocks a level on the way up.

    Args:
        in_channels: of the image.
        out_channels: of the answer, which no activation follows.
        fine: channels of the skip at full resolution (published: 64); layers of the blocks there add half as many.
        coarse: channels of the skips below it (published: 128); the same.
    """

    def __init__(self, in_channels: int, out_channels: int, fine: int, coarse: int) -> None:
        super().__init__()
        slow, fast = fine // 2, coarse // 2
        self.stem = nn.Conv2d(in_channels, fine, 3, padding=1)
        self.first = DenseBlock(fine, fine, slow)
        self.first_skip = Unit(self.first.out_channels, fine)
        self.second = DenseBlock(fine, fine, fast)
        self.second_skip = Unit(self.second.out_channels, coarse)
        self.third_skip = Unit(coarse, coarse)
        self.rise_to_third = _doubling(coarse, coarse)
        self.third = DenseBlock(2 * coarse, 2 * coarse, fast)
        self.rise_to_second = _doubling(self.third.out_channels, coarse)
        self.second_up = nn.Sequential(DenseBlock(2 * coarse, 2 * coarse, fast), DenseBlock(2 * coarse + LAYERS * fast, 2 * coarse, fast))
        self.rise_to_first = _doubling(2 * coarse + LAYERS * fast, fine)
        self.first_up = nn.Sequential(DenseBlock(2 * fine, 2 * fine, slow), DenseBlock(2 * fine + LAYERS * slow, fine, slow))
        self.head = Unit(fine + LAYERS * slow, out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """B x in x H x W -> B x out x H x W; H and W are multiples of 8."""
        first = self.first_skip(self.first(self.stem(image)))
        second = self.second_skip(self.second(_halved(first)))
        third = self.third_skip(_halved(second))
        features = self.third(torch.cat([third, self.rise_to_third(_halved(third))], dim=1))
        features = self.second_up(torch.cat([second, self.rise_to_second(features)], dim=1))
        features = self.first_up(torch.cat([first, self.rise_to_first(features)], dim=1))
        return self.head(features)


class BmeX(ModelMixin, ConfigMixin):
    """Tissue classification and tissue-guided enhancement of a slice between its neighbours.

    Args:
        slices: how many are seen, an odd number.
        fine: see :class:`DenseUNet`.
        coarse: see :class:`DenseUNet`.
    """

    @register_to_config
    def __init__(self, slices: int = 3, fine: int = 16, coarse: int = 32) -> None:
        super().__init__()
        self.classifier = DenseUNet(slices, len(TISSUES), fine, coarse)
        half = fine // 2
        self.tissue_entry = nn.Sequential(nn.Conv2d(len(TISSUES), half, 3, padding=1), nn.BatchNorm2d(half), nn.ReLU())
        self.image_entry = nn.Sequential(nn.Conv2d(slices, half, 3, padding=1), nn.BatchNorm2d(half), nn.ReLU())
        self.enhancer = DenseUNet(2 * half, 1, fine, coarse)
        for parameter in self.enhancer.head[2].parameters():
            nn.init.zeros_(parameter)  # what is added to the slice grows from nothing

    def classify(self, measured: Tensor) -> Tensor:
        """Scores of the :data:`TISSUES` of the centre slice, whose softmax are probabilities.

        Args:
            measured: B x slices x H x W, network units (-1 dark, 1 bright).

        Returns:
            B x 4 x H x W.
        """
        padded, crop = pad_to_multiple(measured, 2**HALVINGS)
        return crop(self.classifier(padded))

    def enhance(self, measured: Tensor, tissues: Tensor, noise_level: Tensor) -> Tensor:
        """The clean centre slice, B x 1 x H x W.

        Args:
            measured: see :meth:`classify`.
            tissues: B x 4 x H x W, their probabilities.
            noise_level: B, standard deviation of the noise in network units.
        """
        padded, crop = pad_to_multiple(measured, 2**HALVINGS)
        guide, _ = pad_to_multiple(tissues, 2**HALVINGS)
        joined = torch.cat([self.tissue_entry(guide), self.image_entry(padded)], dim=1)
        return centre(measured) + noise_level.view(-1, 1, 1, 1) * crop(self.enhancer(joined))

    def forward(self, measured: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor]:
        """Slices B x slices x H x W and noise levels B -> clean slices B x 1 x H x W, guided by the tissues found, and their scores."""
        scores = self.classify(measured)
        return self.enhance(measured, scores.softmax(dim=1), noise_level), scores


def _halved(features: Tensor) -> Tensor:
    return functional.max_pool2d(functional.relu(features), 3, stride=2, padding=1)


def _doubling(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1))
