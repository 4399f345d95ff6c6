"""Fidelity-guided inference: RED-diff with a learned degradation network as its likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.methods import FIDELITY_OF_MODE, T_MIN, Mode
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.interfaces import Callback, DenoiserNetwork, ImageNetwork, Limits, NoiseSource, centre
from MRIDenoiseLib.sampling.schedule import Schedule

PRIOR_WEIGHT = {"tuned": 1.0, "paper": 0.25}
"""Weight of the denoiser's pull. 0.25 is the paper's lambda_3 and RED-diff's own default."""


@torch.no_grad()
def fidelity_guided(
    denoiser: DenoiserNetwork,
    degradation: ImageNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    *,
    noise: NoiseSource,
    steps: int = 10,
    fidelity: float | None = None,
    mode: Mode = "tuned",
    prior_weight: float | None = None,
    learning_rate: float = 0.1,
    t_min: int | None = None,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """Minimise ||f_phi(mu) - y||^2 + w_r * (RED prior of the denoiser), one optimiser step per timestep.

    At each t of a descending grid, x_t = sqrt(alpha_bar) mu + sqrt(1 - alpha_bar) eps, x0 = g_theta(x_t, y, t, c), and
    the gradient is w_f J_phi(mu)^T (f_phi(mu) - y) + w_r (mu - x0): equations 7 to 9 of Shao, Huang, Zhang et al.
    (npj Digit. Med. 2026) with RED-diff's (Mardani et al. 2023) ``linear`` weighting. Only f_phi is differentiated, and
    only with respect to mu.

    ``tuned`` steps by 1 / (w_f + w_r), a convex average of both pulls that cannot diverge. ``paper`` takes RED-diff's
    Adam(0.1, betas 0.9 and 0.99), which moves every pixel by about 0.1 per step whatever the gradient's size.

    Args:
        denoiser: g_theta(x_t, measured, t, conditioning) -> x0; never differentiated.
        degradation: f_phi(clean, conditioning) -> noisy.
        measured: B x N x H x W noisy slices with their neighbours; the iteration starts from the slice itself.
        conditioning: text and numbers for the B slices.
        schedule: the forward process.
        noise: step number -> standard normal field.
        steps: optimiser steps; one with ``fidelity`` 0 is exactly the denoiser's estimate at t = T-1.
        fidelity: w_f, >= 0; 0 never calls ``degradation``. None takes the mode's own.
        mode: ``tuned`` or ``paper``.
        prior_weight: w_r, > 0. None takes the mode's own.
        learning_rate: Adam's, for ``paper``.
        t_min: last timestep. None takes the mode's own.
        limits: lowest and highest value of x0 and of the result.
        callback: called after every step.

    Returns:
        B x 1 x H x W, the final mu.
    """
    w_f = FIDELITY_OF_MODE[mode] if fidelity is None else fidelity
    w_r = PRIOR_WEIGHT[mode] if prior_weight is None else prior_weight
    target = centre(measured)
    mu = target.clone()
    adam = torch.optim.Adam([mu], lr=learning_rate, betas=(0.9, 0.99)) if mode == "paper" else None

    for i, t in enumerate(schedule.timesteps(steps, T_MIN[mode] if t_min is None else t_min)):
        state = schedule.add_noise(mu, noise(i), t)
        timestep = torch.full((len(mu),), t, dtype=torch.long, device=mu.device)
        estimate = denoiser(state, measured, timestep, conditioning).clamp(*limits)
        gradient = w_r * (mu - estimate)
        if w_f > 0:
            gradient += w_f * fidelity_gradient(degradation, mu, target, conditioning)
        if adam:
            mu.grad = gradient
            adam.step()
        else:
            mu -= gradient / (w_f + w_r)
        if callback:
            callback({"i": i, "steps": steps, "t": t, "x": mu.clone(), "denoised": estimate})
    return mu.clamp(*limits)


def fidelity_gradient(degradation: ImageNetwork, mu: Tensor, target: Tensor, conditioning: Conditioning | None) -> Tensor:
    """J_phi(mu)^T (f_phi(mu) - y), half the gradient of the squared residual; no graph is kept after the call."""
    with torch.enable_grad():
        leaf = mu.detach().requires_grad_(True)
        residual = degradation(leaf, conditioning) - target
        return torch.autograd.grad(residual, leaf, grad_outputs=residual.detach())[0]
