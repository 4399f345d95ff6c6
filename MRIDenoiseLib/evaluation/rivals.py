"""What a denoiser has to beat, each at its best setting for the very row: an advantage that no user has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from MRIDenoiseLib.evaluation import filters, peers
from MRIDenoiseLib.evaluation.benchmark import MEASURES, BenchmarkRow
from MRIDenoiseLib.evaluation.blur import BLURS

Trials = Iterator[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class Rival:
    """Something that denoises without our networks.

    Args:
        trials: gives every setting's description and what it makes of a row's noisy slices.
        grid: the settings; numbers that were found with other settings are of no use any more.
    """

    trials: Callable[[BenchmarkRow], Trials]
    grid: str


@dataclass(frozen=True)
class Best:
    """A rival's best by each measure; the settings may differ.

    Args:
        scores: measure -> value.
        settings: measure -> the setting that gave it.
    """

    scores: dict[str, float]
    settings: dict[str, str]


def _slicer(name: Literal["median", "gradient", "curvature"], settings: object) -> Rival:
    return Rival(lambda row: filters.trials(name, row.noisy, row.spacing), repr(settings))


def _blurs(row: BenchmarkRow) -> Trials:
    return ((str(blur), blur(row.noisy)) for blur in BLURS)


_DIFFUSION = (filters.CONDUCTANCES, filters.ITERATIONS)

RIVALS: dict[str, Rival] = {
    "blur": Rival(_blurs, repr([tuple(blur) for blur in BLURS])),
    "median": _slicer("median", filters.RADII),
    "gradient": _slicer("gradient", _DIFFUSION),
    "curvature": _slicer("curvature", _DIFFUSION),
    "nlm": Rival(lambda row: peers.nlm_trials(row.noisy, row.noise_level, row.wanted), repr((peers.NLM_SEARCHES, peers.NLM_STRENGTHS))),
    "ants": Rival(
        lambda row: peers.ants_trials(row.noisy),
        repr((peers.ANTS_MODELS, peers.ANTS_PATCH, peers.ANTS_SEARCH)),
    ),
    "bm4d": Rival(lambda row: peers.bm4d_trials(row.noisy, row.noise_level), "true noise"),
}
"""A Gaussian blur as control, Slicer's filters, and the denoisers of other packages."""

STRONGEST = "bm4d"
"""It is told the true noise and uses all three dimensions; the others are compared with as one group."""


def at_its_best(rival: Rival, row: BenchmarkRow) -> Best:
    """Try every setting on a row and keep the best by each measure (of equal ones the first)."""
    scores: dict[str, float] = {}
    settings: dict[str, str] = {}
    for setting, filtered in rival.trials(row):
        found = row.score_filtered(filtered)
        for measure in MEASURES:
            if measure not in scores or found[measure] > scores[measure]:
                scores[measure], settings[measure] = found[measure], setting
    return Best(scores, settings)
