"""Progress with the time left, and a stop that is heard between any two network calls.

The remaining time in words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from MRIDenoiseLib.errors import Cancelled

Progress = Callable[[float, float | None, str], None]
"""(fraction done 0 to 1, seconds left or None, what is being done)."""

ShouldStop = Callable[[], bool]
"""Whether the user has requested a stop."""


class Pace:
    """Reports how far the work is and checks whether it should continue.

    Args:
        total: slices to denoise.
        progress: called after every step.
        should_stop: called before every network call.
    """

    def __init__(self, total: int, progress: Progress | None, should_stop: ShouldStop | None) -> None:
        self._total = total
        self._progress = progress
        self._should_stop = should_stop
        self._began: float | None = None
        self._furthest = 0.0

    def check(self) -> None:
        """Raise :class:`Cancelled` when the user has requested a stop."""
        if self._should_stop and self._should_stop():
            raise Cancelled("cancelled; nothing was written")

    def stoppable(self, network: Callable[..., Any]) -> Callable[..., Any]:
        """The same network, which checks before every call whether to continue."""

        def call(*arguments: Any) -> Any:
            self.check()
            return network(*arguments)

        return call

    def say(self, what: str) -> None:
        """Name what is being done, without a step forward."""
        self.check()
        if self._progress:
            self._progress(self._furthest, None, what)

    def start(self) -> None:
        """The slices start now: the time left is estimated from here."""
        self._began = time.monotonic()

    def reached(self, slices: float, what: str = "Denoising") -> None:
        """``slices`` of the total are done; a batch tried again after it failed takes nothing back from the bar."""
        fraction = min(1.0, slices / self._total)
        self._furthest = max(self._furthest, fraction)
        if self._progress and self._began is not None:
            elapsed = time.monotonic() - self._began
            left = elapsed * (1 - fraction) / fraction if fraction > 0 else None
            self._progress(self._furthest, left, what)
        self.check()


def time_left(seconds: float | None) -> str:
    """``about 40 s left``, ``about 3 min left``, ``about 2 h 05 min left``; nothing where it is not known."""
    return "" if seconds is None else f"about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
