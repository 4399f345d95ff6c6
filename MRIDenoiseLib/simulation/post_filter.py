"""What a scanner does to the magnitude image before it is stored: unwarping, sharpening or smoothing, rounding."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel

FULL_SCALE = 3.0
"""The largest stored integer stands for this multiple of P99.5; real volumes reach 2.9."""


def post_filter(image: Tensor, model: AcquisitionModel) -> Tensor:
    """The vendor's filter of ``model`` on a magnitude image (Z, H, W); never below zero.

    The filters that keep edges use the noise's strength to separate edges from noise: without noise they change nothing.
    """
    share = model.post_filter_strength
    if model.post_filter == "unsharp":
        return (image + share * (image - gaussian_blur(image, model.post_filter_sigma))).clamp_min(0)
    if model.post_filter == "median":
        return torch.lerp(image, median3(image), share)
    if model.post_filter == "bilateral" and model.image_sigma > 0:
        return torch.lerp(image, bilateral(image, model.image_sigma), share)
    if model.post_filter == "diffusion" and model.image_sigma > 0:
        return torch.lerp(image, diffused(image, model.image_sigma), share)
    return image


def quantise(image: Tensor, bits: int) -> Tensor:
    """Round to the integers a file would hold: 2^bits - 1 steps from 0 to :data:`FULL_SCALE`. Brighter values are not clipped."""
    steps = (2**bits - 1) / FULL_SCALE
    return torch.round(image * steps) / steps


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """In-plane Gaussian blur of (Z, H, W), ``sigma`` in pixels, edges repeated."""
    radius = max(1, math.ceil(3 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-at.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    x = F.pad(image.unsqueeze(1), (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(x, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1)).squeeze(1)


def median3(image: Tensor) -> Tensor:
    """In-plane 3 x 3 median of (Z, H, W), edges repeated."""
    x = F.pad(image.unsqueeze(1), (1, 1, 1, 1), mode="replicate").squeeze(1)
    low, middle, high = _sorted3(x[:, :-2], x[:, 1:-1], x[:, 2:])
    # with the columns sorted, the median of nine is the median of the largest low, the middle middle and the smallest high
    largest = torch.maximum(torch.maximum(low[..., :-2], low[..., 1:-1]), low[..., 2:])
    smallest = torch.minimum(torch.minimum(high[..., :-2], high[..., 1:-1]), high[..., 2:])
    return _sorted3(largest, _sorted3(middle[..., :-2], middle[..., 1:-1], middle[..., 2:])[1], smallest)[1]


def _sorted3(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The smallest, the middle and the largest of three, element by element; many times faster than sorting along an axis."""
    small, large = torch.minimum(a, b), torch.maximum(a, b)
    return torch.minimum(small, c), torch.maximum(small, torch.minimum(large, c)), torch.maximum(large, c)


def bilateral(image: Tensor, sigma: float) -> Tensor:
    """In-plane bilateral filter (Tomasi 1998) of (Z, H, W) over a disc of 13 pixels, edges repeated.

    The weights fall as a Gaussian of one pixel with the distance and as one of 2 ``sigma`` with the difference in brightness.
    """
    height, width = image.shape[-2:]
    x = F.pad(image.unsqueeze(1), (2, 2, 2, 2), mode="replicate").squeeze(1)
    total, weights = torch.zeros_like(image), torch.zeros_like(image)
    for dy, dx in itertools.product(range(-2, 3), repeat=2):
        distance2 = dy**2 + dx**2
        if distance2 <= 4:
            shifted = x[:, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]
            weight = torch.exp(-0.5 * distance2 - 0.5 * ((shifted - image) / (2 * sigma)).square())
            total += weight * shifted
            weights += weight
    return total / weights


def diffused(image: Tensor, sigma: float, steps: int = 3) -> Tensor:
    """A few explicit Perona-Malik steps (1990, eq. 8) with edge scale 2 ``sigma``: grain in flat tissue is removed, edges stay."""
    for _ in range(steps):
        x = F.pad(image.unsqueeze(1), (1, 1, 1, 1), mode="replicate").squeeze(1)
        flux = torch.zeros_like(image)
        for shifted in (x[:, :-2, 1:-1], x[:, 2:, 1:-1], x[:, 1:-1, :-2], x[:, 1:-1, 2:]):
            difference = shifted - image
            flux += difference * torch.exp(-(difference / (2 * sigma)).square())
        image = image + 0.2 * flux
    return image


def warp(image: Tensor, wave: Tensor, size: float, direction: int) -> Tensor:
    """The image displaced smoothly by at most ``size`` pixels, or (direction -1) that displacement undone.

    Args:
        image: (Z, H, W) float32.
        wave: 2 x 3 float32, for the displacement along x and along y a phase and two frequencies (waves per field of view).
        size: largest displacement in pixels.
        direction: 1 samples at r + d(r) (cubic), -1 at its inverse, two fixed-point steps (linear, as scanners do: it blurs).
    """
    depth, height, width = image.shape
    pixel = torch.tensor([2 / (width - 1), 2 / (height - 1)], device=image.device)
    rows, columns = (torch.linspace(-1, 1, n, device=image.device) for n in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    here = torch.stack([x, y], dim=-1)
    wave = wave.to(image.device)

    def displacement(at: Tensor) -> Tensor:
        angle = math.pi * (at[..., None, 0] * wave[:, 1] + at[..., None, 1] * wave[:, 2]) + wave[:, 0]
        return size * pixel * angle.sin()

    if direction > 0:
        grid = here + displacement(here)
    else:
        grid = here
        for _ in range(3):
            grid = here - displacement(grid)
    mode = "bicubic" if direction > 0 else "bilinear"
    sampled = F.grid_sample(image.unsqueeze(0), grid.unsqueeze(0).to(image.dtype), mode=mode, padding_mode="border", align_corners=True)
    return sampled.squeeze(0).clamp_min(0).view(depth, height, width)
