"""Parallel imaging: how undersampling folds pixels together, and how SENSE unfolds them, with its exact noise.

A sampling pattern keeps ``kept`` of every ``period`` phase-encoded lines (2 of 3 for a reduction of 1.5). Its point
spread links each pixel with the ``period`` pixels H/period apart and no others, so the SENSE normal matrix
G = E^H Psi^-1 E (Pruessmann 1999, eq. 16-22) falls apart in small blocks, period x period, that are solved exactly:

    G_pq = K(p - q) * conj(S_p) . S_q,        K(d) = 1/period * sum_{j < kept} exp(2 pi i j d / period)

The image then has noise covariance sigma^2 G^-1. Sensitivities here are prewhitened (Psi = 1). Rows are phase encoded.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor


def sampling_pattern(reduction: float) -> tuple[int, int]:
    """(period, kept): the shortest periodic pattern with this reduction, for example 1.5 -> (3, 2).

    Raises:
        ValueError: for reductions outside 1..6 or not a ratio of small integers.
    """
    ratio = Fraction(reduction).limit_denominator(4)
    if not 1 <= ratio <= 6 or abs(float(ratio) - reduction) > 1e-3:
        raise ValueError(f"reduction must be between 1 and 6 and a ratio such as 1.5 or 2, got {reduction}")
    return ratio.numerator, ratio.denominator


def divisible(height: int, reduction: float) -> int:
    """The number of lines to encode: the field of view grows by a line or two so that lines fold in whole groups."""
    period, _ = sampling_pattern(reduction)
    return -(-height // period) * period


def point_spread(period: int, kept: int) -> Tensor:
    """K as a period x period complex64 matrix: K[p, q] = K(p - q)."""
    index = torch.arange(period, dtype=torch.float32)
    lag = index.view(-1, 1) - index.view(1, -1)
    line = torch.arange(kept, dtype=torch.float32).view(-1, 1, 1)
    turns = 2 * math.pi * line * lag / period
    return torch.polar(torch.ones_like(turns), turns).sum(0) / period


def grouped(image: Tensor, period: int) -> Tensor:
    """(..., H, W) -> (..., H/period * W, period): pixels that fold onto each other, side by side. H must be divisible."""
    *lead, height, width = image.shape
    blocks = image.reshape(*lead, period, height // period, width)
    return blocks.movedim(-3, -1).reshape(*lead, -1, period)


def ungrouped(groups: Tensor, height: int, width: int) -> Tensor:
    """Inverse of :func:`grouped`."""
    *lead, _, period = groups.shape
    return groups.reshape(*lead, height // period, width, period).movedim(-1, -3).reshape(*lead, height, width)


def normal_matrix(sensitivities: Tensor, period: int, kept: int) -> Tensor:
    """G: (Z, H/period * W, period, period) complex64 from prewhitened sensitivities (Z, C, H, W)."""
    s = grouped(sensitivities, period).permute(0, 2, 3, 1)
    return (s.conj() @ s.transpose(-1, -2)) * point_spread(period, kept).to(s.device)


def strength(coil_images: Tensor) -> Tensor:
    """(Z, H, W) float32: sqrt(sum_c |a_c|^2) of (Z, C, H, W)."""
    return torch.view_as_real(coil_images).square().sum(dim=1).sum(dim=-1).sqrt()


def noise_std(sensitivities: Tensor, reduction: float) -> Tensor:
    """(Z, H, W) float32: standard deviation of the image noise per real or imaginary part, for coil noise of 1.

    It is sqrt([G^-1]_ii) = g sqrt(R) / sqrt(S^H Psi^-1 S).
    """
    period, kept = sampling_pattern(reduction)
    height, width = sensitivities.shape[-2:]
    if period == 1:
        return strength(sensitivities).reciprocal()
    variance = torch.linalg.inv(normal_matrix(sensitivities, period, kept)).diagonal(dim1=-2, dim2=-1).real
    return ungrouped(variance.clamp_min(0).sqrt(), height, width)


def fold(coil_images: Tensor, reduction: float) -> Tensor:
    """The zero-filled image of undersampled k-space, (Z, C, H, W) -> (Z, C, H, W), without going to k-space and back."""
    period, kept = sampling_pattern(reduction)
    if period == 1:
        return coil_images
    height, width = coil_images.shape[-2:]
    folded = grouped(coil_images, period) @ point_spread(period, kept).T.to(coil_images.device)
    return ungrouped(folded, height, width)


def unfold(folded: Tensor, sensitivities: Tensor, reduction: float, ridge: float = 0.0) -> Tensor:
    """SENSE: G^-1 S^H Psi^-1 a, complex image (Z, H, W) from :func:`fold`'s coil images.

    Args:
        folded: (Z, C, H, W) complex64, prewhitened.
        sensitivities: (1 or Z, C, H, W) complex64, prewhitened.
        reduction: the reduction they were folded with.
        ridge: Tikhonov weight relative to the mean diagonal of G; for sensitivities that are themselves noisy.
    """
    period, kept = sampling_pattern(reduction)
    height, width = folded.shape[-2:]
    matched = (sensitivities.conj() * folded).sum(dim=1)
    if period == 1:
        return matched / strength(sensitivities).square()
    matrix = normal_matrix(sensitivities, period, kept)
    if ridge > 0:
        mean = matrix.diagonal(dim1=-2, dim2=-1).real.mean(dim=(-1, -2), keepdim=True).unsqueeze(-1)
        matrix = matrix + ridge * mean * torch.eye(period, device=matrix.device)
    solved = torch.linalg.solve(matrix, grouped(matched, period).unsqueeze(-1)).squeeze(-1)
    return ungrouped(solved, height, width)


def image_noise(sensitivities: Tensor, reduction: float, white: Tensor) -> Tensor:
    """Noise with exactly the covariance that SENSE gives, G^-1, without simulating each coil.

    With known sensitivities SENSE returns the object itself plus noise of covariance sigma^2 G^-1; with G = L L^H that
    noise is L^-H w. This is the fast way of drawing it; :func:`fold` and :func:`unfold` are the long way.

    Args:
        sensitivities: (1 or Z, C, H, W) complex64, prewhitened.
        reduction: the parallel-imaging reduction.
        white: (Z, H, W) complex64 white noise of unit variance per real and imaginary part.
    """
    period, kept = sampling_pattern(reduction)
    if period == 1:
        return white * noise_std(sensitivities, reduction)
    height, width = white.shape[-2:]
    lower = torch.linalg.cholesky(normal_matrix(sensitivities, period, kept))
    w = grouped(white, period).unsqueeze(-1)
    return ungrouped(torch.linalg.solve_triangular(lower.mH, w, upper=True).squeeze(-1), height, width)
