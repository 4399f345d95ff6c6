"""Which images lie in a folder, by headers and names alone; voxels are read when a pair is known.

The images that DICOM files form, recognised by their headers: an image for every echo of every series.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib import io
from MRIDenoiseLib.data.cases import Check, Dropped, Say, anonymous
from MRIDenoiseLib.data.images import Image, Slab, Weighting
from MRIDenoiseLib.data.manifest import MANIFEST, ManifestRow, manifest_acquisition, may_be_learned_from, read_manifest
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import Series, sift, text
from MRIDenoiseLib.io.dicom.frames import Frame, frames_of
from MRIDenoiseLib.io.dicom.stack import SAME_PLACE, echo_time, echoes, volumes
from MRIDenoiseLib.io.images import ending
from MRIDenoiseLib.io.paths import utf8_path
from MRIDenoiseLib.prompt import read_acquisition
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Acquisition, Volume

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
    """Whether a contrast agent had been given; an enhanced header lists those of the examination, and states it for each frame."""
    given = frame.get("ContrastBolusAgentAdministered")
    if given is not None:
        return bool(given == "YES")
    listed = frame.file.header.get("ContrastBolusAgentSequence")
    return bool(listed) or str(frame.get("ContrastBolusAgent") or "").strip().lower() not in _NO_AGENT


def _words(frame: Frame, *keywords: str) -> frozenset[str]:
    values = (frame.get(keyword) for keyword in keywords)
    found = (word for value in values for word in (value if isinstance(value, tuple) else (value or "",)))
    return frozenset(re.findall(r"[a-z0-9]+", " ".join(map(str, found)).lower()))


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


Rows = Mapping[str, tuple[ManifestRow, bool]]
"""The manifest row of each file, and whether it may be trained on."""


def list_images(folder: Path, what: str, say: Say) -> list[Image | Dropped]:
    """Every MR image below a folder, in the order of folders and files, and what is there but cannot be read.

    A series that lies there twice is listed once: it would be its own repeat.

    Args:
        folder: holds NIfTI, NRRD and MetaImage files, DICOM files, or subfolders of them.
        what: how labels begin, for example ``fast``.
        say: called with what is being done, before every file.

    Raises:
        InputError: there is no such folder, or no image in it.
        Cancelled: from ``say``.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that holds the images")
    rows = _manifest(folder)
    found: list[Image | Dropped] = []
    for number, place in enumerate([folder, *sorted(path for path in folder.rglob("*") if path.is_dir())], 1):
        found += _listed(place, f"folder {number}", folder, rows, partial(say, "Reading headers"))
    if not found:
        raise InputError(f"{folder} holds no images (DICOM, .nii, .nii.gz, .nrrd or .mha); choose another folder")
    return list(_without_copies([replace(image, label=f"{what} {number}") for number, image in enumerate(found, 1)]))


def _listed(place: Path, called: str, folder: Path, rows: Rows, check: Check) -> Iterator[Image | Dropped]:
    """What lies in one folder; ``called`` is used in place of its name."""
    check()
    try:
        files = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        yield Dropped("", "listing", f"{called} cannot be read: {error.strerror or 'the system refused'}")
        return
    for path in files:
        if ending(path):
            check()
            yield _image_file(path, folder, rows)
    sifted = sift([path for path in files if not ending(path)], check)
    for series in sifted.series:
        yield from images_of(series)
    for path, complaint in sifted.refused:
        yield Dropped("", "listing", anonymous(str(complaint), [path], f"file {files.index(path) + 1} of {called}"))
    if sifted.others and not sifted.series:
        yield Dropped("", "listing", f"{called} holds DICOM objects but no image")


def _without_copies(found: Sequence[Image | Dropped]) -> Iterator[Image | Dropped]:
    first: dict[tuple[str, str, str], str] = {}
    for image in found:
        if isinstance(image, Image):
            original = first.setdefault((image.subject, image.study, image.series), image.label)
            if original != image.label:
                yield Dropped(image.label, "listing", f"its series is there twice: it is the same as {original}")
                continue
        yield image


def _manifest(folder: Path) -> Rows:
    """Rows by file name below ``folder``, from the MANIFEST.csv next to it."""
    if not (folder.resolve().parent / MANIFEST).is_file():
        return {}
    kind, rows = folder.resolve().name, read_manifest(folder.resolve().parent, kind=None)
    mine = [row for row in rows if row.file.startswith(f"{kind}/")]
    return {row.file.removeprefix(f"{kind}/"): (row, may_be_learned_from(row, rows)) for row in mine}


def _image_file(path: Path, folder: Path, rows: Rows) -> Image | Dropped:
    relative = path.relative_to(folder)
    row, learned_from = rows.get(relative.as_posix(), (None, True))
    subject = row.subject if row else _subject(relative)
    if not subject:
        reason = "it does not name its patient: give every patient a folder, name the files sub-..., or list them in a MANIFEST.csv"
        return Dropped("", "listing", reason)
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
        acquisition=Acquisition(),
        volumes=_volumes_in(path),
        read=read,
        names=(str(path),),
        source=row.source if row else "",
        licence=row.licence if row else "",
        held_out=not learned_from,
    )


def _subject(relative: Path) -> str:
    """The patient a file without headers belongs to: its BIDS ``sub-`` name, or the first folder it lies in."""
    named = re.search(r"(?:^|[/_])sub-([A-Za-z0-9]+)", relative.as_posix())
    if named:
        return named[1]
    return relative.parts[0] if len(relative.parts) > 1 else ""


def _volumes_in(path: Path) -> int:
    """How many volumes an image file holds; 1 for a file whose header cannot be read, whose error is reported when it is read."""
    reader = sitk.ImageFileReader()
    with utf8_path(path) as plain:
        reader.SetFileName(str(plain))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            return 1
    size = reader.GetSize()
    return max(size[3] if len(size) > 3 else 1, reader.GetNumberOfComponents())
