"""The files of a folder: which are DICOM images, which series they form, and what is passed over, each image counted once."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.filereader import read_partial

from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.io.dicom.files import (
    CLASSIC,
    ENHANCED,
    NOT_IMAGES,
    PARSING_FAULTS,
    DicomFile,
    Series,
    is_dicom,
    load,
    modality,
    quiet,
    text,
    whole_number,
)
from MRIDenoiseLib.io.dicom.pixels import decode

_FOREIGN: tuple[bytes, ...] = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"%PDF", b"PK\3\4", b"PK\5\6", b"\x1f\x8b"),
    *(b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ", b"\xd0\xcf\x11\xe0", b"\0\0\0\1Bud1", b"\0\5\x16\7", b"MZ", b"\x7fELF"),
    *(b"SQLite format 3", b"\x89HDF"),
)
"""How pictures, documents, archives and the files that systems strew about begin."""

_Refuse = Callable[[Path, InputError], None]
"""Called with the damaged file and what is wrong with it."""

_SPECTRA = "1.2.840.10008.5.1.4.1.1.4.2"
"""MR Spectroscopy Storage, which has rows and columns and no picture."""

_SAYS_NOTHING_OF_THE_IMAGE = {
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "InstanceAvailability",
    "RetrieveAETitle",
    "RetrieveURL",
    "StorageMediaFileSetID",
    "StorageMediaFileSetUID",
    "DataSetTrailingPadding",
    "PixelData",
}
"""What may differ between two copies of an image that came by different ways; pixels are compared by themselves."""


@dataclass(frozen=True)
class Sifted:
    """What is among some files, the damaged ones set aside.

    Args:
        series: the image series that the sound ones form, as :func:`find_series` orders them.
        refused: the damaged ones, and what is wrong with each.
        others: how many are DICOM objects but no images.
        foreign: how many are not DICOM at all.
    """

    series: tuple[Series, ...]
    refused: tuple[tuple[Path, InputError], ...]
    others: int
    foreign: int = 0


def find_series(path: Path) -> list[Series]:
    """The image series in a DICOM file or folder, in the order of their series numbers.

    A folder's own images count, and those of its subfolders that belong to the same series; where it has no image of its
    own, all of its subfolders are searched. Whatever is no DICOM image is passed over and counted. A damaged file, or one
    that is named like its DICOM neighbours and is nothing known, may be a slice that was lost: the series says so.

    Raises:
        InputError: nothing there is a DICOM image, or the one file given is damaged.
    """
    if not path.is_dir():
        if not is_dicom(path):
            pair = " of its own; copy the .hdr file that belongs to it, too" if path.suffix.lower() == ".img" else ""
            raise InputError(f"{path.name} is neither DICOM nor an image that can be read{pair or ' (.nii, .nii.gz, .nrrd, .mha)'}")
        sifted = sift([path])
    else:
        sifted = sift(path.iterdir())
        deeper = [file for file in path.rglob("*") if file.parent != path and not _lies_hidden(file.relative_to(path))]
        if not sifted.series:
            below = sift(deeper)
            sifted = Sifted(below.series, sifted.refused + below.refused, sifted.others + below.others, sifted.foreign + below.foreign)
        elif deeper:
            known = {_uid(series) for series in sifted.series}
            same = [file for file in deeper if _uid_of_series(file) in known - {""}]
            if same:
                sifted = sift([*path.iterdir(), *same])
    if not sifted.series:
        if sifted.refused:
            raise sifted.refused[0][1]
        if sifted.others:
            raise InputError(f"{path.name} holds DICOM objects but no image; choose a folder with an MR series")
        raise InputError(f"{path} holds no DICOM files; choose the folder that holds the series itself")
    passed_over = sifted.foreign + sifted.others
    notes = (f"Passed over {_counted(passed_over, 'file that is', 'files that are')} no DICOM image.",) if passed_over else ()
    # A damaged file counts for every series, unless it still names the one that it belongs to.
    known = {_uid(series) for series in sifted.series}
    damaged = [(_uid_of_series(file), str(error)) for file, error in sifted.refused]
    return [
        replace(series, notes=notes, doubts=tuple(said for uid, said in damaged if uid not in known - {_uid(series)}))
        for series in sifted.series
    ]


def sift(paths: Iterable[Path], check: Callable[[], None] = lambda: None) -> Sifted:
    """:func:`find_series` among some files, of which a damaged one costs nothing but itself.

    Args:
        paths: files of any kind.
        check: called before every header; raises :class:`Cancelled` to stop.
    """
    refused: list[tuple[Path, InputError]] = []

    def refuse(path: Path, error: InputError) -> None:
        refused.append((path, error))

    candidates, foreign = _dicom_among(paths, refuse)
    found = list(_loaded(candidates, refuse, check))
    images = _of_series([file for file in found if _is_image(file.header)], refuse)
    return Sifted(tuple(_grouped(images)), tuple(refused), len(found) - len(images), foreign)


def _of_series(images: list[DicomFile], refuse: _Refuse) -> list[DicomFile]:
    """The images without those that alone among others name no series, as damaged ones do; where none does, they are one."""
    named = [file for file in images if text(file.header, "SeriesInstanceUID")]
    for file in images if named else []:
        if file not in named:
            refuse(file.path, InputError(f"{file.path.name} does not name its series (0020,000E); copy or export it again"))
    return named or images


def choose_series(path: Path, number: int | None) -> Series:
    """The series the user chose, the only one, or the only one of MR images; an image that lies there twice counts once.

    Raises:
        AmbiguousInputError: there are several and none was chosen; the message lists them.
        InputError: there is no series of that number, two different files claim to be one image, or :func:`find_series`
            found nothing.
    """
    found = find_series(path)
    if number is not None and not 1 <= number <= len(found):
        raise InputError(f"{path.name} holds {len(found)} series, so there is no series {number}")
    if number is not None:
        chosen = found[number - 1]
        twins = [str(other.number) for other in found if other is not chosen and _may_be_one(chosen, other)]
        note = f"Series {' and '.join(twins)} of the folder may be another part of the same series; they are not put together."
        return _once_each(replace(chosen, notes=(*chosen.notes, note)) if twins else chosen, path)
    usable = [series for series in found if series.modality == "MR" and any(map(_may_be_slice, series.files))]
    if len(found) > 1 and len(usable) != 1:
        listed = "; ".join(str(series) for series in found[:12]) + ("; ..." if len(found) > 12 else "")
        raise AmbiguousInputError(f"{path.name} holds {len(found)} series; choose one with --series N ({listed})")
    chosen = usable[0] if len(found) > 1 else found[0]
    if len(found) > 1:
        others = _counted(len(found) - 1, "other series", "other series")
        note = f"Took series {chosen.number} of the folder, the only one of MR slices; left out {others}."
        chosen = replace(chosen, notes=(*chosen.notes, note))
    return _once_each(chosen, path)


def _may_be_one(one: Series, other: Series) -> bool:
    """Whether two series look like one that was sent under two identifiers: equal numbers and words, images that number on."""
    facts = [
        (series.series_number, series.description, series.rows, series.columns, text(series.files[0].header, "StudyInstanceUID"))
        for series in (one, other)
    ]
    numbers = [{whole_number(file.header, "InstanceNumber") for file in series.files} for series in (one, other)]
    return facts[0] == facts[1] and one.series_number is not None and not numbers[0] & numbers[1]


def is_no_slice(header: Dataset) -> bool:
    """Whether an image is a picture of something rather than a slice: another modality, a screenshot, a scanned page."""
    kinds = " ".join(str(kind).upper().replace("_", " ") for kind in _values(header, "ImageType"))
    return (
        modality(header) != "MR"
        or (whole_number(header, "SamplesPerPixel") or 1) != 1
        or text(header, "SOPClassUID").startswith("1.2.840.10008.5.1.4.1.1.7")
        or any(word in kinds for word in ("SCREEN", "SCANNED"))
    )


def _may_be_slice(file: DicomFile) -> bool:
    return not is_no_slice(file.header)


def _values(header: Dataset, keyword: str) -> list[object]:
    value = header.get(keyword)
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _once_each(series: Series, folder: Path) -> Series:
    """The series without the copies of images that it holds already."""
    first: dict[str, DicomFile] = {}
    kept, copies = [], 0
    for file in series.files:
        uid = text(file.header, "SOPInstanceUID")
        if uid and uid in first:
            difference = _difference(first[uid], file)
            if difference:
                names = " and ".join(str(one.path.relative_to(folder.parent)) for one in (first[uid], file))
                raise InputError(
                    f"{names} claim to be the same image (one SOP Instance UID, 0008,0018) but differ in {difference}; keep one of them"
                )
            copies += 1
            continue
        first[uid] = file
        kept.append(file)
    if not copies:
        return series
    note = f"Left out {_counted(copies, 'file that is an exact copy', 'files that are exact copies')} of another image there."
    of_kept = _series(series.number, kept)
    return replace(of_kept, notes=(*series.notes, note), doubts=series.doubts)


def _difference(one: DicomFile, other: DicomFile) -> str:
    """In which attributes two files differ, in words without values; empty where they are the same image."""
    if filecmp.cmp(one.path, other.path, shallow=False):
        return ""
    here, there = (_attributes(file.header) for file in (one, other))
    differing = [keyword for keyword in sorted({*here, *there}) if not _equal(here.get(keyword), there.get(keyword))]
    if not differing and not _same_pixels(one.path, other.path):
        differing = ["their pixels"]
    return ", ".join(differing[:3]) + (" and more" if len(differing) > 3 else "")


def _attributes(header: Dataset) -> dict[str, DataElement]:
    elements = (element for element in header if not element.tag.is_private and element.tag.element != 0)
    return {element.keyword or str(element.tag): element for element in elements if element.keyword not in _SAYS_NOTHING_OF_THE_IMAGE}


def _equal(one: DataElement | None, other: DataElement | None) -> bool:
    return one is not None and other is not None and bool(one.value == other.value or str(one.value) == str(other.value))


def _same_pixels(one: Path, other: Path) -> bool:
    try:
        return np.array_equal(decode(one).stored, decode(other).stored)
    except InputError:
        return False


def _uid(series: Series) -> str:
    return text(series.files[0].header, "SeriesInstanceUID")


def _uid_of_series(path: Path) -> str:
    """Series Instance UID (0020,000E) as far as a file, perhaps a damaged one, can be read; empty where it cannot."""
    try:
        if not path.is_file() or not is_dicom(path):
            return ""
        with quiet(), path.open("rb") as file:
            return text(read_partial(file, stop_when=lambda tag, *_: tag > 0x0020000E, force=True), "SeriesInstanceUID")
    except PARSING_FAULTS:
        return ""


def _dicom_among(paths: Iterable[Path], refuse: _Refuse) -> tuple[list[Path], int]:
    """The files that start like DICOM, and how many are something else; what may be a damaged slice is refused."""
    dicom: list[Path] = []
    others: list[Path] = []
    foreign = 0
    for path in sorted(path for path in paths if path.is_file()):
        if path.name.startswith(".") or path.name.upper() == "DICOMDIR":
            foreign += 1
            continue
        try:
            (dicom if is_dicom(path) else others).append(path)
        except OSError as error:
            refuse(path, InputError(f"{path.name} cannot be read ({error.strerror or 'the system refused'})"))
    kinds = {(path.parent, _kind_of_name(path)) for path in dicom}
    for path in others:
        if (path.parent, _kind_of_name(path)) in kinds and not _is_foreign(path):
            complaint = "lies among DICOM files but is not one (cut short or damaged); copy it again or remove it"
            refuse(path, InputError(f"{path.name} {complaint}"))
        else:
            foreign += 1
    return dicom, foreign


def _lies_hidden(path: Path) -> bool:
    """Whether a folder on the way to a file is hidden, such as that of a result that is being written."""
    return any(part.startswith(".") for part in path.parts[:-1])


def _is_foreign(path: Path) -> bool:
    """Whether a file is of a known other kind (picture, document, archive, NIfTI) or plain text."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(_FOREIGN) or head[4:8] == b"ftyp" or head[344:347] in (b"n+1", b"ni1"):
        return True
    controls = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return bool(head) and controls == 0


