"""Structural similarity in the two conventions that papers print under one name; here each has its own name.

Also whether slices that were denoised one by one still fit together: flicker from slice to slice is visible in every reformat.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from MRIDenoiseLib.evaluation.figures.psnr import check_pair
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

    Air is almost identical and would dominate the mean, so the tables also average the map over the foreground.

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


def slice_flicker(image: np.ndarray, reference: np.ndarray, noisy: np.ndarray, mask: np.ndarray) -> float:
    """How much the error changes from slice to slice: Var(d(image - reference)) / Var(d(noisy - reference)).

    d is the difference of neighbouring slices where both are in the mask. The noisy image has 1, a perfect one 0. Of two images
    with the same error, one whose error continues from slice to slice (a blur, a shade) has a smaller value than one whose error
    is different in every slice.

    Args:
        image: (slices, rows, columns), two slices or more.
        reference: the same shape and units.
        noisy: the same shape and units.
        mask: bool, the same shape.

    Raises:
        ValueError: fewer than two slices, no voxel that is in the mask of two neighbours, or a noisy image without noise.
    """
    ours, theirs = (_changes(other.astype(np.float64) - reference, mask) for other in (image, noisy))
    if theirs == 0:
        raise ValueError("the noisy image holds no noise")
    return ours / theirs


def flicker_of_anatomy(image: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> float:
    """How much the error changes from slice to slice, compared with the anatomy: Var(d(image - reference)) / Var(d reference).

    It needs no noisy image, so images of different noise can be compared by it; d as in :func:`slice_flicker`.

    Args:
        image: (slices, rows, columns), two slices or more.
        reference: the same shape and units.
        mask: bool, the same shape.

    Raises:
        ValueError: fewer than two slices, no voxel that is in the mask of two neighbours, or slices that are all alike.
    """
    error, anatomy = (_changes(each, mask) for each in (image.astype(np.float64) - reference, reference.astype(np.float64)))
    if anatomy == 0:
        raise ValueError("the slices of the reference are all alike")
    return error / anatomy


def _changes(slices: np.ndarray, mask: np.ndarray) -> float:
    """Variance of the difference of neighbouring slices where both lie in the mask."""
    if len(slices) < 2:
        raise ValueError("one slice has no neighbour")
    both = mask[1:] & mask[:-1]
    if not both.any():
        raise ValueError("the mask is empty")
    return float(np.var(np.diff(slices, axis=0)[both]))


def reformatted_ssim(image: np.ndarray, reference: np.ndarray, *, data_range: float, mask: np.ndarray) -> float:
    """SSIM (:data:`WANG`) over the mask in the two planes across the slices, their mean: what a reader of reformats sees.

    Voxels are taken as they are, without interpolation to equal sides.

    Args:
        image: (slices, rows, columns), at least 11 slices.
        reference: the same shape and units.
        data_range: L, in the images' units.
        mask: bool, the same shape.

    Raises:
        ValueError: as :func:`ssim`.
    """
    values = []
    for axis in (1, 2):
        across, truth, counted = (np.moveaxis(each, axis, 0) for each in (image, reference, mask))
        # Planes outside the body would be computed for nothing.
        seen = counted.any(axis=(1, 2))
        values.append(ssim(across[seen], truth[seen], data_range=data_range, mask=counted[seen], convention=WANG))
    return float(np.mean(values))
