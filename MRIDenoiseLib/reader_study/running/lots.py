"""Drawing lots that are the same on every platform and in every version of Python and NumPy, for good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Lots:
    """A sequence of draws that its words alone decide: SHA-256 of the words and a counter. Neither library generator promises that
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
