"""The mean of the posterior: what minimises the squared error, in one network call."""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.ddim import ddim
from MRIDenoiseLib.sampling.interfaces import Callback, DenoiserNetwork, Limits, NoiseSource, centre
from MRIDenoiseLib.sampling.schedule import Schedule


@torch.no_grad()
def posterior_mean(
    denoiser: DenoiserNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    *,
    noise: NoiseSource,
    samples: int = 1,
    steps: int = 1,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """The mean of ``samples`` DDIM samples of ``steps`` steps each.

    With one step each sample is already g_theta(noise, y, T-1, c) = E[x | y], because the state at T-1 holds no image. Averaging
    then changes nothing with a denoiser that fades the state out; with another it removes the little noise that passes through.
    With many steps each sample is a draw from the posterior. Averaging K of them lowers the squared error from 2 to 1 + 1/K
    times that of the mean.

    Args:
        denoiser: g_theta(x_t, measured, t, conditioning) -> x0.
        measured: B x N x H x W noisy slices with their neighbours.
        conditioning: text and numbers for the B slices.
        schedule: the forward process.
        noise: sample number -> field the sample starts from.
        samples: K, how many samples are averaged.
        steps: network calls per sample.
        limits: lowest and highest estimate allowed.
        callback: called after every network call, ``i`` counting over all samples.

    Returns:
        B x 1 x H x W.
    """
    total = torch.zeros_like(centre(measured))
    for k in range(samples):

        def counted(event: dict, first: int = k * steps) -> None:
            if callback:
                callback(event | {"i": first + event["i"], "steps": samples * steps})

        def start(_step: int, sample: int = k) -> Tensor:
            return noise(sample)

        total += ddim(denoiser, measured, conditioning, schedule, noise=start, steps=steps, limits=limits, callback=counted)
    return total / samples
