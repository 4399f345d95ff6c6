"""LPIPS: how different two images look to a network that was trained on photographs.

Zhang et al. 2018, version 0.1 with VGG16, from the authors' package ``lpips`` (BSD-2-Clause). It was learned on photographs, so
it is a score of sharpness and texture, not of fidelity: it rewards invented detail that looks natural.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.figures.psnr import check_pair
from MRIDenoiseLib.extras import needed

WEIGHTS = "vgg16-397923af.pth"
"""The backbone's file in torchvision's release; its name holds the first digits of its sha256."""
BATCH = 4
SMALLEST = 32
"""Rows and columns below which VGG16's last layers see nothing; a smaller crop is widened."""


def lpips_vgg(image: np.ndarray, reference: np.ndarray, *, data_range: float, mask: np.ndarray) -> float:
    """The mean LPIPS distance over slices; 0 for equal images, less is better.

    Slices are cut to the box around the mask, mapped from [0, L] to [-1, 1] with what lies outside clipped, and given as grey
    pictures of three equal channels.

    Args:
        image: (slices, rows, columns).
        reference: the same shape and units.
        data_range: L, in the images' units.
        mask: bool, the same shape: the body.

    Raises:
        ValueError: shapes that differ, an empty mask or a range that is not positive.
        SettingsError: the package or the network's weights are not available.
    """
    check_pair(image, reference, data_range, mask)
    import torch

    network = _network()
    box = _box(mask)
    total = 0.0
    with torch.inference_mode():
        for first in range(0, len(reference), BATCH):
            pair = (_pictures(each[(slice(first, first + BATCH), *box)], data_range) for each in (image, reference))
            total += float(network(*pair).sum())
    return total / len(reference)


def check_at_hand() -> None:
    """Find out before long work whether :func:`lpips_vgg` can be computed.

    Raises:
        SettingsError: the package or the weights are missing; the message states which, and what to do.
    """
    _package()
    _weights()


@lru_cache(maxsize=1)
def _network() -> Any:
    package, weights = _package(), _weights()
    import torch

    # Without this option it would download the backbone without a message.
    network = package.LPIPS(net="vgg", version="0.1", pnet_rand=True, verbose=False)
    _fill_backbone(network.net, torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def _package() -> ModuleType:
    try:
        return needed("lpips", "perceptual")
    except RuntimeError as error:
        # torchvision raises this when it was built for another torch.
        raise SettingsError("LPIPS's torchvision does not fit the torch installed: install both from one source") from error


def _fill_backbone(backbone: Any, weights: dict[str, Any]) -> None:
    """Put torchvision's VGG16 weights, ``features.N.*``, into the slices that the package cut the network into."""
    own = backbone.state_dict()
    given = {key: weights[f"features.{key.split('.', 1)[1]}"] for key in own}
    backbone.load_state_dict(given)


def _weights() -> Path:
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    if not path.is_file():
        raise SettingsError(
            f"LPIPS needs the weights of VGG16, which are not on this computer: put torchvision's file {WEIGHTS} into the folder "
            "hub/checkpoints of TORCH_HOME (by default ~/.cache/torch); nothing is downloaded, and no other network stands in"
        )
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(WEIGHTS.removesuffix(".pth").rpartition("-")[2]):
        raise SettingsError(f"LPIPS's file {WEIGHTS} is damaged (its checksum is not the one in its name); get it again")
    return path


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the mask over all slices, at least :data:`SMALLEST` where the image has as many."""
    seen = mask.any(axis=0)
    found = []
    for axis, size in enumerate(seen.shape):
        places = np.unique(np.nonzero(seen)[axis])
        first, last = int(places[0]), int(places[-1]) + 1
        lacking = max(0, SMALLEST - (last - first))
        first = max(0, min(first - lacking // 2, size - SMALLEST))
        found.append(slice(first, max(last, min(size, first + SMALLEST))))
    return found[0], found[1]


def _pictures(slices: np.ndarray, data_range: float) -> Any:
    import torch

    grey = torch.from_numpy(np.clip(slices / data_range, 0, 1).astype(np.float32)) * 2 - 1
    return grey[:, None].expand(-1, 3, -1, -1)
