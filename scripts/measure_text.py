"""Does the text help? python scripts/measure_text.py --data DIR [--bundle DIR] [--json FILE]

Simulated crops of patients that no training saw go through the networks with their own text, with the text of another crop,
without text, and with a wrong acceleration number; see ``MRIDenoiseLib.evaluation.claims.text``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from command import Data, JsonFile, ModelFolder, command_given, run, volumes_of
from rich.console import Console
from rich.table import Table

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.data.manifest import load_clean_volumes
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.claims.text import draw_crops, measure_text
from MRIDenoiseLib.models.bundle.bundle import Bundle

WHAT = "PSNR and loss of simulated crops told the truth, and told something else; gain: what the truth brings, dB, with its 95 % interval"


def main(
    data: Data,
    bundle: ModelFolder = None,
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between; by default the test patients'")] = "",
    per_volume: Annotated[int, typer.Option(help="crops of each volume", min=1)] = 16,
    size: Annotated[int, typer.Option(help="rows and columns of a crop", min=64)] = 128,
    seed: Annotated[int, typer.Option(help="of crops, noise and shuffling")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Print the table and the verdicts."""
    model = Bundle.load(bundle or bundled_model())
    rows = volumes_of(data, subjects)
    crops = draw_crops(list(load_clean_volumes(data, rows)), per_volume=per_volume, size=size, seed=seed)
    effects = measure_text(model, crops, seed=seed)
    title = f"{len(crops.subjects)} crops of {len(rows)} volumes; loss in units of the noise variance"
    table = Table("method", "told", "PSNR dB", "gain of the truth dB", "95 % CI", "loss", "loss told so", title=title)
    for effect in effects:
        low, high = effect.interval
        cells = (
            f"{effect.psnr:.2f}",
            f"{effect.gain:+.3f}",
            f"{low:+.3f} .. {high:+.3f}",
            f"{effect.loss:.4f}",
            f"{effect.changed_loss:.4f}",
        )
        table.add_row(effect.method, effect.change, *cells)
    console = Console(width=140)
    console.print(table)
    for effect in effects:
        console.print(effect.verdict)
    if json_file:
        facts = {
            "what": WHAT,
            "crops": len(crops.subjects),
            "size": size,
            "seed": seed,
            "volumes": [row.file for row in rows],
        }
        numbers = [asdict(effect) | {"useful": effect.useful, "verdict": effect.verdict} for effect in effects]
        write_measured(json_file, model, command_given(__file__), facts | {"effects": numbers})


if __name__ == "__main__":
    run(main)
