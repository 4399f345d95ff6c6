"""Every method of the comparison, with its source and licence."""

from MRIDenoiseLib.evaluation.denoisers import filters, peers, samplers
from MRIDenoiseLib.evaluation.denoisers.bme_x import contender as bme_x
from MRIDenoiseLib.evaluation.denoisers.contender import GROUPS, Method, Setting, Task

METHODS: dict[str, Method] = {
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
        bme_x.METHOD,
        samplers.THE_PAPERS,
        *samplers.ABLATIONS,
        *samplers.OURS,
    )
}
"""Name -> method, in the order of tables."""

__all__ = ["GROUPS", "METHODS", "Method", "Setting", "Task"]
