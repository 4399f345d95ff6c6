"""How much noise the diffusion state holds at each of its T steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """The forward process x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps.

    Args:
        alpha_bar: T float64 values, the cumulative product of 1 - beta, falling to 0 at t = T-1 (zero terminal SNR), so
            that the state there is pure noise and the denoiser's answer is the regression estimate.
    """

    alpha_bar: Tensor

    @classmethod
    def from_scheduler(cls, scheduler: DDIMScheduler) -> Schedule:
        """The table of a diffusers scheduler that predicts the clean sample.

        Raises:
            ValueError: the scheduler was configured for a network that predicts something else.
        """
        known: Any = scheduler  # diffusers sets these attributes dynamically
        if known.config.prediction_type != "sample":
            raise ValueError(f"the denoiser predicts the clean image, the schedule is for prediction_type={known.config.prediction_type!r}")
        return cls(known.alphas_cumprod.double())

    def __len__(self) -> int:
        return len(self.alpha_bar)

    def timesteps(self, steps: int, t_min: int = 0) -> list[int]:
        """A descending sub-grid ``round(linspace(T-1, t_min, steps))``; one step is [T-1].

        Raises:
            ValueError: ``steps`` is not within 1 ... T - t_min.
        """
        if not 1 <= steps <= len(self) - t_min:
            raise ValueError(f"steps must be within 1 and {len(self) - t_min}, got {steps}")
        return torch.linspace(len(self) - 1, t_min, steps, dtype=torch.float64).round().long().tolist()

    def amplitudes(self, timestep: int) -> tuple[float, float]:
        """(sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t)): how much of the image and of the noise the state holds."""
        alpha_bar = float(self.alpha_bar[timestep])
        return alpha_bar**0.5, (1 - alpha_bar) ** 0.5

    def add_noise(self, image: Tensor, noise: Tensor, timestep: int) -> Tensor:
        """x_t for one timestep; ``noise`` broadcasts over the batch."""
        signal, sigma = self.amplitudes(timestep)
        return signal * image + sigma * noise

    def step_back(self, state: Tensor, estimate: Tensor, timestep: int, earlier: int) -> tuple[Tensor, float]:
        """Mean and standard deviation of q(x_s | x_t, x_0), the ancestral step from t to an earlier s.

        sigma^2 = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s), and the mean keeps
        sqrt(1 - alpha_bar_s - sigma^2) of the noise in x_t (Ho et al. 2020, equation 7, for any sub-grid as in Song et
        al. 2021, eta = 1). At t = T-1, where the state holds no image, nothing of it is kept.

        Args:
            state: x_t.
            estimate: x_0.
            timestep: t.
            earlier: s < t.
        """
        signal, sigma = self.amplitudes(timestep)
        signal_then, sigma_then = self.amplitudes(earlier)
        spread = sigma_then / sigma * (1 - (signal / signal_then) ** 2) ** 0.5
        kept = max(sigma_then**2 - spread**2, 0.0) ** 0.5
        return signal_then * estimate + kept * (state - signal * estimate) / sigma, spread
