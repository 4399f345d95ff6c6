"""The clean volumes training draws from, listed by a manifest, with the subjects that must never be trained on left out."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MRIDenoiseLib import io
from MRIDenoiseLib.body import body_mask
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.training.simulation import clean_scale
from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume

KEPT_OUT_SUBJECTS = ("ms12", "sct03", "ProstateX-0000")
"""Patients of the published tables: no training, no tuning and no early stopping may see them."""


@dataclass(frozen=True)
class ManifestRow:
    """One image of the manifest: where it lies, whose it is, and what the licence asks to be said."""

    file: str
    source: str
    licence: str
    organ: str
    contrast: str
    vendor: str
    subject: str


@dataclass(frozen=True, eq=False)
class CleanVolume:
    """A clean volume ready to be trained on.

    Args:
        slices: float32 (slices, rows, columns) across the acquired plane, P99.5 of the positive voxels = 1.
        body: bool, the same shape.
        slice_spacing: mm between slices.
        acquisition: organ, contrast, vendor and plane for the prompt.
        row: where it came from.
        coarsening: how many times coarser a view must be at least before it is clean enough to be learned from.
    """

    slices: np.ndarray
    body: np.ndarray
    slice_spacing: float
    acquisition: Acquisition
    row: ManifestRow
    coarsening: float = 1.0


def read_manifest(folder: Path, kind: str = "volumes") -> list[ManifestRow]:
    """The rows of ``MANIFEST.csv`` whose files lie in the subfolder ``kind``.

    Raises:
        InputError: when the folder has no manifest or the manifest lacks a column.
    """
    path = folder / "MANIFEST.csv"
    if not path.is_file():
        raise InputError(f"{folder} holds no MANIFEST.csv; give the folder of the training data with --data")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    names = ManifestRow.__dataclass_fields__
    missing = [name for name in names if rows and name not in rows[0]]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]}")
    return [ManifestRow(**{name: row[name] for name in names}) for row in rows if row["file"].startswith(f"{kind}/")]


def folded(identifier: str) -> str:
    """As it is compared: DICOM pads identifiers with blanks, and people write them in either case."""
    return identifier.strip("\0 ").casefold()


def is_kept_out(subject: str) -> bool:
    """Whether it is one of :data:`KEPT_OUT_SUBJECTS`, however it is written."""
    return folded(subject) in {folded(name) for name in KEPT_OUT_SUBJECTS}


def training_rows(folder: Path) -> list[ManifestRow]:
    """The rows that may be trained on: all volumes but those of :data:`KEPT_OUT_SUBJECTS`.

    Raises:
        InputError: as :func:`read_manifest`.
    """
    return [row for row in read_manifest(folder) if not is_kept_out(row.subject)]


def load_clean_volumes(folder: Path, rows: list[ManifestRow]) -> Iterator[CleanVolume]:
    """Read and normalise the volumes of ``rows`` one after the other."""
    for row in rows:
        yield clean_volume(io.read(folder / row.file), row)


def clean_volume(volume: Volume, row: ManifestRow) -> CleanVolume:
    """Slices first, P99.5 of the positive voxels = 1, and the manifest's account of the acquisition."""
    slices = np.moveaxis(volume.voxels, volume.slice_axis, 0)
    slices = np.ascontiguousarray(slices / clean_scale(slices), dtype=np.float32)
    return CleanVolume(
        slices=slices,
        body=body_mask(slices),
        slice_spacing=volume.spacing[volume.slice_axis],
        acquisition=manifest_acquisition(row, volume.acquisition),
        row=row,
    )


def manifest_acquisition(row: ManifestRow, found: Acquisition) -> Acquisition:
    """Organ, contrast and vendor as the manifest has them; the rest as it was found in the file."""

    def said(value: str) -> AcquisitionField:
        unknown = value in ("", "unknown")
        return AcquisitionField(None if unknown else value.removesuffix(" (likely)"), "manifest", "high")

    return Acquisition(organ=said(row.organ), contrast=said(row.contrast), vendor=said(row.vendor), plane=found.plane)
