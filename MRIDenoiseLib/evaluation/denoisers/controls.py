"""What every denoiser has to beat: the noisy image itself, and a Gaussian blur of it."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.blur import BLURS, Blur
from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task


def _noisy(task: Task, setting: Setting) -> np.ndarray:
    return task.slices[task.wanted.start : task.wanted.stop]


def _blur(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(Blur(**setting)(task.image))


NOISY = Method(name="noisy", title="Noisy", group="control", source="the image that nobody touched", run=_noisy)
BLUR = Method(
    name="blur",
    title="Gaussian blur",
    group="control",
    source="SciPy (BSD-3-Clause)",
    run=_blur,
    packages=("scipy",),
    settings=tuple(
        {"in_plane": in_plane, "across": across}
        for in_plane, across in ((0.6, 0.0), (0.5, 0.0), (0.8, 0.0), (1.0, 0.0), (0.4, 0.4), (0.5, 0.4), (0.6, 0.4), (0.8, 0.6))
    ),
    wide=tuple(blur._asdict() for blur in BLURS),
)
