"""Voxels that hold two tissues: how much of each (the mixel types of Zhang, Brady and Smith's program)."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.segmentation.mixture import Mixture
from MRIDenoiseLib.segmentation.neighbourhood import Neighbourhood
from MRIDenoiseLib.segmentation.random_field import OUTSIDE, cheapest_labels, relax

FRACTIONS = (np.arange(32) + 0.5) / 32
"""Of the brighter class, over which the likelihood of a mixture is averaged."""
TABLE = 2048


def partial_volumes(
    values: np.ndarray, mixture: Mixture, labels: np.ndarray, neighbourhood: Neighbourhood, smoothness: float, sweeps: int
) -> np.ndarray:
    """The part of every voxel that is of each class.

    A voxel is of one class, or a mixture of two that follow each other in brightness, all proportions being as likely.
    Intensities mix linearly, not their logarithms. Which of these types a voxel is, is found with a Potts prior; the
    proportions of a mixture then follow from its value.

    Args:
        values: log intensities without bias, (slices, rows, columns).
        mixture: the K classes in the order of their means.
        labels: uint8, 0 to K - 1, or OUTSIDE.
        neighbourhood: who is whose neighbour.
        smoothness: beta of the types.
        sweeps: of iterated conditional modes.

    Returns:
        float32 (K, slices, rows, columns), summing to 1 inside and 0 outside.
    """
    classes = len(mixture.means)
    mixed = [_mixture_cost(values, mixture, k) for k in range(classes - 1)]
    costs = np.concatenate([mixture.costs(values), np.stack(mixed).astype(np.float32)])
    start = np.where(labels == OUTSIDE, OUTSIDE, cheapest_labels(costs)[0]).astype(np.uint8)
    types = relax(costs, start, neighbourhood, smoothness, sweeps)

    parts = np.stack([types == k for k in range(classes)]).astype(np.float32)
    levels = np.exp(mixture.means)
    for k in range(classes - 1):
        here = types == classes + k
        brighter = np.clip((np.exp(values[here]) - levels[k]) / (levels[k + 1] - levels[k]), 0, 1)
        parts[k][here], parts[k + 1][here] = 1 - brighter, brighter
    return parts


def _mixture_cost(values: np.ndarray, mixture: Mixture, k: int) -> np.ndarray:
    """-log likelihood of a mixture of classes k and k + 1, from a table over the values."""
    dark, bright = np.exp(mixture.means[k : k + 2])
    means = np.log((1 - FRACTIONS) * dark + FRACTIONS * bright)
    variances = (1 - FRACTIONS) * mixture.widths[k] ** 2 + FRACTIONS * mixture.widths[k + 1] ** 2
    table = np.linspace(values.min(), values.max(), TABLE)
    each = -np.square(table[:, None] - means) / (2 * variances) - np.log(variances) / 2
    highest = each.max(axis=1, keepdims=True)
    cost = -(highest[:, 0] + np.log(np.exp(each - highest).mean(axis=1)))
    return np.interp(values, table, cost)
