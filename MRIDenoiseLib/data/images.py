"""One image of a folder and what is known of it before its voxels are read, for finding out which belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.volume import Acquisition, Volume


@dataclass(frozen=True)
class Slab:
    """The stack of slices an image fills.

    Args:
        normal: unit vector across the slices (patient coordinates; its sign carries no meaning).
        centre: mm, of the whole stack.
        depth: mm from the first slice to the last, and one spacing more.
        spacing: mm between slices.
    """

    normal: tuple[float, float, float]
    centre: tuple[float, float, float]
    depth: float
    spacing: float

    def parallel(self, other: Slab) -> bool:
        """Whether the slices of the two lie within 10 degrees of each other."""
        return abs(float(np.dot(self.normal, other.normal))) > np.cos(np.radians(10))

    def covered_by(self, other: Slab) -> float:
        """The part of this stack's depth, 0 to 1, that a parallel one covers."""
        apart = float(np.dot(np.subtract(other.centre, self.centre), self.normal))
        low = max(-self.depth / 2, apart - other.depth / 2)
        high = min(self.depth / 2, apart + other.depth / 2)
        return max(0.0, high - low) / self.depth


@dataclass(frozen=True)
class Weighting:
    """What decides how bright each tissue is, as far as the header gives it; None where it does not.

    Args:
        echo_time: ms.
        repetition_time: ms.
        inversion_time: ms; None as well where nothing was inverted.
        flip_angle: degrees.
        contrast_agent: whether one had been given.
    """

    echo_time: float | None = None
    repetition_time: float | None = None
    inversion_time: float | None = None
    flip_angle: float | None = None
    contrast_agent: bool = False


@dataclass(frozen=True, eq=False)
class Image:
    """One image of a folder: a file, or one echo of a DICOM series.

    Args:
        label: its place in the order of folders and files; free of names.
        subject, study, series: identifiers as the source has them.
        name: for files without headers the path below the folder without its ending, else empty.
        acquisition: of DICOM.
        volumes: how often every place was imaged.
        read: volume number, from 1 -> the volume; raises InputError.
        names: of its files, to keep them out of reports.
        words: of a DICOM series' description and protocol name, in lower case.
        kinds: the words of its Image Type (0008,0008), in lower case.
        weighting: of DICOM.
        matrix: rows and columns, of DICOM.
        slab: of DICOM.
        model, slice_thickness, source, licence, held_out: see :class:`~.cases.Case`.
        duration: Acquisition Duration (0018,9073), s.
    """

    label: str
    subject: str
    study: str
    series: str
    name: str
    acquisition: Acquisition
    volumes: int
    read: Callable[[int], Volume]
    names: tuple[str, ...]
    words: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    weighting: Weighting = Weighting()
    matrix: tuple[int, int] | None = None
    slab: Slab | None = None
    model: str = ""
    slice_thickness: float | None = None
    duration: float | None = None
    source: str = ""
    licence: str = ""
    held_out: bool = False
