"""DPS and the paper's "BlindDPS": ancestral sampling pulled towards the measurement, plainly or through the learned degradation."""

from __future__ import annotations

from MRIDenoiseLib.evaluation.denoisers.contender import Method
from MRIDenoiseLib.evaluation.denoisers.networks import TRAINED, compared_sampler

STRENGTHS = tuple({"guidance": zeta} for zeta in (1.0, 0.3, 3.0, 10.0))

DPS = Method(
    name="dps",
    title="DPS",
    group="paper",
    source="Chung et al. 2023; re-implemented here, the norm taken image by image",
    run=compared_sampler("dps"),
    settings=STRENGTHS,
    trained=TRAINED,
)
BLIND_DPS = Method(
    name="blind-dps",
    title='"BlindDPS"',
    group="paper",
    source="DPS through the learned degradation, which is what the paper calls BlindDPS (not Chung et al. 2023b); here",
    run=compared_sampler("blind-dps"),
    settings=STRENGTHS,
    trained=TRAINED,
)
