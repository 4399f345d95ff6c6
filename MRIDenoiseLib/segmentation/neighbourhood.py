"""Who is whose neighbour in the Markov random field, and how much that counts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

THICK = 2.0
"""Slices thicker than so many pixels show different anatomy next door: then neighbours lie within the slice only."""

Offset = tuple[int, int, int]


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
