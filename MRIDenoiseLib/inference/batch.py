"""How a batch of slices is denoised: the methods a user may choose, and the shape that any other one has to have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from MRIDenoiseLib.inference.backend import Backend
from MRIDenoiseLib.inference.models import ModelSet, is_informed
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.inference.slices import Slices, neighbours
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling import Schedule, SharedNoise, ddim, fidelity_guided, posterior_mean, regression, sharpened
from MRIDenoiseLib.sampling.interfaces import Callback, Limits, informed

Stoppable = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class SliceBatch:
    """Some slices of a volume, in network units, with everything a method may want for them.

    Args:
        slices: (slices, rows, columns) of the whole volume, which the batch's neighbours are taken from.
        indices: of the B slices of the batch.
        conditioning: what the networks are told of them.
        noise: index -> the field that all slices of the volume share.
        limits: lowest and highest estimate allowed.
        callback: to be called after every network call, see :data:`MRIDenoiseLib.sampling.interfaces.Callback`.
        schedule: the denoiser's forward process.
        models: the networks.
        backend: how and where they run.
        stoppable: makes a network ask before every call whether to go on.
    """

    slices: Slices
    indices: range
    conditioning: Conditioning
    noise: SharedNoise
    limits: Limits
    callback: Callback
    schedule: Schedule
    models: ModelSet
    backend: Backend
    stoppable: Stoppable

    def stacks(self, count: int) -> Tensor:
        """B x count x rows x columns: each slice between its neighbours, ``count`` (odd) in all."""
        stacks = torch.from_numpy(np.stack([neighbours(self.slices, index, count) for index in self.indices]))
        device = self.backend.device
        # Pinned memory goes to a GPU while it computes.
        return stacks.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else stacks.to(device)

    @property
    def measured(self) -> Tensor:
        """The stacks that the denoiser takes."""
        config: Any = self.models.denoiser.config
        return self.stacks(2 * config.neighbours + 1)

    def ready(self, network: nn.Module) -> Callable[..., Any]:
        """A network as :meth:`Backend.ready` makes it, which also asks before every call whether to go on."""
        return self.stoppable(self.backend.ready(network))

    @property
    def denoiser(self) -> Callable[..., Any]:
        """g_theta, :meth:`ready`; an informed one with the regression network's answer to these slices, computed once."""
        network = self.ready(self.models.denoiser)
        # One view: the answer that it was shown in training.
        return informed(network, regression(**_for_the_mean(self))) if is_informed(self.models) else network

    @property
    def degradation(self) -> Callable[..., Any]:
        """f_phi, :meth:`ready`."""
        return self.ready(self.models.degradation)

    @property
    def given(self) -> dict[str, Any]:
        """What every diffusion sampler takes beside its networks, its noise and its options."""
        around = {"limits": self.limits, "callback": self.callback}
        return {"measured": self.measured, "conditioning": self.conditioning, "schedule": self.schedule} | around


@dataclass(frozen=True)
class Method:
    """A way from slices to their clean estimates.

    Args:
        name: for reports.
        run: (batch, **options) -> B x 1 x rows x columns, network units.
        options: its keyword arguments, JSON-ready.
    """

    name: str
    run: Callable[..., Tensor]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, batch: SliceBatch) -> Tensor:
        """The clean estimates of a batch."""
        return self.run(batch, **self.options)


def _fidelity_guided(batch: SliceBatch, **options: Any) -> Tensor:
    return fidelity_guided(batch.denoiser, batch.degradation, noise=batch.noise, **batch.given, **options)


def _posterior_mean(batch: SliceBatch, **options: Any) -> Tensor:
    return posterior_mean(batch.denoiser, noise=batch.noise, **batch.given, **options)


def _ddim(batch: SliceBatch, **options: Any) -> Tensor:
    return ddim(batch.denoiser, start=batch.noise(0), **batch.given, **options)


def _regression(batch: SliceBatch, **options: Any) -> Tensor:
    given = _for_the_mean(batch) | {"callback": batch.callback}
    return regression(**given, **options)


def _sharpened(batch: SliceBatch, **options: Any) -> Tensor:
    flow = batch.models.flow
    assert flow is not None
    config: Any = flow.config
    given = _for_the_mean(batch) | {"callback": batch.callback, "noise": batch.noise, "start_noise": config.start_noise}
    return sharpened(flow=batch.ready(flow), **given, **options)


def _for_the_mean(batch: SliceBatch) -> dict[str, Any]:
    """What the regression network's answer takes beside its options and a callback."""
    network = batch.models.restoration
    assert network is not None
    config: Any = network.config
    given = {"restoration": batch.ready(network), "measured": batch.stacks(config.in_channels), "conditioning": batch.conditioning}
    return given | {"limits": batch.limits}


_RUNS: dict[str, Callable[..., Tensor]] = {
    "fidelity-guided": _fidelity_guided,
    "posterior-mean": _posterior_mean,
    "regression": _regression,
    "sharpened": _sharpened,
    "ddim": _ddim,
}


def method_of(settings: Settings) -> Method:
    """The method that resolved settings ask for."""
    options = settings.options()
    options.pop("strength", None)
    return Method(str(settings.method), _RUNS[str(settings.method)], options)


def watched(method: Method, observe: Callable[[SliceBatch, dict[str, Any]], None]) -> Method:
    """The same method, telling after every network call how far it has come: the evolution of the estimate over the steps.

    Args:
        method: to watch.
        observe: called with the batch and what the sampler's callback is told (``i``, ``steps``, ``t``, ``x``, ``denoised``).
    """

    def run(batch: SliceBatch, **options: Any) -> Tensor:
        def callback(event: dict[str, Any]) -> None:
            observe(batch, event)
            batch.callback(event)

        return method.run(replace(batch, callback=callback), **options)

    return replace(method, run=run)
