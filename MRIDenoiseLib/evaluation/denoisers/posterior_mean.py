"""The mean of the posterior: the diffusion network's first answer, at pure noise, in one call."""

from __future__ import annotations

from MRIDenoiseLib.evaluation.denoisers.contender import Method
from MRIDenoiseLib.evaluation.denoisers.networks import TRAINED, user_method

METHOD = Method(
    name="posterior-mean",
    title="Posterior mean",
    group="ours",
    source="E[x | y] of the conditional diffusion network; here",
    run=user_method("posterior-mean", steps=1, samples=1),
    trained=TRAINED,
)
