"""What denoising does to a tissue segmentation: python scripts/measure_tissues.py --data DIR [--bundle DIR] [--json FILE]

Volumes of patients that no training saw are made noisy and denoised. Noisy, best blurred and denoised images are segmented in the
clean image's mask, and Dice is taken against the clean image's own segmentation. In heads the classes are tissues, elsewhere classes
of intensity. Dice rewards smoothness: a denoiser that is no better than a blur has not helped.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from command import Data, JsonFile, ModelFolder, ModelMethod, chosen, command_given, run, volumes_of
from rich.console import Console
from rich.progress import track
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.figures.tissues import compare_tissues
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, with_noise

WHAT = (
    "Dice of the segmentation of noisy, best blurred and denoised images against that of the clean image, three classes, dark to "
    "bright; tissues in heads of known contrast, classes of intensity elsewhere"
)
VERSIONS = ("noisy", "best blur", "denoised")


def main(
    data: Data,
    bundle: ModelFolder = None,
    method: ModelMethod = None,
    rows: Annotated[str, typer.Option(help="noises, with commas between")] = "M0.10",
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between; by default the test patients'")] = "",
    json_file: JsonFile = None,
) -> None:
    """Print the table."""
    cases = list(product([row.file for row in volumes_of(data, subjects)], chosen(rows, BENCHMARK_ROWS, "noise")))
    model = Bundle.load(bundle or bundled_model())
    denoiser = Denoiser(model)
    found: list[dict[str, Any]] = []
    for file, noise in track(cases, "volumes and noises", console=Console(stderr=True)):
        clean = io.read(data / file)
        noisy = with_noise(clean, noise)
        denoised = denoiser(noisy, Settings(method=method)).volume
        images = [("noisy", noisy), ("denoised", denoised)]
        target, agreements = compare_tissues(images, clean)
        dice = {name: list(row.agreement.classes) for name, row in zip(VERSIONS, agreements, strict=True)}
        names = [kind.name for kind in target.classes]
        found.append({"volume": Path(file).name.removesuffix(".nii.gz"), "noise": noise, "classes": names, **dice})
    _print(found)
    if json_file:
        numbers = {"what": WHAT, "method": method or model.default_method, "rows": found}
        write_measured(json_file, model, command_given(__file__), numbers)


def _print(found: list[dict[str, Any]]) -> None:
    table = Table("volume", "noise", "classes", *VERSIONS, title="Dice of each class; mean")
    for row in found:
        cells = (f"{' '.join(f'{value:.3f}' for value in row[name])}; {np.nanmean(row[name]):.3f}" for name in VERSIONS)
        named = row["classes"] if not row["classes"][0].startswith("intensity") else ["of intensity"]
        table.add_row(row["volume"], row["noise"], ", ".join(named), *cells)
    table.add_section()
    table.add_row("mean", "", "", *(f"{np.mean([np.nanmean(row[name]) for row in found]):.3f}" for name in VERSIONS))
    Console(width=180).print(table)


if __name__ == "__main__":
    run(main)
