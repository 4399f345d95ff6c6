"""A remaining time as a person says it."""

from __future__ import annotations


def time_left(seconds: float | None) -> str:
    """``about 40 s left``, ``about 3 min left``, ``about 2 h 05 min left``; nothing where nobody can tell."""
    return "" if seconds is None else f"about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
