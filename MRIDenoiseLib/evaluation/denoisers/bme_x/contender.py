"""BME-X: a brain's tissues are found first, and guide what is made of the image."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.bme_x import store
from MRIDenoiseLib.evaluation.denoisers.bme_x.denoising import method, require_head
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import BmeX
from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task


def _run(task: Task, setting: Setting) -> np.ndarray:
    require_head(task.volume)
    return task.sampled(method(_network()))


@lru_cache(maxsize=1)
def _network() -> BmeX:
    return store.load()


METHOD = Method(
    name="bme-x",
    title="BME-X",
    group="paper",
    source="Sun et al. 2024; the architecture re-implemented here, smaller, for thick slices",
    run=_run,
    trained="here for 1500 steps, on heads that the model was trained on and with its noise: the authors' weights are not at hand",
    organs=("head",),
)
