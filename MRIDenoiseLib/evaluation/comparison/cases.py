"""The images of a comparison: a noisy volume, its reference, and where and how it is scored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from MRIDenoiseLib import io
from MRIDenoiseLib.data import references
from MRIDenoiseLib.data.manifest import ManifestRow, read_manifest
from MRIDenoiseLib.data.records import RecordStore, noisy_volume
from MRIDenoiseLib.data.references import leave_one_out
from MRIDenoiseLib.data.repeats import read_repeat_sets
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.image.body import body_mask, clean_scale
from MRIDenoiseLib.image.kind import judged
from MRIDenoiseLib.image.noise import estimate_noise_level, reference_noise
from MRIDenoiseLib.segmentation import make_mask
from MRIDenoiseLib.simulation.presets import BRIGHT, with_noise
from MRIDenoiseLib.volume import Volume

MEASURED = "measured"
"""The noise that the scanner itself produced."""

Kind = Literal["volume", "repeat", "record"]
_NONE = (np.empty(0), np.empty(0))


@dataclass(frozen=True)
class CaseSpec:
    """Identifies an image; small, and the same on every machine that has the same data.

    Args:
        kind: ``volume`` (a clean volume and simulated noise), ``repeat`` (the first of several measurements of one object,
            compared with the mean of the others) or ``record`` (a prepared pair).
        folder: of the data, or of the prepared pairs.
        source: file below the folder, name of the repeats, or number of the record.
        noise: name of a simulated noise, or :data:`MEASURED`.
        subject: the patient or volunteer in the image.
        organ, contrast: from the data's list.
        slices: how many middle slices are scored.
        echo: its number, from 1, in a folder of DICOM files with several echoes.
        own_noise: standard deviation of the clean volume's own noise, relative to its P99.5; None where it has to be measured.
    """

    kind: Kind
    folder: str
    source: str
    noise: str
    subject: str
    organ: str
    contrast: str
    slices: int
    echo: int | None = None
    own_noise: float | None = None

    @property
    def name(self) -> str:
        """A name for tables and files, without folders; it has only letters, digits, dots and dashes."""
        stem = Path(self.source).name.removesuffix(".nii.gz")
        echo = f" echo {self.echo}" if self.echo else ""
        words = f"{'pair ' if self.kind == 'record' else ''}{stem}{echo} {self.noise}"
        return "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in words)


@dataclass(frozen=True, eq=False)
class Case:
    """A loaded image. Arrays are (slices, rows, columns), of the scored slices, in the units of ``volume``.

    Args:
        spec: identifies the image.
        volume: the whole noisy volume; a method gets nothing else.
        clean: the whole reference, on the same grid.
        scored: the slices that count, along the acquired axis.
        twins: two measurements of the truth, whose agreement is the best that a method can reach: the reference and the same
            with new noise as strong as its own; for repeats, the means of two halves.
        true_noise: standard deviation of the noise in bright tissue, where it was added to the reference; otherwise None.
        own_noise: standard deviation of the reference's own noise in the body, relative to its P99.5.
        inclusive: whether, by the data's list, the reference holds the noisy volume's own noise.
    """

    spec: CaseSpec
    volume: Volume
    clean: Volume
    scored: range
    twins: tuple[np.ndarray, np.ndarray]
    true_noise: float | None
    own_noise: float = math.nan
    inclusive: bool = False

    @cached_property
    def reference(self) -> np.ndarray:
        """The reference."""
        return self.cut(self.clean.voxels)

    @cached_property
    def noisy(self) -> np.ndarray:
        """The noisy image."""
        return self.cut(self.volume.voxels)

    @cached_property
    def scale(self) -> float:
        """P99.5 of the whole reference's positive voxels: the data range L of the tables."""
        return clean_scale(self.clean.voxels)

    @cached_property
    def foreground(self) -> np.ndarray:
        """Which voxels count, bool: where the reference is brighter than :data:`FOREGROUND_THRESHOLD` of its scale."""
        return self.reference > FOREGROUND_THRESHOLD * self.scale

    @cached_property
    def added_noise(self) -> float:
        """Root mean square of noisy - reference in the reference's body, relative to its P99.5."""
        body = body_mask(self.clean.stack)[self.scored.start : self.scored.stop]
        return float(np.sqrt(np.square(self.noisy - self.reference)[body].mean()) / self.scale)

    @cached_property
    def tissue(self) -> tuple[np.ndarray, str]:
        """The mask for segmentation, bool, and its kind: ``brain`` or ``body``; found in the whole reference."""
        mask, kind = make_mask(self.clean)
        return self.cut(mask), kind

    def cut(self, voxels: np.ndarray) -> np.ndarray:
        """The scored slices of an array with the volume's axes."""
        return np.ascontiguousarray(self.volume.stacked(voxels)[self.scored.start : self.scored.stop])

    def as_volume(self, slices: np.ndarray) -> Volume:
        """Scored slices as a volume of their own, of the reference's organ and contrast."""
        return self.clean.with_stack(slices)


