"""What inference needs of a loaded bundle; :class:`MRIDenoiseLib.models.bundle.bundle.Bundle` provides it; so may a test."""

from __future__ import annotations

from typing import Any, Protocol

from diffusers import DDIMScheduler
from torch import Tensor, nn


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
