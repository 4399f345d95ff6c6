"""RED-diff: the likelihood of plain denoising, without a learned degradation."""

from __future__ import annotations

from MRIDenoiseLib.evaluation.denoisers.contender import Method
from MRIDenoiseLib.evaluation.denoisers.networks import TRAINED, compared_sampler

METHOD = Method(
    name="red-diff",
    title="RED-diff",
    group="paper",
    source="Mardani et al. 2023, with the optimiser of the published code; re-implemented here",
    run=compared_sampler("red-diff"),
    settings=tuple(
        {"prior_weight": weight, "learning_rate": rate}
        for weight, rate in ((0.25, 0.1), (1.0, 0.1), (4.0, 0.1), (16.0, 0.1), (0.25, 0.02), (1.0, 0.02), (4.0, 0.02), (16.0, 0.02))
    ),
    trained=TRAINED,
)
