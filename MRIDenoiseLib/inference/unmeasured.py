"""What the networks see where nothing was measured: more of what is next to it, so that no edge is there and no noise is missing."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.volume import Volume

AWAY = 3
"""Pixels from the body: what is nearer, or enclosed by it, may be dark tissue."""
LEAST_AIR = 0.02
"""The part of a slice that must be air, if air is to be put into its gaps."""


def filled_stack(volume: Volume) -> tuple[np.ndarray, np.ndarray | None]:
    """The slices of a volume without gaps, and where the gaps were.

    Holes in tissue, and gaps that cut it, get its mirror image; gaps next to air get any of the slice's own air pixels. So body
    and noise are measured and denoised beside a gap as they are without one. Where no air was measured, as in a brain on a
    background of NaN, gaps outside the tissue stay 0, which counts as wiped out. What is put here is never part of a result.

    Args:
        volume: the volume; it is not changed.

    Returns:
        float32 (slices, rows, columns), the volume's own voxels where there is no gap, and bool of the same shape or None.

    Raises:
        InputError: as :func:`body_mask`.
    """
    stack = volume.stack
    if volume.unmeasured is None or not volume.unmeasured.mask.any():
        return stack, None
    gaps = volume.stacked(volume.unmeasured.mask)
    body = body_mask(stack, gaps)
    slices = stack.copy()
    for index, (image, gap, tissue) in enumerate(zip(slices, gaps, body, strict=True)):
        if gap.any() and not gap.all():
            image[gap] = _continued(image, gap, tissue, index)
    return slices, gaps


def _continued(image: np.ndarray, gap: np.ndarray, tissue: np.ndarray, seed: int) -> np.ndarray:
    """The values for the gaps of one slice (rows, columns), in the order of ``image[gap]``."""
    nearest = ndimage.distance_transform_edt(gap, return_distances=False, return_indices=True)
    border = np.array(image.shape)[:, None] - 1
    mirrored = np.clip(2 * nearest[:, gap] - np.argwhere(gap).T, 0, border)
    # A mirror image that lies in a gap, too, is replaced by what is nearest to it.
    rows, columns = nearest[:, mirrored[0], mirrored[1]]
    whole = ndimage.binary_fill_holes(tissue)
    air = image[~gap & ~ndimage.binary_dilation(whole, iterations=AWAY)]
    if air.size < LEAST_AIR * image.size:
        return np.where(whole[gap], image[rows, columns], np.float32(0))
    drawn = np.random.default_rng(seed).choice(air, len(rows))
    return np.where(tissue[rows, columns] | whole[gap], image[rows, columns], drawn)
