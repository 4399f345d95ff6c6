"""DDPM: the ancestral path from noise to a sample of the posterior, with fresh noise in every step."""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.interfaces import Callback, DenoiserNetwork, Limits, NoiseSource, centre
from MRIDenoiseLib.sampling.schedule import Schedule


@torch.no_grad()
def ddpm(
    denoiser: DenoiserNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    *,
    noise: NoiseSource,
    steps: int = 10,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """Draw x_s from q(x_s | x_t, x0) with the denoiser's estimate as x0, step by step (Ho, Jain and Abbeel 2020).

    The counterpart of :func:`.ddim.ddim` with eta = 1. With few steps it forgets too much in each of them, so the result is nearer
    to the posterior mean than a sample should be.

    Args:
        denoiser: g_theta(x_t, measured, t, conditioning) -> x0.
        measured: B x N x H x W noisy slices with their neighbours.
        conditioning: text and numbers for the B slices.
        schedule: the forward process.
        noise: step number -> standard normal field; number 0 is the state at t = T-1.
        steps: network calls; one is the denoiser's estimate at t = T-1, the regression estimate.
        limits: lowest and highest estimate allowed.
        callback: called after every step.

    Returns:
        B x 1 x H x W sample.
    """
    grid = schedule.timesteps(steps)
    state = noise(0).expand_as(centre(measured))
    estimate = state
    for i, t in enumerate(grid):
        timestep = torch.full((len(measured),), t, dtype=torch.long, device=measured.device)
        estimate = denoiser(state, measured, timestep, conditioning).clamp(*limits)
        if callback:
            callback({"i": i, "steps": steps, "t": t, "x": state, "denoised": estimate})
        if i + 1 < steps:
            mean, spread = schedule.step_back(state, estimate, t, grid[i + 1])
            state = mean + spread * noise(i + 1)
    return estimate
