"""Structural similarity in the two conventions that papers print under one name, each said by its own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from MRIDenoiseLib.evaluation.figures.pairs import check_pair
from MRIDenoiseLib.extras import needed


class Convention(NamedTuple):
    """How the local means, variances and the covariance are taken; both have K1 = 0.01, K2 = 0.03.

    Args:
        name: for tables.
        window: rows and columns of the window.
        options: of scikit-image.
    """

    name: str
    window: int
    options: dict[str, Any]


WANG = Convention("Wang", 11, {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False})
"""Wang et al. 2004: 11 x 11 Gaussian window of standard deviation 1.5, population covariance."""
FASTMRI = Convention("fastMRI", 7, {"win_size": 7, "use_sample_covariance": True})
"""The fastMRI challenge: 7 x 7 uniform window, sample covariance; its data range is the maximum of the reference volume."""


def ssim(
    image: np.ndarray,
    reference: np.ndarray,
    *,
    data_range: float,
    mask: np.ndarray | None = None,
    convention: Convention = WANG,
) -> float:
    """Structural similarity (Wang et al. 2004) slice by slice, averaged over the voxels counted.

    Air is as similar as can be and would dominate the mean, so the tables average the map over the foreground as well.

    Args:
        image: (slices, rows, columns), at least as large as the window.
        reference: the same shape.
        data_range: L, in the images' units.
        mask: bool, the same shape, which voxels of the map are averaged. When None those whose window lies inside the
            image, as both conventions have it for whole slices.
        convention: :data:`WANG` or :data:`FASTMRI`.

    Returns:
        The mean, at most 1.

    Raises:
        ValueError: shapes that differ, an empty mask, a range that is not positive, slices smaller than the window.
        SettingsError: scikit-image, of the extra ``evaluate``, is not installed.
    """
    check_pair(image, reference, data_range, mask)
    similarity = needed("skimage.metrics", "evaluate").structural_similarity
    border = convention.window // 2
    total, count = 0.0, 0
    for number, (output, truth) in enumerate(zip(image, reference, strict=True)):
        if mask is not None and not mask[number].any():
            continue
        _, values = similarity(
            np.asarray(output, np.float64), np.asarray(truth, np.float64), data_range=data_range, full=True, **convention.options
        )
        counted = values[border:-border, border:-border] if mask is None else values[mask[number]]
        total, count = total + float(counted.sum()), count + counted.size
    return total / count
