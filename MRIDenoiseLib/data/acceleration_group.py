"""How much faster the accelerated scan was, and the word for it that the prompt knows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.acquisition import MAX_ACCELERATION
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.prompt.vocabulary import acceleration_word
from MRIDenoiseLib.volume import Acquisition

LEAST_RATIO = 1.1
"""Below it the two scans took about the same time, and there is no acceleration to learn from."""


def group(ratio: float) -> str | None:
    """The prompt's word for an acceleration, see :func:`~MRIDenoiseLib.prompt.vocabulary.acceleration_word`; None below 1.1.

    Args:
        ratio: T_full / T_fast.

    Raises:
        InputError: it is no positive number.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"an acceleration is a positive number such as 2, not {ratio:g}")
    return None if ratio < LEAST_RATIO else acceleration_word(ratio)


@dataclass(frozen=True)
class Acceleration:
    """The ratio of two scan times and, apart from each other, the two factors that may have made it.

    Fewer averages and fewer lines both save time but leave different noise, so neither is multiplied into the other.

    Args:
        ratio: T_full / T_fast.
        nex_fast, nex_full: Number of Averages (0018,0083); for one of N repeats ``nex_full`` is what all N make together.
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
            durations: Acquisition Duration (0018,9073) of the two, s.
            given: T_full / T_fast as the user knows it.

        Raises:
            InputError: none of these tells it, or they tell of more than any scan is accelerated.
        """
        nex = positive(fast.averages.value), positive(full.averages.value)
        parallel = positive(fast.parallel_imaging.value), positive(full.parallel_imaging.value)
        if given is not None:
            ratio, source = given, "user"
        elif durations[0] and durations[1]:
            ratio, source = durations[1] / durations[0], "Acquisition Duration (0018,9073)"
        else:
            ratio, source = _from_factors(nex, parallel)
        if ratio > MAX_ACCELERATION:
            raise InputError(f"it would be {ratio:.3g} times as fast as the full scan ({source}), which no scan is; give --acceleration")
        return cls(ratio, *nex, *parallel, source=source)


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
