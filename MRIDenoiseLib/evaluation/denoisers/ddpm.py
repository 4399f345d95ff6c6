"""Conditional DDPM: one sample of the posterior by ancestral steps."""

from __future__ import annotations

from MRIDenoiseLib.evaluation.denoisers.contender import Method
from MRIDenoiseLib.evaluation.denoisers.networks import TRAINED, compared_sampler

METHOD = Method(
    name="ddpm",
    title="Conditional DDPM",
    group="paper",
    source="Ho, Jain and Abbeel 2020; here",
    run=compared_sampler("ddpm"),
    trained=TRAINED,
)
