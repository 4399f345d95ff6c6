"""What a reader hands to the pipeline: cases, each of which gives one or more pairs of volumes, and what could not be one.

How much faster the accelerated scan was, and the word for it that the prompt knows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from MRIDenoiseLib.data.references import GtKind
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.acquisition import MAX_ACCELERATION
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.prompt.vocabulary import acceleration_word
from MRIDenoiseLib.volume import Acquisition, Volume

LEAST_RATIO = 1.1
"""Below it the two scans took about the same time, and there is no acceleration to learn from."""


def group(ratio: float) -> str | None:
    """The prompt's word for an acceleration, see :func:`~MRIDenoiseLib.prompt.vocabulary.acceleration_word`; None below 1.1.

    Args:
        ratio: T_full / T_fast.

    Raises:
        InputError: it is not a positive number.
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

        What the user states comes first, then the two scan times, then averages and parallel imaging.

        Args:
            fast: the accelerated acquisition.
            full: its full partner.
            durations: Acquisition Duration (0018,9073) of the two, s.
            given: T_full / T_fast as the user knows it.

        Raises:
            InputError: none of these gives it, or they give more than any scan is accelerated.
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
        raise InputError("the headers do not say how much faster the one scan is than the other; give --acceleration, for example 2")
    ratio, source = nex[1] / nex[0], f"NEX {nex[0]:g} against {nex[1]:g}"
    if not any(parallel):
        return ratio, f"{source}; parallel imaging in neither header, taken as equal"
    # Vendors tend to leave the factor out where parallel imaging was off.
    few, many = (factor or 1.0 for factor in parallel)
    return ratio * few / many, f"{source}, parallel imaging {few:g} against {many:g}"


Step = Literal["listing", "matching", "reading", "acceleration", "alignment", "brightness", "reference"]
"""In the order in which they are taken; from ``reading`` on they concern a pair that was found."""

Say = Callable[[str], None]
"""Called with what is being done; raises :class:`~MRIDenoiseLib.errors.Cancelled` when the user has requested a stop."""

Check = Callable[[], None]
"""Raises :class:`~MRIDenoiseLib.errors.Cancelled` when the user has requested a stop; called between pieces of work of about a second."""


def unchecked() -> None:
    """A :data:`Check` for work that cannot be stopped."""


MEASURED_ONCE = "it was measured once, so there is nothing to compare it with"
"""A reason to drop what should have repeats."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A noisy volume and its clean partner as they were read, each on its own grid and in its own units.

    Args:
        noisy: never to be interpolated.
        clean: of the same anatomy.
        gt_kind: how independent of the noisy volume's noise the clean one is.
        repeats: acquisitions that were measured of this image.
        acceleration: how much faster the noisy one is.
        noise: ``simulated`` where the noisy volume was made from the clean one, so that nothing has to be aligned.
        reference_noise: standard deviation of the clean volume's noise, where repeats show it.
    """

    noisy: Volume
    clean: Volume
    gt_kind: GtKind
    repeats: int
    acceleration: Acceleration
    noise: Literal["measured", "simulated"] = "measured"
    reference_noise: float | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """Pairs that are read together: of one accelerated series, or of all repeats of one image.

    Args:
        label: its place in the order of folders and files, such as ``fast 3``; may be shown anywhere.
        subject, study, series: identifiers as the source has them. They decide the split and are never written or shown.
        read: reads the voxels and gives the pairs one after the other, see :meth:`pairs`.
        names: of its files, to keep them out of reports.
        model: Manufacturer's Model Name (0008,1090).
        slice_thickness: mm.
        source, licence: of the data set.
        held_out: whether the source itself keeps this image out of training.
    """

    label: str
    subject: str
    study: str
    series: str
    read: Callable[[Check], Iterator[Pair]]
    names: tuple[str, ...] = ()
    model: str = ""
    slice_thickness: float | None = None
    source: str = ""
    licence: str = ""
    held_out: bool = False

    def pairs(self, check: Check = unchecked) -> Iterator[Pair]:
        """The pairs, one after the other.

        Args:
            check: called for every volume, slice or coil that is read.

        Raises:
            InputError: the voxels cannot be read.
            Cancelled: by ``check``.
        """
        try:
            yield from self.read(check)
        except OSError as error:
            raise InputError(f"it cannot be read: {error.strerror or 'the system refused'}") from error


@dataclass(frozen=True)
class Dropped:
    """What did not become a record.

    Args:
        label: as :attr:`Case.label`.
        step: at which it fell out.
        reason: one sentence without names, identifiers or paths.
    """

    label: str
    step: Step
    reason: str


def anonymous(message: str, names: Iterable[str | Path], instead: str = "a file") -> str:
    """An error's sentence without the names of the files it mentions, which may be a patient's.

    Args:
        message: any text.
        names: the names that may occur in it; of a path, both the whole and its last part.
        instead: what to write in place of a name.
    """
    known = {str(name) for name in names} | {Path(name).name for name in names} - {""}
    for name in sorted(known, key=len, reverse=True):
        message = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", instead, message)
    return message
