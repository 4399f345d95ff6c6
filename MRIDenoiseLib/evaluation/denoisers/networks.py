"""How the methods of a model are run: through the same inference that users have, with the same scale, slices and noise level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.compared_samplers import sampler
from MRIDenoiseLib.evaluation.denoisers.contender import Setting, Task
from MRIDenoiseLib.inference import Settings
from MRIDenoiseLib.inference.batch import Method as NetworkMethod
from MRIDenoiseLib.inference.batch import method_of

TRAINED = "the model's own training, as its card tells"
"""What is said of every method whose networks come with the model: equal data, noise and scale for all of them."""

ALL = 1000
"""Steps: as many as the task allows."""

Run = Callable[[Task, Setting], np.ndarray]


def network_method(task: Task, name: str, **options: Any) -> NetworkMethod:
    """A method that ``mridenoise denoise`` has, with options of its own; of ``steps`` at most the task's."""
    if "steps" in options:
        options["steps"] = min(options["steps"], task.steps)
    return method_of(Settings(method=name, **options).resolved(task.model.default_method, {}))


def user_method(name: str, **fixed: Any) -> Run:
    """Runs a method that users have, with some options fixed and others left to tuning."""

    def run(task: Task, setting: Setting) -> np.ndarray:
        return task.sampled(network_method(task, name, **{**fixed, **setting}))

    return run


def compared_sampler(name: str) -> Run:
    """Runs a sampler that only comparisons have, with as many steps as the task allows."""

    def run(task: Task, setting: Setting) -> np.ndarray:
        return task.sampled(sampler(name, steps=task.steps, **setting))

    return run
