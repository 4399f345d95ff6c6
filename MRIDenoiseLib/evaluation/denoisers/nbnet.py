"""NBNet: plain regression, the paper's network without diffusion. It is the regression twin that is trained beside every model."""

from __future__ import annotations

from MRIDenoiseLib.evaluation.denoisers.contender import Method
from MRIDenoiseLib.evaluation.denoisers.networks import TRAINED, user_method

METHOD = Method(
    name="nbnet",
    title="NBNet (regression)",
    group="paper",
    source="Cheng et al. 2021; re-implemented here. Also the ablation without diffusion",
    run=user_method("regression", samples=1),
    trained=TRAINED,
)
FOUR_VIEWS = Method(
    name="regression-4",
    title="Regression, four views",
    group="ours",
    source="the same network, the mean over four mirrored views of each slice; here",
    run=user_method("regression", samples=4),
    trained=TRAINED,
)
