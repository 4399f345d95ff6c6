"""How much of what sharpening adds is grain: python scripts/measure_grain.py --data DIR [--bundle DIR] [--json FILE]

The middle slice of volumes of patients that no training saw is made noisy and sharpened with several seeds. What differs between
seeds is no anatomy; see ``MRIDenoiseLib.evaluation.claims.grain``. What sharpening costs and how sharp it makes edges is told by
``mridenoise compare``, and what it leaves of small lesions by ``scripts/measure_lesions.py --method sharpened``.
"""

from __future__ import annotations

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
from MRIDenoiseLib.evaluation.claims.grain import grain
from MRIDenoiseLib.evaluation.claims.noisy_volume import NoisyVolume
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS

WHAT = (
    "what sharpening changes in the foreground of a middle slice; share: part of its mean square that follows the seed and not "
    "the image; deviation: of that part, in standard deviations of the true noise in bright tissue"
)


def main(
    data: Data,
    bundle: ModelFolder = None,
    sharpness: Annotated[float, typer.Option(help="above 0, to 1", min=0.01, max=1)] = 1.0,
    seeds: Annotated[int, typer.Option(help="how many", min=2)] = 4,
    rows: Annotated[str, typer.Option(help="noises, with commas between")] = "L2-2",
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between; by default the test patients'")] = "",
    json_file: JsonFile = None,
) -> None:
    """Print the table."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    model = Bundle.load(bundle or bundled_model())
    denoiser = Denoiser(model)
    found: list[dict[str, Any]] = []
    for source, noise in track(cases, "volumes and noises", console=Console(stderr=True)):
        row = NoisyVolume.read(data, source, noise)
        middle = len(row.clean) // 2

        def sharpen(to: float, seed: int, row: NoisyVolume = row, z: int = middle) -> np.ndarray:
            settings = Settings(method="sharpened", sharpness=to, seed=seed, slices=(z, z + 1))
            image = denoiser(row.volume, settings).volume
            return image.stack[z]

        answers = [sharpen(sharpness, seed) for seed in range(seeds)]
        of_it = grain(answers, sharpen(0, 0), row.clean[middle] > FOREGROUND_THRESHOLD)
        found.append(
            {
                "volume": source.name,
                "noise": noise,
                "share": round(of_it.share, 3),
                "deviation": round(of_it.deviation / row.noise_level, 3),
                "changed": round(of_it.changed / row.noise_level, 3),
            }
        )
    means = {name: round(float(np.mean([row[name] for row in found])), 3) for name in ("share", "deviation", "changed")}
    _print([*found, {"volume": "mean", "noise": "", **means}], sharpness, seeds)
    if json_file:
        numbers = {"what": WHAT, "sharpness": sharpness, "seeds": seeds, "rows": found, "means": means}
        write_measured(json_file, model, command_given(__file__), numbers)


def _print(found: list[dict[str, Any]], sharpness: float, seeds: int) -> None:
    title = f"What sharpness {sharpness:g} changes, {seeds} seeds; in standard deviations of the noise"
    table = Table("volume", "noise", "changed", "of it, following the seed", "share of the mean square", title=title)
    for row in found:
        table.add_row(row["volume"], row["noise"], f"{row['changed']:.2f}", f"{row['deviation']:.2f}", f"{row['share']:.2f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    run(main)
