"""A DICOM file or folder to a Volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import DicomFile, choose_series, load, quiet, shallow, text
from MRIDenoiseLib.io.dicom.frames import Frame, frames_in, frames_of
from MRIDenoiseLib.io.dicom.pixels import decode, scaling
from MRIDenoiseLib.io.dicom.stack import Stack, stack
from MRIDenoiseLib.io.geometry import check_grid, check_voxels
from MRIDenoiseLib.volume import Volume


def read_dicom(path: Path, series: int | None = None, echo: int | None = None, volume: int | None = None) -> Volume:
    """Read one volume of a DICOM file or folder.

    Slices are ordered by their position along the slice normal. Voxels are physical: Rescale Slope and Intercept of
    each slice are applied, and Philips' private scale as :mod:`MRIDenoiseLib.io.dicom.pixels` says. ``pixel_type`` is
    the stored type, or ``float32`` where scaling made other than whole numbers of it.

    Args:
        path: a DICOM file (a classic one is a volume of one slice) or a folder.
        series: which series of the folder, from 1, in the order of :func:`MRIDenoiseLib.io.list_series`.
        echo: which echo, from 1, in the order of echo times.
        volume: which time point, b-value or kind of image, from 1.

    Raises:
        AmbiguousInputError: there is a choice and it was not made.
        InputError: anything else that keeps it from being one complete, straight, grey MR volume.
    """
    with quiet():
        return _read(path, series, echo, volume)


def read_slices(slices: Iterable[tuple[Path, int | None]], what: str = "the series") -> Volume:
    """Read one volume from slices that are known, and no other file.

    Args:
        slices: for each slice of the volume its file and its place there (None in a classic file), in any order.
        what: how to name them in front of the user.

    Raises:
        InputError: as :func:`read_dicom`, or the files no longer hold these slices.
    """
    wanted = set(slices)
    with quiet():
        files = [DicomFile(path, load(path)) for path in sorted({path for path, _ in wanted})]
        found = [frame for frame in frames_in(files) if (frame.file.path, frame.index) in wanted]
        if len(found) != len(wanted):
            raise InputError(f"{what} was changed while it was being read; start again")
        return _volume(stack(found, what), what)


def _read(path: Path, series: int | None, echo: int | None, volume: int | None) -> Volume:
    what = path.name
    result = _volume(stack(frames_of(choose_series(path, series)), what, echo, volume), what)
    return replace(result, name=path.stem if path.is_file() else path.name)


def _volume(result: Stack, what: str) -> Volume:
    frames = result.frames
    check_grid(result.ijk_to_ras, what)
    enhanced = frames[0].index is not None
    if enhanced and len({f.file.path for f in frames}) > 1:
        raise InputError(f"{what}: one volume is spread over several multi-frame files, which is not read; export it as classic MR images")

    scalings = [scaling(f.groups, f"{f.file.path.name} ({f.label})") for f in frames]
    stored = decode(frames[0].file.path) if enhanced else None
    slices, kinds = [], set()
    for frame, scale in zip(frames, scalings, strict=True):
        pixels = stored[frame.index] if stored is not None else _single(frame)
        kinds.add(pixels.dtype)
        with np.errstate(over="ignore"):
            slices.append(scale.physical(pixels).astype(np.float32))
    voxels = np.stack(slices)
    check_voxels(voxels, what)
    pixel_type = str(np.result_type(*kinds)) if all(s.identity for s in scalings) else "float32"
    headers = (_reduced(frames),) if enhanced else tuple(f.file.header for f in frames)
    return Volume(voxels, result.ijk_to_ras, pixel_type, headers=headers)


def _single(frame: Frame) -> np.ndarray:
    return decode(frame.file.path)[0]


def _reduced(frames: tuple[Frame, ...]) -> Dataset:
    """An enhanced header that describes only the chosen frames, in their order.

    Each frame's item tells in Conversion Source Attributes Sequence (0020,9172) which frame of the file it was.
    """
    source = frames[0].file.header
    header = shallow(source)
    header.file_meta = source.file_meta
    items = []
    for frame in frames:
        assert frame.index is not None
        item = shallow(source.PerFrameFunctionalGroupsSequence[frame.index])
        origin = Dataset()
        origin.ReferencedSOPClassUID = text(source, "SOPClassUID")
        origin.ReferencedSOPInstanceUID = text(source, "SOPInstanceUID")
        origin.ReferencedFrameNumber = frame.index + 1
        item.ConversionSourceAttributesSequence = Sequence([origin])
        items.append(item)
    header.PerFrameFunctionalGroupsSequence = Sequence(items)
    header.NumberOfFrames = len(items)
    return header
