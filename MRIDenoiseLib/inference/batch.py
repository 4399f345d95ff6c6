"""How a batch of slices is denoised: what it holds for a method, and the shape that every method has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from MRIDenoiseLib.inference.backend import Backend
from MRIDenoiseLib.inference.models import ModelSet, config_of, is_informed
from MRIDenoiseLib.inference.slices import Slices, neighbours
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling import Schedule, SharedNoise, regression
from MRIDenoiseLib.sampling.interfaces import Callback, Limits, informed

Stoppable = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class SliceBatch:
    """Some slices of a volume, in network units, with everything a method may need for them.

    Args:
        slices: (slices, rows, columns) of the whole volume, which the batch's neighbours are taken from.
        indices: of the B slices of the batch.
        conditioning: what the networks are given about them.
        noise: index -> the field that all slices of the volume share.
        limits: lowest and highest estimate allowed.
        callback: to be called after every network call, see :data:`MRIDenoiseLib.sampling.interfaces.Callback`.
        schedule: the denoiser's forward process.
        models: the networks.
        backend: how and where they run.
        stoppable: makes a network check before every call whether to continue.
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
        # Pinned memory can be copied to a GPU while the GPU computes.
        return stacks.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else stacks.to(device)

    def seen_by(self, network: str) -> Tensor:
        """The stacks that a network takes, with as many slices as its configuration says."""
        config = config_of(self.models, network)
        return self.stacks(2 * config.neighbours + 1 if network == "denoiser" else config.in_channels)

    def ready(self, network: nn.Module) -> Callable[..., Any]:
        """A network as :meth:`Backend.ready` makes it, which also checks before every call whether to continue."""
        return self.stoppable(self.backend.ready(network))

    def network(self, name: str) -> Callable[..., Any]:
        """One of the model's networks, by its folder's name, :meth:`ready`; the model has it.

        An informed denoiser comes with the regression network's answer to these slices, computed once.
        """
        found = self.models.network(name)
        assert found is not None
        network = self.ready(found)
        if name == "denoiser" and is_informed(self.models):
            # One view, because the denoiser was trained with the answer to one view.
            answer = regression(self.network("restoration"), self.seen_by("restoration"), self.conditioning, limits=self.limits)
            return informed(network, answer)
        return network

    def given(self, *networks: str) -> dict[str, Any]:
        """What a sampler may request by name, in addition to its networks and its options.

        Args:
            networks: those that it is called with; the first one sees the measured slices.
        """
        given = {"measured": self.seen_by(networks[0]), "conditioning": self.conditioning, "schedule": self.schedule}
        given |= {"noise": self.noise, "limits": self.limits, "callback": self.callback}
        if "flow" in networks:
            given["start_noise"] = config_of(self.models, "flow").start_noise
        return given


@dataclass(frozen=True)
class Method:
    """A way from slices to their clean estimates.

    Args:
        name: for reports.
        run: (batch, **options) -> B x 1 x rows x columns, network units.
        options: its keyword arguments, JSON-ready.
        needs: the model's networks that it calls, by the names of their folders; where the model lacks one, the user gets a message.
    """

    name: str
    run: Callable[..., Tensor]
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    def __call__(self, batch: SliceBatch) -> Tensor:
        """The clean estimates of a batch."""
        return self.run(batch, **self.options)


def watched(method: Method, observe: Callable[[SliceBatch, dict[str, Any]], None]) -> Method:
    """The same method, which reports the estimate after every network call: its evolution over the steps.

    Args:
        method: to watch.
        observe: called with the batch and the event of the sampler's callback (``i``, ``steps``, ``t``, ``x``, ``denoised``).
    """

    def run(batch: SliceBatch, **options: Any) -> Tensor:
        def callback(event: dict[str, Any]) -> None:
            observe(batch, event)
            batch.callback(event)

        return method.run(replace(batch, callback=callback), **options)

    return replace(method, run=run)
