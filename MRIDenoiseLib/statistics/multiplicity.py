"""Several tests at once: p values that keep the chance of any false alarm at the level stated."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """p times the number of tests really made, at most 1; NaN, a test that could not be made, stays and does not count."""
    made = sum(not isnan(p) for p in p_values)
    return tuple(nan if isnan(p) else min(1.0, made * p) for p in p_values)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's (1979) step-down adjustment: never larger than :func:`bonferroni`; NaN stays and does not count."""
    order = sorted((p, place) for place, p in enumerate(p_values) if not isnan(p))
    adjusted, least = [nan] * len(p_values), 0.0
    for step, (p, place) in enumerate(order):
        least = max(least, min(1.0, (len(order) - step) * p))
        adjusted[place] = least
    return tuple(adjusted)
