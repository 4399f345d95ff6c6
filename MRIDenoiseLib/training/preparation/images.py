"""Which images lie in a folder, and what their headers tell: everything but the voxels, which are read when a pair is known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom_files import Series, is_dicom, text
from MRIDenoiseLib.io.dicom_frames import Frame, frames_of
from MRIDenoiseLib.io.images import ending
from MRIDenoiseLib.prompt import read_acquisition
from MRIDenoiseLib.training.preparation.cases import Dropped, Say, anonymous
from MRIDenoiseLib.training.volumes import ManifestRow, manifest_acquisition, read_manifest
from MRIDenoiseLib.volume import Acquisition, Volume

_SAME_PLACE = 0.05
"""mm within which two slices lie at the same place (header rounding)."""


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


@dataclass(frozen=True, eq=False)
class Image:
    """One image of a folder: a file, or one echo of a DICOM series.

    Args:
        label: its place in the order of folders and files; free of names.
        subject, study, series: identifiers as the source has them.
        name: for files without headers the path below the folder without its ending, else empty.
        words: of a DICOM series' description, protocol name and Image Type (0008,0008), in lower case.
        acquisition: of DICOM.
        echo_time: ms, of DICOM.
        matrix: rows and columns, of DICOM.
        slab: of DICOM.
        volumes: how often every place was imaged.
        read: volume number, from 1 -> the volume; raises InputError.
        model, slice_thickness, source, licence: see :class:`~.cases.Case`.
        duration: Acquisition Duration (0018,9073), s.
        names: of the files it is made of, to keep them out of reports.
    """

    label: str
    subject: str
    study: str
    series: str
    name: str
    words: frozenset[str]
    acquisition: Acquisition
    echo_time: float | None
    matrix: tuple[int, int] | None
    slab: Slab | None
    volumes: int
    read: Callable[[int], Volume]
    model: str = ""
    slice_thickness: float | None = None
    duration: float | None = None
    source: str = ""
    licence: str = ""
    names: tuple[str, ...] = ()


def list_images(folder: Path, what: str, say: Say) -> list[Image | Dropped]:
    """Every MR image below a folder, in the order of folders and files, and what is there but cannot be read.

    Args:
        folder: holds NIfTI, NRRD and MetaImage files, DICOM files, or subfolders of them.
        what: how labels begin, for example ``fast``.
        say: told what is being done.

    Raises:
        InputError: there is no such folder, or no image in it.
        Cancelled: from ``say``.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that holds the images")
    rows = _manifest(folder)
    found: list[Image | Dropped] = []
    for place in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
        say("Reading headers")
        files = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
        listed = [_image_file(path, folder, rows) for path in files if ending(path)]
        # A folder with nothing but the DICOMDIR of its subfolders would be listed as a whole, and they once more.
        if any(is_dicom(path) for path in files if not ending(path) and path.name.upper() != "DICOMDIR"):
            listed += _dicom_images(place)
        found += [replace(image, label=f"{what} {len(found) + number}") for number, image in enumerate(listed, 1)]
    if not found:
        raise InputError(f"{folder} holds no images (DICOM, .nii, .nii.gz, .nrrd or .mha); choose another folder")
    return found


def _manifest(folder: Path) -> dict[str, ManifestRow]:
    """Rows by file name below ``folder``, from the MANIFEST.csv that lies beside it."""
    if not (folder.resolve().parent / "MANIFEST.csv").is_file():
        return {}
    kind = folder.resolve().name
    return {row.file.removeprefix(f"{kind}/"): row for row in read_manifest(folder.resolve().parent, kind)}


def _image_file(path: Path, folder: Path, rows: dict[str, ManifestRow]) -> Image | Dropped:
    relative = path.relative_to(folder)
    row = rows.get(relative.as_posix())
    subject = row.subject if row else _subject(relative)
    if not subject:
        reason = "it does not say whose it is: give every patient a folder, name the files sub-..., or list them in a MANIFEST.csv"
        return Dropped("", "reading", reason)
    stem = path.name[: -len(ending(path))]

    def read(number: int) -> Volume:
        found = io.read(path, volume=number)
        return found.with_acquisition(manifest_acquisition(row, found.acquisition)) if row else found

    return Image(
        label="",
        subject=subject,
        study="",
        series=relative.as_posix(),
        name=(relative.parent / stem).as_posix(),
        words=frozenset(),
        acquisition=Acquisition(),
        echo_time=None,
        matrix=None,
        slab=None,
        volumes=_volumes_in(path),
        read=read,
        source=row.source if row else "",
        licence=row.licence if row else "",
        names=(str(path),),
    )


