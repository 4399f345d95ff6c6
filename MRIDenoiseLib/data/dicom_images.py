"""The images that DICOM files form, told by their headers: an image for every echo of every series."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from MRIDenoiseLib import io
from MRIDenoiseLib.data.cases import Dropped, anonymous
from MRIDenoiseLib.data.images import Image, Slab, Weighting
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import Series, text
from MRIDenoiseLib.io.dicom.frames import Frame, frames_of
from MRIDenoiseLib.io.dicom.stack import SAME_PLACE, echo_time, echoes, volumes
from MRIDenoiseLib.prompt import read_acquisition
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Volume

_NO_AGENT = ("", "no", "none", "n")
"""What stands in Contrast/Bolus Agent (0018,0010) where none was given."""


def images_of(series: Series) -> Iterator[Image | Dropped]:
    """One image for every echo, without a label, or what keeps the series from being read."""
    paths = [file.path for file in series.files]
    names = tuple(str(path) for path in (*dict.fromkeys(path.parent for path in paths), *paths))
    try:
        for frames in echoes(frames_of(series), "the series"):
            yield _image(series, volumes(frames, "the series"), names)
    except InputError as error:
        yield Dropped("", "listing", anonymous(str(error), names))


def _image(series: Series, found: Sequence[Sequence[Frame]], names: tuple[str, ...]) -> Image:
    first = found[0][0]
    header = first.file.header
    # Paths rather than headers: those of a whole hospital's folder would fill the memory.
    slices = [[(frame.file.path, frame.index) for frame in volume] for volume in found]
    return Image(
        label="",
        subject=text(header, "PatientID") or text(header, "StudyInstanceUID"),
        study=text(header, "StudyInstanceUID"),
        series=f"{text(header, 'SeriesInstanceUID')} {echo_time(first)}",
        name="",
        acquisition=read_acquisition([header]),
        volumes=len(found),
        read=partial(_read, slices),
        names=names,
        words=_words(first, "SeriesDescription", "ProtocolName"),
        kinds=_words(first, "ImageType", "FrameType", "ComplexImageComponent"),
        weighting=_weighting(first),
        matrix=(series.rows, series.columns),
        slab=_slab(found[0]),
        model=text(header, "ManufacturerModelName"),
        slice_thickness=positive(first.get("SliceThickness")),
        # Not Frame Acquisition Duration (0018,9220): that is of one frame, and in ms.
        duration=positive(first.get("AcquisitionDuration")),
    )


def _read(slices: Sequence[Sequence[tuple[Path, int | None]]], number: int) -> Volume:
    return io.read_slices(slices[number - 1])


def _weighting(frame: Frame) -> Weighting:
    echo = positive(frame.get("EffectiveEchoTime", "EchoTime"))
    return Weighting(
        echo_time=None if echo is None else round(echo, 2),
        repetition_time=positive(frame.get("RepetitionTime")),
        inversion_time=positive(frame.get("InversionTimes", "InversionTime")),
        flip_angle=positive(frame.get("FlipAngle")),
        contrast_agent=_contrast_agent(frame),
    )


def _contrast_agent(frame: Frame) -> bool:
    """Whether a contrast agent had been given; an enhanced header lists those of the examination, and tells for each frame."""
    given = frame.get("ContrastBolusAgentAdministered")
    if given is not None:
        return bool(given == "YES")
    listed = frame.file.header.get("ContrastBolusAgentSequence")
    return bool(listed) or str(frame.get("ContrastBolusAgent") or "").strip().lower() not in _NO_AGENT


def _words(frame: Frame, *keywords: str) -> frozenset[str]:
    values = (frame.get(keyword) for keyword in keywords)
    said = (word for value in values for word in (value if isinstance(value, tuple) else (value or "",)))
    return frozenset(re.findall(r"[a-z0-9]+", " ".join(map(str, said)).lower()))


def _slab(frames: Sequence[Frame]) -> Slab:
    normal = np.cross(*frames[0].axes)
    middles = np.array([_middle(frame) for frame in frames])
    along = np.sort(middles @ normal)
    steps = np.diff(along)
    apart = steps[steps > SAME_PLACE]
    spacing = float(np.median(apart)) if apart.size else positive(frames[0].get("SpacingBetweenSlices", "SliceThickness")) or 1.0
    # Rounded, so that two series that were placed alike are found to be.
    x, y, z = np.round(normal, 3).tolist()
    centre = np.round(middles.mean(axis=0), 1).tolist()
    return Slab((x, y, z), (centre[0], centre[1], centre[2]), round(float(along[-1] - along[0]) + spacing, 2), round(spacing, 2))


def _middle(frame: Frame) -> np.ndarray:
    header = frame.file.header
    steps = np.array([frame.pixel_spacing[1] * (header.Columns - 1), frame.pixel_spacing[0] * (header.Rows - 1)]) / 2
    return frame.position + steps @ frame.axes
