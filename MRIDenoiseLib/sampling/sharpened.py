"""The posterior mean, sharpened: a rectified flow from the mean to clean images, and one setting between the two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.interfaces import Callback, ImageNetwork, Limits, NoiseSource, VelocityNetwork, centre
from MRIDenoiseLib.sampling.regression import regression


@torch.no_grad()
def sharpened(
    restoration: ImageNetwork,
    flow: VelocityNetwork,
    measured: Tensor,
    conditioning: Conditioning,
    *,
    noise: NoiseSource,
    start_noise: float,
    sharpness: float = 0.5,
    steps: int = 2,
    samples: int = 1,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """(1 - a) m + a z_1, between the posterior mean m and the end z_1 of the flow that starts from it.

    The flow (Ohayon, Michaeli and Elad 2025) starts at z_0 = m + sigma_s s e and follows dz/dt = v(z, t) to t = 1, where z looks
    like a clean image. What errs least at each degree of sharpness lies on the straight line between mean and end (Freirich,
    Michaeli and Meir 2021), so one number chooses.

    Each Euler step takes the velocity at the time in its middle. The velocity at t = 0 is nearly zero, because the mean is
    already the best guess; a step that used it for its whole length would hardly move.

    Args:
        restoration: f_psi(image, conditioning) -> clean image; its answer is m.
        flow: v(z_t, m, y, t, conditioning) -> dz/dt.
        measured: B x N x H x W noisy slices with their neighbours.
        conditioning: text and numbers for the B slices; its noise level is s.
        noise: sample number -> e, the same for every slice of a volume.
        start_noise: the sigma_s that the flow was trained with.
        sharpness: a, from 0 (the mean itself; the flow is not called) to 1.
        steps: calls of the flow.
        samples: mirrored and turned views whose answers are averaged to m, see :func:`.regression.regression`.
        limits: lowest and highest value allowed, of the mean and of the flow's end.
        callback: called after every network call, first those of the mean, then those of the flow, whose ``t`` is the time.

    Returns:
        B x 1 x H x W.
    """
    calls = samples + (steps if sharpness > 0 else 0)

    def report(event: dict[str, Any]) -> None:
        if callback:
            callback(event | {"steps": calls})

    mean = regression(restoration, measured, conditioning, samples=samples, limits=limits, callback=report)
    if sharpness == 0:
        return mean
    state = mean + start_noise * conditioning.noise_level.to(mean).view(-1, 1, 1, 1) * noise(0)
    for i in range(steps):
        time = (i + 0.5) / steps
        velocity = flow(state, mean, centre(measured), mean.new_full((len(mean),), time), conditioning)
        end = state + (1 - i / steps) * velocity
        report({"i": samples + i, "t": time, "x": state, "denoised": end})
        state = state + velocity / steps
    return torch.lerp(mean, state.clamp(*limits), sharpness)
