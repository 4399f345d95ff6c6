"""The denoisers of other packages: DIPY's non-local means, ANTs' DenoiseImage and BM4D, each with the settings it may choose from.

None of them is needed to denoise; the extra ``peers`` installs them for comparisons. (BM4D: non-commercial use only.)
All take and give float arrays (slices, rows, columns).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.evaluation.denoisers.ants import denoise_image
from MRIDenoiseLib.evaluation.denoisers.bm4d import block_matching
from MRIDenoiseLib.evaluation.denoisers.nlm import non_local_means

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
    """DIPY's non-local means at every setting: (its description, the result).

    Args:
        voxels: the noisy image.
        noise_level: the true standard deviation of the noise, which no user knows.
        wanted: bool, the same shape: the voxels that will be looked at. The classic algorithm computes only these and
            six pixels around them, which changes none of their values.

    Raises:
        SettingsError: DIPY is not installed.
    """
    near = ndimage.binary_dilation(wanted, np.ones((1, 3, 3)), iterations=NLM_MASK_BORDER)
    for algorithm, patch, search in NLM_SEARCHES:
        for rician in (True, False):
            for strength in NLM_STRENGTHS:
                level = strength * noise_level
                filtered = non_local_means(voxels, level, algorithm=algorithm, patch=patch, search=search, rician=rician, wanted=near)
                name = f"{algorithm}, patch {patch}, search {search}, {'Rician' if rician else 'Gaussian'}, {strength:g} x true noise"
                yield name, filtered


def ants_trials(voxels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """ANTs DenoiseImage with each noise model; it measures the noise itself.

    Raises:
        SettingsError: ANTsPy is not installed.
    """
    for model in ANTS_MODELS:
        name = f"{model}, patch {ANTS_PATCH}, search {ANTS_SEARCH}"
        yield name, denoise_image(voxels, model=model, patch=ANTS_PATCH, search=ANTS_SEARCH)


def bm4d_trials(voxels: np.ndarray, noise_level: float) -> Iterator[tuple[str, np.ndarray]]:
    """BM4D told the true standard deviation of the noise, which no user knows.

    Raises:
        SettingsError: BM4D is not installed.
    """
    yield "true noise", block_matching(voxels, noise_level)