def volume_specs(
    folder: Path,
    subjects: Sequence[str],
    noises: Sequence[str],
    slices: int,
    contains: str = "",
    *,
    split: str = "test",
    echoes: Mapping[int, float] | None = None,
) -> list[CaseSpec]:
    """Clean volumes of a data folder's list, each with every noise.

    Args:
        folder: with MANIFEST.csv.
        subjects: whose volumes.
        noises: see :func:`MRIDenoiseLib.simulation.presets.benchmark_row`.
        slices: how many are scored in each.
        contains: only files whose name holds this.
        split: of the list: ``test`` for the images of the comparison, ``train`` for those that settings are chosen on.
        echoes: number of an echo of a DICOM series in the list, from 1 -> its own noise, as :attr:`CaseSpec.own_noise`.

    Raises:
        InputError: there is no list, or a subject has no volume of that split in it.
    """
    listed = read_manifest(folder, "dicom" if echoes else "volumes", split)
    rows = [row for row in listed if row.subject in subjects and contains in row.file]
    for subject in subjects:
        if not any(row.subject == subject for row in rows) and not contains:
            raise InputError(f"{folder / 'MANIFEST.csv'} lists no volume of subject {subject} with the split {split}")
    if not rows:
        raise InputError(f"{folder / 'MANIFEST.csv'} lists no volume {contains!r} of {', '.join(subjects)} with the split {split}")
    specs = [_spec("volume", folder, row.file, noise, row, slices) for noise in noises for row in rows]
    if not echoes:
        return specs
    return [replace(spec, echo=echo, own_noise=own) for spec in specs for echo, own in echoes.items()]


def repeat_specs(folder: Path, names: Sequence[str], slices: int) -> list[CaseSpec]:
    """True repeats of a data folder: the first measurement of each set, against the mean of the others.

    Raises:
        InputError: there is no list, or no set of that name.
    """
    rows = {row.file: row for row in read_manifest(folder, "repeats")}
    known = {one.name: one for one in read_repeat_sets(folder)}
    specs = []
    for name in names:
        if name not in known:
            raise InputError(f"there are no repeats called {name!r}; there are {', '.join(known)}")
        if known[name].file not in rows:
            raise InputError(f"{folder / 'MANIFEST.csv'} does not list {known[name].file}")
        specs.append(_spec("repeat", folder, name, MEASURED, rows[known[name].file], slices))
    return specs


def record_specs(folder: Path, noises: Sequence[str], slices: int, split: str = "test") -> list[CaseSpec]:
    """Prepared pairs of a split, with the measured noise or with simulated noise added to their clean volumes.

    Raises:
        InputError: the folder holds no prepared pairs, or none of that split.
    """
    store = RecordStore(folder)
    found = [
        CaseSpec("record", str(folder), str(number), noise, meta.subject, meta.organ or "unknown", meta.contrast or "unknown", slices)
        for noise in noises
        for number, meta in enumerate(store.metas)
        if meta.split == split
    ]
    if not found:
        raise InputError(f"{folder} holds no pair of the {split} split")
    return found


