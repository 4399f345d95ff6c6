"""Growing: a trained restoration network made wider without changing what it computes, so that it learns on from its old quality.

Old weights keep their places. New outputs are random, so that they learn differently from each other, and what old outputs
take from new features is zero, so that they stay as they were ("Net2Net", Chen, Goodfellow and Shlens, ICLR 2016, with zeros
instead of copies).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.nbnet import NBNet

_WIDTHS = ("in_channels", "mid_channels")
_SAME = ("subspace_dim", "residual", "conditioning", "text_dim", "residual_unit", "film_width", "patch_size")


def can_grow(network: NBNet, config: Mapping[str, Any]) -> bool:
    """Whether a network is nowhere larger than a configuration and differs from it only in widths and neighbours."""
    old, new = network.config, NBNet(**config).config
    widths = [(old[name], new[name]) for name in _WIDTHS] + list(zip(old["channels"], new["channels"], strict=False))
    same = all(old[name] == new[name] for name in _SAME) and len(old["channels"]) == len(new["channels"])
    return same and all(a <= b for a, b in widths)


def grow(network: NBNet, config: Mapping[str, Any]) -> NBNet:
    """The same function in a larger network; random numbers come from torch's global generator.

    Args:
        network: trained; stays as it is.
        config: arguments of the larger :class:`NBNet`: more features, more neighbours, the same number of levels and all else
            the same.

    Returns:
        What it answers to a stack of slices is what ``network`` answers to the middle of the stack.

    Raises:
        SettingsError: the configuration differs in more than that.
    """
    if not can_grow(network, config):
        raise SettingsError("a network grows in its widths and its number of neighbours alone, and none of them may shrink")
    larger = NBNet(**config)
    weights = larger.state_dict()
    for name, old in network.state_dict().items():
        _put(name, old, weights[name], network, larger)
    larger.load_state_dict(weights)
    return larger


def _put(name: str, old: Tensor, new: Tensor, network: NBNet, larger: NBNet) -> None:
    """Write the old weights of one layer into those of the larger network."""
    if old.dim() == 1:
        new[_outputs(name, old.shape[0], new.shape[0])] = old
        return
    if old.dim() == 2:
        # Linear layers: the embedding keeps its width. New features are neither scaled nor shifted by it yet.
        if old.shape != new.shape:
            new.zero_()
        new[_outputs(name, old.shape[0], new.shape[0])] = old
        return
    # Transposed convolutions have their inputs first.
    turned = ".up." in name
    source, target = (part.transpose(0, 1) if turned else part for part in (old, new))
    rows = torch.arange(source.shape[0])
    columns = _inputs(name, source.shape[1], target.shape[1], network, larger)
    target[rows] = 0
    target[rows[:, None], columns[None]] = source


def _outputs(name: str, old: int, new: int) -> Tensor:
    """Where a layer's old outputs lie among the new ones."""
    return _halves(old, new) if ".film." in name else torch.arange(old)


def _inputs(name: str, old: int, new: int, network: NBNet, larger: NBNet) -> Tensor:
    """Where what a layer took before lies in what it takes now."""
    if name.startswith(("encoder.0.first", "encoder.0.shortcut")):
        neighbours = (larger.config.in_channels - network.config.in_channels) // 2
        return torch.arange(old) + neighbours * network.config.patch_size**2
    # These take raised and skip features one behind the other; what follows inside their blocks does not.
    joined = (".basis.first", ".basis.shortcut", ".basis_shortcut", ".join.first", ".join.shortcut")
    return _halves(old, new) if any(part in name for part in joined) else torch.arange(old)


def _halves(old: int, new: int) -> Tensor:
    """Places of two halves that lie one behind the other."""
    return torch.cat([torch.arange(old // 2), torch.arange(old // 2) + new // 2])
