"""Where to segment: the brain or the body, by Otsu's threshold and morphology, from the image alone.

The morphology works on a grid of about 2 mm, which is fast and sees no noise, and in millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask, otsu_threshold

GRID = 2.0
"""Voxel size of the morphology, mm."""
SMOOTHING = 0.3
"""Standard deviation of the Gaussian before the image is made coarser, in coarse voxels."""
HEAD = 0.15
"""Of the median of the bright voxels: more than air shows."""
FIELD = 25.0
"""Standard deviation, mm, of the Gaussian that estimates the brightness of a region of the head."""
CLIPPED = 1.3
"""Times the median: what is brighter, fat and eyes, does not count for that."""
TISSUE = (0.55, 2.1)
"""Brain is so many times as bright as its place: bone and air are darker, fat is brighter."""
CORE = 6.5
"""Depth in mm beyond which the bridges through the skull's holes are left out."""
CLOSED = 8.0
"""Furrows and ventricles up to twice as wide, mm, are filled."""
SMALLEST_BRAIN = 20.0
"""Millilitres."""
BODY_CLOSED = 5.0
"""Gaps in the body up to twice as wide, mm, are filled."""

Step = tuple[float, float, float]
"""Spacing of the coarse grid, mm."""


def brain_mask(voxels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The brain with the fluid in and around it, of a head with or without its skull.

    Tissue that is as bright as its place, deeper than 5 mm: the largest piece of it is the brain's core. It is grown back to
    the tissue's border and closed. No substitute for a trained skull stripping: at the base, eyes and neck may hold on.

    Args:
        voxels: float (slices, rows, columns), magnitudes.
        spacing: mm along these axes.

    Returns:
        A bool array of the same shape.

    Raises:
        InputError: nothing in the image is like a brain, or its values are not an image, see :func:`body_mask`.
    """
    body_mask(voxels)  # refuses what is not an image
    coarse, step = _coarser(voxels, spacing)
    median = float(np.median(coarse[coarse > otsu_threshold(coarse)]))
    head = coarse > HEAD * median
    sigma = [FIELD / size for size in step]
    usual = np.where(head, coarse, 0).clip(0, CLIPPED * median)
    filled = ndimage.gaussian_filter(head.astype(np.float64), sigma)
    field = ndimage.gaussian_filter(usual, sigma) / np.maximum(filled, 1e-3)
    relative = coarse / np.maximum(field, 0.05 * median)
    tissue = head & (relative > TISSUE[0])
    tissue &= relative < TISSUE[1] * np.median(relative[tissue])

    pieces, count = ndimage.label(_depth(tissue, step) > CORE)
    if count:
        core = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
        brain = tissue & (_depth(~core, step) <= CORE + step[1] / 2)
        brain |= _closed(brain, CLOSED, step)
        brain = np.stack([ndimage.binary_fill_holes(one) for one in brain])
    if not count or brain.sum() * np.prod(step) < 1000 * SMALLEST_BRAIN:
        raise InputError("no brain was found in the image; give a mask of what is to be segmented")
    return _finer(brain, step, voxels.shape)


def whole_body_mask(voxels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The body, dark tissue within it included.

    Args:
        voxels: float (slices, rows, columns), magnitudes.
        spacing: mm along these axes.

    Raises:
        InputError: see :func:`body_mask`.
    """
    coarse, step = _coarser(body_mask(voxels), spacing)
    body = _closed(coarse >= 0.5, BODY_CLOSED, step)
    body = np.stack([ndimage.binary_fill_holes(one) for one in body])
    return _finer(body, step, voxels.shape)


def _coarser(voxels: np.ndarray, spacing: tuple[float, float, float]) -> tuple[np.ndarray, Step]:
    """The image on a grid of about 2 mm, smoothed for it, and that grid's spacing."""
    sides = [max(1, round(length * size / max(size, GRID))) for length, size in zip(voxels.shape, spacing, strict=True)]
    factors = [length / side for length, side in zip(voxels.shape, sides, strict=True)]
    smooth = ndimage.gaussian_filter(voxels.astype(np.float64), [SMOOTHING * factor if factor > 1 else 0 for factor in factors])
    z, y, x = (size * factor for size, factor in zip(spacing, factors, strict=True))
    return _resampled(smooth, sides), (z, y, x)


def _finer(members: np.ndarray, step: Step, shape: tuple[int, ...]) -> np.ndarray:
    """A mask on the coarse grid brought to the fine one, its border half way between in and out."""
    return _resampled(_depth(members, step) - _depth(~members, step), shape) > 0


def _resampled(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The image on so many voxels over the same extent, linear between voxel centres."""
    for axis, (new, old) in enumerate(zip(shape, image.shape, strict=True)):
        place = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, old - 1)
        share = (place - low).reshape([-1 if other == axis else 1 for other in range(3)])
        image = np.take(image, low, axis) * (1 - share) + np.take(image, high, axis) * share
    return image


def _depth(members: np.ndarray, step: Step) -> np.ndarray:
    """Distance in mm to the nearest voxel that is not a member."""
    if members.all():
        return np.full(members.shape, sum(n * size for n, size in zip(members.shape, step, strict=True)))
    return ndimage.distance_transform_edt(members, sampling=step)


def _closed(members: np.ndarray, radius: float, step: Step) -> np.ndarray:
    """Morphological closing with a ball; what lies beyond the image does not hold it open."""
    near = _depth(~members, step) <= radius
    margin = [(1 + int(radius / size),) * 2 for size in step]
    inner = tuple(slice(before, -after) for before, after in margin)
    return _depth(np.pad(near, margin, mode="edge"), step)[inner] > radius