def _loaded(paths: Iterable[Path], refuse: _Refuse, check: Callable[[], None]) -> Iterator[DicomFile]:
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
    return _has_matrix(header) and text(header, "Modality") not in NOT_IMAGES and text(header, "SOPClassUID") != _SPECTRA


def _check_header_complete(file: DicomFile) -> None:
    """Raise InputError for an MR image, or what may be one, whose header ends before it even gives its size."""
    header = file.header
    kind = text(header, "SOPClassUID") or text(getattr(header, "file_meta", Dataset()), "MediaStorageSOPClassUID")
    # The kind itself may be cut short, down to nothing.
    may_be_mr = any(known.startswith(kind) for known in (CLASSIC, *ENHANCED))
    if not may_be_mr or text(header, "Modality") in NOT_IMAGES:
        return
    if not _has_matrix(header):
        raise InputError(f"{file.path.name} is a damaged DICOM file (its header is cut short); copy or export it again")


def _grouped(images: Iterable[DicomFile]) -> list[Series]:
    # Identifiers that were made by hand or by a careless tool are shared by patients.
    groups: dict[tuple[str, str], list[DicomFile]] = {}
    for file in images:
        groups.setdefault((text(file.header, "SeriesInstanceUID"), text(file.header, "PatientID")), []).append(file)
    ordered = sorted(
        groups.values(), key=lambda g: (whole_number(g[0].header, "SeriesNumber") or 0, text(g[0].header, "SeriesInstanceUID"))
    )
    return [_series(number, group) for number, group in enumerate(ordered, 1)]


def _series(number: int, files: list[DicomFile]) -> Series:
    # What the first slice states counts, not a screenshot that happens to lie before it.
    first = next(filter(_may_be_slice, files), files[0]).header
    return Series(
        number=number,
        series_number=whole_number(first, "SeriesNumber"),
        description=text(first, "SeriesDescription"),
        modality=modality(first),
        images=sum(whole_number(file.header, "NumberOfFrames") or 1 for file in files),
        rows=whole_number(first, "Rows") or 0,
        columns=whole_number(first, "Columns") or 0,
        files=tuple(files),
    )


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
