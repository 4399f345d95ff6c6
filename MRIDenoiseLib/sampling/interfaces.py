"""What a sampler needs from the outside: plain callables, so that a network, an oracle or a test can provide them.

Among them the noise: one field per (seed, index), the same for every slice of a volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.models.conditioning import Conditioning

NoiseSource = Callable[[int], Tensor]
"""Index of a step or sample -> 1 x 1 x H x W standard normal field, the same for every slice of a volume."""

Callback = Callable[[dict[str, Any]], None]
"""Called after every step with ``{'i', 'steps', 't', 'x', 'denoised'}``: for progress and preview; it cancels by raising.

``x`` is the sampler's own variable, B x 1 x H x W: the diffusion state at the start of the step, or the current image of an
optimiser. ``denoised`` is the denoiser's estimate of the clean image in that step: how it changes from step to step is the
evolution of the estimate. Neither belongs to a graph, and no later step changes them.
"""

Limits = tuple[float, float]
"""Lowest and highest value an estimate of the clean image may take, in network units."""


class DenoiserNetwork(Protocol):
    """g_theta, the conditional diffusion denoiser."""

    def __call__(self, state: Tensor, measured: Tensor | None, timestep: Tensor, conditioning: Conditioning | None) -> Tensor:
        """x_t B x 1 x H x W, y B x N x H x W (None: dropped), t B -> estimate of the clean image, B x 1 x H x W."""
        ...


def informed(denoiser: Callable[..., Tensor], mean: Tensor) -> DenoiserNetwork:
    """Wraps a denoiser that starts from the regression network's answer, so that samplers can call it like any other.

    Args:
        denoiser: g_theta(x_t, measured, t, conditioning, mean) -> x0.
        mean: B x 1 x H x W, the answer to the slices that it will be called for; not used where there is no measurement.
    """

    def network(state: Tensor, measured: Tensor | None, timestep: Tensor, conditioning: Conditioning | None) -> Tensor:
        return denoiser(state, measured, timestep, conditioning, None if measured is None else mean)

    return network


class ImageNetwork(Protocol):
    """f_phi (clean to noisy) or f_psi (noisy to clean)."""

    def __call__(self, image: Tensor, conditioning: Conditioning | None) -> Tensor:
        """Image B x N x H x W -> image B x 1 x H x W."""
        ...


class VelocityNetwork(Protocol):
    """v, the rectified flow from the posterior mean to clean images."""

    def __call__(self, state: Tensor, mean: Tensor, measured: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """z_t, m and y B x 1 x H x W, t B (0..1) -> dz/dt, B x 1 x H x W."""
        ...


def centre(measured: Tensor) -> Tensor:
    """B x N x H x W stack of neighbouring slices -> B x 1 x H x W, the slice itself."""
    middle = measured.shape[1] // 2
    return measured[:, middle : middle + 1]


def undegraded(image: Tensor, conditioning: Conditioning | None) -> Tensor:
    """The degradation of plain denoising, y = x + noise: the image itself."""
    return image


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
