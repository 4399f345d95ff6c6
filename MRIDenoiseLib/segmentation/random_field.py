"""Labels on a Markov random field: a voxel costs what its value says and what its neighbours say."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.segmentation.neighbourhood import Neighbourhood

OUTSIDE = 255
"""Label of voxels that belong to no class."""
LEAST_GAIN = 1e-5
"""By less a voxel's cost need not fall; single precision cannot tell."""


def field_costs(costs: np.ndarray, labels: np.ndarray, neighbourhood: Neighbourhood, smoothness: float) -> np.ndarray:
    """What every label would cost every voxel, its neighbours being labelled as they are.

    The Potts prior charges ``smoothness`` times its weight for a neighbour with another label. The charge of all neighbours
    together is left out: it is the same for every label.

    Args:
        costs: float32 (labels, slices, rows, columns), -log likelihood.
        labels: uint8 (slices, rows, columns), :data:`OUTSIDE` where there is nothing to label.
        neighbourhood: who is whose neighbour.
        smoothness: beta.
    """
    if smoothness == 0:
        return costs
    return np.stack([cost - np.float32(smoothness) * neighbourhood.weight_of(labels == k) for k, cost in enumerate(costs)])


def relax(costs: np.ndarray, labels: np.ndarray, neighbourhood: Neighbourhood, smoothness: float, sweeps: int) -> np.ndarray:
    """Iterated conditional modes (Besag 1986): voxels take their cheapest label until none gains by it.

    In a sweep only those change that gain more than each of their neighbours. No two of them are neighbours, so that the
    energy falls by exactly what they gain, and the order in which voxels are visited, which would make a mirrored image
    come out otherwise, does not exist. (Neighbours that gain equally wait for each other.)

    Args:
        costs: as in :func:`field_costs`.
        labels: where to start; not changed.
        neighbourhood: who is whose neighbour.
        smoothness: beta of the Potts prior.
        sweeps: at most so many.

    Returns:
        The labels.
    """
    labels = labels.copy()
    for _ in range(sweeps):
        every = field_costs(costs, labels, neighbourhood, smoothness)
        cheapest, lowest = cheapest_labels(every)
        gain = np.zeros(labels.shape, np.float32)
        for k, cost in enumerate(every):
            np.subtract(cost, lowest, where=labels == k, out=gain)
        gain[gain < LEAST_GAIN] = 0
        changing = gain > neighbourhood.largest_of(gain) if smoothness else gain > 0
        if not changing.any():
            break
        labels[changing] = cheapest[changing]
    return labels


def cheapest_labels(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every voxel's cheapest label (of equal ones the first), uint8, and what it costs; costs as in :func:`field_costs`."""
    labels, lowest = np.zeros(costs.shape[1:], np.uint8), costs[0].copy()
    for k, cost in enumerate(costs[1:], start=1):
        better = cost < lowest
        labels[better] = k
        np.copyto(lowest, cost, where=better)
    return labels, lowest


def energy(costs: np.ndarray, labels: np.ndarray, neighbourhood: Neighbourhood, smoothness: float) -> float:
    """What a labelling costs: every voxel its label's cost, and every pair of unlike neighbours beta times its weight, once."""
    inside = labels != OUTSIDE
    present = np.where(inside, labels, 0)[None]
    own = np.take_along_axis(costs, present, axis=0)[0][inside].sum(dtype=np.float64)
    alike = sum(neighbourhood.weight_of(labels == k)[labels == k].sum(dtype=np.float64) for k in range(len(costs)))
    pairs = neighbourhood.weight_of(inside)[inside].sum(dtype=np.float64)
    return float(own + smoothness * (pairs - alike) / 2)
