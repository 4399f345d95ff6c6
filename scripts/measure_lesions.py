"""What denoising leaves of small lesions: python scripts/measure_lesions.py --data DIR [--bundle DIR] [--json FILE]

Lesions of 3 to 8 pixels and 2 to 5 standard deviations of the noise around them are put into volumes of patients that no
training saw, before the noise of each benchmark row is added. See ``MRIDenoiseLib.evaluation.claims.lesions`` for what "kept" means.
Shown beside the model: the noisy image itself, the Gaussian blur of smallest error on that very slice, the blur that leaves as
much noise in flat tissue as the model does, and the model told a wrong organ and a wrong contrast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from command import Data, ModelFolder, ModelMethod, chosen, command_given, run, volumes_of
from rich.console import Console
from rich.progress import track
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.claims.lesion_trial import (
    BLURRED,
    EQUALLY_BLURRED,
    NOISY,
    LesionOutcome,
    lesion_trial,
    misdescribed,
    summaries,
)
from MRIDenoiseLib.evaluation.claims.lesions import WANTED_FIFTH_PERCENTILE, WANTED_MEDIAN
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS
from MRIDenoiseLib.volume import Volume

WHAT = (
    "part of the contrast of inserted lesions (3 to 8 pixels, 2 to 5 sigma) that is left, with the same noise with and without "
    "the lesion; missing: less than half of it, lost: less than a quarter; best blur: of smallest error on the slice, "
    "equal blur: with as much noise left in flat tissue as the model"
)
DENOISED, MISINFORMED = "denoised", "wrong metadata"


def main(
    data: Data,
    bundle: ModelFolder = None,
    method: ModelMethod = None,
    sharpness: Annotated[float | None, typer.Option(help="of the method sharpened; its own by default")] = None,
    strength: Annotated[float | None, typer.Option(help="part of the noise found that is taken away; the model's own by default")] = None,
    rows: Annotated[str, typer.Option(help="noises, with commas between")] = ",".join(BENCHMARK_ROWS),
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between; by default the test patients'")] = "",
    count: Annotated[int, typer.Option(help="lesions in all, at least", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="of the lesions")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write every lesion here")] = None,
) -> None:
    """Print the table."""
    cases = list(product([row.file for row in volumes_of(data, subjects)], chosen(rows, BENCHMARK_ROWS, "noise")))
    model = Bundle.load(bundle or bundled_model())
    denoiser = Denoiser(model)

    def denoise(volume: Volume, z: int) -> Volume:
        return denoiser(volume, Settings(method=method, sharpness=sharpness, strength=strength, slices=(z, z + 1))).volume

    def misinformed(volume: Volume, z: int) -> Volume:
        return denoise(misdescribed(volume), z)

    outcomes: list[LesionOutcome] = []
    console = Console(stderr=True)
    for done, (file, noise) in enumerate(track(cases, description="volumes and noises", console=console)):
        # What an earlier slice had no room for, the later ones get.
        wanted = math.ceil((count - len(outcomes)) / (len(cases) - done))
        if wanted > 0:
            ways = {DENOISED: denoise, MISINFORMED: misinformed}
            volume = io.read(data / file)
            try:
                outcomes += lesion_trial(volume, noise, ways, count=wanted, seed=seed, equal_to=DENOISED)
            except InputError as error:
                console.print(f"{file} {noise} left out: {error}")
    if not outcomes:
        raise InputError("no volume has room for a lesion")
    for blind in (False, True):
        _print(outcomes, blind)
    if json_file:
        numbers = {"what": WHAT, "method": method or model.default_method, "seed": seed}
        groups = {name: {group: summary._asdict() for group, summary in summaries(outcomes, name)} for name in outcomes[0].kept}
        lesions = [
            {"volume": outcome.volume, "noise": outcome.noise, **asdict(outcome.lesion)}
            | {"kept": {name: value._asdict() for name, value in outcome.kept.items()}}
            for outcome in outcomes
        ]
        write_measured(json_file, model, command_given(__file__), numbers | {"summary": groups}, {"lesions": lesions})


def _print(outcomes: Sequence[LesionOutcome], blind: bool) -> None:
    what = "in the one image (blind)" if blind else "with the same noise with and without it"
    names = (NOISY, BLURRED, EQUALLY_BLURRED, DENOISED, MISINFORMED)
    table = Table("lesions", "number", *names, title=f"Contrast kept, {what}: median % / 5th percentile % / number missing / lost")
    columns = [dict(summaries(outcomes, name, blind=blind)) for name in names]
    for group, first in columns[0].items():
        cells = [f"{100 * s.median:.0f} / {100 * s.fifth_percentile:.0f} / {s.missing} / {s.lost}" for s in (c[group] for c in columns)]
        table.add_row(group, str(first.number), *cells)
    console = Console(width=140)
    console.print(table)
    if not blind:
        ours, equal = (columns[names.index(name)]["all"] for name in (DENOISED, EQUALLY_BLURRED))
        verdict = "holds" if ours.holds and ours.median > equal.median else "does not hold"
        wanted = f"a median of at least {100 * WANTED_MEDIAN:.0f} % and a 5th percentile of at least {100 * WANTED_FIFTH_PERCENTILE:.0f} %"
        console.print(f"Wanted: {wanted}, none lost, and more than the blur of equal remaining noise keeps. It {verdict}.")


if __name__ == "__main__":
    run(main)
