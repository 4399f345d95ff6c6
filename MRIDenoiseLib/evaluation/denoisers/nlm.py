"""DIPY's non-local means: every voxel becomes the mean of those whose surroundings look alike."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.contender import NOISE, TRUE, Method, Setting, Task
from MRIDenoiseLib.extras import PEERS, needed


def non_local_means(
    voxels: np.ndarray,
    noise_level: float,
    *,
    algorithm: str = "classic",
    patch: int = 1,
    search: int = 2,
    rician: bool = True,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Descoteaux 2008; blockwise: Coupe 2008, 2012.

    Args:
        voxels: the noisy image, float (slices, rows, columns).
        noise_level: its standard deviation, which sets the strength.
        algorithm: ``classic`` or ``blockwise``.
        patch: radius in voxels of what is compared.
        search: radius in voxels of where it is looked for.
        rician: whether the noise is Rician rather than Gaussian.
        wanted: bool, the voxels that the classic algorithm computes; the others come out as zero. All when not given.

    Raises:
        SettingsError: DIPY is not installed.
    """
    return needed("dipy.denoise.nlmeans", PEERS).nlmeans(
        voxels,
        noise_level,
        mask=wanted if algorithm == "classic" else None,
        patch_radius=patch,
        block_radius=search,
        rician=rician,
        num_threads=1,
        method=algorithm,
    )


def _run(task: Task, setting: Setting) -> np.ndarray:
    image = non_local_means(
        task.image,
        setting["strength"] * task.told_noise(setting),
        algorithm=setting.get("algorithm", "classic"),
        search=setting["search"],
        rician=setting["rician"],
        wanted=task.near,
    )
    return task.filtered(np.where(task.near, image, task.image))


METHOD = Method(
    name="nlm",
    title="Non-local means",
    group="tools",
    source="Descoteaux 2008; DIPY (BSD-3-Clause)",
    run=_run,
    measures_noise=True,
    packages=("dipy",),
    settings=tuple({"strength": strength, "search": 2, "rician": rician} for rician in (True, False) for strength in (1.0, 0.8, 1.25, 1.5)),
    wide=tuple(
        {NOISE: TRUE, "strength": strength, "algorithm": algorithm, "search": search, "rician": rician}
        for algorithm, search in (("classic", 2), ("classic", 3), ("blockwise", 2))
        for rician in (True, False)
        for strength in (1.0, 0.75, 1.3)
    ),
)
