"""What a reader hands to the pipeline: cases, each of which gives one or more pairs of volumes, and what could not be one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from MRIDenoiseLib.data.acceleration_group import Acceleration
from MRIDenoiseLib.data.references import GtKind
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.volume import Volume

Step = Literal["listing", "matching", "reading", "acceleration", "alignment", "brightness", "reference"]
"""In the order in which they are taken; from ``reading`` on they concern a pair that was found."""

Say = Callable[[str], None]
"""Told what is being done; raises :class:`~MRIDenoiseLib.errors.Cancelled` when the user has asked to stop."""

Check = Callable[[], None]
"""Raises :class:`~MRIDenoiseLib.errors.Cancelled` when the user has asked to stop; called between pieces of work of about a second."""


def unasked() -> None:
    """A :data:`Check` for work that nobody stops."""


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
        reference_noise: standard deviation of the clean volume's noise, where repeats tell it.
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

    def pairs(self, check: Check = unasked) -> Iterator[Pair]:
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
    """An error's sentence without the names of the files it speaks of, which may be a patient's.

    Args:
        message: any text.
        names: the names that may occur in it; of a path, both the whole and its last part.
        instead: what to say for a name.
    """
    known = {str(name) for name in names} | {Path(name).name for name in names} - {""}
    for name in sorted(known, key=len, reverse=True):
        message = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", instead, message)
    return message
