"""DICOM files on disk: which of a folder's files are DICOM images, what their headers state, which series they form."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError

from MRIDenoiseLib.errors import AmbiguousInputError, InputError
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

_NOT_IMAGES = {"SEG", "SR", "PR", "KO", "REG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RWV", "DOC", "FID", "PLAN"}


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
    """

    number: int
    series_number: int | None
    description: str
    modality: str
    images: int
    rows: int
    columns: int
    files: tuple[DicomFile, ...] = field(repr=False, default=())

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
    """Whether a file starts like DICOM: with the DICM mark, or (old archives) directly with a group 0008 element."""
    with path.open("rb") as file:
        head = file.read(134)
    return head[128:132] == b"DICM" or (len(head) == 134 and head[:4] in (b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00"))


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


@dataclass(frozen=True)
class Sifted:
    """What is among some files, the damaged ones set aside.

    Args:
        series: the image series that the sound ones form, as :func:`find_series` orders them.
        refused: the damaged ones, and what is wrong with each.
        others: how many are DICOM objects but no images.
    """

    series: tuple[Series, ...]
    refused: tuple[tuple[Path, InputError], ...]
    others: int


def find_series(path: Path) -> list[Series]:
    """The image series in a DICOM file or folder, in the order of their series numbers.

    A folder's own files count; only if none of them is DICOM, its subfolders are searched too. Files that are not
    DICOM, DICOMDIR and objects that are not images (reports, segmentations, presentation states) are passed over, but
    not a file that is named like its DICOM neighbours: it may be a slice that lost its beginning.

    Raises:
        InputError: nothing there is a DICOM image, or a file is damaged.
    """
    if path.is_dir():
        candidates = _dicom_among(path.iterdir(), _raise) or _dicom_among(path.rglob("*"), _raise)
        if not candidates:
            raise InputError(f"{path} holds no DICOM files; choose the folder that holds the series itself")
    elif is_dicom(path):
        candidates = [path]
    else:
        raise InputError(f"{path.name} is neither DICOM nor an image that can be read (.nii, .nii.gz, .nrrd, .mha)")
    images = [file for file in _loaded(candidates, _raise) if _is_image(file.header)]
    if not images:
        raise InputError(f"{path.name} holds DICOM objects but no image; choose a folder with an MR series")
    return _grouped(images)


def sift(paths: Iterable[Path], check: Callable[[], None] = lambda: None) -> Sifted:
    """:func:`find_series` among some files, of which a damaged one costs nothing but itself.

    Args:
        paths: files of any kind.
        check: called before every header; raises :class:`Cancelled` to stop.
    """
    refused: list[tuple[Path, InputError]] = []

    def refuse(path: Path, error: InputError) -> None:
        refused.append((path, error))

    found = list(_loaded(_dicom_among(paths, refuse), refuse, check))
    images = [file for file in found if _is_image(file.header)]
    return Sifted(tuple(_grouped(images)), tuple(refused), len(found) - len(images))


def choose_series(path: Path, number: int | None) -> Series:
    """The series the user chose, or the only one.

    Raises:
        AmbiguousInputError: there are several and none was chosen; the message lists them.
        InputError: there is no series of that number, or :func:`find_series` found nothing.
    """
    found = find_series(path)
    if number is None and len(found) > 1:
        listed = "; ".join(str(series) for series in found[:12]) + ("; ..." if len(found) > 12 else "")
        raise AmbiguousInputError(f"{path.name} holds {len(found)} series; choose one with --series N ({listed})")
    chosen = 1 if number is None else number
    if not 1 <= chosen <= len(found):
        raise InputError(f"{path.name} holds {len(found)} series, so there is no series {chosen}")
    return found[chosen - 1]


_Refuse = Callable[[Path, InputError], None]
"""Called with the damaged file and what is wrong with it."""


def _raise(path: Path, error: InputError) -> None:
    raise error


def _dicom_among(paths: Iterable[Path], refuse: _Refuse) -> list[Path]:
    dicom: list[Path] = []
    others: list[Path] = []
    for path in sorted(p for p in paths if p.is_file() and not p.name.startswith(".") and p.name.upper() != "DICOMDIR"):
        try:
            (dicom if is_dicom(path) else others).append(path)
        except OSError as error:
            refuse(path, InputError(f"{path.name} cannot be read ({error.strerror or 'the system refused'})"))
    kinds = {(path.parent, _kind_of_name(path)) for path in dicom}
    for path in others:
        if (path.parent, _kind_of_name(path)) in kinds:
            complaint = "lies among DICOM files but is not one (cut short or damaged); copy it again or remove it"
            refuse(path, InputError(f"{path.name} {complaint}"))
    return dicom


def _loaded(paths: Iterable[Path], refuse: _Refuse, check: Callable[[], None] = lambda: None) -> Iterator[DicomFile]:
    for path in paths:
        check()
        try:
            file = DicomFile(path, load(path))
            _check_header_complete(file)
        except InputError as error:
            refuse(path, error)
        else:
            yield file


def _kind_of_name(path: Path) -> str:
    """A file name's ending, where names without one and numbered ones (image.001, 1.2.840.5) are of one kind."""
    ending = path.suffix.lower()
    return "" if ending[1:].isdecimal() else ending


def _has_matrix(header: Dataset) -> bool:
    return whole_number(header, "Rows") is not None and whole_number(header, "Columns") is not None


def _is_image(header: Dataset) -> bool:
    return _has_matrix(header) and text(header, "Modality") not in _NOT_IMAGES


def _check_header_complete(file: DicomFile) -> None:
    """Raise InputError for an MR image, or what may be one, whose header ends before it even gives its size."""
    header = file.header
    kind = text(header, "SOPClassUID") or text(getattr(header, "file_meta", Dataset()), "MediaStorageSOPClassUID")
    # The kind itself may be cut short, down to nothing.
    may_be_mr = any(known.startswith(kind) for known in (CLASSIC, *ENHANCED))
    if not may_be_mr or text(header, "Modality") in _NOT_IMAGES:
        return
    if not _has_matrix(header) or not text(header, "SeriesInstanceUID"):
        raise InputError(f"{file.path.name} is a damaged DICOM file (its header is cut short); copy or export it again")


def _grouped(images: Iterable[DicomFile]) -> list[Series]:
    groups: dict[str, list[DicomFile]] = {}
    for file in images:
        groups.setdefault(text(file.header, "SeriesInstanceUID"), []).append(file)
    ordered = sorted(
        groups.values(), key=lambda g: (whole_number(g[0].header, "SeriesNumber") or 0, text(g[0].header, "SeriesInstanceUID"))
    )
    return [_series(number, group) for number, group in enumerate(ordered, 1)]


def _series(number: int, files: list[DicomFile]) -> Series:
    first = files[0].header
    return Series(
        number=number,
        series_number=whole_number(first, "SeriesNumber"),
        description=text(first, "SeriesDescription"),
        modality=text(first, "Modality"),
        images=sum(whole_number(file.header, "NumberOfFrames") or 1 for file in files),
        rows=whole_number(first, "Rows") or 0,
        columns=whole_number(first, "Columns") or 0,
        files=tuple(files),
    )
