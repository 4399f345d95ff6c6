"""Labels on a Markov random field: who is whose neighbour, and what a label costs by its voxel's value and by its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

THICK = 2.0
"""Slices thicker than so many pixels show different anatomy next door: then neighbours lie within the slice only."""

Offset = tuple[int, int, int]


OUTSIDE = 255
"""Label of voxels that belong to no class."""
LEAST_GAIN = 1e-5
"""Smaller falls of a voxel's cost do not count; single precision cannot resolve them."""


class Neighbourhood:
    """The 8 neighbours within a slice or the 26 in space, weighted by 1 / distance; the nearest weigh 1.

    Every sum over neighbours is taken so that a mirrored image gives the mirrored sum to the last bit: neighbours at the same
    distance are counted as whole numbers first.

    Args:
        spacing: mm along (slices, rows, columns).
    """

    def __init__(self, spacing: tuple[float, float, float]) -> None:
        flat = spacing[0] > THICK * max(spacing[1:])
        directions: list[Offset] = [(z, y, x) for z, y, x in product((0,) if flat else (0, 1), (0, 1), (0, 1)) if z or y or x]
        lengths = {d: float(np.linalg.norm(np.array(d) * spacing)) for d in directions}
        nearest = min(lengths.values())
        self.in_space = not flat
        self.groups: tuple[tuple[float, tuple[Offset, ...]], ...] = tuple(
            (nearest / lengths[direction], tuple(_mirrored(direction))) for direction in directions
        )
        """Weight and offsets of neighbours at one distance."""

    @property
    def offsets(self) -> list[Offset]:
        """All neighbours, as steps along (slices, rows, columns)."""
        return [offset for _, offsets in self.groups for offset in offsets]

    def weight_of(self, members: np.ndarray) -> np.ndarray:
        """At every voxel the summed weight of its neighbours that are members.

        Args:
            members: bool (slices, rows, columns).

        Returns:
            float32 of the same shape.
        """
        total = np.zeros(members.shape, np.float32)
        ones = members.view(np.uint8)
        for weight, offsets in self.groups:
            count = np.zeros(members.shape, np.uint8)
            for here, there in map(_overlap, offsets):
                count[here] += ones[there]
            total += np.float32(weight) * count
        return total

    def largest_of(self, values: np.ndarray) -> np.ndarray:
        """At every voxel the largest value among its neighbours, at least 0; (slices, rows, columns)."""
        largest = np.zeros_like(values)
        for here, there in map(_overlap, self.offsets):
            np.maximum(largest[here], values[there], out=largest[here])
        return largest


def _mirrored(direction: Offset) -> Iterator[Offset]:
    signs = product(*((1, -1) if step else (1,) for step in direction))
    return ((a * direction[0], b * direction[1], c * direction[2]) for a, b, c in signs)


def _overlap(offset: Offset) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a voxel has that neighbour, and the neighbours."""
    here = tuple(slice(max(0, -step), -step if step > 0 else None) for step in offset)
    there = tuple(slice(max(0, step), step if step < 0 else None) for step in offset)
    return here, there


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
