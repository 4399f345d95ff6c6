"""What denoising does to a tissue segmentation.

Volumes of patients that no training saw are made noisy and denoised. Noisy, best blurred and denoised images are segmented in the
clean image's mask, and Dice is taken against the clean image's own segmentation. In heads the classes are tissues, elsewhere classes
of intensity. Dice rewards smoothness: a denoiser that is not better than a blur has not helped.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Method, Noises, Numbers, Subjects, chosen, tracked, volumes_of
from MRIDenoiseLib.evaluation.figures.tissues import compare_tissues
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, with_noise

WHAT = (
    "Dice of the segmentation of noisy, best blurred and denoised images against that of the clean image, three classes, dark to "
    "bright; tissues in heads of known contrast, classes of intensity elsewhere"
)
VERSIONS = ("noisy", "best blur", "denoised")


def measure(
    data: Data, model: Bundle, progress: Progress, *, method: Method = None, rows: Noises = "M0.10", subjects: Subjects = ""
) -> Numbers:
    """Segment every volume with every noise as it is, blurred and denoised."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    denoiser = Denoiser(model)
    found: list[dict[str, Any]] = []
    for source, noise in tracked(cases, progress, "volumes and noises"):
        clean = io.read(data / source.file)
        noisy = with_noise(clean, noise)
        denoised = denoiser(noisy, Settings(method=method)).volume
        target, agreements = compare_tissues([("noisy", noisy), ("denoised", denoised)], clean)
        dice = {name: list(row.agreement.classes) for name, row in zip(VERSIONS, agreements, strict=True)}
        names = [kind.name for kind in target.classes]
        found.append({"volume": source.name, "noise": noise, "classes": names, **dice})
    return {"what": WHAT, "method": method or model.default_method, "rows": found}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per volume and noise, and the mean."""
    found = numbers["rows"]
    table = Table("volume", "noise", "classes", *VERSIONS, title="Dice of each class; mean")
    for row in found:
        cells = (f"{' '.join(f'{value:.3f}' for value in row[name])}; {np.nanmean(row[name]):.3f}" for name in VERSIONS)
        named = row["classes"] if not row["classes"][0].startswith("intensity") else ["of intensity"]
        table.add_row(row["volume"], row["noise"], ", ".join(named), *cells)
    table.add_section()
    table.add_row("mean", "", "", *(f"{np.mean([np.nanmean(row[name]) for row in found]):.3f}" for name in VERSIONS))
    yield table


def headline(numbers: Numbers) -> Headline:
    """Mean Dice of each version of the image."""
    figures = {name: round(float(np.mean([np.nanmean(row[name]) for row in numbers["rows"]])), 3) for name in VERSIONS}
    noisy, blur, denoised = figures.values()
    says = f"Dice with the clean image's tissues is {denoised:.3f} (noisy {noisy:.3f}, best blur {blur:.3f})."
    return Headline(says, {f"mean Dice, {name}": value for name, value in figures.items()})


CLAIM = Claim("tissues", measure, show, headline, width=180)