def _subject(relative: Path) -> str:
    """The patient a file without headers belongs to: its BIDS ``sub-`` name, or the first folder it lies in."""
    named = re.search(r"(?:^|[/_])sub-([A-Za-z0-9]+)", relative.as_posix())
    if named:
        return named[1]
    return relative.parts[0] if len(relative.parts) > 1 else ""


def _volumes_in(path: Path) -> int:
    """How many volumes an image file holds; 1 for a file whose header cannot be read, of which reading will say what is wrong."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return 1
    size = reader.GetSize()
    return max(size[3] if len(size) > 3 else 1, reader.GetNumberOfComponents())


def _dicom_images(place: Path) -> list[Image | Dropped]:
    try:
        series = io.list_series(place)
    except InputError as error:
        return [Dropped("", "reading", anonymous(str(error), [place, *place.iterdir()]))]
    return [image for one in series for image in _images_of(place, one)]


def _images_of(place: Path, series: Series) -> Iterator[Image | Dropped]:
    names = tuple(str(file.path) for file in series.files)
    try:
        frames = frames_of(series)
        slab = _slab(frames)
    except InputError as error:
        yield Dropped("", "reading", anonymous(str(error), [place, *names]))
        return
    header = series.files[0].header
    echoes = _echoes(frames, slab)
    for number, (echo, of_echo) in enumerate(echoes, 1):
        first, volumes = of_echo[0], max(_at_each_place(of_echo, slab))
        yield Image(
            label="",
            subject=text(header, "PatientID") or text(header, "StudyInstanceUID"),
            study=text(header, "StudyInstanceUID"),
            series=f"{text(header, 'SeriesInstanceUID')} {echo}",
            name="",
            words=_words(first),
            acquisition=read_acquisition([first.file.header]),
            echo_time=echo,
            matrix=(series.rows, series.columns),
            slab=slab,
            volumes=volumes,
            read=partial(_read, place, series.number, number if len(echoes) > 1 else None, volumes > 1),
            model=text(header, "ManufacturerModelName"),
            slice_thickness=_number(first.get("SliceThickness")),
            duration=_number(first.get("AcquisitionDuration", "FrameAcquisitionDuration")),
            names=(str(place), *names),
        )


def _read(place: Path, series: int, echo: int | None, several: bool, number: int) -> Volume:
    return io.read(place, series=series, echo=echo, volume=number if several else None)


def _slab(frames: Sequence[Frame]) -> Slab:
    normal = np.cross(*frames[0].axes)
    middles = np.array([_middle(frame) for frame in frames])
    along = np.unique(np.round(middles @ normal / _SAME_PLACE)) * _SAME_PLACE
    spacing = (
        float(np.median(np.diff(along))) if len(along) > 1 else _number(frames[0].get("SpacingBetweenSlices", "SliceThickness")) or 1.0
    )
    # Rounded, so that two series that were placed alike are found to be.
    x, y, z = np.round(normal, 3).tolist()
    centre = np.round(middles.mean(axis=0), 1).tolist()
    return Slab((x, y, z), (centre[0], centre[1], centre[2]), round(float(along[-1] - along[0]) + spacing, 2), round(spacing, 2))


def _middle(frame: Frame) -> np.ndarray:
    header = frame.file.header
    steps = np.array([frame.pixel_spacing[1] * (header.Columns - 1), frame.pixel_spacing[0] * (header.Rows - 1)]) / 2
    return frame.position + steps @ frame.axes


def _at_each_place(frames: Sequence[Frame], slab: Slab) -> list[int]:
    """How many frames lie at each place along the normal."""
    return list(Counter(round(float(frame.position @ slab.normal) / _SAME_PLACE) for frame in frames).values())


def _echoes(frames: Sequence[Frame], slab: Slab) -> list[tuple[float | None, list[Frame]]]:
    """The frames by echo time, ascending, where places were imaged several times; else all of them."""
    times = sorted({time for frame in frames if (time := _echo_time(frame)) is not None})
    if len(times) < 2 or max(_at_each_place(frames, slab)) == 1:
        return [(times[0] if len(times) == 1 else None, list(frames))]
    return [(time, [frame for frame in frames if _echo_time(frame) == time]) for time in times]


def _echo_time(frame: Frame) -> float | None:
    time = _number(frame.get("EffectiveEchoTime", "EchoTime"))
    return None if time is None else round(time, 2)


def _words(frame: Frame) -> frozenset[str]:
    said: list[str] = []
    for keyword in ("SeriesDescription", "ProtocolName", "ImageType"):
        value = frame.get(keyword)
        said += value if isinstance(value, tuple) else [value or ""]
    return frozenset(re.findall(r"[a-z0-9]+", " ".join(map(str, said)).lower()))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, float) and value > 0 else None