def load(spec: CaseSpec) -> Case:
    """Read a case and make its noise.

    Raises:
        InputError: a file cannot be read, or does not hold what ``spec`` describes.
    """
    return {"volume": _volume_case, "repeat": _repeat_case, "record": _record_case}[spec.kind](spec)


def _spec(kind: Kind, folder: Path, source: str, noise: str, row: ManifestRow, slices: int) -> CaseSpec:
    return CaseSpec(kind, str(folder), source, noise, row.subject, row.organ, row.contrast, slices, own_noise=row.own_noise)


def _volume_case(spec: CaseSpec) -> Case:
    return _simulated(spec, judged(io.read(Path(spec.folder) / spec.source, echo=spec.echo)))


def _simulated(spec: CaseSpec, volume: Volume, own: float | None = None) -> Case:
    """``own``: the clean volume's own noise in its units, where repeats show it."""
    scale = clean_scale(volume.voxels)
    clean = volume.with_voxels(volume.voxels / np.float32(scale))
    noisy = with_noise(clean, spec.noise)
    scored = clean.middle(spec.slices)
    case = Case(spec, noisy, clean, scored, _NONE, None)
    bright = case.reference > BRIGHT
    noise = float((case.noisy - case.reference)[bright].std())
    return replace(case, twins=_twins(case), true_noise=noise, own_noise=_own_noise(case) if own is None else own / scale)


def _repeat_case(spec: CaseSpec) -> Case:
    folder = Path(spec.folder)
    chosen = next(one for one in read_repeat_sets(folder) if one.name == spec.source)
    path = folder / chosen.file
    volumes = [judged(io.read(path, volume=number + 1)) for number in chosen.groups[0]]
    voxels = np.stack([volume.voxels for volume in volumes])
    noisy = volumes[0]
    clean = noisy.with_voxels(leave_one_out(voxels)[0])
    case = Case(spec, noisy, clean, noisy.middle(spec.slices), _NONE, None)
    body = body_mask(clean.stack)
    own = references.reference_noise(voxels, clean.unstacked(body)) / case.scale
    return replace(case, twins=(case.cut(voxels[1::2].mean(axis=0)), case.cut(voxels[2::2].mean(axis=0))), own_noise=own)


def _record_case(spec: CaseSpec) -> Case:
    record = RecordStore(Path(spec.folder)).read(int(spec.source))
    noisy = noisy_volume(record)
    clean = noisy.with_voxels(record.clean)
    if spec.noise != MEASURED:
        return _simulated(spec, clean, record.meta.reference_noise)
    case = Case(spec, noisy, clean, noisy.middle(spec.slices), _NONE, None, inclusive=record.meta.gt_kind == "inclusive")
    known = record.meta.reference_noise
    return replace(case, twins=_twins(case, known), own_noise=_own_noise(case) if known is None else known / case.scale)


def _own_noise(case: Case) -> float:
    """Own noise of a clean volume without repeats: from the list, or measured; relative to its P99.5."""
    if case.spec.own_noise is not None:
        return case.spec.own_noise
    return estimate_noise_level(case.clean.stack) / case.scale


def _twins(case: Case, own: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The reference, and the same with new noise as strong as its own, which is measured where it is unknown."""
    sigma = reference_noise(case.reference, case.foreground) if own is None else own
    fresh = np.random.default_rng(0).standard_normal(case.reference.shape).astype(np.float32)
    return case.reference, case.reference + np.float32(sigma) * fresh


def by_case(specs: Sequence[CaseSpec]) -> Iterator[tuple[str, CaseSpec]]:
    """Name -> spec; every name occurs once.

    Raises:
        InputError: two different cases have one name.
    """
    seen: dict[str, CaseSpec] = {}
    for spec in specs:
        if seen.setdefault(spec.name, spec) != spec:
            raise InputError(f"two different images are called {spec.name}; compare them in two runs")
    yield from seen.items()
