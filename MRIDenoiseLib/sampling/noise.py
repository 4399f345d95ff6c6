"""One noise field per (seed, index), the same for every slice of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class SharedNoise:
    """Standard normal fields that depend only on seed and index.

    All slices share a field. So batches and ``--slices`` change nothing, and there is no flicker from slice to slice. Fields
    are drawn on the CPU so that every device gets the same ones.

    Args:
        shape: (H, W) of a field.
        seed: the user's seed, >= 0.
        device: where the fields are needed.
        margins: columns before and after, rows before and after, that are added to a field; they repeat its opposite side.
    """

    shape: tuple[int, int]
    seed: int
    device: torch.device
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __call__(self, index: int) -> Tensor:
        """Field number ``index``, 1 x 1 x H x W float32, with its margins."""
        word = int(np.random.SeedSequence([self.seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))
        generator = torch.Generator().manual_seed(word)
        field = torch.randn(1, 1, *self.shape, generator=generator).to(self.device)
        return functional.pad(field, self.margins, mode="circular") if any(self.margins) else field
