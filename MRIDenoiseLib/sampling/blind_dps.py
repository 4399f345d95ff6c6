"""What the paper calls BlindDPS: DPS with the learned degradation network as the operator."""

from __future__ import annotations

from torch import Tensor

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling.dps import dps
from MRIDenoiseLib.sampling.interfaces import Callback, DenoiserNetwork, ImageNetwork, Limits, NoiseSource
from MRIDenoiseLib.sampling.schedule import Schedule


def blind_dps(
    denoiser: DenoiserNetwork,
    degradation: ImageNetwork,
    measured: Tensor,
    conditioning: Conditioning | None,
    schedule: Schedule,
    *,
    noise: NoiseSource,
    steps: int = 10,
    guidance: float = 1.0,
    conditional: bool = True,
    limits: Limits = (-1.0, 1.5),
    callback: Callback | None = None,
) -> Tensor:
    """:func:`.dps.dps` with ||y - f_phi(x0(x_t))||, as Shao et al. (npj Digit. Med. 2026) compare with.

    BlindDPS itself (Chung et al. 2023) runs a second diffusion over the operator's parameters, a blur kernel with a prior of its
    own, beside that over the image. f_phi is a network that was learned beforehand and stands still, so that half of the method
    has nothing to act on here.

    Args:
        degradation: f_phi(clean, conditioning) -> noisy; differentiated with respect to its input.
        denoiser, measured, conditioning, schedule, noise, steps, guidance, conditional, limits, callback: as for ``dps``.

    Returns:
        B x 1 x H x W sample.
    """
    return dps(
        denoiser,
        measured,
        conditioning,
        schedule,
        noise=noise,
        steps=steps,
        guidance=guidance,
        conditional=conditional,
        degradation=degradation,
        limits=limits,
        callback=callback,
    )
