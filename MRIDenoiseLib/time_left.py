"""A remaining time as a person says it."""

from __future__ import annotations


def time_left(seconds: float | None) -> str:
    """``about 40 s left``, ``about 3 min left``, ``about 2 h 05 min left``; nothing where nobody can tell."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    return f"about {minutes} min left" if minutes < 90 else f"about {minutes // 60} h {minutes % 60:02d} min left"
