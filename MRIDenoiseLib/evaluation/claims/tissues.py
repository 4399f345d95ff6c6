"""What denoising does to a tissue segmentation, and to the volumes that are measured with it.

Volumes of patients that no training saw are made noisy and denoised. Noisy, best blurred and denoised images are segmented in the
clean image's mask, and Dice and the millilitres of each class are compared with the clean image's own segmentation. In heads the
classes are tissues, elsewhere classes of intensity. Dice rewards smoothness: a denoiser that is not better than a blur has not
helped. A denoiser can raise Dice and still move every border the same way; then volumes are biased. The verdict on volumes is about
heads whose own noise is at most a third of what was added, image by image: what is too large in T2w and too small in T1w is wrong twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.data.references import counts
from MRIDenoiseLib.evaluation.claims.claim import (
    Claim,
    Data,
    Headline,
    Method,
    Noises,
    NoisyVolume,
    Numbers,
    Subjects,
    chosen,
    tracked,
    volumes_of,
)
from MRIDenoiseLib.evaluation.figures.tissues import compare_tissues, volume_bias
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS

WHAT = (
    "Dice of the segmentation of noisy, best blurred and denoised images against that of the clean image, three classes, dark to "
    "bright; tissues in heads of known contrast, classes of intensity elsewhere; bias: of each class's volume, in per cent of the "
    "clean image's; counts: whether the clean image's own noise is at most a third of what was added"
)
NOISY, BLURRED, DENOISED = VERSIONS = ("noisy", "best blur", "denoised")
LARGEST_BIAS = 1.0
"""Per cent of a tissue's volume."""


def measure(
    data: Data, model: Bundle, progress: Progress, *, method: Method = None, rows: Noises = "M0.10", subjects: Subjects = ""
) -> Numbers:
    """Segment every volume with every noise as it is, blurred and denoised."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    denoiser = Denoiser(model)
    found: list[dict[str, Any]] = []
    for source, noise in tracked(cases, progress, "volumes and noises"):
        clean = io.read(data / source.file)
        noisy = NoisyVolume.of(clean, source, noise)
        denoised = denoiser(noisy.volume, Settings(method=method)).volume
        target, agreements = compare_tissues([("noisy", noisy.volume), ("denoised", denoised)], clean)
        images = dict(zip(VERSIONS, agreements, strict=True))
        found.append(
            {
                "volume": source.name,
                "subject": source.subject,
                "noise": noise,
                "counts": source.own_noise is not None and counts(source.own_noise, noisy.noise_level),
                "tissues": target.anatomical,
                "classes": [kind.name for kind in target.classes],
                **{name: list(row.agreement.classes) for name, row in images.items()},
                "millilitres": [round(kind.millilitres, 2) for kind in target.classes],
                "bias": {name: [round(part, 3) for part in volume_bias(row.segmentation, target)] for name, row in images.items()},
            }
        )
    return {"what": WHAT, "method": method or model.default_method, "rows": found}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per volume and noise, and the mean; then the volumes of tissues and their bias."""
    found = numbers["rows"]
    table = Table("volume", "noise", "classes", *VERSIONS, title="Dice of each class; mean")
    for row in found:
        cells = (f"{' '.join(f'{value:.3f}' for value in row[name])}; {np.nanmean(row[name]):.3f}" for name in VERSIONS)
        named = row["classes"] if not row["classes"][0].startswith("intensity") else ["of intensity"]
        table.add_row(row["volume"], row["noise"], ", ".join(named), *cells)
    table.add_section()
    table.add_row("mean", "", "", *(f"{np.mean([np.nanmean(row[name]) for row in found]):.3f}" for name in VERSIONS))
    yield table
    table = Table("volume", "noise", "counts", "clean, ml", *VERSIONS, title="Volume of each class against the clean image's, per cent")
    for row in found:
        shown = (" ".join(f"{part:+.1f}" for part in row["bias"][name]) for name in VERSIONS)
        counted = "yes" if row["counts"] and row["tissues"] else "no"
        table.add_row(row["volume"], row["noise"], counted, " ".join(f"{ml:.0f}" for ml in row["millilitres"]), *shown)
    yield table
    yield _verdict(found)


def _tissue_biases(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Of every tissue of every image that counts: image -> bias of its volume in per cent."""
    counting = [row for row in rows if row["counts"] and row["tissues"]]
    each = [{name: row["bias"][name][k] for name in VERSIONS} for row in counting for k in range(len(row["classes"]))]
    return [of_it for of_it in each if not any(map(math.isnan, of_it.values()))]


def _verdict(rows: list[dict[str, Any]]) -> str:
    found = _tissue_biases(rows)
    if not found:
        return "No head of known contrast counts here, so nothing is said about volumes of tissues."
    within = {name: sum(abs(of_it[name]) <= LARGEST_BIAS for of_it in found) for name in VERSIONS}
    nearer = sum(abs(of_it[DENOISED]) <= abs(of_it[NOISY]) for of_it in found)
    answer = "holds" if within[DENOISED] == nearer == len(found) else "does not hold"
    patients = len({row["subject"] for row in rows if row["counts"] and row["tissues"]})
    means = ", ".join(f"{name} {np.mean([abs(of_it[name]) for of_it in found]):.1f} %" for name in VERSIONS)
    return (
        f"Wanted: volumes of tissues within {LARGEST_BIAS:g} % of the clean image's, and never farther off than the noisy image's. "
        f"It {answer}: {within[DENOISED]} of {len(found)} are within (noisy {within[NOISY]}, best blur {within[BLURRED]}), "
        f"{nearer} are not farther off; {patients} patient{'s' if patients > 1 else ''}. Mean size of the bias: {means}."
    )


def headline(numbers: Numbers) -> Headline:
    """Mean Dice of each version of the image, and the largest bias of a tissue's volume."""
    figures = {f"mean Dice, {name}": round(float(np.mean([np.nanmean(row[name]) for row in numbers["rows"]])), 3) for name in VERSIONS}
    noisy, blur, denoised = figures.values()
    says = f"Dice with the clean image's tissues is {denoised:.3f} (noisy {noisy:.3f}, best blur {blur:.3f})"
    biases = _tissue_biases(numbers["rows"])
    if biases:
        farthest = {name: max((of_it[name] for of_it in biases), key=abs) for name in VERSIONS}
        figures |= {f"largest bias of a tissue's volume, {name}, %": round(value, 2) for name, value in farthest.items()}
        before, after = farthest[NOISY], farthest[DENOISED]
        says = f"Dice {denoised:.3f} (noisy {noisy:.3f}); volumes of tissues {after:+.1f} % off at most (noisy {before:+.1f} %)"
    return Headline(f"{says}.", figures)


CLAIM = Claim("tissues", measure, show, headline, width=180)
