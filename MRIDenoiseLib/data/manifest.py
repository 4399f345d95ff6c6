"""The clean volumes training draws from, listed by a manifest that says which may be learned from and how noisy each is itself."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MRIDenoiseLib import io
from MRIDenoiseLib.data.zero_fill import resize_volume
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask, clean_scale
from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume

MANIFEST = "MANIFEST.csv"
SPLITS = ("train", "test", "as-scanned", "repeats", "headers")
"""The use of an image: learned from; a patient of the published tables, never learned from, tuned on or chosen by; a
grainy scan that is denoised as it is; one of several of the same thing; a header alone."""

CLEAN_ENOUGH = 0.010
"""Own noise, part of P99.5, up to which a volume may be a target as it is."""
COARSEST = 2.2
"""A noisier one has to be made coarser to be clean enough, but not more than so many times: then it is left out."""


@dataclass(frozen=True)
class ManifestRow:
    """One image of the manifest: where it is, which patient's, what attribution the licence requires, and what it may be used for.

    Args:
        file: path below the manifest's folder.
        source, licence: of the data set.
        organ, contrast, vendor: words, or ``unknown``.
        subject: the patient.
        split: one of :data:`SPLITS`. Only ``train`` is learned from; a row that was never read from a manifest has none.
        own_noise: standard deviation of its own noise in the body, part of P99.5; None where it has not been measured.
        interpolated: how many times finer than measured the scanner has made the matrix of its slices.
    """

    file: str
    source: str
    licence: str
    organ: str
    contrast: str
    vendor: str
    subject: str
    split: str = ""
    own_noise: float | None = None
    interpolated: float = 1.0

    @property
    def name(self) -> str:
        """The file's name without its folder and its ending."""
        return Path(self.file).name.removesuffix(".nii.gz")


@dataclass(frozen=True)
class LeftOut:
    """An image that could have been learned from and is not, with one sentence why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class CleanVolume:
    """A clean volume ready to be trained on.

    Args:
        slices: float32 (slices, rows, columns) across the acquired plane, P99.5 of the positive voxels = 1.
        body: bool, the same shape.
        slice_spacing: mm between slices.
        acquisition: organ, contrast, vendor and plane for the prompt.
        row: where it came from.
        coarsening: how many times coarser a view of it has to be, at least, to be clean enough to learn from.
    """

    slices: np.ndarray
    body: np.ndarray
    slice_spacing: float
    acquisition: Acquisition
    row: ManifestRow
    coarsening: float = 1.0


def read_manifest(folder: Path, kind: str | None = "volumes", split: str | None = None) -> list[ManifestRow]:
    """The rows of ``MANIFEST.csv``.

    Args:
        folder: of the manifest.
        kind: only files in this subfolder; None for all.
        split: only rows of this one of :data:`SPLITS`; None for all.

    Raises:
        InputError: when the folder has no manifest, the manifest lacks a column, or a row holds an impossible value.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} holds no {MANIFEST}; give the folder of the training data with --data")
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        rows_as_text = [{name: value or "" for name, value in row.items() if name} for row in reader]
        check_columns(path, reader.fieldnames or ())
    rows = [manifest_row(path, values) for values in rows_as_text if kind is None or values["file"].startswith(f"{kind}/")]
    return [row for row in rows if split is None or row.split == split]


def check_columns(path: Path, present: Collection[str]) -> None:
    """Report which column of a manifest is missing; none is guessed, least of all the one that states what may be learned from.

    Raises:
        InputError: there is one missing.
    """
    missing = [name for name in ManifestRow.__dataclass_fields__ if name != "interpolated" and name not in present]
    if not missing:
        return
    if missing[0] == "split":
        raise InputError(f"{path} lacks the column split, so nothing states what may be trained on; add it ({', '.join(SPLITS)})")
    if missing[0] == "own_noise":
        raise InputError(f"{path} lacks the column own_noise; measure it and write it down with: {own_noise_command(path.parent)}")
    raise InputError(f"{path} lacks the column {missing[0]}")


def own_noise_command(folder: Path) -> str:
    """What the user types to measure the own noise of a folder of data and write it down."""
    return f"mridenoise own-noise {folder} --write"


def manifest_row(path: Path, columns: dict[str, str]) -> ManifestRow:
    """One row of a manifest, from its columns as they are written.

    Args:
        path: of the manifest, for error messages.
        columns: column -> text.

    Raises:
        InputError: it holds an impossible value.
    """
    if columns["split"] not in SPLITS:
        raise InputError(f"{path} says split '{columns['split']}' of {columns['file']}; it may be {', '.join(SPLITS)}")
    words = {name: columns[name] for name in ManifestRow.__dataclass_fields__ if name not in ("own_noise", "interpolated")}
    own, times = (_number(path, columns, name) for name in ("own_noise", "interpolated"))
    if times is not None and times < 1:
        raise InputError(f"{path} says interpolated '{columns['interpolated']}' of {columns['file']}; it is a factor of 1 or more")
    return ManifestRow(**words, own_noise=own, interpolated=times or 1.0)


