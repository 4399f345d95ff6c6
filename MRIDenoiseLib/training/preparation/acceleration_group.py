"""How much faster the accelerated scan was, and the word for it that the prompt knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

Group = Literal["1.5x", "2x", "3x"]

GROUPS: dict[Group, float] = {"1.5x": 1.5, "2x": 2.0, "3x": 3.0}
LEAST_RATIO = 1.1
"""Below it the two scans took about the same time, and there is no acceleration to learn from."""


def group(ratio: float) -> Group | None:
    """The group nearest to an acceleration on a logarithmic scale (borders at sqrt(3) and sqrt(6)), None below 1.1.

    Args:
        ratio: T_full / T_fast.

    Raises:
        InputError: it is no positive number.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"an acceleration is a positive number such as 2, not {ratio:g}")
    if ratio < LEAST_RATIO:
        return None
    return min(GROUPS, key=lambda word: abs(math.log(ratio / GROUPS[word])))


@dataclass(frozen=True)
class Acceleration:
    """The ratio of two scan times and, apart from each other, the two factors that may have made it.

    Fewer averages and fewer lines both save time but leave different noise, so neither is multiplied into the other.

    Args:
        ratio: T_full / T_fast.
        nex_fast, nex_full: Number of Averages (0018,0083).
        parallel_fast, parallel_full: Parallel Reduction Factor In-plane (0018,9069).
        source: how the ratio was found, in words.
    """

    ratio: float
    nex_fast: float | None = None
    nex_full: float | None = None
    parallel_fast: float | None = None
    parallel_full: float | None = None
    source: str = ""

    @classmethod
    def between(
        cls,
        fast: Acquisition,
        full: Acquisition,
        *,
        durations: tuple[float | None, float | None] = (None, None),
        given: float | None = None,
    ) -> Acceleration:
        """The acceleration of one acquisition against another.

        What the user says comes first, then the two scan times, then averages and parallel imaging.

        Args:
            fast: the accelerated acquisition.
            full: its full partner.
            durations: Acquisition Duration (0018,9073) of the two, both in one unit.
            given: T_full / T_fast as the user knows it.

        Raises:
            InputError: none of these tells it.
        """
        nex = _number(fast.averages), _number(full.averages)
        parallel = _number(fast.parallel_imaging), _number(full.parallel_imaging)
        if given is not None:
            ratio, source = given, "user"
        elif durations[0] and durations[1]:
            ratio, source = durations[1] / durations[0], "Acquisition Duration (0018,9073)"
        else:
            ratio, source = _from_factors(nex, parallel)
        return cls(ratio, *nex, *parallel, source=source)


def _number(field: AcquisitionField) -> float | None:
    return float(field.value) if isinstance(field.value, (int, float)) and field.value > 0 else None


def _from_factors(nex: tuple[float | None, float | None], parallel: tuple[float | None, float | None]) -> tuple[float, str]:
    """NEX_full / NEX_fast * P_fast / P_full, and its account."""
    if not (nex[0] and nex[1]):
        raise InputError("the headers do not tell how much faster the one scan is than the other; give --acceleration, for example 2")
    ratio, source = nex[1] / nex[0], f"NEX {nex[0]:g} against {nex[1]:g}"
    if not any(parallel):
        return ratio, f"{source}; parallel imaging in neither header, taken as equal"
    # Vendors tend to leave the factor out where parallel imaging was off.
    few, many = (factor or 1.0 for factor in parallel)
    return ratio * few / many, f"{source}, parallel imaging {few:g} against {many:g}"
