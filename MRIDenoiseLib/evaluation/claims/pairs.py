"""Models on a site's own prepared pairs: is the fine-tuned one closer to the references of patients it was not trained on?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.data.records import Record, RecordStore, record_acquisition
from MRIDenoiseLib.data.split import Split
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.volume import Volume

NOISY = "noisy"


@dataclass(frozen=True)
class PairScore:
    """One prepared pair.

    Args:
        name: number of the record, its organ and contrast.
        subject: pseudonym of the patient.
        psnr: dB in the body against the reference, whose P99.5 there is the range; by what was done, ``noisy`` among them.
    """

    name: str
    subject: str
    psnr: dict[str, float]


def score_pairs(store: RecordStore, split: Split, models: Mapping[str, Callable[[Volume], Volume]]) -> Iterator[PairScore]:
    """Score every pair of a split whose reference is free of the noisy image's noise, one after the other.

    Args:
        store: the prepared pairs.
        split: of the patients; a score on ``train`` says how well the pairs were learned by heart.
        models: by name, each from a noisy volume to its denoised one.

    Raises:
        InputError: there is no such pair, or a record is damaged.
    """
    chosen = [number for number, meta in enumerate(store.metas) if meta.split == split and meta.gt_kind != "inclusive"]
    if not chosen:
        raise InputError(f"{store.folder} holds no pair of the {split} split whose reference is free of the noisy image's noise")
    for number in chosen:
        record = store.read(number)
        volume = noisy_volume(record)
        images = {NOISY: volume} | {name: model(volume) for name, model in models.items()}
        limit = float(np.percentile(record.clean[record.mask], 99.5))
        scores = {name: psnr(image.voxels, record.clean, data_range=limit, mask=record.mask) for name, image in images.items()}
        yield PairScore(f"{number} {record.meta.organ} {record.meta.contrast}", record.meta.subject, scores)


def noisy_volume(record: Record) -> Volume:
    """As a user's file would give it: physical intensities, spacing, and what the headers told."""
    meta = record.meta
    spacing = [meta.spacing[1], meta.spacing[0], meta.slice_spacing, 1.0]
    return Volume(record.noisy, np.diag(spacing), acquisition=record_acquisition(meta))
