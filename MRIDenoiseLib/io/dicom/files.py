"""One DICOM file on disk: whether it is one, what its header states, and the series that several form."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.verbatim import remember

PARSING_FAULTS = (
    BytesLengthException,
    InvalidDicomError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on damaged bytes. Used only around their calls, so that faults of ours still show."""

CLASSIC = "1.2.840.10008.5.1.4.1.1.4"
"""MR Image Storage."""

ENHANCED = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
"""Enhanced MR Image Storage and Legacy Converted Enhanced MR Image Storage."""

NOT_IMAGES = {"SEG", "SR", "PR", "KO", "REG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RWV", "DOC", "FID", "PLAN"}
"""Modalities (0008,0060) of objects that refer to images and are none."""


@dataclass(frozen=True)
class DicomFile:
    """One DICOM image file: where it is, and its header without the pixels."""

    path: Path
    header: Dataset = field(repr=False)


@dataclass(frozen=True)
class Series:
    """One image series of a folder.

    Args:
        number: position in the list, from 1; what ``--series`` takes.
        series_number: Series Number (0020,0011), or None.
        description: Series Description (0008,103E): for the user's eyes only, never for a log or a report.
        modality: Modality (0008,0060).
        images: number of images (frames for multi-frame files).
        rows: rows of the first image.
        columns: columns of the first image.
        files: the files themselves.
        notes: what was passed over where the series lies, a sentence each, without names.
        doubts: why a slice of it may be missing, a sentence each.
    """

    number: int
    series_number: int | None
    description: str
    modality: str
    images: int
    rows: int
    columns: int
    files: tuple[DicomFile, ...] = field(repr=False, default=())
    notes: tuple[str, ...] = field(repr=False, default=())
    doubts: tuple[str, ...] = field(repr=False, default=())

    def __str__(self) -> str:
        """One line that distinguishes the series from its neighbours."""
        number = "without number" if self.series_number is None else str(self.series_number)
        text = f"{self.number} = series {number}, {self.images} x {self.rows}x{self.columns} {self.modality}"
        return f"{text} '{self.description}'" if self.description else text


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings away: they quote header values, which may be a patient's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def whole_number(header: Dataset, keyword: str) -> int | None:
    """A header's value as a whole number, or None where it is absent, empty or something else."""
    value = header.get(keyword)
    try:
        return int(value) if value is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def text(header: Dataset, keyword: str) -> str:
    """A header's value as text without surrounding blanks, empty where it is absent."""
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def modality(header: Dataset) -> str:
    """Modality (0008,0060) in capitals, as it should be written, empty where it is absent."""
    return text(header, "Modality").upper()


def shallow(source: Dataset) -> Dataset:
    """Another data set of equal elements (values shared), so that changing one leaves the source as it was.

    The elements themselves are copied because setting an attribute of a pydicom data set changes its element in place.
    """
    result = Dataset()
    for element in source:
        result[element.tag] = copy(element)
    for name in ("as_read", "is_undefined_length_sequence_item"):
        if hasattr(source, name):
            setattr(result, name, getattr(source, name))
    return result


def is_dicom(path: Path) -> bool:
    """Whether a file starts like DICOM: with the DICM mark, or (old archives) directly with an element of group 2 or 8."""
    with path.open("rb") as file:
        head = file.read(134)
    return head[128:132] == b"DICM" or (len(head) == 134 and (_begins(head, "<") or _begins(head, ">")))


def _begins(head: bytes, order: str) -> bool:
    """Whether bytes are the start of a first element: one of the lowest of its group, of a known type or a short length."""
    group, element, length = struct.unpack(f"{order}HHL", head[:8])
    typed = head[4:6] in (b"UL", b"OB", b"CS", b"UI", b"DA", b"TM", b"SH", b"LO", b"DT")
    return (group == 8 and element <= 0x18 and (typed or 0 < length < 256)) or (group == 2 and element <= 2 and typed)


def load(path: Path) -> Dataset:
    """Read one DICOM header, every element of it decoded, so that damage shows here and nowhere later.

    Raises:
        InputError: the file is damaged.
    """
    with quiet():
        try:
            header = dcmread(path, stop_before_pixels=True, force=True)
            remember(header)
        except PARSING_FAULTS as error:
            raise InputError(f"{path.name} is a damaged DICOM file; copy or export it again") from error
    return header
