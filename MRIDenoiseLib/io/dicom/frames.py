"""One acquired slice as DICOM describes it, the same for a classic file and for a frame of an enhanced multi-frame file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import ENHANCED, DicomFile, Series, modality, shallow, text, whole_number
from MRIDenoiseLib.io.dicom.folder import is_no_slice
from MRIDenoiseLib.io.dicom.mosaic import mosaic_of


@dataclass(frozen=True, eq=False)
class Frame:
    """Where one slice lies, and where to look up more about it.

    Args:
        file: the file it is stored in.
        index: its place in a multi-frame file or a mosaic, from 0; None for a classic file.
        groups: data sets to look a value up in, from the most specific to the file's own header.
        position: Image Position (Patient) (0020,0032), LPS mm.
        axes: Image Orientation (Patient) (0020,0037): 2x3, direction of increasing column, then of increasing row.
        pixel_spacing: Pixel Spacing (0028,0030): mm between rows, mm between columns.
    """

    file: DicomFile
    index: int | None
    groups: tuple[Dataset, ...] = field(repr=False)
    position: np.ndarray
    axes: np.ndarray
    pixel_spacing: np.ndarray

    def get(self, *keywords: str) -> Any:
        """The first value that is there and not empty, as a hashable (several values as a tuple), or None."""
        for keyword in keywords:
            for group in self.groups:
                value = group.get(keyword)
                if value is None or value == "":
                    continue
                if isinstance(value, MultiValue | list | tuple):  # pydicom reads binary numbers into a list
                    return tuple(_plain(v) for v in value)
                return _plain(value)
        return None

    @property
    def label(self) -> str:
        """How to name it in front of the user: its instance number, or frame number in a multi-frame file."""
        if self.index is not None and whole_number(self.file.header, "NumberOfFrames") != 1:
            return f"frame {self.index + 1}"
        number = whole_number(self.file.header, "InstanceNumber")
        return f"image {number}" if number is not None else self.file.path.name

    @property
    def order(self) -> tuple[int, int]:
        """Its place in the order in which the scanner numbered the images."""
        return whole_number(self.file.header, "InstanceNumber") or 0, self.index or 0


def is_enhanced(header: Dataset) -> bool:
    """Whether a header describes its frames in functional groups."""
    return text(header, "SOPClassUID") in ENHANCED or "PerFrameFunctionalGroupsSequence" in header


@dataclass(frozen=True)
class Usable:
    """The slices of a series, and what else it holds.

    Args:
        frames: every slice that says where it lies.
        notes: what was left out, a sentence each, without names.
        doubts: why a slice may be missing, a sentence each.
    """

    frames: list[Frame]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def frames_of(series: Series) -> Usable:
    """Every slice of a series; what is no slice (a screenshot, a colour map, another modality) is left out with a note.

    Raises:
        InputError: no file holds a slice: not MR, not grey, or none has position, orientation and pixel spacing.
    """
    found: list[Frame] = []
    aside: list[tuple[DicomFile, InputError]] = []
    notes = list(series.notes)
    slices = [file for file in series.files if not is_no_slice(file.header)]
    if not slices:
        slices = list(series.files)
        notes.append("The images are marked as screenshots or secondary captures, not as slices from a scanner.")
    for file in slices:
        try:
            found += frames_in([file])
        except InputError as error:
            aside.append((file, error))
    if not found:
        raise aside[0][1]
    pictures = len(series.files) - len(slices) + sum(_is_derived(file) for file, _ in aside)
    if pictures:
        plural = "picture that is no slice" if pictures == 1 else "pictures that are no slices"
        notes.append(f"Left out {pictures} {plural} (such as a screenshot).")
    doubts = [*series.doubts, *(str(error) for file, error in aside if not _is_derived(file)), *_lost_parts(slices)]
    return Usable(found, tuple(notes), tuple(doubts))


def _is_derived(file: DicomFile) -> bool:
    """Whether an image was made from others, so that none of the slices is lost with it."""
    kinds = file.header.get("ImageType") or ()
    return "DERIVED" in kinds or "SECONDARY" in kinds


def _lost_parts(files: Iterable[DicomFile]) -> list[str]:
    """What is missing of an image that was cut into several files (a concatenation)."""
    there: dict[str, set[int]] = {}
    total: dict[str, int] = {}
    for file in files:
        uid = text(file.header, "ConcatenationUID")
        if uid:
            there.setdefault(uid, set()).add(whole_number(file.header, "InConcatenationNumber") or 0)
            total[uid] = max(total.get(uid, 0), whole_number(file.header, "InConcatenationTotalNumber") or 0, *there[uid])
    return [
        f"of an image that was cut into {total[uid]} files only {len(numbers)} are there; export the whole series"
        for uid, numbers in there.items()
        if len(numbers) < total[uid]
    ]


def frames_in(files: Iterable[DicomFile]) -> list[Frame]:
    """Every slice in some files.

    Raises:
        InputError: one is not MR, not grey, or has a slice without position, orientation or pixel spacing.
    """
    found: list[Frame] = []
    for file in files:
        _check_kind(file)
        if is_enhanced(file.header):
            found.extend(_enhanced_frames(file))
        elif (whole_number(file.header, "NumberOfFrames") or 1) > 1:
            raise InputError(f"{file.path.name} holds several frames without saying where they lie; export it as classic or enhanced MR")
        elif mosaic := mosaic_of(file.header, file.path.name):
            found.extend(_frame(file, index, (tile, file.header)) for index, tile in enumerate(mosaic.tiles))
        else:
            found.append(_frame(file, None, (file.header,)))
    return found


def _check_kind(file: DicomFile) -> None:
    header, what = file.header, file.path.name
    kind = modality(header)
    if kind != "MR":
        raise InputError(f"{what} is {kind or 'of no stated modality'}, not MR; only MR images can be denoised")
    photometric = text(header, "PhotometricInterpretation")
    if (whole_number(header, "SamplesPerPixel") or 1) != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise InputError(f"{what} is a colour image ({photometric[:16]}); only grey MR images can be denoised")
    if not (whole_number(header, "Rows") or 0) > 0 or not (whole_number(header, "Columns") or 0) > 0:
        raise InputError(f"{what} holds no pixels; export the image again")


def lookup_groups(header: Dataset) -> Iterator[tuple[Dataset, ...]]:
    """For each slice of a header the data sets to look a value up in, the most specific first (one slice if classic).

    Those of a mosaic come in the order of a volume's slices.
    """
    if not is_enhanced(header):
        mosaic = mosaic_of(header)
        yield from [(mosaic.tiles[k], header) for k in mosaic.order] if mosaic else [(header,)]
        return
    shared = header.get("SharedFunctionalGroupsSequence") or []
    common = tuple(_macros(shared[0])) if len(shared) else ()
    for item in header.get("PerFrameFunctionalGroupsSequence") or []:
        yield (*_macros(item), *common, header)


def _enhanced_frames(file: DicomFile) -> Iterator[Frame]:
    count = whole_number(file.header, "NumberOfFrames") or 0
    groups = list(lookup_groups(file.header))
    if count < 1 or len(groups) != count:
        raise InputError(f"{file.path.name} promises {count} frames and describes {len(groups)}; copy or export it again")
    for index, of_frame in enumerate(groups):
        yield _frame(file, index, of_frame)


def _macros(item: Dataset) -> Iterator[Dataset]:
    """The items one level, and for diffusion directions two levels, below a functional-groups item."""
    for element in item:
        if element.VR == "SQ" and len(element.value):
            yield element.value[0]
            for inner in element.value[0]:
                if inner.VR == "SQ" and len(inner.value) and not inner.tag.is_private:
                    yield inner.value[0]


def _frame(file: DicomFile, index: int | None, groups: tuple[Dataset, ...]) -> Frame:
    frame = Frame(file, index, groups, np.zeros(3), np.zeros((2, 3)), np.zeros(2))
    position = _numbers(frame, "ImagePositionPatient", 3)
    axes = _numbers(frame, "ImageOrientationPatient", 6).reshape(2, 3)
    spacing = _numbers(frame, "PixelSpacing", 2)
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 1e-2 or abs(float(axes[0] @ axes[1])) > 1e-2:
        raise InputError(f"{file.path.name} ({frame.label}) has an impossible orientation (0020,0037); copy or export it again")
    if spacing.min() <= 0:
        raise InputError(f"{file.path.name} ({frame.label}) has an impossible pixel spacing (0028,0030); copy or export it again")
    return Frame(file, index, groups, position, axes / lengths[:, None], spacing)


def _numbers(frame: Frame, keyword: str, count: int) -> np.ndarray:
    value = frame.get(keyword)
    values = value if isinstance(value, tuple) else (value,)
    try:
        numbers = np.array([float(v) for v in values])
    except (TypeError, ValueError):
        numbers = np.array([])
    if numbers.size != count or not np.isfinite(numbers).all():
        raise InputError(f"{frame.file.path.name} ({frame.label}) does not say where its slice lies ({keyword}); export the series again")
    return numbers


def _plain(value: Any) -> Any:
    """A number as float, anything else as text."""
    return float(value) if isinstance(value, (int, float)) else str(value)


def headers_of(headers: Sequence[Dataset], first: int, last: int) -> tuple[Dataset, ...]:
    """The headers of slices ``first`` to ``last`` - 1 of a volume, those of multi-frame files reduced to these frames."""
    kept, place = [], 0
    for header in headers:
        if not is_enhanced(header):
            kept += [header] if first <= place < last else []
            place += 1
            continue
        items = list(header.PerFrameFunctionalGroupsSequence)
        chosen = items[max(first - place, 0) : max(last - place, 0)]
        place += len(items)
        if chosen:
            reduced = shallow(header)
            reduced.file_meta = header.file_meta
            reduced.PerFrameFunctionalGroupsSequence = DicomSequence(chosen)
            reduced.NumberOfFrames = len(chosen)
            kept.append(reduced)
    return tuple(kept)
