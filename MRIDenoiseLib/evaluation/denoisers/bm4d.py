"""BM4D: alike blocks of the volume are filtered together. With the noise that a user would tell it, and with the true one."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task
from MRIDenoiseLib.extras import PEERS, needed

SOURCE = "Maggioni 2013; the authors' package bm4d (non-commercial use only), its normal profile"


def block_matching(voxels: np.ndarray, noise_level: float, threads: int = 1) -> np.ndarray:
    """BM4D, its normal profile.

    Args:
        voxels: the noisy image, float (slices, rows, columns).
        noise_level: the standard deviation of its noise.
        threads: with more than one the result varies very slightly from run to run.

    Raises:
        SettingsError: BM4D is not installed.
    """
    bm4d = needed("bm4d", PEERS)
    profile = bm4d.BM4DProfile()
    profile.num_threads = threads
    return bm4d.bm4d(voxels, noise_level, profile=profile).astype(np.float32)


def _run(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(block_matching(task.image, setting["strength"] * task.noise_level))


def _run_told(task: Task, setting: Setting) -> np.ndarray:
    assert task.true_noise is not None
    return task.filtered(block_matching(task.image, task.true_noise / task.scale))


METHOD = Method(
    name="bm4d",
    title="BM4D",
    group="tools",
    source=SOURCE,
    run=_run,
    packages=("bm4d",),
    measures_noise=True,
    settings=tuple({"strength": strength} for strength in (1.0, 0.85, 1.2, 1.4)),
)
TOLD = Method(
    name="bm4d-told",
    title="BM4D, told the true noise",
    group="tools",
    source=SOURCE,
    run=_run_told,
    packages=("bm4d",),
    told="the true standard deviation of the noise",
)
