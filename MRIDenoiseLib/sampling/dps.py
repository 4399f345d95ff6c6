"""DPS: ancestral sampling that is pulled towards the measurement through the denoiser's own gradient.

``blind_dps`` is what the paper calls BlindDPS: DPS with the learned degradation network as the operator.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.interfaces import Callback, DenoiserNetwork, ImageNetwork, Limits, NoiseSource, centre, undegraded
from MRIDenoiseLib.sampling.schedule import Schedule


@torch.no_grad()
def dps(
    denoiser: DenoiserNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    *,
    noise: NoiseSource,
    steps: int = 10,
    guidance: float = 1.0,
    conditional: bool = True,
    degradation: ImageNetwork = undegraded,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """x_s ~ q(x_s | x_t, x0) - zeta * gradient of ||y - f(x0(x_t))|| with respect to x_t (Chung et al. 2023, algorithm 1).

    The norm is not squared, and it is taken of each image: over a whole batch, as in the published code, a slice would depend
    on the others in the batch. At t = T-1 the state holds no image; the step back starts from x0 alone, so nothing is divided by
    the missing signal. The last step, at t = 0, takes x0 itself.

    A step moves an image of N pixels by at most zeta * ||J||, so a pixel by about zeta / sqrt(N): the published zeta of 0.3 to 1
    is meant for a thousand steps of 256 x 256 pixels; with fewer steps zeta must be larger in proportion. The pull does not
    become smaller near the measurement, so a zeta that is too large overshoots it.

    Args:
        denoiser: g_theta(x_t, measured, t, conditioning) -> x0; differentiated with respect to x_t, but not to its weights.
        measured: B x N x H x W noisy slices with their neighbours.
        conditioning: text and numbers for the B slices.
        schedule: the forward process.
        noise: step number -> standard normal field; number 0 is the state at t = T-1.
        steps: network calls, each with its backward pass.
        guidance: zeta >= 0; 0 is :func:`.ddpm.ddpm`.
        conditional: whether the denoiser sees the measurement. The published method takes an unconditional prior (False), so
            that the measurement counts only once.
        degradation: f, clean to noisy; None for plain denoising.
        limits: lowest and highest estimate allowed; an estimate beyond them has no gradient.
        callback: called after every step.

    Returns:
        B x 1 x H x W sample.
    """
    grid = schedule.timesteps(steps)
    target = centre(measured)
    state = noise(0).expand_as(target)
    for i, t in enumerate(grid):
        timestep = torch.full((len(target),), t, dtype=torch.long, device=target.device)
        with torch.enable_grad():
            leaf = state.detach().requires_grad_(True)
            estimate = denoiser(leaf, measured if conditional else None, timestep, conditioning).clamp(*limits)
            distances = (target - degradation(estimate, conditioning)).flatten(1).norm(dim=1)
            (pull,) = torch.autograd.grad(distances.sum(), leaf)
        estimate = estimate.detach()
        if callback:
            callback({"i": i, "steps": steps, "t": t, "x": state, "denoised": estimate})
        if i + 1 < steps:
            mean, spread = schedule.step_back(state, estimate, t, grid[i + 1])
            state = mean + spread * noise(i + 1)
        else:
            state = estimate
        state = state - guidance * pull
    return state.clamp(*limits)


def blind_dps(
    denoiser: DenoiserNetwork,
    degradation: ImageNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    **options: Any,
) -> Tensor:
    """:func:`.dps.dps` with ||y - f_phi(x0(x_t))||, as Shao et al. (npj Digit. Med. 2026) compare with.

    BlindDPS itself (Chung et al. 2023) runs two diffusions: one over the image and one over the operator's parameters, a blur
    kernel with a prior of its own. Here f_phi is a network that was trained before and does not change, so the second half of
    the method is not needed.

    Args:
        degradation: f_phi(clean, conditioning) -> noisy; differentiated with respect to its input.
        denoiser, measured, conditioning, schedule: as for ``dps``.
        options: its other keywords: ``noise``, ``steps``, ``guidance`` and so on.

    Returns:
        B x 1 x H x W sample.
    """
    return dps(denoiser, measured, conditioning, schedule, degradation=degradation, **options)
