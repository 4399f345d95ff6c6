"""Random numbers for the simulated acquisitions, all from a generator that the caller passes."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor


def normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    """Float32 normal numbers of unit variance on ``device``, drawn where the generator lives.

    A CPU generator therefore gives the same noise on every device; a CUDA generator saves the copy to the GPU.
    """
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def complex_normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    """Complex64 normal numbers with unit variance in each of the real and imaginary parts, as :func:`normal`."""
    return torch.view_as_complex(normal((*shape, 2), generator, device))


def seeded_generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """A CPU generator of its own for each purpose and slice, so that a slice's noise depends on nothing else."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed} {purpose} {index}".encode()))
