"""The denoisers of other packages: DIPY's non-local means, ANTs' DenoiseImage and BM4D, each with the settings it may choose from.

None of them is needed to denoise; the extra ``peers`` installs them for comparisons. (BM4D: non-commercial use only.)
All take and give float arrays (slices, rows, columns).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.evaluation.optional import needed

EXTRA = "peers"

NLM_STRENGTHS = (0.7, 0.85, 1.0, 1.2, 1.5)
"""Times the true noise."""
NLM_SEARCHES = (("classic", 1, 2), ("classic", 1, 3), ("blockwise", 1, 2))
"""Algorithm, patch radius and search radius in voxels; the last is the package's own choice. Farther searches were no better."""
NLM_MASK_BORDER = 6
"""Pixels around the foreground that SSIM's window reaches."""

ANTS_MODELS = ("Rician", "Gaussian")
"""Noise models."""
ANTS_PATCH = 1
"""Patch radius in voxels, the package's own choice. 2 in the plane was 0.3 dB worse on a training patient."""
ANTS_SEARCH = 1
"""Search radius in voxels. Wider ones gained 0.3 dB at most and take minutes."""


def nlm_trials(voxels: np.ndarray, noise_level: float, wanted: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """DIPY's non-local means (Descoteaux 2008; blockwise: Coupe 2008, 2012) at every setting: (its description, the result).

    Args:
        voxels: the noisy image.
        noise_level: the true standard deviation of the noise, which no user knows.
        wanted: bool, the same shape: the voxels that will be looked at. The classic algorithm computes only these and
            six pixels around them, which changes none of their values.

    Raises:
        SettingsError: DIPY is not installed.
    """
    nlmeans = needed("dipy.denoise.nlmeans", EXTRA).nlmeans
    near = ndimage.binary_dilation(wanted, np.ones((1, 3, 3)), iterations=NLM_MASK_BORDER)
    for algorithm, patch, search in NLM_SEARCHES:
        for rician in (True, False):
            for strength in NLM_STRENGTHS:
                filtered = nlmeans(
                    voxels,
                    strength * noise_level,
                    mask=near if algorithm == "classic" else None,
                    patch_radius=patch,
                    block_radius=search,
                    rician=rician,
                    num_threads=1,
                    method=algorithm,
                )
                name = f"{algorithm}, patch {patch}, search {search}, {'Rician' if rician else 'Gaussian'}, {strength:g} x true noise"
                yield name, filtered


def ants_trials(voxels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """ANTs DenoiseImage (Manjon 2010, spatially adaptive non-local means) with each noise model, at full resolution.

    It measures the noise itself.

    Raises:
        SettingsError: ANTsPy is not installed.
    """
    ants = needed("ants", EXTRA)
    image = ants.from_numpy(np.ascontiguousarray(voxels.T, dtype=np.float32))
    for model in ANTS_MODELS:
        filtered = ants.denoise_image(image, shrink_factor=1, p=ANTS_PATCH, r=ANTS_SEARCH, noise_model=model)
        yield f"{model}, patch {ANTS_PATCH}, search {ANTS_SEARCH}", np.ascontiguousarray(filtered.numpy().T)


def bm4d_trials(voxels: np.ndarray, noise_level: float) -> Iterator[tuple[str, np.ndarray]]:
    """BM4D (Maggioni 2013), its normal profile, told the true standard deviation of the noise, which no user knows.

    Raises:
        SettingsError: BM4D is not installed.
    """
    bm4d = needed("bm4d", EXTRA)
    profile = bm4d.BM4DProfile()
    profile.num_threads = 1  # with more, the result varies from run to run
    yield "true noise", bm4d.bm4d(voxels, noise_level, profile=profile).astype(np.float32)
