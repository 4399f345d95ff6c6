"""Denoisers in other packages: non-local means, ANTs' DenoiseImage, BM4D. Each states its source and its licence."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.contender import NOISE, TRUE, Contender, Setting, Task
from MRIDenoiseLib.extras import PEERS, needed

BM4D_SOURCE = "Maggioni 2013; the authors' package bm4d (non-commercial use only), its normal profile"


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
        patch: radius in voxels of the patches that are compared.
        search: radius in voxels of the region that is searched for them.
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


def denoise_image(voxels: np.ndarray, *, model: str, patch: int = 1, search: int = 1) -> np.ndarray:
    """Manjon 2010, spatially adaptive non-local means, at full resolution.

    Args:
        voxels: the noisy image, float (slices, rows, columns).
        model: of the noise, ``Rician`` or ``Gaussian``.
        patch: radius in voxels of the patches that are compared.
        search: radius in voxels of the region that is searched for them.

    Raises:
        SettingsError: ANTsPy is not installed.
    """
    ants = needed("ants", PEERS)
    image = ants.from_numpy(np.ascontiguousarray(voxels.T, dtype=np.float32))
    filtered = ants.denoise_image(image, shrink_factor=1, p=patch, r=search, noise_model=model)
    return np.ascontiguousarray(filtered.numpy().T)


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


def _nlm(task: Task, setting: Setting) -> np.ndarray:
    image = non_local_means(
        task.image,
        setting["strength"] * task.told_noise(setting),
        algorithm=setting.get("algorithm", "classic"),
        search=setting["search"],
        rician=setting["rician"],
        wanted=task.near,
    )
    return task.filtered(np.where(task.near, image, task.image))


def _ants(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(denoise_image(task.image, **setting))


def _bm4d(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(block_matching(task.image, setting["strength"] * task.noise_level))


def _bm4d_told(task: Task, setting: Setting) -> np.ndarray:
    assert task.true_noise is not None
    return task.filtered(block_matching(task.image, task.true_noise / task.scale))


NLM = Contender(
    name="nlm",
    title="Non-local means",
    group="tools",
    source="Descoteaux 2008; DIPY (BSD-3-Clause)",
    run=_nlm,
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
ANTS = Contender(
    name="ants",
    title="ANTs DenoiseImage",
    group="tools",
    source="Manjon 2010; ANTsPy (Apache-2.0). It has a switch for the noise and sizes of which wider ones take minutes",
    run=_ants,
    packages=("antspyx",),
    settings=({"model": "Rician"}, {"model": "Gaussian"}),
)
BM4D = Contender(
    name="bm4d",
    title="BM4D",
    group="tools",
    source=BM4D_SOURCE,
    run=_bm4d,
    packages=("bm4d",),
    measures_noise=True,
    settings=tuple({"strength": strength} for strength in (1.0, 0.85, 1.2, 1.4)),
)
BM4D_TOLD = Contender(
    name="bm4d-told",
    title="BM4D, given the true noise",
    group="tools",
    source=BM4D_SOURCE,
    run=_bm4d_told,
    packages=("bm4d",),
    told="the true standard deviation of the noise",
)
