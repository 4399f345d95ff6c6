"""Every method of the comparison, with its source and licence."""

from MRIDenoiseLib.evaluation.denoisers import bme_x, filters, peers, samplers
from MRIDenoiseLib.evaluation.denoisers.contender import GROUPS, Contender, Setting, Task

CONTENDERS: dict[str, Contender] = {
    method.name: method
    for method in (
        filters.NOISY,
        filters.BLUR,
        filters.MEDIAN,
        filters.GRADIENT,
        filters.CURVATURE,
        peers.NLM,
        peers.ANTS,
        peers.BM4D,
        peers.BM4D_TOLD,
        *samplers.PAPER,
        bme_x.BME_X,
        samplers.THE_PAPERS,
        *samplers.ABLATIONS,
        *samplers.OURS,
    )
}
"""Name -> method, in the order of tables."""

__all__ = ["GROUPS", "CONTENDERS", "Contender", "Setting", "Task"]
