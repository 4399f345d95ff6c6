"""Did fine-tuning help? python scripts/measure_pairs.py --data PAIRS [--bundle MODEL] [--split test] [--json FILE]

Denoises the pairs that ``mridenoise prepare`` kept out of training and compares them with their references, which are free of
the noisy image's noise: the noisy image, the model, and the bundled model beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer
from command import JsonFile, ModelFolder, chosen, command_given, run
from rich.console import Console
from rich.progress import track
from rich.table import Table

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.data.records import RecordStore
from MRIDenoiseLib.data.split import Split
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.claims.pairs import NOISY, PairScore, score_pairs
from MRIDenoiseLib.inference import Denoiser
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.statistics import Comparison, compare
from MRIDenoiseLib.volume import Volume

WHAT = (
    "PSNR in dB in the body against references free of the noisy image's noise, of prepared pairs of patients kept out of the "
    "training; gains with their 95 % interval, whole patients being drawn"
)
MODEL, BUNDLED = "model", "bundled model"


def main(
    data: Annotated[Path, typer.Option(help="folder made by mridenoise prepare")],
    bundle: ModelFolder = None,
    split: Annotated[str, typer.Option(help="test, or validation")] = "test",
    json_file: JsonFile = None,
) -> None:
    """Print the table."""
    wanted: Split = next(each for each in get_args(Split) if each == chosen(split, get_args(Split), "split")[0])
    store = RecordStore(data)
    model = Bundle.load(bundle or bundled_model())
    models = {MODEL: _denoise(model)} if bundle is None else {MODEL: _denoise(model), BUNDLED: _denoise(Bundle.load(bundled_model()))}
    scores = list(track(score_pairs(store, wanted, models), description="pairs", console=Console(stderr=True)))
    gains = {rival: _gain(scores, rival) for rival in scores[0].psnr if rival != MODEL}
    _print(scores, gains)
    if json_file:
        numbers = {"what": WHAT, "split": split, "pairs": len(scores), "gains": {rival: asdict(gain) for rival, gain in gains.items()}}
        write_measured(json_file, model, command_given(__file__), numbers, {"pairs": [asdict(score) for score in scores]})


def _denoise(model: Bundle) -> Callable[[Volume], Volume]:
    denoiser = Denoiser(model)
    return lambda volume: denoiser(volume).volume


def _gain(scores: list[PairScore], rival: str) -> Comparison:
    ours, theirs = ([score.psnr[name] for score in scores] for name in (MODEL, rival))
    return compare(ours, theirs, [score.subject for score in scores])


def _print(scores: list[PairScore], gains: dict[str, Comparison]) -> None:
    names = [name for name in (NOISY, BUNDLED, MODEL) if name in scores[0].psnr]
    table = Table("pair", "patient", *names, title="PSNR in the body against the reference, dB")
    for score in scores:
        table.add_row(score.name, score.subject, *(f"{score.psnr[name]:.2f}" for name in names))
    console = Console(width=140)
    console.print(table)
    patients = len({score.subject for score in scores})
    for rival, gain in gains.items():
        interval = f"95 % CI {gain.low:+.2f} to {gain.high:+.2f}, resampling {patients} patients"
        console.print(f"The model against the {rival}: {gain.mean:+.2f} dB ({interval}), better on {gain.won} of {gain.rows} pairs.")


if __name__ == "__main__":
    run(main)
