"""What a sampler must give in the Gaussian world, without drawing anything.

There every sampler is linear: in each Fourier mode its variable is ``gain * y`` plus ``past`` times white noise that knows
nothing of image and measurement. A step changes these two numbers a mode, and the error follows from them. The
one thing that is not linear, the norm in DPS, is the same for every image up to one over the root of the number of pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mode:
    """gain * y + past * noise in every Fourier mode, noise being all draws before this step, joined into one of variance 1.

    Two such values of one step hold the same noise up to their factors, so they may be added.
    """

    gain: Tensor
    past: Tensor

    def __add__(self, other: Mode) -> Mode:
        return Mode(self.gain + other.gain, self.past + other.past)

    def times(self, factor: Tensor | float) -> Mode:
        return Mode(self.gain * factor, self.past * factor)

    def with_fresh(self, deviation: float) -> Mode:
        """A new independent draw of this standard deviation joins the old one."""
        return Mode(self.gain, torch.sqrt(self.past**2 + deviation**2))


def measurement(world) -> Mode:
    return Mode(torch.ones_like(world.power), torch.zeros_like(world.power))


def psnr_of(world, mode: Mode) -> float:
    """10 log10(4 / E|x' - x|^2) with y = x + n: (gain - 1)^2 P + gain^2 sigma^2 + noise."""
    error = (mode.gain - 1) ** 2 * world.power + mode.gain**2 * world.sigma**2 + mode.past**2
    return 10 * math.log10(4 / float(error.mean()))


def expected_ddpm(world, steps: int) -> float:
    return expected_dps(world, steps, guidance=0.0)


def expected_dps(world, steps: int, guidance: float, *, conditional: bool = True, blur: Tensor | float = 1.0) -> float:
    """Ancestral steps less zeta J'f'(f x0 - y) / ||f x0 - y||; ``blur`` is the degradation's transfer function."""
    grid = world.schedule.timesteps(steps)
    y = measurement(world)
    zero = torch.zeros_like(world.power)
    state = Mode(zero, zero + 1.0)
    for i, t in enumerate(grid):
        of_state, of_measured = world.weights(t, conditional)
        estimate = state.times(of_state) + (y.times(of_measured) if conditional else y.times(0.0))
        residual = estimate.times(blur) + y.times(-1.0)
        # E||r||^2 over the modes: E|y|^2 = P + sigma^2.
        distance = math.sqrt(float((residual.gain**2 * (world.power + world.sigma**2) + residual.past**2).sum()))
        pull = residual.times(of_state * blur / distance)
        if i + 1 == len(grid):
            return psnr_of(world, estimate + pull.times(-guidance))
        before, after = (float(world.schedule.alpha_bar[k]) for k in (t, grid[i + 1]))
        spread = math.sqrt((1 - after) / (1 - before) * (1 - before / after))
        kept = math.sqrt(max(1 - after - spread**2, 0.0)) / math.sqrt(1 - before)
        mean = estimate.times(math.sqrt(after) - kept * math.sqrt(before)) + state.times(kept)
        state = (mean + pull.times(-guidance)).with_fresh(spread)
    raise AssertionError("a grid has at least one step")


def expected_red_diff(world, steps: int, fidelity: float, prior_weight: float, t_min: int) -> float:
    """mu less (w_f (mu - y) + w_r (mu - x0)) / (w_f + w_r), x0 from mu in fresh noise."""
    y = measurement(world)
    mu = y
    for t in world.schedule.timesteps(steps, t_min):
        of_state, of_measured = world.weights(t)
        signal, sigma = world.schedule.amplitudes(t)
        kept = mu.times(of_state * signal * prior_weight) + y.times(of_measured * prior_weight + fidelity)
        fresh = of_state * sigma * prior_weight
        mu = Mode(kept.gain, torch.sqrt(kept.past**2 + fresh**2)).times(1 / (fidelity + prior_weight))
    return psnr_of(world, mu)