def _number(path: Path, columns: dict[str, str], name: str) -> float | None:
    text = columns.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError(f"{path} says {name} '{text}' of {columns['file']}; it is a number of 0 or more, or empty where it is unknown")
    return value


def folded(identifier: str) -> str:
    """As it is compared: DICOM pads identifiers with blanks, and people write them in either case."""
    return identifier.strip("\0 ").casefold()


def kept_out_subjects(rows: Iterable[ManifestRow]) -> list[str]:
    """The patients of the split ``test``, as they are first written, in order."""
    named: dict[str, str] = {}
    for row in rows:
        if row.split == "test":
            named.setdefault(folded(row.subject), row.subject.strip("\0 "))
    return list(named.values())


def may_be_learned_from(row: ManifestRow, rows: Iterable[ManifestRow]) -> bool:
    """Whether a manifest leaves an image of any kind to training.

    A row allows it with ``train``, and forbids it with ``test`` and ``as-scanned``. A row with neither, such as repeats, follows
    its patient: nothing of a patient of the split ``test`` is learned from.

    Args:
        row: of the image.
        rows: all of its manifest.
    """
    if row.split in ("train", "test", "as-scanned"):
        return row.split == "train"
    return folded(row.subject) not in {folded(subject) for subject in kept_out_subjects(rows)}


def coarsening(own_noise: float) -> float:
    """How many times coarser an image has to be made for its own noise (part of P99.5) to fall to :data:`CLEAN_ENOUGH`.

    The noise of the pixels falls by as much as k-space is cropped. At least 1.
    """
    return max(1.0, own_noise / CLEAN_ENOUGH)


def training_rows(folder: Path) -> list[ManifestRow]:
    """The volumes that are trained on: of the split ``train``, and clean enough at a grid up to :data:`COARSEST` times coarser.

    Raises:
        InputError: as :func:`read_manifest`; or the own noise of one of them is not known.
    """
    return [row for row in read_manifest(folder, split="train") if coarsening(_known_noise(folder, row)) <= COARSEST]


def left_out(folder: Path) -> list[LeftOut]:
    """The volumes that are not trained on though their patients are not kept out, each with the reason.

    Raises:
        InputError: as :func:`training_rows`.
    """
    found = []
    for row in read_manifest(folder):
        if row.split == "as-scanned":
            found.append(LeftOut(row.file, "it is kept to be denoised as it was scanned"))
        elif row.split == "train" and (times := coarsening(own := _known_noise(folder, row))) > COARSEST:
            reason = f"its own noise is {own:.2%} of P99.5; it would be clean enough only {times:.1f} times coarser ({COARSEST:g} at most)"
            found.append(LeftOut(row.file, reason))
    return found


def _known_noise(folder: Path, row: ManifestRow) -> float:
    if row.own_noise is None:
        raise InputError(f"the own noise of {row.file} is not known; measure it and write it down with: {own_noise_command(folder)}")
    return row.own_noise


def load_clean_volumes(folder: Path, rows: list[ManifestRow]) -> Iterator[CleanVolume]:
    """Read and normalise the volumes of ``rows`` one after the other, each at the matrix that was measured."""
    for row in rows:
        yield clean_volume(measured_matrix(io.read(folder / row.file), row), row)


def measured_matrix(volume: Volume, row: ManifestRow) -> Volume:
    """A volume that the scanner interpolated (:attr:`ManifestRow.interpolated`) by filling up k-space, with the matrix that was measured.

    Interpolated grain is not what other images' noise looks like, and there is nothing to be learned from the empty k-space.
    """
    if row.interpolated == 1:
        return volume
    rows, columns = (round(size / row.interpolated) for axis, size in enumerate(volume.voxels.shape) if axis != volume.slice_axis)
    return resize_volume(volume, (rows, columns))


def clean_volume(volume: Volume, row: ManifestRow) -> CleanVolume:
    """Slices first, P99.5 of the positive voxels = 1, and the manifest's account of the acquisition."""
    slices = volume.stack
    slices = np.ascontiguousarray(slices / clean_scale(slices), dtype=np.float32)
    return CleanVolume(
        slices=slices,
        body=body_mask(slices),
        slice_spacing=volume.spacing[volume.slice_axis],
        acquisition=manifest_acquisition(row, volume.acquisition),
        row=row,
        coarsening=coarsening(row.own_noise or 0.0),
    )


def manifest_acquisition(row: ManifestRow, found: Acquisition) -> Acquisition:
    """Organ, contrast and vendor as the manifest has them; the rest as it was found in the file."""

    def stated(value: str) -> AcquisitionField:
        unknown = value in ("", "unknown")
        return AcquisitionField(None if unknown else value.removesuffix(" (likely)"), "manifest", "high")

    return Acquisition(organ=stated(row.organ), contrast=stated(row.contrast), vendor=stated(row.vendor), plane=found.plane)
