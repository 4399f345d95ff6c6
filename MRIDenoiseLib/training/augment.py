"""New anatomy and contrasts out of few volumes, honestly: what is changed here is changed for noisy and clean alike,
before any noise is made."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LARGEST_REDUCTION = 1.8


def random_crop(slices: Tensor, centre: tuple[int, int], size: int, generator: torch.Generator) -> Tensor:
    """A size x size view around ``centre``: larger regions come down to size by cropping k-space, which invents nothing.

    Args:
        slices: N x H x W.
        centre: row and column the view is placed around.
        size: rows and columns of the result.
        generator: the source of the choice.

    Returns:
        N x size x size; reflected at the border where the image is smaller.
    """
    height, width = slices.shape[-2:]
    zoom = 1 + (LARGEST_REDUCTION - 1) * float(torch.rand(1, generator=generator)) if min(height, width) > size else 1.0
    side = min(round(size * zoom), max(min(height, width), size))
    side += side % 2
    top, left = (min(max(c - side // 2, 0), max(n - side, 0)) for c, n in zip(centre, (height, width), strict=True))
    region = slices[:, top : top + side, left : left + side]
    below, right = side - region.shape[-2], side - region.shape[-1]
    if below or right:
        mode = "reflect" if below < region.shape[-2] and right < region.shape[-1] else "replicate"
        region = functional.pad(region, (0, right, 0, below), mode=mode)
    return crop_kspace(region, size) if side > size else region


def crop_kspace(images: Tensor, size: int) -> Tensor:
    """N x S x S to N x size x size by keeping the centre of k-space; a constant image keeps its value."""
    side = images.shape[-1]
    # A gentle taper over the outer tenth keeps sharp magnitude edges from ringing.
    taper = (1 - (torch.fft.fftfreq(size).abs() / 0.5 - 0.9).clamp_min(0) / 0.1 * 0.5).to(images)
    spectrum = torch.fft.fftshift(torch.fft.fft2(images), dim=(-2, -1))
    start = side // 2 - size // 2
    kept = torch.fft.ifftshift(spectrum[:, start : start + size, start : start + size], dim=(-2, -1))
    return torch.fft.ifft2(kept * taper[:, None] * taper).real.clamp_min(0) * (size / side) ** 2


def random_flip(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored, turned by multiples of 90 degrees and reversed in slice order, each at random."""
    chances = torch.rand(4, generator=generator) < 0.5
    axes = [axis for axis, chance in zip((0, 1, 2), chances.tolist(), strict=False) if chance]
    slices = slices.flip(axes) if axes else slices
    return slices.transpose(1, 2) if chances[3] else slices


def random_contrast(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Another contrast: a random smooth bias field, then a monotone or, now and then, an inverted remap of the intensities.

    Args:
        slices: N x H x W with P99.5 about 1; air stays dark.
        generator: the source of the choice.
    """
    draw = torch.rand(3, generator=generator)
    field = functional.interpolate(torch.randn(1, 1, 3, 3, generator=generator), slices.shape[-2:], mode="bicubic", align_corners=True)[0]
    slices = slices.clamp_min(0) * torch.exp(0.25 * draw[0] * field)
    if draw[1] < 0.2:
        # Bright becomes dark inside the body while air, where the image is near zero, stays dark.
        slices = (1 - slices.clamp_max(1)) * torch.tanh(8 * slices)
    return slices ** math.exp(0.5 * float(draw[2] * 2 - 1))
