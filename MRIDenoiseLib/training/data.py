"""What a run draws its pairs from: clean volumes to simulate on, prepared real pairs, or both; and the account of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from MRIDenoiseLib.data.manifest import (
    MANIFEST,
    CleanVolume,
    LeftOut,
    ManifestRow,
    kept_out_subjects,
    left_out,
    load_clean_volumes,
    read_manifest,
    training_rows,
)
from MRIDenoiseLib.data.packed import INDEX as PACKED
from MRIDenoiseLib.data.packed import read_packed
from MRIDenoiseLib.data.records import INDEX, RecordMeta, RecordStore, record_acquisition
from MRIDenoiseLib.data.samples import PairSampler
from MRIDenoiseLib.errors import Cancelled, InputError, SettingsError
from MRIDenoiseLib.models.bundle.files import sha256
from MRIDenoiseLib.progress import ShouldStop
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.prompt.acceleration import DEFAULT_ACCELERATION
from MRIDenoiseLib.training.batches import Batches
from MRIDenoiseLib.training.record_samples import MixedSampler, RecordSampler
from MRIDenoiseLib.volume import Acquisition

_TOLD_OF_FILES = ("file", "source", "licence", "organ", "contrast", "subject", "own_noise")
_TOLD_OF_RECORDS = ("source", "licence", "site", "vendor", "organ", "contrast", "noise", "gt_kind")


@dataclass(frozen=True)
class TrainingData:
    """Everything a run may draw from.

    Args:
        volumes: clean ones, with the kept-out subjects left out.
        stores: of prepared pairs; :class:`.record_samples.RecordSampler` draws from their ``train`` split alone.
        kept_out: the patients whom the manifests keep for tests.
        left_out: volumes of others that are not used as targets, and why.
    """

    volumes: Sequence[CleanVolume]
    stores: Sequence[RecordStore]
    kept_out: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()

    def batches(self, share: float, crop: int, seed: int) -> Batches:
        """Training pairs.

        Args:
            share: of real pairs, 0..1; the others are simulated.
            crop: rows and columns.
            seed: of every choice; each process has its own.

        Raises:
            SettingsError: the share needs a kind of pairs that no folder holds.
        """
        self.check(share)
        if share == 0:
            return PairSampler(self.volumes, crop, seed)
        real = RecordSampler(self.stores, crop, seed)
        return real if share == 1 else MixedSampler(real, PairSampler(self.volumes, crop, seed), share, seed)

    def probes(self, share: float, crop: int, seed: int) -> Batches:
        """Pairs to probe a network with: of the validation patients where only real pairs are drawn and there are such patients.

        Args:
            share, crop, seed: as :meth:`batches`, which gives the pairs otherwise.
        """
        if share == 1 and self.has_validation:
            return RecordSampler(self.stores, crop, seed, split="validation")
        return self.batches(share, crop, seed)

    @property
    def has_validation(self) -> bool:
        """Whether there are prepared pairs of the validation split."""
        return any(_split(meta) == "validation" for store in self.stores for meta in store.metas)

    def check(self, share: float) -> None:
        """Refuse a share of real pairs that these folders cannot give, or that leaves one of them unused.

        Raises:
            SettingsError: as :meth:`batches`.
        """
        setting = f"(records: {share:g})"
        if share > 0 and not self.stores:
            raise SettingsError(f"the recipe draws {share:.0%} of its pairs from prepared ones {setting}; name their folder with --data")
        if share < 1 and not self.volumes:
            raise SettingsError(
                f"the recipe simulates {1 - share:.0%} of its pairs {setting}; "
                "name a folder of clean volumes with --data, or set records: 1"
            )
        if share == 0 and self.stores:
            raise SettingsError(f"the recipe never draws from prepared pairs {setting}; leave their folder out, or change records")
        if share == 1 and self.volumes:
            raise SettingsError(f"the recipe never draws from clean volumes {setting}; leave their folder out, or change records")

    def account(self) -> dict[str, Any]:
        """What a run and its card record of the data, without anybody's identity.

        ``data``, sources with licences, files one by one with their own noise and how many times coarser they are learned from at
        least, and records counted; ``kept_out``; ``left_out``, file and reason; ``prompts``, how often each occurs; and
        ``indices``, hashes that distinguish folders with equally many prepared pairs.
        """
        files = [
            {name: getattr(volume.row, name) for name in _TOLD_OF_FILES} | {"coarsening": round(volume.coarsening, 2)}
            for volume in self.volumes
        ]
        metas = [meta for store in self.stores for meta in store.metas]
        drawn = [meta for meta in metas if _is_drawn(meta)]
        groups = Counter(tuple(getattr(meta, name) for name in _TOLD_OF_RECORDS) for meta in drawn)
        records = [dict(zip(_TOLD_OF_RECORDS, group, strict=True)) | {"records": count} for group, count in sorted(groups.items())]
        kept_out: dict[str, Any] = {}
        if self.volumes:
            kept_out["subjects"] = list(self.kept_out)
        if metas:
            kept_out["records"] = dict(sorted(Counter(_split(meta) for meta in metas if not _is_drawn(meta)).items()))
        acquisitions = [volume.acquisition for volume in self.volumes] + [record_acquisition(meta) for meta in drawn]
        prompts = Counter(describe(_with_acceleration(acquisition)) for acquisition in acquisitions)
        indices = [sha256(store.folder / INDEX) for store in self.stores]
        return {
            "data": files + records,
            "kept_out": kept_out,
            "left_out": [asdict(one) for one in self.left_out],
            "prompts": dict(sorted(prompts.items())),
            "indices": indices,
        }


def open_data(
    folders: Sequence[Path], progress: Callable[[int, int], None] | None = None, should_stop: ShouldStop | None = None
) -> TrainingData:
    """Read what training draws from.

    Args:
        folders: each with clean volumes and a ``MANIFEST.csv``, with packed ones, or made by ``mridenoise prepare``.
        progress: called with how many of how many clean volumes were read.
        should_stop: called after each.

    Raises:
        InputError: a folder is neither, or holds nothing that may be trained on.
        Cancelled: when a stop is requested.
    """
    stores: list[RecordStore] = []
    volumes: list[CleanVolume] = []
    listed: list[tuple[Path, ManifestRow]] = []
    kept_out: list[str] = []
    fallen: list[LeftOut] = []
    for folder in folders:
        if (folder / INDEX).is_file():
            store = RecordStore(folder)
            if not any(_is_drawn(meta) for meta in store.metas):
                raise InputError(
                    f"{folder} holds no prepared pair of the training split with a reference free of the noisy image; "
                    "with few patients, prepare with --train-on-all"
                )
            stores.append(store)
        elif (folder / PACKED).is_file():
            packed = read_packed(folder)
            volumes += packed.volumes
            kept_out += [subject for subject in packed.kept_out if subject not in kept_out]
            fallen += packed.left_out
        elif (folder / MANIFEST).is_file():
            rows = training_rows(folder)
            if not rows:
                raise InputError(f"{folder / MANIFEST} lists no volume that may be trained on")
            listed += [(folder, row) for row in rows]
            kept_out += [subject for subject in kept_out_subjects(read_manifest(folder, kind=None)) if subject not in kept_out]
            fallen += left_out(folder)
        else:
            raise InputError(f"{folder} holds neither a {MANIFEST} next to clean volumes nor pairs made by mridenoise prepare")
    for read, (folder, row) in enumerate(listed, start=1):
        volumes += load_clean_volumes(folder, [row])
        if progress is not None:
            progress(read, len(listed))
        if should_stop is not None and should_stop():
            raise Cancelled("stopped while the volumes were read; nothing was trained")
    return TrainingData(volumes, stores, kept_out, fallen)


def _is_drawn(meta: RecordMeta) -> bool:
    """Whether training draws from a record: see :class:`.record_samples.RecordSampler`."""
    return meta.split == "train" and meta.gt_kind != "inclusive"


def _split(meta: RecordMeta) -> str:
    return "inclusive reference" if meta.gt_kind == "inclusive" else meta.split


def _with_acceleration(acquisition: Acquisition) -> Acquisition:
    if acquisition.acceleration.value is not None:
        return acquisition
    return replace(acquisition, acceleration=DEFAULT_ACCELERATION)
