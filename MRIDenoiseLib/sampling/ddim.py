"""DDIM: one deterministic path from noise to a sample of the posterior."""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.interfaces import Callback, DenoiserNetwork, Limits, NoiseSource, centre
from MRIDenoiseLib.sampling.schedule import Schedule


@torch.no_grad()
def ddim(
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
    """Follow the probability flow from pure noise (Song, Meng and Ermon 2021, eta = 0).

    x_t' = sqrt(alpha_bar_t') x0 + sqrt(1 - alpha_bar_t') eps, with x0 the denoiser's estimate and eps the noise that
    it leaves. One step is the denoiser's estimate at t = T-1, the regression estimate.

    Args:
        denoiser: g_theta(x_t, measured, t, conditioning) -> x0.
        measured: B x N x H x W noisy slices with their neighbours.
        conditioning: text and numbers for the B slices.
        schedule: the forward process.
        noise: step number -> standard normal field; number 0 is the state at t = T-1, the only one that is drawn.
        steps: network calls.
        limits: lowest and highest estimate allowed.
        callback: called after every step.

    Returns:
        B x 1 x H x W sample.
    """
    grid = schedule.timesteps(steps)
    batch = measured.shape[0]
    state = noise(0).expand_as(centre(measured))
    estimate = state
    for i, t in enumerate(grid):
        timestep = torch.full((batch,), t, dtype=torch.long, device=measured.device)
        estimate = denoiser(state, measured, timestep, conditioning).clamp(*limits)
        if callback:
            callback({"i": i, "steps": steps, "t": t, "x": state, "denoised": estimate})
        if i + 1 < steps:
            signal, sigma = schedule.amplitudes(t)
            state = schedule.add_noise(estimate, (state - signal * estimate) / sigma, grid[i + 1])
    return estimate
