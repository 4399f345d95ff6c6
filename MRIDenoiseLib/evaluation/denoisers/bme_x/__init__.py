"""BME-X (Sun et al. 2024) for brains: its architecture, trained here on the data of the bundled model, as a peer to compare with.

A brain's tissues are found first, and guide the enhancement of the image.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import BmeX, load
from MRIDenoiseLib.evaluation.denoisers.contender import Contender, Setting, Task
from MRIDenoiseLib.inference import Method, SliceBatch
from MRIDenoiseLib.segmentation.tissues import ORGAN_WITH_TISSUES
from MRIDenoiseLib.volume import Volume

NAME = "bme-x"


def method(bme_x: BmeX) -> Method:
    """BME-X as a method of a :class:`MRIDenoiseLib.inference.Denoiser`; call :func:`require_head` before running it."""

    @torch.no_grad()
    def run(batch: SliceBatch) -> Tensor:
        image, _ = batch.ready(bme_x)(batch.stacks(bme_x.config.slices), batch.conditioning.noise_level)
        image = image.clamp(*batch.limits)
        batch.callback({"i": 0, "steps": 1, "t": 0, "x": image, "denoised": image})
        return image

    return Method(NAME, run)


def require_head(volume: Volume) -> None:
    """Refuse a volume that BME-X was not made for.

    Raises:
        InputError: the volume's organ is not the head.
    """
    organ = volume.acquisition.organ.value
    if organ != ORGAN_WITH_TISSUES:
        shown = "of an unknown organ" if organ is None else "of another organ"
        raise InputError(f"BME-X knows the tissues of the brain only, and this volume is {shown}; leave BME-X out, or give the organ head")


def _run(task: Task, setting: Setting) -> np.ndarray:
    require_head(task.volume)
    return task.sampled(method(_network()))


@lru_cache(maxsize=1)
def _network() -> BmeX:
    return load()


BME_X = Contender(
    name=NAME,
    title="BME-X",
    group="paper",
    source="Sun et al. 2024; the architecture re-implemented here, smaller, for thick slices",
    run=_run,
    trained="here for 1500 steps, on heads that the model was trained on and with its noise: the authors' weights are not available",
    organs=("head",),
)
