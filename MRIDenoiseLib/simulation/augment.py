"""New anatomy and contrasts from few volumes: every change is made to noisy and clean images alike, before any noise is
simulated.

One of the changes is wiped air: vendors' masks, stripped skulls and defaced heads leave exact zeros where a scanner would have left
noise. A network that never saw such images takes the zeros for tissue without noise and leaves the noise next to them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

USUAL_REDUCTION = 1.8
LARGEST_REDUCTION = 4.5
"""Sometimes a slice becomes as coarse as perfusion or diffusion images, whose anatomy fills all of k-space."""
COARSE = 0.2
"""How often, from 0 to 1."""

BY_THRESHOLD = 0.6
"""How often the outline follows a threshold; otherwise it is any smooth one, which cuts through tissue as stripping does."""
LOWEST, HIGHEST = 0.03, 0.15
"""Of P99.5: thresholds of the outlines."""
WIDEST = 4
"""The largest number of pixels by which an outline is grown."""
LEAST_WIPED, MOST_WIPED = 0.15, 0.5
"""Part of a view that a smooth outline leaves outside."""


def random_crop(slices: Tensor, centre: tuple[int, int], size: int, generator: torch.Generator, *, least: float = 1.0) -> Tensor:
    """A size x size view around ``centre``: larger regions are reduced to it by cropping k-space, which invents nothing.

    Args:
        slices: N x H x W.
        centre: row and column the view is placed around.
        size: rows and columns of the result.
        generator: the source of the choice.
        least: how many times coarser the view must be at least, so that the image's own noise is averaged out; a view larger
            than the image is mirrored at its border.

    Returns:
        N x size x size; mirrored at the border where the image is smaller.
    """
    height, width = slices.shape[-2:]
    shorter = min(height, width)
    zoom = max(_reduction(float(torch.rand(1, generator=generator))) if shorter > size else 1.0, least)
    side = min(round(size * zoom), max(shorter if zoom <= USUAL_REDUCTION else 2 * shorter - 2, size, math.ceil(size * least)))
    side += side % 2
    top, left = (min(max(c - side // 2, 0), max(n - side, 0)) for c, n in zip(centre, (height, width), strict=True))
    region = slices[:, top : top + side, left : left + side]
    below, right = side - region.shape[-2], side - region.shape[-1]
    if below or right:
        mode = "reflect" if below < region.shape[-2] and right < region.shape[-1] else "replicate"
        region = functional.pad(region, (0, right, 0, below), mode=mode)
    return crop_kspace(region, size) if side > size else region


def _reduction(draw: float) -> float:
    """How many times coarser a view becomes, from a number in 0..1."""
    if draw >= COARSE:
        return 1 + (USUAL_REDUCTION - 1) * (draw - COARSE) / (1 - COARSE)
    return USUAL_REDUCTION * (LARGEST_REDUCTION / USUAL_REDUCTION) ** (draw / COARSE)


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
    """Another contrast: a random smooth bias field, then a monotone or, sometimes, an inverted remap of the intensities.

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


def random_lesions(slices: Tensor, generator: torch.Generator) -> Tensor:
    """A few small bright or dark ellipsoids inside the body, so that a network learns that small structures are real.

    Radii are from 1.3 to 7 pixels, contrast from 0.04 to 0.5 of P99.5, and edges about a pixel wide. Each has a slice of its
    own and reaches into the slices before and after or not, at random. Their number is that of up to six in every third slice.

    Args:
        slices: N x H x W with P99.5 about 1.
        generator: the source of the choice.
    """
    count, height, width = slices.shape
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    result = slices.clone()
    for _ in range(1 + int(torch.randint(2 * max(count, 3), (1,), generator=generator))):
        place, top, left, long, short, turn, strength, sign, before, after = torch.rand(10, generator=generator).tolist()
        a, b = (1.3 * (7 / 1.3) ** draw for draw in (long, short))
        dy, dx = y - top * height, x - left * width
        along = dy * math.cos(math.pi * turn) + dx * math.sin(math.pi * turn)
        across = dx * math.cos(math.pi * turn) - dy * math.sin(math.pi * turn)
        distance = ((along / a) ** 2 + (across / b) ** 2).sqrt()
        profile = torch.sigmoid((1 - distance) * 4 * min(a, b))
        contrast = 0.04 * (0.5 / 0.04) ** strength * (1 if sign < 0.5 else -1)
        middle = int(place * count)
        reached = slice(max(middle - (before < 0.5), 0), middle + 1 + (after < 0.5))
        result[reached] += contrast * profile * (slices[reached] / 0.1).clamp(0, 1)
    return result.clamp_min(0)


def random_reception(size: int, generator: torch.Generator) -> Tensor:
    """What a corrected surface coil's image was multiplied by: size x size, smooth, root mean square 1, at most about 10 : 1.

    An object divided by it, acquired, and multiplied back has noise that is strong far from the coil and faint near it.
    """
    strength, turn = torch.rand(2, generator=generator).tolist()
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    along = x * math.cos(2 * math.pi * turn) + y * math.sin(2 * math.pi * turn)
    logarithm = strength * (0.9 * along + 0.35 * random_field(size, 3, generator))
    profile = torch.exp((logarithm - logarithm.mean()).clamp(-1.15, 1.15))
    return profile / profile.square().mean().sqrt()


def random_field(size: int, knots: int, generator: torch.Generator) -> Tensor:
    """size x size: a smooth surface through knots x knots heights drawn from a standard normal distribution."""
    heights = torch.randn(1, 1, knots, knots, generator=generator)
    return functional.interpolate(heights, (size, size), mode="bicubic", align_corners=True)[0, 0]


def random_outline(clean: Tensor, generator: torch.Generator) -> Tensor:
    """The part of slices that is kept when their air is wiped.

    Args:
        clean: N x H x W with P99.5 about 1; H = W for a smooth outline.
        generator: the source of the choice.

    Returns:
        N x H x W, 1 where the image is kept and 0 where it becomes exactly zero.
    """
    kind, level, width = torch.rand(3, generator=generator).tolist()
    if kind < BY_THRESHOLD:
        reach = int(width * (WIDEST + 1))
        bright = (clean > LOWEST * (HIGHEST / LOWEST) ** level).float()
        return functional.max_pool2d(bright[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]
    field = random_field(clean.shape[-1], 4, generator)
    wiped = LEAST_WIPED + (MOST_WIPED - LEAST_WIPED) * level
    return (field > torch.quantile(field.flatten()[::7], wiped)).float().expand_as(clean)
