"""Whether slices that were denoised one by one still fit together: what flickers from slice to slice shows in every reformat."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.figures.ssim import WANG, ssim


def slice_flicker(image: np.ndarray, reference: np.ndarray, noisy: np.ndarray, mask: np.ndarray) -> float:
    """How much the error changes from slice to slice: Var(d(image - reference)) / Var(d(noisy - reference)).

    d is the difference of neighbouring slices where both lie in the mask. The noisy image has 1, a perfect one 0. Of two
    images of the same error, the one whose error goes on from slice to slice (a blur, a shade) has less than the one whose
    error is new in every slice.

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
    """How much the error changes from slice to slice against what the anatomy does: Var(d(image - reference)) / Var(d reference).

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
        # Planes beside the body would be computed for nothing.
        seen = counted.any(axis=(1, 2))
        values.append(ssim(across[seen], truth[seen], data_range=data_range, mask=counted[seen], convention=WANG))
    return float(np.mean(values))
