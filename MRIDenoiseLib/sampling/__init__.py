"""From a denoiser to an image: one file and one function per sampler; the schedule is an argument."""

from collections.abc import Callable

from torch import Tensor

from MRIDenoiseLib.sampling.ddim import ddim
from MRIDenoiseLib.sampling.ddpm import ddpm
from MRIDenoiseLib.sampling.dps import blind_dps, dps
from MRIDenoiseLib.sampling.fidelity_guided import fidelity_guided
from MRIDenoiseLib.sampling.interfaces import SharedNoise
from MRIDenoiseLib.sampling.posterior_mean import posterior_mean
from MRIDenoiseLib.sampling.red_diff import red_diff
from MRIDenoiseLib.sampling.regression import regression
from MRIDenoiseLib.sampling.schedule import Schedule
from MRIDenoiseLib.sampling.sharpened import sharpened

SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "regression": regression,
    "sharpened": sharpened,
    "posterior-mean": posterior_mean,
    "fidelity-guided": fidelity_guided,
    "ddim": ddim,
}
"""Name in the catalogue of methods -> the function that runs."""

__all__ = [
    "SAMPLERS",
    "Schedule",
    "SharedNoise",
    "blind_dps",
    "ddim",
    "ddpm",
    "dps",
    "fidelity_guided",
    "posterior_mean",
    "red_diff",
    "regression",
    "sharpened",
]
