"""The posterior mean sharpened by a flow, half way and all the way. The knob is fixed: squared error alone would turn it to the mean."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task
from MRIDenoiseLib.evaluation.denoisers.networks import TRAINED, Run
from MRIDenoiseLib.inference import Settings

SOURCE = "posterior-mean rectified flow, Ohayon, Michaeli and Elad 2025, on the default's own mean; here"


def _at(sharpness: float) -> Run:
    """What a user gets who asks for so much of it: views and strength are those of the default."""

    def run(task: Task, setting: Setting) -> np.ndarray:
        return task.as_users_get(Settings(method="sharpened", sharpness=sharpness))

    return run


HALF = Method(
    name="sharpened-half",
    title="Sharpened, half",
    group="ours",
    source=SOURCE,
    run=_at(0.5),
    trained=TRAINED,
    networks=("flow",),
)
FULL = Method(
    name="sharpened-full",
    title="Sharpened, full",
    group="ours",
    source=SOURCE,
    run=_at(1.0),
    trained=TRAINED,
    networks=("flow",),
)
