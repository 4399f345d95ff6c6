"""Whether slices that were denoised one by one still fit together: what flickers from slice to slice shows in every reformat."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.evaluation.metrics.structural_similarity import WANG, ssim


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
    if len(reference) < 2:
        raise ValueError("one slice has no neighbour")
    both = mask[1:] & mask[:-1]
    if not both.any():
        raise ValueError("the mask is empty")
    truth = reference.astype(np.float64)
    ours, theirs = (float(np.var(np.diff(other - truth, axis=0)[both])) for other in (image, noisy))
    if theirs == 0:
        raise ValueError("the noisy image holds no noise")
    return ours / theirs


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
