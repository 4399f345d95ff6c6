"""Prepared pairs on disk: a folder with one safetensors file a pair of volumes, and an index that says what each is.

A folder is written whole or not at all. It holds no name, identifier, date or path: patients, examinations and series get
pseudonyms whose key is thrown away when the folder is complete. Nobody can get from one to the patient, not even by
trying all the numbers of a hospital. The price is that a folder cannot be added to later.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from MRIDenoiseLib.data.references import GtKind
from MRIDenoiseLib.data.split import Split
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.acceleration import clamped_acceleration
from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume

INDEX = "records.jsonl"
DROPPED = "dropped.jsonl"
REPORT = "report.html"
OWN_NOISE = "own_noise.csv"
"""File of a record -> the own noise of its clean volume, part of P99.5, as ``mridenoise own-noise`` measured it."""
OWN_NOISE_BY = "own_noise.json"
"""By which network each was measured."""
FORMAT = {"format": "MRIDenoise records", "version": 1}

_PARTS = {"noisy": "F32", "clean": "F32", "mask": "BOOL"}
_HASH_CHUNK = 1 << 20


@dataclass(frozen=True)
class Alignment:
    """How far the clean volume had to be moved onto the noisy one, and how well it lies there now.

    Args:
        rotation, translation, through_plane_fraction, covered, ncc_before, ncc_after, flow_p95: as in
            :class:`~.registration.Registration`.
    """

    rotation: tuple[float, float, float]
    translation: tuple[float, float, float]
    through_plane_fraction: float
    covered: float
    ncc_before: float
    ncc_after: float
    flow_p95: float


@dataclass(frozen=True)
class RecordMeta:
    """Where a pair comes from and what was done to it; an empty word or None where it is not known.

    Args:
        subject, exam, series: pseudonyms, see :class:`Pseudonyms`.
        site: the name the user gave the hospital or data set.
        vendor, organ, contrast, fat_suppression, plane: words of :mod:`MRIDenoiseLib.prompt.vocabulary`.
        model: Manufacturer's Model Name (0008,1090).
        field_strength: tesla.
        acceleration: T_full / T_fast.
        acceleration_group: ``1.5x``, ``2x`` or ``3x``.
        nex_fast, nex_full: Number of Averages (0018,0083) of the two acquisitions. For one of N repeats ``nex_full`` is what all N
            make together, as ``acceleration`` is N; the reference is the mean of the other N - 1.
        parallel_fast, parallel_full: their in-plane parallel reduction factors (0018,9069).
        spacing: mm between rows, mm between columns.
        slice_spacing: mm between slices.
        slice_thickness: mm (0018,0050).
        gt_kind: how independent of the noisy volume's noise the clean one is.
        repeats: acquisitions that were measured of this image; 1 where noisy and clean are one series each.
        noise: whether the noisy volume was measured or simulated from the clean one.
        gain: what the clean volume was divided by, to be as bright as the noisy one.
        scale: P99.5 of the noisy volume inside the body, which maps to +1 in network units.
        noise_level: standard deviation of the noisy volume's noise inside the body, in its units.
        reference_noise: that of the clean volume, where repeats show it.
        alignment: None where the noisy volume was simulated, so that nothing can have moved.
        fill_factor: rows and columns of the clean volume after its k-space was padded or cropped, divided by those before.
        split: ``train``, ``validation`` or ``test``.
        source, licence: of the data set.
        own_noise: standard deviation of the clean volume's own noise inside the body, measured as ``noise_level`` and in the same
            units: an upper bound, for texture counts as noise; None in records made before it was measured.
    """

    subject: str
    exam: str
    series: str
    site: str
    vendor: str
    model: str
    field_strength: float | None
    organ: str
    contrast: str
    fat_suppression: str
    plane: str
    acceleration: float
    acceleration_group: str
    nex_fast: float | None
    nex_full: float | None
    parallel_fast: float | None
    parallel_full: float | None
    spacing: tuple[float, float]
    slice_spacing: float
    slice_thickness: float | None
    gt_kind: GtKind
    repeats: int
    noise: Literal["measured", "simulated"]
    gain: float
    scale: float
    noise_level: float
    reference_noise: float | None
    alignment: Alignment | None
    fill_factor: tuple[float, float]
    split: Split
    source: str
    licence: str
    own_noise: float | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RecordMeta:
        """Read what :func:`dataclasses.asdict` wrote through JSON.

        Raises:
            TypeError: a field is missing or unknown.
        """
        alignment = values.get("alignment")
        moved = None if alignment is None else Alignment(**_with_tuples(alignment))
        return cls(**{**_with_tuples(values), "alignment": moved})


@dataclass(frozen=True, eq=False)
class Record:
    """One pair of volumes on one grid, in physical intensities.

    Args:
        noisy: float32 (slices, rows, columns), never interpolated.
        clean: float32, the same shape, as bright as ``noisy``.
        mask: bool, the same shape: the body, where ``clean`` covers it.
        meta: where it comes from.
    """

    noisy: np.ndarray
    clean: np.ndarray
    mask: np.ndarray
    meta: RecordMeta


class Pseudonyms:
    """Stand-ins for identifiers: the same identifier gives the same one within a run, and another one in the next run."""

    def __init__(self) -> None:
        # Not from a seed: patient numbers are few enough to try them all, so the key must be unguessable and must be lost.
        self._key = secrets.token_bytes(32)

    def of(self, kind: str, *identifiers: str) -> str:
        """Twelve hexadecimal digits for what ``identifiers`` name together, different for every ``kind``."""
        message = "\0".join((kind, *identifiers))
        return hmac.new(self._key, message.encode(), hashlib.sha256).hexdigest()[:12]


class RecordWriter:
    """Writes records into a new folder; :meth:`finish` makes it one that :class:`RecordStore` reads.

    Args:
        folder: is made; the caller puts it in place with :func:`MRIDenoiseLib.io.replacing` when all is well.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.metas: list[RecordMeta] = []
        self.slices: list[int] = []
        self._files: list[dict[str, Any]] = []

    def add(self, record: Record) -> None:
        """Write one record; its entry in :attr:`metas` may be replaced until :meth:`finish`."""
        path = self.folder / f"{len(self.metas) + 1:05d}.safetensors"
        parts = {"noisy": record.noisy, "clean": record.clean, "mask": record.mask}
        save_file({key: np.ascontiguousarray(part) for key, part in parts.items()}, path)
        self.slices.append(len(record.noisy))
        self._files.append({"file": path.name, "sha256": _sha256(path), "shape": list(record.noisy.shape)})
        self.metas.append(record.meta)

    def finish(self) -> None:
        """Write the index."""
        entries = [{**file, "meta": asdict(meta)} for file, meta in zip(self._files, self.metas, strict=True)]
        lines = [json.dumps(entry) for entry in (FORMAT, *entries)]
        (self.folder / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Entry:
    file: str
    sha256: str
    shape: tuple[int, int, int]
    meta: RecordMeta


class RecordStore:
    """A folder of prepared pairs; voxels are read when they are needed.

    Args:
        folder: as ``mridenoise prepare`` wrote it.

    Raises:
        InputError: it is none, or its index is damaged or names a file that is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries = _read_index(folder)
        self._trusted: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Record]:
        return (self.read(number) for number in range(len(self)))

    @property
    def metas(self) -> tuple[RecordMeta, ...]:
        """What each record is, in the order of their numbers."""
        return tuple(entry.meta for entry in self._entries)

    @property
    def files(self) -> list[str]:
        """Their names in the folder, in the same order."""
        return [entry.file for entry in self._entries]

    @property
    def own_noise(self) -> dict[str, float]:
        """File -> own noise of its clean volume, part of P99.5, as far as it was measured and written down.

        Raises:
            InputError: the table is damaged.
        """
        path = self.folder / OWN_NOISE
        if not path.is_file():
            return {}
        try:
            with path.open(newline="", encoding="utf-8") as lines:
                return {row["file"]: float(row["own_noise"]) for row in csv.DictReader(lines)}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged; delete it, and measure again with mridenoise own-noise") from error

    def depth(self, number: int) -> int:
        """How many slices record ``number`` has."""
        return self._entries[number].shape[0]

    def read(self, number: int, first: int = 0, last: int | None = None) -> Record:
        """Record ``number``, or the half-open range of its slices from ``first`` to ``last``, as far as there are any.

        A file is checked against its hash when it is first read.

        Raises:
            InputError: the file was changed, cut short or removed since the folder was made.
        """
        entry = self._entries[number]
        path = self.folder / entry.file
        wanted = slice(first, min(entry.shape[0] if last is None else last, entry.shape[0]))
        try:
            if entry.file not in self._trusted and _sha256(path) != entry.sha256:
                raise InputError(f"{path.name} in {self.folder} was changed or damaged since it was prepared; prepare the pairs again")
            self._trusted.add(entry.file)
            with safe_open(path, framework="numpy") as file:
                views = {name: file.get_slice(name) for name in _PARTS}
                if any(view.get_dtype() != _PARTS[name] or tuple(view.get_shape()) != entry.shape for name, view in views.items()):
                    raise InputError(f"{path.name} in {self.folder} does not hold what the index says; prepare the pairs again")
                return Record(**{name: view[wanted] for name, view in views.items()}, meta=entry.meta)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path.name} in {self.folder} cannot be read; prepare the pairs again") from error


def is_store(folder: Path) -> bool:
    """Whether a folder holds prepared pairs and nothing else, so that it may be replaced."""
    known = {INDEX, DROPPED, REPORT, OWN_NOISE, OWN_NOISE_BY}
    if not all(path.name in known or re.fullmatch(r"\d{5}\.safetensors", path.name) for path in folder.iterdir()):
        return False
    try:
        with (folder / INDEX).open(encoding="utf-8") as lines:
            return bool(json.loads(next(lines, "null")) == FORMAT)
    except (OSError, ValueError):
        return False


def _read_index(folder: Path) -> list[_Entry]:
    path = folder / INDEX
    if not path.is_file():
        raise InputError(f"{folder} holds no prepared pairs ({INDEX} is missing); make them with mridenoise prepare")
    try:
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        if json.loads(first) != FORMAT:
            raise InputError(f"{path} was not written by this version of mridenoise prepare; prepare the pairs again")
        entries = [_entry(json.loads(line)) for line in rest]
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise InputError(f"{path} is damaged; prepare the pairs again") from error
    missing = next((entry.file for entry in entries if not (folder / entry.file).is_file()), None)
    if missing is not None:
        raise InputError(f"{folder} lacks {missing}, which its index names; copy the folder again or prepare the pairs again")
    return entries


def _entry(values: dict[str, Any]) -> _Entry:
    if set(values) != {field.name for field in fields(_Entry)} or Path(values["file"]).name != values["file"]:
        raise ValueError("not a record")
    depth, rows, columns = values["shape"]
    return _Entry(values["file"], values["sha256"], (depth, rows, columns), RecordMeta.from_json(values["meta"]))


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def record_acquisition(meta: RecordMeta) -> Acquisition:
    """The facts for a record's prompt; the acceleration lies between 1.5 and 3."""

    def stated(value: str | float | None) -> AcquisitionField:
        return AcquisitionField(value, "record", "high") if value else AcquisitionField()

    return Acquisition(
        organ=stated(meta.organ),
        contrast=stated(meta.contrast),
        fat_suppression=stated(meta.fat_suppression),
        plane=stated(meta.plane),
        vendor=stated(meta.vendor),
        acceleration=stated(clamped_acceleration(meta.acceleration)),
        field_strength=stated(meta.field_strength),
    )


def noisy_volume(record: Record) -> Volume:
    """The noisy image of a record as a user's file would give it: physical intensities, spacing, and what the headers stated."""
    meta = record.meta
    spacing = [meta.spacing[1], meta.spacing[0], meta.slice_spacing, 1.0]
    return Volume(record.noisy, np.diag(spacing), acquisition=record_acquisition(meta))
