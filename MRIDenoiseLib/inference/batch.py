"""How a batch of slices is denoised: what it needs of a loaded bundle, what it holds for a method, and the shape that every method has.

A row of the catalogue of methods becomes such a method: a sampler with the networks that the row names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter, signature
from typing import Any, Protocol

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from MRIDenoiseLib.card import Calibration
from MRIDenoiseLib.inference.backend import Backend
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.inference.slices import Slices, neighbours
from MRIDenoiseLib.methods import METHODS
from MRIDenoiseLib.methods import Method as Row
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.sampling import SAMPLERS, Schedule, SharedNoise, regression
from MRIDenoiseLib.sampling.interfaces import Callback, Limits, informed


class ModelSet(Protocol):
    """Networks, their schedule, and the defaults of the bundle."""

    def network(self, name: str) -> nn.Module | None:
        """One of the table's networks (:data:`MRIDenoiseLib.models.networks.NETWORKS`), or None where there is none."""
        ...

    @property
    def scheduler(self) -> DDIMScheduler:
        """The forward process of the denoiser."""
        ...

    @property
    def hash(self) -> str:
        """SHA-256 of the bundle's card, for the report."""
        ...

    @property
    def default_method(self) -> str:
        """The method to run when the user chooses none."""
        ...

    @property
    def default_settings(self) -> dict[str, Any]:
        """That method's options."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """What the scales of the uncertainty network stand for; None where nobody has measured that."""
        ...

    @property
    def trained_on(self) -> dict[str, frozenset[str]]:
        """``organ`` and ``contrast`` -> the values in the networks' training data; empty where the bundle does not state them."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is unusual about the model; every report should hold them."""
        ...

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts -> (B x L x E float32 embeddings, B x L bool mask of the tokens that count)."""
        ...


def config_of(models: ModelSet, name: str) -> Any:
    """The configuration of a network that the bundle has."""
    network = models.network(name)
    assert network is not None
    return network.config


def is_informed(models: ModelSet) -> bool:
    """Whether the denoiser starts from the answer of the restoration network."""
    return bool(config_of(models, "denoiser").informed)


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


def bound(row: Row, sampler: Callable[..., Tensor], options: Mapping[str, Any]) -> Method:
    """A sampler as a method of a :class:`MRIDenoiseLib.inference.Denoiser`.

    Args:
        row: its name, and the networks that it is called with.
        sampler: takes those networks, then by name the entries of :meth:`SliceBatch.given` that are among its parameters (all
            of them where it accepts any keyword), and its options.
        options: of the sampler.
    """
    accepted = signature(sampler).parameters
    hands_on = any(one.kind is Parameter.VAR_KEYWORD for one in accepted.values())

    def run(batch: SliceBatch, **options: Any) -> Tensor:
        given = batch.given(*row.needs)
        networks = [batch.network(name) for name in row.needs]
        return sampler(*networks, **{name: value for name, value in given.items() if hands_on or name in accepted}, **options)

    return Method(row.name, run, options, row.needs)


def method_of(settings: Settings) -> Method:
    """The method that resolved settings name."""
    options = settings.options()
    options.pop("strength", None)
    name = str(settings.method)
    return bound(METHODS[name], SAMPLERS[name], options)
