"""What every network is given about a slice in addition to its pixels, in one form for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

NUMBERS = 3
"""How many scalars :meth:`Conditioning.numbers` holds."""


@dataclass(frozen=True)
class Conditioning:
    """Text and numbers for a batch of B slices.

    Args:
        text: B x L x E float32, the text encoder's last hidden state.
        text_mask: B x L bool, True where a token counts (False for padding). All False = text dropped.
        acceleration: B, T_full / T_fast as a ratio.
        noise_level: B, standard deviation of the noise in network units (the image range [-1, 1] spans 2).
        slice_spacing: B, distance in mm to the neighbouring slices.
    """

    text: Tensor
    text_mask: Tensor
    acceleration: Tensor
    noise_level: Tensor
    slice_spacing: Tensor

    def numbers(self) -> Tensor:
        """B x 3: log2 of the acceleration, a scaled log2 of the noise level, log2 of the slice spacing; each about -1..1."""
        noise = torch.log2(self.noise_level.clamp_min(1e-4)) / 4 + 1
        return torch.stack([torch.log2(self.acceleration), noise, torch.log2(self.slice_spacing.clamp_min(0.1)) / 3], dim=1)

    def pooled_text(self) -> Tensor:
        """B x E: the mean over the tokens that count; zeros where the text was dropped."""
        weight = self.text_mask.to(self.text.dtype).unsqueeze(-1)
        return (self.text * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)

    def to(self, device: torch.device | str) -> Conditioning:
        """The same on another device."""
        return Conditioning(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def __getitem__(self, index: slice | Tensor) -> Conditioning:
        """The slices of the batch that ``index`` picks."""
        return Conditioning(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def expand(self, batch: int) -> Conditioning:
        """One slice's conditioning repeated for ``batch`` slices."""
        return Conditioning(*(v.expand(batch, *v.shape[1:]) for v in (getattr(self, n) for n in self.__dataclass_fields__)))

    def without_text(self) -> Conditioning:
        """The same with the text dropped."""
        return replace(self, text_mask=torch.zeros_like(self.text_mask))


def fourier_features(numbers: Tensor, frequencies: int) -> Tensor:
    """B x N scalars of order one -> B x N*2*frequencies sines and cosines at octave frequencies from pi/4 up."""
    octaves = math.pi / 4 * 2.0 ** torch.arange(frequencies, device=numbers.device, dtype=numbers.dtype)
    angles = (numbers.unsqueeze(-1) * octaves).flatten(1)
    return torch.cat([angles.sin(), angles.cos()], dim=1)
