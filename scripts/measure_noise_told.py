"""Is the noise told right? python scripts/measure_noise_told.py --data DIR [--bundle DIR] [--limit N] [--json FILE]

White (Rician) noise, noise of interpolated images and of SENSE, of known strength from 0.005 to 0.15 of P99.5, on volumes of
patients that no training saw, brought to a coarser grid where their own noise is small. Wanted is what the model tells within
15 % of the truth. See ``MRIDenoiseLib.evaluation.claims.noise_told``; a row in brackets has too much noise of its own to count.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import product
from typing import Annotated

import numpy as np
import typer
from command import Data, JsonFile, ModelFolder, chosen, command_given, run, volumes_of
from rich.console import Console
from rich.progress import track
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.claims.native_noise_trial import middle_slices
from MRIDenoiseLib.evaluation.claims.noise_told import KINDS, LARGEST_DEVIATION, STRENGTHS, Told, coarser, told_row
from MRIDenoiseLib.image.scale import clean_scale
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.models.bundle.bundle import Bundle

WHAT = (
    "noise told by the model over the true noise, for noise of known kind and strength (part of P99.5) on volumes brought to a coarser "
    "grid; true: root mean square of the added noise in tissue and of what the volume had; counts: the latter is at most a third of it"
)


def main(
    data: Data,
    bundle: ModelFolder = None,
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between; by default the test patients'")] = "",
    kinds: Annotated[str, typer.Option(help="of noise, with commas between")] = ",".join(KINDS),
    grid: Annotated[float, typer.Option(help="how many times coarser the pixels are made", min=1)] = 2.0,
    limit: Annotated[int, typer.Option(help="middle slices of each volume", min=1)] = 5,
    seed: Annotated[int, typer.Option(help="of the noise")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Print the table."""
    wanted = chosen(kinds, KINDS, "kind of noise")
    volumes = volumes_of(data, subjects)
    model = Bundle.load(bundle or bundled_model())

    def tell(noisy: np.ndarray) -> float:
        return analyse(noisy, model.noise_estimator).noise_level

    found: dict[tuple[str, str, float], Told] = {}
    for row in track(volumes, "volumes", console=Console(stderr=True)):
        volume = io.read(data / row.file)
        slices = volume.stack
        first, last = middle_slices(len(slices), limit)
        clean = coarser(slices[first:last].clip(min=0), grid)
        clean /= np.float32(clean_scale(clean))
        for kind, sigma in product(wanted, STRENGTHS):
            own = (row.own_noise or 0.0) / grid
            found[row.name, kind, sigma] = told_row(clean, kind, sigma, tell, own_noise=own, seed=seed)
    _print(found)
    if json_file:
        rows = [
            {"volume": name, "strength": sigma, **asdict(told), "ratio": round(told.ratio, 4)} for (name, _, sigma), told in found.items()
        ]
        write_measured(json_file, model, command_given(__file__), {"what": WHAT, "rows": rows})


def _print(found: dict[tuple[str, str, float], Told]) -> None:
    table = Table("volume", "noise", *(f"{sigma:g}" for sigma in STRENGTHS), title="Noise told / true noise, by strength (part of P99.5)")
    for name, kind in dict.fromkeys((name, kind) for name, kind, _ in found):
        rows = [found[name, kind, sigma] for sigma in STRENGTHS]
        table.add_row(name, kind, *(f"{told.ratio:.2f}" if told.counts else f"({told.ratio:.2f})" for told in rows))
    console = Console(width=140)
    console.print(table)
    counted = [told for told in found.values() if told.counts]
    right = sum(told.holds for told in counted)
    answer = "holds" if right == len(counted) else "does not hold"
    console.print(f"Wanted: told within {100 * LARGEST_DEVIATION:.0f} %. It {answer}: so on {right} of {len(counted)} rows that count.")


if __name__ == "__main__":
    run(main)
