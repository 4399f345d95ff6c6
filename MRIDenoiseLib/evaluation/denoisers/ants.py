"""ANTs' DenoiseImage: non-local means that measure the noise themselves, place by place."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task
from MRIDenoiseLib.extras import PEERS, needed


def denoise_image(voxels: np.ndarray, *, model: str, patch: int = 1, search: int = 1) -> np.ndarray:
    """Manjon 2010, spatially adaptive non-local means, at full resolution.

    Args:
        voxels: the noisy image, float (slices, rows, columns).
        model: of the noise, ``Rician`` or ``Gaussian``.
        patch: radius in voxels of what is compared.
        search: radius in voxels of where it is looked for.

    Raises:
        SettingsError: ANTsPy is not installed.
    """
    ants = needed("ants", PEERS)
    image = ants.from_numpy(np.ascontiguousarray(voxels.T, dtype=np.float32))
    filtered = ants.denoise_image(image, shrink_factor=1, p=patch, r=search, noise_model=model)
    return np.ascontiguousarray(filtered.numpy().T)


def _run(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(denoise_image(task.image, **setting))


METHOD = Method(
    name="ants",
    title="ANTs DenoiseImage",
    group="tools",
    source="Manjon 2010; ANTsPy (Apache-2.0). It has a switch for the noise and sizes of which wider ones take minutes",
    run=_run,
    packages=("antspyx",),
    settings=({"model": "Rician"}, {"model": "Gaussian"}),
)
