"""The bundled model against Slicer's own filters on patients that no training saw; prints the table of the model's card.

    python scripts/compare_filters.py --data DIR [--bundle DIR] [--rows M0.05,M0.10,R] [--json FILE]

Each row is a volume with a noise (R, M or L2, see ``MRIDenoiseLib.training.noise.benchmark_row``), seed 11, 12 middle slices,
PSNR over the foreground with L = the volume's P99.5. Every filter is shown at its best setting for that very row, chosen on
the clean volume: an advantage no user has. The filters see the neighbouring slices too. The model gets the noisy volume
with what its file name tells of organ and contrast, as a user's would.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.evaluation.filters import CONDUCTANCES, FILTERS, ITERATIONS, RADII, trials
from MRIDenoiseLib.evaluation.metrics import FOREGROUND_THRESHOLD, psnr
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle import Bundle
from MRIDenoiseLib.models.locate import bundled_model
from MRIDenoiseLib.training.noise import benchmark_row
from MRIDenoiseLib.training.volumes import clean_volume, read_manifest
from MRIDenoiseLib.volume import Volume

SLICES = 12
MARGIN = 3
"""Slices on either side that a filter may look at."""
SUBJECTS = ("ms12", "sct03")
METHODS = ("regression", "posterior-mean")


def main(
    data: Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with MANIFEST.csv and volumes/")],
    bundle: Annotated[Path | None, typer.Option(help="model to measure; the bundled one by default")] = None,
    rows: Annotated[str, typer.Option(help="noises, with commas between")] = "M0.05,M0.10,R",
    methods: Annotated[str, typer.Option(help="methods of the model, with commas between")] = ",".join(METHODS),
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between")] = ",".join(SUBJECTS),
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the numbers here")] = None,
    filter_cache: Annotated[Path | None, typer.Option(help="keep the filters' numbers here between runs")] = None,
) -> None:
    """Print the table."""
    model = Bundle.load(bundle or bundled_model())
    denoiser = Denoiser(model)
    chosen = methods.split(",")
    cache: dict[str, dict[str, list]] = json.loads(filter_cache.read_text()) if filter_cache and filter_cache.is_file() else {}
    results = []
    cases = [(row, noise) for row in read_manifest(data) if row.subject in subjects.split(",") for noise in rows.split(",")]
    for row, noise in track(cases, description="rows", console=Console(stderr=True)):
        source = io.read(data / row.file)
        clean = clean_volume(source, row)
        noisy = benchmark_row(noise, torch.from_numpy(clean.slices)).numpy()
        middle = len(noisy) // 2
        scored = slice(max(0, middle - SLICES // 2), min(len(noisy), middle + SLICES // 2))
        reference = clean.slices[scored]
        mask = reference > FOREGROUND_THRESHOLD

        def score(image: np.ndarray, reference: np.ndarray = reference, mask: np.ndarray = mask) -> float:
            return round(psnr(image, reference, data_range=1.0, mask=mask), 3)

        key = f"{row.file} {noise} {CONDUCTANCES} {ITERATIONS} {RADII} {MARGIN}"
        if key not in cache:
            seen = slice(max(0, scored.start - MARGIN), min(len(noisy), scored.stop + MARGIN))
            inside = slice(scored.start - seen.start, scored.stop - seen.start)
            spacing = _slices_first(source)
            cache[key] = {name: max([score(out[inside]), how] for how, out in trials(name, noisy[seen], spacing)) for name in FILTERS}
            if filter_cache:
                filter_cache.write_text(json.dumps(cache, indent=1))
        volume = replace(source, voxels=np.ascontiguousarray(np.moveaxis(noisy, 0, source.slice_axis), dtype=np.float32))
        ours = {}
        for method in chosen:
            output = denoiser(volume, Settings(method=method, slices=(scored.start, scored.stop))).volume
            ours[method] = score(np.moveaxis(output.voxels, volume.slice_axis, 0)[scored])
        results.append({"file": row.file, "noise": noise, "noisy": score(noisy[scored]), "filters": cache[key], "methods": ours})
    _print(results, chosen)
    if json_file:
        json_file.write_text(json.dumps({"files": model.card["files"], "rows": results}, indent=1))


def _slices_first(volume: Volume) -> tuple[float, float, float]:
    """Spacing in mm: across the slices, along their rows, along their columns."""
    across = volume.slice_axis
    rows, columns = (spacing for axis, spacing in enumerate(volume.spacing) if axis != across)
    return volume.spacing[across], rows, columns


def _print(results: list[dict], methods: list[str]) -> None:
    title = "Foreground PSNR in dB, 12 middle slices, filters at their best setting"
    table = Table("volume", "noise", "noisy", *FILTERS, *methods, title=title)
    for entry in results:
        filters = [f"{entry['filters'][name][0]:.2f}" for name in FILTERS]
        networks = [f"{entry['methods'][name]:.2f}" for name in methods]
        name = Path(entry["file"]).name.removesuffix(".nii.gz")
        table.add_row(name, entry["noise"], f"{entry['noisy']:.2f}", *filters, *networks)
    console = Console(width=160)
    console.print(table)
    best = np.array([max(value for value, _ in entry["filters"].values()) for entry in results])
    noisy = np.array([entry["noisy"] for entry in results])
    for name in methods:
        ours = np.array([entry["methods"][name] for entry in results])
        console.print(
            f"{name}: {np.mean(ours - noisy):+.2f} dB over noisy, {np.mean(ours - best):+.2f} dB over the best filter on average, "
            f"worst row {np.min(ours - best):+.2f} dB against it, {int((ours > best).sum())} of {len(best)} rows above it"
        )


if __name__ == "__main__":
    typer.run(main)
