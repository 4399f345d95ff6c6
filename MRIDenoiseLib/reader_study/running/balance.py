"""Readings assigned to sessions: no patient twice in one, and every arm equally often in each.

Readings are the edges of a graph between patients and arms, sessions are colours. A bipartite graph has an edge colouring that is
equitable (at every vertex the colours occur equally often, give or take one) and balanced (so do the colours as a whole) for any number
of colours (de Werra 1971). At a patient with no more readings than sessions, equitable means: no session twice.

Also the random draws, which stay the same on every platform and in every version of Python and NumPy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")


class FairDraw:
    """A sequence of random draws that only its words decide: SHA-256 of the words and a counter. Neither library generator promises that
    its *shuffling* stays the same, only its raw numbers.

    Args:
        words: what the draws are for, such as the seed and the reader; other words give unrelated draws.
    """

    def __init__(self, *words: str | int) -> None:
        self._words = json.dumps(words).encode()
        self._count = 0

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit`` - 1, each equally likely."""
        while True:
            digest = hashlib.sha256(self._words + self._count.to_bytes(8, "big")).digest()
            self._count += 1
            number = int.from_bytes(digest[:8], "big")
            # The last, incomplete stretch of ``limit`` numbers would favour the small ones.
            if number < 2**64 - 2**64 % limit:
                return number % limit

    def one_of(self, things: Sequence[T]) -> T:
        """One of them, each equally likely."""
        return things[self.below(len(things))]

    def shuffled(self, things: Sequence[T]) -> list[T]:
        """All of them in a random order (Fisher and Yates), each order equally likely."""
        shuffled = list(things)
        for last in range(len(shuffled) - 1, 0, -1):
            chosen = self.below(last + 1)
            shuffled[last], shuffled[chosen] = shuffled[chosen], shuffled[last]
        return shuffled


Vertex = tuple[int, Hashable, int]


def deal(readings: Sequence[tuple[Hashable, Hashable]], sessions: int, draw: FairDraw) -> list[int]:
    """A session for each reading.

    Args:
        readings: (patient, arm) of each; the same pair may occur more than once.
        sessions: how many.
        draw: decides among the many ways that fulfil the conditions.

    Returns:
        The index of each reading's session. A patient's readings are spread over sessions, and each arm's, and all of them: counts
        differ by at most one.
    """
    return _Colouring(readings, sessions, draw).colours


class _Colouring:
    """Colours edges one after another; where there is no free colour, two colours are swapped along a path (König)."""

    def __init__(self, edges: Sequence[tuple[Hashable, Hashable]], colours: int, draw: FairDraw) -> None:
        self._number, self._draw = colours, draw
        order = draw.shuffled(range(len(edges)))
        self._ends = _split(edges, order, colours)
        self._at: dict[Vertex, dict[int, int]] = {vertex: {} for ends in self._ends for vertex in ends}
        self.colours = [-1] * len(edges)
        for edge in order:
            self._colour(edge)
        self._balance()

    def _colour(self, edge: int) -> None:
        left, right = self._ends[edge]
        free_left, free_right = self._free(left), self._free(right)
        common = [colour for colour in free_left if colour in free_right]
        if common:
            self._paint(edge, self._draw.one_of(common))
            return
        wanted = self._draw.one_of(free_left)
        # The path from the right end never comes to the left one, which has no edge of the wanted colour to arrive by.
        self._swap(right, wanted, self._draw.one_of(free_right))
        self._paint(edge, wanted)

    def _balance(self) -> None:
        """As long as one colour has two edges more than another, some path of the two starts and ends with it; swap that one."""
        while True:
            counts = [self.colours.count(colour) for colour in range(self._number)]
            most, fewest = counts.index(max(counts)), counts.index(min(counts))
            if counts[most] - counts[fewest] < 2:
                return
            for vertex, edges in self._at.items():
                if most in edges and fewest not in edges and len(self._path(vertex, most, fewest)) % 2:
                    self._swap(vertex, most, fewest)
                    break

    def _free(self, vertex: Vertex) -> list[int]:
        return [colour for colour in range(self._number) if colour not in self._at[vertex]]

    def _paint(self, edge: int, colour: int) -> None:
        self.colours[edge] = colour
        for vertex in self._ends[edge]:
            self._at[vertex][colour] = edge

    def _path(self, vertex: Vertex, first: int, second: int) -> list[int]:
        """The edges of alternating colours that start at a vertex with the first colour."""
        path: list[int] = []
        colour = first
        while colour in self._at[vertex]:
            edge = self._at[vertex][colour]
            path.append(edge)
            left, right = self._ends[edge]
            vertex = right if vertex == left else left
            colour = second if colour == first else first
        return path

    def _swap(self, vertex: Vertex, first: int, second: int) -> None:
        path = self._path(vertex, first, second)
        for edge in path:
            for end in self._ends[edge]:
                del self._at[end][self.colours[edge]]
            self.colours[edge] = second if self.colours[edge] == first else first
        for edge in path:
            self._paint(edge, self.colours[edge])


def _split(edges: Sequence[tuple[Hashable, Hashable]], order: Sequence[int], colours: int) -> list[tuple[Vertex, Vertex]]:
    """The edges between copies of their ends that have at most ``colours`` edges each, all but one of a vertex's copies exactly so.

    A colouring in which no copy has a colour twice is then equitable at the vertex.
    """
    seen: dict[tuple[int, Hashable], int] = {}

    def copy(side: int, vertex: Hashable) -> Vertex:
        number = seen.get((side, vertex), 0)
        seen[side, vertex] = number + 1
        return side, vertex, number // colours

    ends = {edge: (copy(0, edges[edge][0]), copy(1, edges[edge][1])) for edge in order}
    return [ends[edge] for edge in range(len(edges))]
