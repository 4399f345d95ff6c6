"""Does the diffusion model draw from the posterior? python scripts/measure_posterior.py --data DIR [--bundle DIR] [--json FILE]

The middle slices of volumes of patients that no training saw are made noisy and denoised by regression, by the posterior mean,
by single samples and by fidelity-guided sampling. Beside the model stands one whose denoiser has learned nothing: one that
starts where regression ends is then as good as regression without doing anything, but its samples do not differ.
See ``MRIDenoiseLib.evaluation.claims.posterior``.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import product
from typing import Annotated, Any

import numpy as np
import typer
from command import Data, JsonFile, ModelFolder, chosen, command_given, run, volumes_of
from rich.console import Console
from rich.progress import track
from rich.table import Table

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.claims.noisy_volume import NoisyVolume
from MRIDenoiseLib.evaluation.claims.posterior import DEFAULT, SEEDED, WAYS, Sampled, Untrained, measure_posterior
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS

WHAT = (
    "means over the images: PSNR in the foreground, dB; edges: their width in parts of that of the model's default; calibration: "
    "variance of samples over the squared error of their mean, 1 for draws from the true posterior"
)
OURS, NOTHING = "this model", "untrained"


def main(
    data: Data,
    bundle: ModelFolder = None,
    rows: Annotated[str, typer.Option(help="noises, with commas between")] = ",".join(BENCHMARK_ROWS),
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between; by default the test patients'")] = "",
    slices: Annotated[int, typer.Option(help="of each volume", min=1)] = 2,
    seeds: Annotated[int, typer.Option(help="samples of every image", min=2)] = 4,
    json_file: JsonFile = None,
) -> None:
    """Print the table and the verdict."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    model = Bundle.load(bundle or bundled_model())
    models: dict[str, Any] = {OURS: model, NOTHING: Untrained(model)}
    found: list[tuple[str, str, dict[str, dict[str, Sampled]]]] = []
    for source, noise in track(cases, "volumes and noises", console=Console(stderr=True)):
        row = NoisyVolume.read(data, source, noise)
        of_it = {name: measure_posterior(each, row, slices=slices, seeds=seeds) for name, each in models.items()}
        found.append((source.name, noise, of_it))
    means = {name: {way: _mean([of_it[name] for _, _, of_it in found], way) for way in WAYS} for name in models}
    _print(means, len(found))
    if json_file:
        images = [
            {"volume": volume, "noise": noise, **{name: {way: asdict(one) for way, one in ways.items()} for name, ways in of_it.items()}}
            for volume, noise, of_it in found
        ]
        numbers = {"what": WHAT, "slices": slices, "seeds": seeds, "means": means, "verdict": _verdict(means[OURS])}
        write_measured(json_file, model, command_given(__file__), numbers, {"images": images})


def _mean(found: list[dict[str, Sampled]], way: str) -> dict[str, float]:
    # Images without clean edges tell nothing of sharpness.
    widths = [ways[way].edge_width / ways[DEFAULT].edge_width for ways in found]
    return {
        "psnr": round(float(np.mean([ways[way].psnr for ways in found])), 3),
        "edges": round(float(np.nanmean(widths)), 3) if np.isfinite(widths).any() else 0.0,
        "calibration": round(float(np.mean([ways[way].calibration for ways in found])), 3),
    }


def _print(means: dict[str, dict[str, dict[str, float]]], images: int) -> None:
    table = Table("", "PSNR dB", "edge width / default's", "variance / squared error", title=f"Means over {images} images")
    for name, ways in means.items():
        for way, mean in ways.items():
            # The default and regression do not run the denoiser under test.
            if name == OURS or mean != means[OURS][way]:
                spread = f"{mean['calibration']:.2f}" if way in SEEDED else "-"
                table.add_row(f"{way}, {name}", f"{mean['psnr']:.2f}", f"{mean['edges']:.3f}" if mean["edges"] else "-", spread)
    console = Console(width=140)
    console.print(table)
    console.print(_verdict(means[OURS]))


def _verdict(ways: dict[str, dict[str, float]]) -> str:
    guided, regression = ways["fidelity-guided"], ways["regression"]
    wanted = {
        "posterior mean within 0.05 dB of regression": ways["posterior mean"]["psnr"] >= regression["psnr"] - 0.05,
        "fidelity-guided within 0.1 dB of it": guided["psnr"] >= regression["psnr"] - 0.1,
        "with edges 3 % sharper than the default's": 0 < guided["edges"] <= 0.97,
        "variance of the samples 0.7 to 1.4 of their squared error": 0.7 <= ways["one sample"]["calibration"] <= 1.4,
    }
    return "Wanted: " + "; ".join(f"{what}: {'holds' if holds else 'does not hold'}" for what, holds in wanted.items()) + "."


if __name__ == "__main__":
    run(main)
