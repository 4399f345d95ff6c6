"""RED-diff: fidelity guidance without a learned degradation, the published method for plain denoising."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from MRIDenoiseLib.methods import Mode
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.fidelity_guided import fidelity_guided
from MRIDenoiseLib.sampling.interfaces import DenoiserNetwork, undegraded
from MRIDenoiseLib.sampling.schedule import Schedule


def red_diff(
    denoiser: DenoiserNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    *,
    mode: Mode = "paper",
    **options: Any,
) -> Tensor:
    """Minimise ||mu - y||^2 / 2 + lambda * (RED prior of the denoiser), one optimiser step per timestep (Mardani et al. 2023).

    This is :func:`.fidelity_guided.fidelity_guided` with f(mu) = mu. ``paper`` has the optimiser and the weights of the published
    code: Adam(0.1, betas 0.9 and 0.99) and lambda = 0.25.

    Args:
        denoiser, measured, conditioning, schedule: as for ``fidelity_guided``.
        mode: ``paper``, or ``tuned`` for a step that is a convex average of measurement and prior.
        options: its other keywords: ``noise``, ``steps``, ``fidelity`` (the weight of the measurement), ``prior_weight`` (lambda)
            and so on.

    Returns:
        B x 1 x H x W, the final mu.
    """
    return fidelity_guided(denoiser, undegraded, measured, conditioning, schedule, mode=mode, **options)
