"""How strong the noise of a volume is, from the volume alone, as a network measures it slice by slice."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from MRIDenoiseLib.image.noise import SLICES
from MRIDenoiseLib.inference.slices import Slices
from MRIDenoiseLib.models.noise_estimator import estimated_noise_level

DIFFERING = 1.5
"""A ratio between slices: above it, the networks are given each slice's own noise level, if the noise in the air agrees."""
UNANIMOUS = 25
"""The percentile that is used for all slices where their noise levels differ but the noise in the air does not. What differs is
then the anatomy: fine anatomy is taken for noise, never noise for anatomy."""
AWAY = 6
"""Pixels from the body: air that is nearer holds signal that blurs out of the body."""
LEAST_AIR = 300
"""Pixels of air that are needed to measure its noise."""


def measured_noise_levels(
    estimator: nn.Module, slices: Slices, mask: np.ndarray, air: Callable[[int], float | None] = lambda index: None
) -> np.ndarray:
    """The standard deviation of the noise inside the body of every slice, as a network measures it.

    Up to twelve slices are measured. Where they agree, their median is used for all. Where they differ and their air differs, too
    (a coil at one end, slices of another series), a smooth curve through them is used. Where the air explains less than half of
    the difference, or cannot be measured, the lower quartile is used for all.

    Args:
        estimator: a :class:`MRIDenoiseLib.models.noise_estimator.NoiseEstimator`.
        slices: float32 (slices, rows, columns) in network units, 2 I / scale - 1.
        mask: bool, the body, same shape.
        air: index of a slice -> how strong the noise of its air is, in any unit, see :func:`air_level`; None where that is unknown.

    Returns:
        (slices,), in network units.
    """
    size = mask.sum(axis=(1, 2))
    large = np.flatnonzero(size >= size.max() / 2)
    chosen = large[np.unique(np.linspace(0, large.size - 1, SLICES).round().astype(int))]
    device = next(estimator.parameters()).device
    found = []
    for z in chosen:
        image, body = (torch.from_numpy(np.ascontiguousarray(part[z], dtype=np.float32))[None, None].to(device) for part in (slices, mask))
        with torch.no_grad():
            found.append(float(estimated_noise_level(estimator, image, body)))
    course = ndimage.median_filter(found, 3, mode="nearest")
    if _spread(course) <= DIFFERING:
        return np.full(len(mask), np.median(found))
    of_air = np.array([np.nan if (level := air(int(z))) is None else level for z in chosen])
    unexplained = course / ndimage.median_filter(of_air, 3, mode="nearest")
    if np.isnan(of_air).any() or _spread(unexplained) > math.sqrt(_spread(course)):
        return np.full(len(mask), np.percentile(found, UNANIMOUS))
    return np.exp(np.interp(np.arange(len(mask)), chosen, np.log(course)))


def _spread(values: np.ndarray) -> float:
    return float(values.max() / values.min())


def air_level(image: np.ndarray, body: np.ndarray, wiped: float | None) -> float | None:
    """How strong the noise in the air of a slice is, in the slice's units: the mean of the fainter half of it, where ghosts are rare.

    Args:
        image: (rows, columns).
        body: bool, where there is tissue.
        wiped: the value that stands where air was wiped out.

    Returns:
        None where too little air is left to measure.
    """
    air = image[~ndimage.binary_dilation(body, iterations=AWAY)]
    air = air[(air > 0) & (air != wiped)]
    return float(air[air <= np.median(air)].mean()) if air.size >= LEAST_AIR else None
