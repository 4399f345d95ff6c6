"""What reformats show: python scripts/measure_through_plane.py --data DIR [--bundle DIR] [--bm4d] [--json FILE] [--pictures DIR]

Flicker: how much the error changes from slice to slice, against what the anatomy does, in middle slices of volumes of patients
that no training saw, with the noise of the comparisons; beside it the noisy image, the blur that leaves as much noise in flat
tissue, and with --bm4d (extra ``peers``) BM4D in three dimensions, told the true noise.
Vessels: a slab of 3-D scans as they are is denoised, and the contrast of the brightest thin structures of its maximum-intensity
projection is compared before and after, beside the blur that removes as much fine grain. The pictures show that projection and
reformats across the acquired plane, and are to be looked at. See ``MRIDenoiseLib.evaluation.claims.through_plane``.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from command import Data, JsonFile, ModelFolder, ModelMethod, Samples, chosen, command_given, run, volumes_of
from rich.console import Console
from rich.progress import track
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.data.manifest import ManifestRow, read_manifest
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.blur import equally_clean_blur
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.claims.native_noise_trial import (
    BLURRED,
    BM4D,
    DENOISED,
    Denoise,
    ScanOutcome,
    denoise_with,
    filtered_slices,
    middle_slices,
    scan_trial,
)
from MRIDenoiseLib.evaluation.claims.noisy_volume import NoisyVolume
from MRIDenoiseLib.evaluation.claims.through_plane import ThinStructures, maximum_projection
from MRIDenoiseLib.evaluation.denoisers.peers import block_matching
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, flicker_of_anatomy
from MRIDenoiseLib.evaluation.pictures import display_window, framed, oriented_slice
from MRIDenoiseLib.evaluation.strips import AMPLIFIED, Panel, draw_strip
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS
from MRIDenoiseLib.volume import Volume

NOISY = "noisy"
BRIGHTEST = 99.8
"""Percentile that is drawn white in a projection: its vessels shall not saturate as fat may in a slice."""

WHAT = (
    "flicker: variance of the slice-to-slice difference of (image - clean) over that of the clean slices, in tissue of middle slices "
    "with simulated noise; vessels: median part of the contrast of the brightest thin structures in the maximum-intensity projection "
    "of a slab of a real scan that is left (fine: part of the fine grain removed); equal blur: with as much noise left as the model"
)


def main(
    data: Data,
    bundle: ModelFolder = None,
    method: ModelMethod = None,
    samples: Samples = None,
    rows: Annotated[str, typer.Option(help="noises of the flicker, with commas between")] = "R,L2-2",
    subjects: Annotated[str, typer.Option(help="whose volumes the flicker is measured on; by default the test patients'")] = "",
    limit: Annotated[int, typer.Option(help="middle slices of the flicker", min=2)] = 6,
    scans: Annotated[str, typer.Option(help="3-D scans for vessels and reformats: file names without endings")] = "head_T1w_forrest",
    slab: Annotated[int, typer.Option(help="middle slices of these scans", min=2)] = 60,
    bm4d: Annotated[bool, typer.Option("--bm4d", help="also BM4D in three dimensions; seconds a slice")] = False,
    json_file: JsonFile = None,
    pictures: Annotated[Path | None, typer.Option(help="folder for pictures of reformats and projections")] = None,
) -> None:
    """Print the tables."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    three_dimensional = _named(read_manifest(data), scans)
    model = Bundle.load(bundle or bundled_model())
    denoise = denoise_with(model, method, samples)
    told_filter = block_matching if bm4d else None

    progress = Console(stderr=True)
    flicker: list[dict[str, Any]] = []
    for source, noise in track(cases, "volumes and noises", console=progress):
        row = NoisyVolume.read(data, source, noise)
        images = _images(row, middle_slices(len(row.clean), limit), denoise, bm4d)
        clean = images.pop("clean")
        numbers = {name: round(flicker_of_anatomy(image, clean, clean > FOREGROUND_THRESHOLD), 5) for name, image in images.items()}
        flicker.append({"volume": source.name, "noise": noise, "flicker": numbers})
    vessels: list[dict[str, Any]] = []
    for source in track(three_dimensional, "3-D scans", console=progress):
        scan = io.read(data / source.file)
        outcome = scan_trial(scan, denoise, limit=slab, told_filter=told_filter)
        vessels.append({"scan": source.name, "slices": list(outcome.slices), **_vessels(outcome)})
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            _draw(scan, outcome, pictures, source.name)
    _print(flicker, vessels)
    if json_file:
        told = {"what": WHAT, "method": method or model.default_method, "limit": limit, "slab": slab}
        write_measured(json_file, model, command_given(__file__), told | {"flicker": flicker, "vessels": vessels})


