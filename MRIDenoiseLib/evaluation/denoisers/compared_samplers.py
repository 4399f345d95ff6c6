"""The diffusion samplers that the paper compares with, on a model's own networks: ``Denoiser(bundle)(volume, method=sampler("dps"))``.

Volume, scale, slices, batches, noise level and text are then those of the methods that users are offered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.inference.batch import Method, SliceBatch
from MRIDenoiseLib.sampling import blind_dps, ddpm, dps, red_diff


def sampler(name: str, **options: Any) -> Method:
    """A sampler as a method of :class:`MRIDenoiseLib.inference.Denoiser`.

    Args:
        name: one of :data:`SAMPLERS`.
        options: keyword arguments of the function of that name in :mod:`MRIDenoiseLib.sampling`, such as ``steps``.

    Raises:
        SettingsError: there is no such sampler.
    """
    if name not in SAMPLERS:
        raise SettingsError(f"there is no sampler '{name}'; there are {', '.join(SAMPLERS)}")
    return Method(name, SAMPLERS[name], options)


def _ddpm(batch: SliceBatch, **options: Any) -> Tensor:
    return ddpm(batch.denoiser, noise=batch.noise, **batch.given, **options)


def _red_diff(batch: SliceBatch, **options: Any) -> Tensor:
    return red_diff(batch.denoiser, noise=batch.noise, **batch.given, **options)


def _dps(batch: SliceBatch, **options: Any) -> Tensor:
    return dps(batch.denoiser, noise=batch.noise, **batch.given, **options)


def _blind_dps(batch: SliceBatch, **options: Any) -> Tensor:
    return blind_dps(batch.denoiser, batch.degradation, noise=batch.noise, **batch.given, **options)


SAMPLERS: dict[str, Callable[..., Tensor]] = {"ddpm": _ddpm, "red-diff": _red_diff, "dps": _dps, "blind-dps": _blind_dps}
