"""Conditional DDIM: one deterministic sample of the posterior."""

from __future__ import annotations

from MRIDenoiseLib.evaluation.denoisers.contender import Method
from MRIDenoiseLib.evaluation.denoisers.networks import ALL, TRAINED, user_method

METHOD = Method(
    name="ddim",
    title="Conditional DDIM",
    group="paper",
    source="Song, Meng and Ermon 2021; here",
    run=user_method("ddim", steps=ALL),
    settings=({}, {"steps": 5}, {"steps": 2}),
    trained=TRAINED,
)
