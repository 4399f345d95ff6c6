"""RED-diff: fidelity guidance without a learned degradation, the published method for plain denoising."""

from __future__ import annotations

from torch import Tensor

from MRIDenoiseLib.methods import Mode
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.fidelity_guided import fidelity_guided
from MRIDenoiseLib.sampling.interfaces import Callback, DenoiserNetwork, Limits, NoiseSource, undegraded
from MRIDenoiseLib.sampling.schedule import Schedule


def red_diff(
    denoiser: DenoiserNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    *,
    noise: NoiseSource,
    steps: int = 10,
    fidelity: float | None = None,
    mode: Mode = "paper",
    prior_weight: float | None = None,
    learning_rate: float = 0.1,
    t_min: int | None = None,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """Minimise ||mu - y||^2 / 2 + lambda * (RED prior of the denoiser), one optimiser step a timestep (Mardani et al. 2023).

    This is :func:`.fidelity_guided.fidelity_guided` with f(mu) = mu. ``paper`` has the optimiser and the weights of the published
    code: Adam(0.1, betas 0.9 and 0.99) and lambda = 0.25.

    Args:
        denoiser, measured, conditioning, schedule, noise, limits, callback: as for ``fidelity_guided``.
        steps: optimiser steps.
        fidelity: w_f, the weight of the measurement. None takes the mode's own.
        mode: ``paper``, or ``tuned`` for a step that is a convex average of measurement and prior.
        prior_weight: lambda. None takes the mode's own.
        learning_rate: Adam's, for ``paper``.
        t_min: last timestep. None takes the mode's own.

    Returns:
        B x 1 x H x W, the final mu.
    """
    return fidelity_guided(
        denoiser,
        undegraded,
        measured,
        conditioning,
        schedule,
        noise=noise,
        steps=steps,
        fidelity=fidelity,
        mode=mode,
        prior_weight=prior_weight,
        learning_rate=learning_rate,
        t_min=t_min,
        limits=limits,
        callback=callback,
    )
