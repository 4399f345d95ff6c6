"""A DICOM file or folder to a Volume, and stored pixel values to physical ones and back.

Values go by rescale slope and intercept, and Philips' private scale.

Philips shows ``rescaled = stored RS + RI``, but its floating-point image, the one comparable between slices and
series, is ``rescaled / (RS SS)``, with RS and RI Rescale Slope (0028,1053) and Intercept (0028,1052) and SS the
private Scale Slope (2005,100E); where RI is absent, the private Scale Intercept SI (2005,100D) is used for -RI / RS
(Chenevert et al. 2014, "Errors in quantitative image analysis due to platform-dependent image scaling").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.pixels import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import UID

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import PARSING_FAULTS, DicomFile, load, quiet, shallow, text, whole_number
from MRIDenoiseLib.io.dicom.folder import choose_series
from MRIDenoiseLib.io.dicom.frames import Frame, frames_in, frames_of, is_enhanced
from MRIDenoiseLib.io.dicom.parting import choose_stack, without_repeats
from MRIDenoiseLib.io.dicom.stack import Stack, sign, stack
from MRIDenoiseLib.io.geometry import check_grid, check_voxels
from MRIDenoiseLib.volume import Volume

SCALE_SLOPE = 0x2005100E
SCALE_INTERCEPT = 0x2005100D


@dataclass(frozen=True)
class Scaling:
    """How stored values become physical ones.

    Args:
        slope: Rescale Slope, 1 where absent.
        intercept: Rescale Intercept, 0 where absent.
        private_slope: Philips' private Scale Slope, or None.
    """

    slope: float = 1.0
    intercept: float = 0.0
    private_slope: float | None = None

    @property
    def identity(self) -> bool:
        """Whether physical values are the stored ones."""
        return self.gain == 1 and self.intercept == 0

    @property
    def gain(self) -> float:
        """Physical units a stored unit."""
        return self.slope if self.private_slope is None else 1 / self.private_slope

    def physical(self, stored: np.ndarray) -> np.ndarray:
        """Physical values, float64."""
        rescaled = stored.astype(np.float64) * self.slope + self.intercept
        return rescaled if self.private_slope is None else rescaled / (self.slope * self.private_slope)

    def stored(self, physical: np.ndarray) -> np.ndarray:
        """What :meth:`physical` undoes, before rounding; float64."""
        rescaled = physical.astype(np.float64)
        if self.private_slope is not None:
            rescaled = rescaled * (self.slope * self.private_slope)
        return (rescaled - self.intercept) / self.slope


def scaling(groups: Iterable[Dataset], what: str) -> Scaling:
    """The scaling of one slice.

    Args:
        groups: data sets to look in, the most specific first.
        what: how to name the slice in front of the user.

    Raises:
        InputError: a slope of zero or something that is not a number.
    """
    found: dict[str, float] = {}
    philips = False
    for group in groups:
        philips = philips or "philips" in text(group, "Manufacturer").lower()
        for name, key in (("slope", "RescaleSlope"), ("intercept", "RescaleIntercept"), ("ss", SCALE_SLOPE), ("si", SCALE_INTERCEPT)):
            if name not in found and key in group:
                value = _number(group, key)
                if value is not None:
                    found[name] = value
    slope = found.get("slope", 1.0)
    if slope == 0 or not np.isfinite(list(found.values())).all():
        raise InputError(f"{what} has an impossible rescale slope or intercept (0028,1053); copy or export it again")
    private = found.get("ss") if philips else None
    if not private:
        return Scaling(slope, found.get("intercept", 0.0))
    return Scaling(slope, found.get("intercept", -found.get("si", 0.0) * slope), private)


def _number(group: Dataset, key: str | int) -> float | None:
    value = group[key].value
    if isinstance(value, bytes) and len(value) == 4:
        return float(np.frombuffer(value, "<f4")[0])  # implicit transfer syntax: a private element of unknown type
    try:
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return float("nan")


def decode(path: Path) -> np.ndarray:
    """The stored pixel values of a file, axis order (frame, row, column).

    Raises:
        InputError: no pixels, fewer or more bytes than the header promises, or a packing that cannot be read here.
    """
    header, what = load(path, pixels=True), path.name
    if "PixelData" not in header:
        raise InputError(f"{what} is cut short or holds no pixels; copy or export it again")
    rows, columns = whole_number(header, "Rows") or 0, whole_number(header, "Columns") or 0
    frames = whole_number(header, "NumberOfFrames") or 1
    allocated = whole_number(header, "BitsAllocated") or 0
    if allocated not in (8, 16, 32):
        raise InputError(f"{what} stores {allocated} bits a pixel, which is not read; export it with 16")
    syntax = UID(str(header.file_meta.get("TransferSyntaxUID", "")) if hasattr(header, "file_meta") else "")
    if not syntax:
        # Old files without a file header carry plain pixels; pydicom found out their byte order while reading.
        syntax = UID("1.2.840.10008.1.2" if header.original_encoding[0] else "1.2.840.10008.1.2.1")
        header.file_meta.TransferSyntaxUID = syntax
    if syntax.is_transfer_syntax and not syntax.is_compressed:
        promised, there = rows * columns * frames * allocated // 8, len(header.PixelData)
        if there < promised:
            raise InputError(f"{what} is cut short: {promised} bytes of pixels are promised and {there} are there; copy or export it again")
        if there > promised + promised % 2:
            raise InputError(
                f"{what} does not fit its header: {promised} bytes of pixels are promised and {there} are there; export it again"
            )
    else:
        _check_readable(syntax, what)
    with quiet():
        try:
            pixels = header.pixel_array
        except PARSING_FAULTS as error:
            raise InputError(f"{what}: its pixels are damaged and cannot be unpacked; copy or export it again") from error
    if pixels.size != rows * columns * frames:
        raise InputError(f"{what} does not hold the {frames} x {rows} x {columns} pixels its header promises; copy or export it again")
    return pixels.reshape(frames, rows, columns)


def _check_readable(syntax: UID, what: str) -> None:
    name = syntax.name if syntax.is_transfer_syntax else f"unknown transfer syntax {syntax[:40]}"
    try:
        readable = get_decoder(syntax).is_available
    except (NotImplementedError, ValueError, TypeError):
        readable = False
    if not readable:
        raise InputError(f"{what} is compressed ({name}), which cannot be unpacked here; export it uncompressed")


def read_dicom(
    path: Path, series: int | None = None, echo: int | None = None, volume: int | None = None, number: int | None = None
) -> Volume:
    """Read one volume of a DICOM file or folder.

    Slices are ordered by their position along the slice normal. Voxels are physical: Rescale Slope and Intercept of
    each slice are applied, and Philips' private scale as described in :mod:`MRIDenoiseLib.io.dicom.read`. ``pixel_type`` is
    the stored type, or ``float32`` where scaling made other than whole numbers of it.

    Args:
        path: a DICOM file (a classic one is a volume of one slice) or a folder.
        series: which series of the folder, from 1, in the order of :func:`MRIDenoiseLib.io.list_series`.
        echo: which echo, from 1, in the order of echo times.
        volume: which time point, b-value or kind of image, from 1.
        number: which stack of the series, from 1, see :func:`MRIDenoiseLib.io.dicom.parting.choose_stack`.

    Raises:
        AmbiguousInputError: there is a choice and it was not made.
        InputError: anything else that keeps it from being one complete, straight, grey MR volume.
    """
    with quiet():
        frames, notes = stack_of(path, series, number)
        found = stack(frames, path.name, echo, volume)
        return named(volume_of(found, path.name), path, notes)


def named(volume: Volume, path: Path, notes: tuple[str, ...]) -> Volume:
    """A volume with the name of the file or folder it was read from, and what was left out there."""
    return replace(volume, name=path.stem if path.is_file() else path.name, notes=(*notes, *volume.notes))


def stack_of(path: Path, series: int | None, number: int | None) -> tuple[list[Frame], tuple[str, ...]]:
    """All images of one stack of a file or folder, each once, and notes on what was left out.

    Args:
        path: as in :func:`read_dicom`.
        series: as in :func:`read_dicom`.
        number: as in :func:`read_dicom`.

    Raises:
        AmbiguousInputError: there are several series or stacks, and none was chosen.
        InputError: nothing can be read, or slices may be missing.
    """
    frames, notes = choose_stack(frames_of(choose_series(path, series)), path.name, number)
    decoded: dict[Path, np.ndarray] = {}

    def pixels_of(frame: Frame) -> np.ndarray:
        if frame.file.path not in decoded:
            if len(decoded) > 2:
                decoded.clear()
            decoded[frame.file.path] = decode(frame.file.path)
        return scaling(frame.groups, frame.label).physical(decoded[frame.file.path][frame.index or 0])

    kept, repeated = without_repeats(frames, sign, pixels_of)
    if repeated:
        notes += (f"Left out {repeated} image{'s that repeat others' if repeated > 1 else ' that repeats another'} pixel by pixel.",)
    return kept, notes


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
        found = [frame for frame in frames_in(files) if {(frame.file.path, frame.index), (frame.file.path, None)} & wanted]
        if len(found) < len(wanted) or not {path for path, _ in wanted} == {frame.file.path for frame in found}:
            raise InputError(f"{what} was changed while it was being read; start again")
        return volume_of(stack(found, what), what)


def volume_of(result: Stack, what: str) -> Volume:
    """The slices of a stack, read into a volume.

    Args:
        result: slices in their order.
        what: how to name them in front of the user.

    Raises:
        InputError: pixels that cannot be read, or no image in them.
    """
    frames = result.frames
    check_grid(result.ijk_to_ras, what)
    scalings = [scaling(f.groups, f"{f.file.path.name} ({f.label})") for f in frames]
    slices: list[np.ndarray] = [np.empty(0)] * len(frames)
    kinds = set()
    for path in dict.fromkeys(f.file.path for f in frames):
        stored = decode(path)
        for k, frame in enumerate(frames):
            if frame.file.path == path:
                kinds.add(stored.dtype)
                with np.errstate(over="ignore"):
                    slices[k] = scalings[k].physical(stored[frame.index or 0]).astype(np.float32)
    voxels = np.stack(slices)
    check_voxels(voxels, what)
    pixel_type = str(np.result_type(*kinds)) if all(s.identity for s in scalings) else "float32"
    return Volume(voxels, result.ijk_to_ras, pixel_type, headers=tuple(_headers(frames)), notes=result.notes)


def _headers(frames: tuple[Frame, ...]) -> Iterator[Dataset]:
    """The headers in the order of the slices: one a classic file, and one for each run of frames of an enhanced file."""
    for _, of_file in groupby(frames, key=lambda frame: frame.file.path):
        run = tuple(of_file)
        yield _reduced(run) if is_enhanced(run[0].file.header) else run[0].file.header


def _reduced(frames: tuple[Frame, ...]) -> Dataset:
    """An enhanced header that describes only the chosen frames, in their order.

    Each frame's item states in Conversion Source Attributes Sequence (0020,9172) which frame of the file it was.
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
