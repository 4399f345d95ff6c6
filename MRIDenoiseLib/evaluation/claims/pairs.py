"""Did fine-tuning help? Models on a site's own prepared pairs, of patients that they were not trained on.

Denoises the pairs that ``mridenoise prepare`` kept out of training. The noisy image, the model's result and the bundled model's
result are compared with the references, which are free of the noisy image's noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
from rich.table import Table

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.data.records import RecordStore, noisy_volume
from MRIDenoiseLib.data.split import Split
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import Claim, Headline, Numbers, Option, chosen, tracked
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.inference import Denoiser
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.statistics import Comparison, compare
from MRIDenoiseLib.volume import Volume

WHAT = (
    "PSNR in dB in the body against references free of the noisy image's noise, of prepared pairs of patients kept out of the "
    "training; gains with their 95 % interval, whole patients being drawn"
)
NOISY, MODEL, BUNDLED = "noisy", "model", "bundled model"


@dataclass(frozen=True)
class PairScore:
    """One prepared pair.

    Args:
        name: number of the record, its organ and contrast.
        subject: pseudonym of the patient.
        psnr: ``noisy`` or name of a model -> dB in the body against the reference; the range is the reference's P99.5 there.
    """

    name: str
    subject: str
    psnr: dict[str, float]


def score_pairs(
    store: RecordStore, split: Split, models: Mapping[str, Callable[[Volume], Volume]], progress: Progress
) -> Iterator[PairScore]:
    """Score every pair of a split whose reference is free of the noisy image's noise, one after the other.

    Args:
        store: the prepared pairs.
        split: of the patients; a score on ``train`` shows how well the pairs were learned by heart.
        models: name -> function from a noisy volume to its denoised one.
        progress: called with how many are done.

    Raises:
        InputError: there is no such pair, or a record is damaged.
    """
    numbers = [number for number, meta in enumerate(store.metas) if meta.split == split and meta.gt_kind != "inclusive"]
    if not numbers:
        raise InputError(f"{store.folder} holds no pair of the {split} split whose reference is free of the noisy image's noise")
    for number in tracked(numbers, progress, "pairs"):
        record = store.read(number)
        volume = noisy_volume(record)
        images = {NOISY: volume} | {name: model(volume) for name, model in models.items()}
        limit = float(np.percentile(record.clean[record.mask], 99.5))
        scores = {name: psnr(image.voxels, record.clean, data_range=limit, mask=record.mask) for name, image in images.items()}
        yield PairScore(f"{number} {record.meta.organ} {record.meta.contrast}", record.meta.subject, scores)


def measure(
    data: Annotated[Path, Option("folder made by mridenoise prepare", counts=False)],
    model: Bundle,
    progress: Progress,
    *,
    split: Annotated[str, Option("test, or validation")] = "test",
) -> Numbers:
    """Score the pairs of a split, and compare."""
    wanted: Split = next(each for each in get_args(Split) if each == chosen(split, get_args(Split), "split")[0])
    store = RecordStore(data)
    models = {MODEL: _denoise(model)}
    if model.path.resolve() != bundled_model().resolve():
        models[BUNDLED] = _denoise(Bundle.load(bundled_model()))
    scores = list(score_pairs(store, wanted, models, progress))
    gains = {other: asdict(_gain(scores, other)) for other in scores[0].psnr if other != MODEL}
    return {"what": WHAT, "split": split, "gains": gains, "pairs": [asdict(score) for score in scores]}


def _denoise(model: Bundle) -> Callable[[Volume], Volume]:
    denoiser = Denoiser(model)
    return lambda volume: denoiser(volume).volume


def _gain(scores: list[PairScore], other: str) -> Comparison:
    ours, theirs = ([score.psnr[name] for score in scores] for name in (MODEL, other))
    return compare(ours, theirs, [score.subject for score in scores])


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per pair, and the model's gains."""
    scores = [PairScore(**pair) for pair in numbers["pairs"]]
    names = [name for name in (NOISY, BUNDLED, MODEL) if name in scores[0].psnr]
    table = Table("pair", "patient", *names, title="PSNR in the body against the reference, dB")
    for score in scores:
        table.add_row(score.name, score.subject, *(f"{score.psnr[name]:.2f}" for name in names))
    yield table
    patients = len({score.subject for score in scores})
    for other, values in numbers["gains"].items():
        gain = Comparison(**values)
        interval = f"95 % CI {gain.low:+.2f} to {gain.high:+.2f}, resampling {patients} patients"
        yield f"The model against the {other}: {gain.mean:+.2f} dB ({interval}), better on {gain.won} of {gain.rows} pairs."


def headline(numbers: Numbers) -> Headline:
    """The model's gain over the noisy image, and over the bundled model."""
    figures: dict[str, float] = {"pairs": len(numbers["pairs"])}
    says = []
    for other, values in numbers["gains"].items():
        says.append(f"against {other} {values['mean']:+.2f} dB (better on {values['won']} of {values['rows']})")
        figures |= {f"gain on the {other}, dB": round(values["mean"], 3), f"better than the {other}": values["won"]}
    return Headline(f"PSNR {', '.join(says)}.", figures)


CLAIM = Claim("pairs", measure, show, headline)
