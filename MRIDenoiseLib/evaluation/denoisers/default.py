"""What a user gets who presses the button: the model's default method with its default settings."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task
from MRIDenoiseLib.evaluation.denoisers.networks import TRAINED
from MRIDenoiseLib.inference import Settings


def _run(task: Task, setting: Setting) -> np.ndarray:
    return task.as_users_get(Settings())


METHOD = Method(
    name="ours",
    title="Ours (default)",
    group="ours",
    source="the default method of the model, with the settings of its card; here",
    run=_run,
    trained=TRAINED,
)
