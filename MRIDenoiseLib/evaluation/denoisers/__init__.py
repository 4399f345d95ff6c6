"""Every method of the comparison, each in its own file, with its source and licence."""

from MRIDenoiseLib.evaluation.denoisers import (
    ablations,
    anisotropic_diffusion,
    ants,
    bm4d,
    controls,
    ddim,
    ddpm,
    default,
    dps,
    fidelity_guided,
    median,
    nbnet,
    nlm,
    posterior_mean,
    red_diff,
    sharpened,
)
from MRIDenoiseLib.evaluation.denoisers.bme_x import contender as bme_x
from MRIDenoiseLib.evaluation.denoisers.contender import GROUPS, Method, Setting, Task

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        controls.NOISY,
        controls.BLUR,
        median.METHOD,
        anisotropic_diffusion.GRADIENT,
        anisotropic_diffusion.CURVATURE,
        nlm.METHOD,
        ants.METHOD,
        bm4d.METHOD,
        bm4d.TOLD,
        nbnet.METHOD,
        ddpm.METHOD,
        ddim.METHOD,
        red_diff.METHOD,
        dps.DPS,
        dps.BLIND_DPS,
        bme_x.METHOD,
        fidelity_guided.PAPER,
        ablations.WITHOUT_DEGRADATION,
        ablations.WITHOUT_TEXT,
        ablations.SHUFFLED_TEXT,
        fidelity_guided.TUNED,
        nbnet.FOUR_VIEWS,
        posterior_mean.METHOD,
        sharpened.HALF,
        sharpened.FULL,
        default.METHOD,
    )
}
"""Name -> method, in the order of tables."""

__all__ = ["GROUPS", "METHODS", "Method", "Setting", "Task"]
