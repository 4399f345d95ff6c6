"""A noisy head in, what BME-X makes of it out, with everything around the network as it is for the program's own methods."""

from __future__ import annotations

import torch
from torch import Tensor

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import BmeX
from MRIDenoiseLib.inference import Denoiser, Method, Result, Settings, SliceBatch
from MRIDenoiseLib.progress import Progress, ShouldStop
from MRIDenoiseLib.segmentation.tissues import ORGAN_WITH_TISSUES
from MRIDenoiseLib.volume import Volume

NAME = "bme-x"


def enhance(
    denoiser: Denoiser,
    bme_x: BmeX,
    volume: Volume,
    settings: Settings | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Result:
    """Enhance the slices of a head.

    Args:
        denoiser: scales, cuts and batches the volume, as it does for its own methods.
        bme_x: the network.
        volume: the noisy volume.
        settings, progress, should_stop: as for ``denoiser``; the settings name no method.

    Raises:
        InputError: the volume is no head, see :func:`require_head`.
        MRIDenoiseError: as ``denoiser``.
    """
    require_head(volume)
    return denoiser(volume, settings, progress, should_stop, method=method(bme_x))


def method(bme_x: BmeX) -> Method:
    """BME-X as a method of a :class:`MRIDenoiseLib.inference.Denoiser`; whoever runs it asks :func:`require_head` first."""

    @torch.no_grad()
    def run(batch: SliceBatch) -> Tensor:
        image, _ = batch.ready(bme_x)(batch.stacks(bme_x.config.slices), batch.conditioning.noise_level)
        image = image.clamp(*batch.limits)
        batch.callback({"i": 0, "steps": 1, "t": 0, "x": image, "denoised": image})
        return image

    return Method(NAME, run)


def require_head(volume: Volume) -> None:
    """Refuse what BME-X was not made for.

    Raises:
        InputError: the volume's organ is not the head.
    """
    organ = volume.acquisition.organ.value
    if organ != ORGAN_WITH_TISSUES:
        shown = "of an unknown organ" if organ is None else "of another organ"
        raise InputError(
            f"BME-X knows the tissues of the brain only, and this volume is {shown}; leave BME-X out, or say that it is a head"
        )
