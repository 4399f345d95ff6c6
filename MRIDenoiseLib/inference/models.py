"""What inference needs of a loaded bundle; :class:`MRIDenoiseLib.models.bundle.bundle.Bundle` has it, and so may a test's own."""

from __future__ import annotations

from typing import Any, Protocol

from diffusers import DDIMScheduler
from torch import Tensor, nn


class ModelSet(Protocol):
    """Networks with what belongs to them."""

    @property
    def denoiser(self) -> nn.Module:
        """g_theta, a :class:`DiffusionDenoiser`; it sees ``config.neighbours`` slices on either side."""
        ...

    @property
    def degradation(self) -> nn.Module:
        """f_phi, an :class:`NBNet` of one input channel."""
        ...

    @property
    def restoration(self) -> nn.Module | None:
        """f_psi, an :class:`NBNet` of ``config.in_channels`` slices, or None."""
        ...

    @property
    def noise_estimator(self) -> nn.Module | None:
        """A :class:`NoiseEstimator`, or None: then the noise is measured from the spectrum."""
        ...

    @property
    def flow(self) -> nn.Module | None:
        """A :class:`FlowNetwork`, or None: then nothing can be sharpened."""
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
        """What to run when the user does not say."""
        ...

    @property
    def default_settings(self) -> dict[str, Any]:
        """That method's options."""
        ...

    @property
    def trained_on(self) -> dict[str, frozenset[str]]:
        """``organ`` and ``contrast`` -> the values the networks really saw; empty where the bundle does not say."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that every report should hold, of what is unusual about the model."""
        ...

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts -> (B x L x E float32 embeddings, B x L bool mask of the tokens that count)."""
        ...


def is_informed(models: ModelSet) -> bool:
    """Whether the denoiser starts from what the restoration network answers."""
    config: Any = models.denoiser.config
    return bool(config.informed)
