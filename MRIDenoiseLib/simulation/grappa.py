"""GRAPPA: each missing k-space line as a weighted sum of the acquired ones around it, coil by coil.

Griswold et al. 2002 (doi 10.1002/mrm.10171), with a kernel of 5 readout points x 4 acquired lines x all coils. The
weights are learned from central lines that were acquired in full, by least squares with a Tikhonov term. Sampling
patterns are those of :mod:`MRIDenoiseLib.simulation.sense`: the first ``kept`` of every ``period`` lines, counted from the
zero frequency in ``torch.fft`` order, so that the neighbours of a line wrap around as the rows of the array do.
"""

from __future__ import annotations

import torch
from torch import Tensor

READOUT_POINTS = 5
LINES = 4
RIDGE = 1e-4
"""Tikhonov weight relative to the mean diagonal of the normal matrix."""


def source_lines(period: int, kept: int) -> dict[int, tuple[int, ...]]:
    """For every missing line of a period the offsets of the acquired lines that it is computed from, half before it and half after.

    For example ``source_lines(2, 1)`` is ``{1: (-3, -1, 1, 3)}``.
    """
    acquired = [cycle * period + line for cycle in range(-LINES, LINES + 1) for line in range(kept)]
    half = LINES // 2
    return {
        line: (*[a - line for a in acquired if a < line][-half:], *[a - line for a in acquired if a > line][:half])
        for line in range(kept, period)
    }


def calibrate(reference: Tensor, period: int, kept: int) -> Tensor:
    """The weights, learned from fully acquired lines.

    Args:
        reference: (Z, C, L, N) complex64, neighbouring lines of k-space (L) and neighbouring readout points in them (N),
            both in the order of frequency, with the zero frequency inside.
        period: of the sampling pattern.
        kept: lines acquired of each period.

    Returns:
        (Z, period - kept, 5 * 4 * C, C) complex64: for each missing line what each source (readout point, line, coil) adds to
        each coil.

    Raises:
        ValueError: when there are fewer lines than the kernel reaches over.
    """
    reach = READOUT_POINTS // 2
    lines, columns = reference.shape[-2:]
    weights = []
    for offsets in source_lines(period, kept).values():
        if lines <= offsets[-1] - offsets[0] or columns < READOUT_POINTS:
            raise ValueError(f"{lines} x {columns} reference samples are too few for GRAPPA with {kept} of {period} lines acquired")
        targets = torch.arange(-offsets[0], lines - offsets[-1], device=reference.device)
        seen = _source_lines_of(reference, targets, offsets)
        # (Z, 5, 4 C, targets, columns - 4): the readout must not wrap around, as the reference is a part of k-space
        shifted = torch.stack([seen[..., step : columns - 2 * reach + step] for step in range(READOUT_POINTS)], dim=1)
        sources = shifted.flatten(3).flatten(1, 2)
        normal = sources.conj() @ sources.mT
        size = normal.shape[-1]
        ridge = RIDGE / size * normal.diagonal(dim1=-2, dim2=-1).real.sum(-1).view(-1, 1, 1)
        right_side = sources.conj() @ reference[:, :, targets, reach : columns - reach].flatten(2).mT
        weights.append(torch.linalg.solve(normal + ridge * torch.eye(size, device=normal.device), right_side))
    return torch.stack(weights, dim=1)


def fill(kspace: Tensor, weights: Tensor, period: int, kept: int) -> Tensor:
    """K-space with its missing lines filled in; their earlier values are ignored.

    Args:
        kspace: (Z, C, H, W) complex64 in ``torch.fft`` order, H a multiple of the period.
        weights: see :func:`calibrate`; Z or 1.
        period: of the sampling pattern.
        kept: lines acquired of each period.
    """
    filled = kspace.clone()
    coils = kspace.shape[1]
    for at, (line, offsets) in enumerate(source_lines(period, kept).items()):
        targets = torch.arange(line, kspace.shape[-2], period, device=kspace.device)
        seen = _source_lines_of(kspace, targets, offsets)
        # first each readout point's share of all coils at once; then the shifted shares are added, which is the convolution
        by_point = weights[:, at].unflatten(1, (READOUT_POINTS, -1)).mT.flatten(1, 2)
        shares = (by_point @ seen.flatten(2)).unflatten(1, (READOUT_POINTS, coils)).unflatten(3, seen.shape[2:])
        reach = READOUT_POINTS // 2
        filled[:, :, line::period] = sum(shares[:, step].roll(reach - step, -1) for step in range(READOUT_POINTS))
    return filled


def _source_lines_of(kspace: Tensor, targets: Tensor, offsets: tuple[int, ...]) -> Tensor:
    """(Z, 4 C, targets, W): the acquired lines that the kernel sees from each target line."""
    lines = torch.stack([kspace[:, :, (targets + offset) % kspace.shape[-2]] for offset in offsets], dim=1)
    return lines.flatten(1, 2)
