"""BME-X's architecture: a densely connected U-Net finds the tissues, and a second one uses them to enhance the image.

After Sun, Wang, Li, Lin and Wang, "A foundation model for enhancing magnetic resonance images and downstream segmentation,
registration and diagnostic tasks", Nature Biomedical Engineering 2024 (code: DBC-Lab/Brain_MRI_Enhancement, MIT licence);
re-implemented from the published layer sizes. As published are both U-Nets with their dense blocks, where they halve and
double, the two convolutions that combine image and tissue probabilities, and batch normalisation in all blocks. Other parts
differ, so that it fits thick slices and two CPU cores. Neighbouring slices are channels of two-dimensional convolutions
instead of a third axis. Widths are a quarter (what a layer of a dense block adds: a half), and there is no dropout. The second
U-Net predicts what has to be added to the slice, in units of its noise; it is given the noise level like this program's own
networks.

On disk it is ``config.json``, float16 weights, and a card with the hash of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.card import CARD, ROOT
from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.models.bundle.files import list_files, read_json, sha256, write_canonical_json
from MRIDenoiseLib.models.layers import pad_to_multiple
from MRIDenoiseLib.sampling.interfaces import centre

TISSUES = ("background", "cerebrospinal fluid", "grey matter", "white matter")
"""The classes of the first U-Net, in the order of its channels; the brain's names are those of the segmentation."""

LAYERS = 3
"""Of a dense block."""
HALVINGS = 3

FORMAT = "mridenoise-peer/1"
CONFIG = "config.json"
WEIGHTS = "bme_x.safetensors"
FILES = (CONFIG, WEIGHTS)
CONFIG_NAMES = ("slices", "fine", "coarse")
"""What decides the network, see :class:`.network.BmeX`."""
FOLDER = ROOT / "Resources" / "Models" / "peers" / "bme_x"
"""The folder of the weights trained for this program's comparisons."""


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
    """A U-Net of dense blocks that halves the image three times; two blocks per level on the way up.

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
        slices: how many the network sees, an odd number.
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
            nn.init.zeros_(parameter)  # so that at first nothing is added to the slice

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


def save(bme_x: BmeX, folder: Path, card: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write a trained network with its card. The running statistics keep their precision; all else becomes float16.

    Args:
        bme_x: the network.
        folder: the folder to make.
        card: its content; ``format`` and ``files`` are added.
        overwrite: replace an existing folder of BME-X.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    state = {name: value for name, value in bme_x.state_dict().items() if not name.endswith("num_batches_tracked")}
    stored = {name: value.contiguous().cpu().to(torch.float32 if "running_" in name else torch.float16) for name, value in state.items()}
    with replacing(folder, overwrite, lambda old: {path.name for path in old.iterdir()} <= {CARD, *FILES}) as temporary:
        temporary.mkdir()
        write_canonical_json(temporary / CONFIG, {name: bme_x.config[name] for name in CONFIG_NAMES})
        save_file(stored, temporary / WEIGHTS)
        hashes = {name: sha256(temporary / name) for name in FILES}
        write_canonical_json(temporary / CARD, {**card, "format": FORMAT, "files": hashes})


def load(folder: Path = FOLDER) -> BmeX:
    """A trained network, float32, for use and not for training.

    Args:
        folder: what :func:`save` wrote.

    Raises:
        BundleError: it does not exist, or a file differs from the card.
    """
    if not (folder / CARD).is_file():
        raise BundleError(
            f"BME-X cannot run without its weights, which are not at {folder}; get the whole repository, or train them "
            "with scripts/train_bme_x.py."
        )
    card = read_json(folder, CARD)
    if card.get("format") != FORMAT or not isinstance(card.get("files"), dict) or sorted(card["files"]) != sorted(FILES):
        raise BundleError(f"{folder}: card.json does not belong to this program's BME-X; get the folder again.")
    if sorted(list_files(folder)) != sorted((CARD, *FILES)):
        raise BundleError(f"{folder} must hold {', '.join(sorted((CARD, *FILES)))} and nothing else; get the folder again.")
    for name in FILES:
        if sha256(folder / name) != card["files"][name]:
            raise BundleError(f"{folder}: {name} was changed (its SHA-256 is not the card's); get the folder again.")
    try:
        bme_x = BmeX(**read_json(folder, CONFIG))
        bme_x.load_state_dict({**_counters(bme_x), **load_file(folder / WEIGHTS)})
    except (TypeError, RuntimeError, SafetensorError) as error:
        raise BundleError(f"{folder}: {CONFIG} and {WEIGHTS} do not fit each other; get the folder again.") from error
    return bme_x.float().eval().requires_grad_(False)


def _counters(bme_x: BmeX) -> dict[str, torch.Tensor]:
    """The counters of batch normalisation, which only training needs."""
    return {name: value for name, value in bme_x.state_dict().items() if name.endswith("num_batches_tracked")}
