"""Wiped air: vendors' masks, stripped skulls and defaced heads leave exact zeros where a scanner would have left noise.

A network that never saw such images takes the zeros for tissue without noise and leaves the noise beside them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.simulation.augment import random_field

BY_THRESHOLD = 0.6
"""How often the outline is that of what is bright; otherwise it is any smooth one, which cuts through tissue as stripping does."""
LOWEST, HIGHEST = 0.03, 0.15
"""Of P99.5: thresholds of the outlines."""
WIDEST = 4
"""Pixels by which an outline is grown at most."""
LEAST_WIPED, MOST_WIPED = 0.15, 0.5
"""Part of a view that a smooth outline leaves outside."""


def random_outline(clean: Tensor, generator: torch.Generator) -> Tensor:
    """What is kept of slices whose air is wiped.

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