def _named(rows: list[ManifestRow], names: str) -> list[ManifestRow]:
    wanted = [name for name in names.split(",") if name]
    found = [row for row in rows if row.name in wanted]
    missing = set(wanted) - {row.name for row in found}
    if missing:
        raise SettingsError(f"the manifest has no scan '{min(missing)}'")
    return found


def _images(row: NoisyVolume, chosen_slices: tuple[int, int], denoise: Denoise, bm4d: bool) -> dict[str, np.ndarray]:
    """The chosen slices clean, noisy and as every method leaves them."""
    first, last = chosen_slices
    whole = row.volume.stack
    clean, noisy = row.clean[first:last], whole[first:last]
    denoised = denoise(row.volume, chosen_slices)[0].stack[first:last]
    tissue = row.clean > FOREGROUND_THRESHOLD
    images = {"clean": clean, NOISY: noisy, DENOISED: denoised}
    if bm4d:
        images[BM4D] = filtered_slices(whole, tissue, chosen_slices, row.noise_level, block_matching)
    images[BLURRED] = equally_clean_blur(noisy, denoised, clean, tissue[first:last])(noisy)
    return images


def _vessels(outcome: ScanOutcome) -> dict[str, Any]:
    noisy = outcome.images[NOISY]
    before = maximum_projection(noisy)
    structures = ThinStructures.of(before, np.any(body_mask(noisy), axis=0))
    methods = {name: image for name, image in outcome.images.items() if name != NOISY}
    return {
        "structures": len(structures.places),
        "kept": {name: round(structures.kept(before, maximum_projection(image)), 4) for name, image in methods.items()},
        "fine": {name: round(outcome.removals[name].fine, 4) for name in methods},
    }


def _print(flicker: list[dict[str, Any]], vessels: list[dict[str, Any]]) -> None:
    console = Console(width=140)
    names = list(flicker[0]["flicker"])
    table = Table("volume", "noise", *names, title="Flicker between slices, per cent of what the anatomy changes")
    means = {name: float(np.mean([row["flicker"][name] for row in flicker])) for name in names}
    for row in [*flicker, {"volume": "mean", "noise": "", "flicker": means}]:
        table.add_row(row["volume"], row["noise"], *(f"{100 * row['flicker'][name]:.2f}" for name in names))
    console.print(table)
    if BM4D in names:
        fewer = sum(row["flicker"][DENOISED] <= row["flicker"][BM4D] for row in flicker)
        answer = "holds" if fewer == len(flicker) else "does not hold"
        console.print(f"Wanted: at most BM4D's. It {answer}: so on {fewer} of {len(flicker)} rows.")
    table = Table("scan", "structures", "method", "contrast kept", "fine grain removed", title="Thin bright structures in the projection")
    for row in vessels:
        for name, kept in row["kept"].items():
            head = (row["scan"], str(row["structures"])) if name == DENOISED else ("", "")
            table.add_row(*head, name, f"{100 * kept:.0f} %", f"{100 * row['fine'][name]:.0f} %")
    if vessels:
        console.print(table)


def _draw(scan: Volume, outcome: ScanOutcome, folder: Path, name: str) -> None:
    """Reformats through the middle of the slab in both planes across the acquired one, and its maximum-intensity projection."""
    denoised, noisy = (outcome.images[which] for which in (DENOISED, NOISY))
    # Of scanner images nothing but the direction of the axes matters here, so a slab may stand for the scan.
    slabs = [scan.with_stack(image) for image in (noisy, denoised)]
    for number, across in enumerate(other for other in range(3) if other != scan.slice_axis):
        (before, aspect), (after, _) = (oriented_slice(replace(each, acquired_axis=across)) for each in slabs)
        window = display_window(before)
        _strip(folder / f"{name}_reformat{number + 1}.png", f"{name}, across the acquired plane", before, after, aspect, window)
    (before, aspect), (after, _) = (oriented_slice(scan.with_stack(maximum_projection(image)[None]), 0) for image in (noisy, denoised))
    window = float(np.percentile(before, BRIGHTEST))
    _strip(folder / f"{name}_projection.png", f"{name}, maximum-intensity projection of {len(noisy)} slices", before, after, aspect, window)


def _strip(path: Path, title: str, noisy: np.ndarray, denoised: np.ndarray, aspect: float, window: float) -> None:
    frame, low = framed(noisy, window), window / AMPLIFIED
    panels = [Panel("noisy", noisy, 0, window), Panel("denoised", denoised, 0, window)]
    panels.append(Panel(f"noisy - denoised, {AMPLIFIED} x", noisy - denoised, -low, low))
    draw_strip(path, [panel._replace(image=panel.image[frame]) for panel in panels], title, aspect=aspect)


if __name__ == "__main__":
    run(main)
