"""Which images lie in a folder, by headers and names alone; voxels are read when a pair is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from MRIDenoiseLib import io
from MRIDenoiseLib.data.cases import Check, Dropped, Say, anonymous
from MRIDenoiseLib.data.dicom_images import images_of
from MRIDenoiseLib.data.images import Image
from MRIDenoiseLib.data.manifest import MANIFEST, ManifestRow, manifest_acquisition, may_be_learned_from, read_manifest
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import sift
from MRIDenoiseLib.io.images import ending
from MRIDenoiseLib.volume import Acquisition, Volume

Rows = Mapping[str, tuple[ManifestRow, bool]]
"""What a manifest says of each file, and whether it leaves it to training."""


def list_images(folder: Path, what: str, say: Say) -> list[Image | Dropped]:
    """Every MR image below a folder, in the order of folders and files, and what is there but cannot be read.

    A series that lies there twice is listed once: it would be its own repeat.

    Args:
        folder: holds NIfTI, NRRD and MetaImage files, DICOM files, or subfolders of them.
        what: how labels begin, for example ``fast``.
        say: told what is being done, before every file.

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
    """What lies in one folder; ``called`` is what to say for its name."""
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
                yield Dropped(image.label, "listing", f"its series lies there twice: it is {original} once more")
                continue
        yield image


def _manifest(folder: Path) -> Rows:
    """Rows by file name below ``folder``, from the MANIFEST.csv that lies beside it."""
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
        reason = "it does not say whose it is: give every patient a folder, name the files sub-..., or list them in a MANIFEST.csv"
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
    """How many volumes an image file holds; 1 for a file whose header cannot be read, of which reading will say what is wrong."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return 1
    size = reader.GetSize()
    return max(size[3] if len(size) > 3 else 1, reader.GetNumberOfComponents())
