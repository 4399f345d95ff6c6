"""Real noise, no simulation: python scripts/measure_repeats.py --data DIR [--bundle DIR] [--limit N] [--json FILE]

In the repeats of the data folder the same thing was measured several times. Single measurements are denoised, each is
compared with the mean of all others, and so are the single measurement itself and its best Gaussian blur. See
``MRIDenoiseLib.evaluation.repeats``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from command import command_given, run
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.evaluation.measured import write_measured
from MRIDenoiseLib.evaluation.repeats import LARGEST_BIAS, NOTE, REPEAT_SETS, Closeness, RepeatResult, measure_repeats
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle import Bundle
from MRIDenoiseLib.models.locate import bundled_model
from MRIDenoiseLib.volume import Volume

WHAT = (
    "single repeats of real measurements against the mean of the others, in tissue: error with P99.5 = 1, PSNR in dB; true_: with "
    "the variance of that mean taken out; bias: mean of the residual in per cent of the mean signal; floor: what noise adds to a magnitude"
)


def main(
    data: Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with repeats/")],
    bundle: Annotated[Path | None, typer.Option(help="model to measure; the bundled one by default")] = None,
    method: Annotated[str | None, typer.Option(help="method of the model; its default one when not given")] = None,
    limit: Annotated[int | None, typer.Option(help="denoise only so many repeats of each set", min=1)] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the numbers here")] = None,
) -> None:
    """Print the table."""
    model = Bundle.load(bundle or bundled_model())
    denoiser = Denoiser(model)

    def denoise(volume: Volume) -> Volume:
        return denoiser(volume, Settings(method=method)).volume

    results: dict[str, RepeatResult] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for repeats in REPEAT_SETS:
            task = progress.add_task(repeats.name, total=None)
            groups = [[io.read(data / repeats.file, volume=number + 1) for number in group] for group in repeats.groups]

            def report(done: int, total: int, task: Any = task) -> None:
                progress.update(task, completed=done, total=total)

            results[repeats.name] = measure_repeats(groups, denoise, limit=limit, progress=report)
    _print(results)
    if json_file:
        sets = {name: _numbers(result) for name, result in results.items()}
        numbers = {"what": WHAT, "method": method or model.default_method, "note": NOTE, "sets": sets}
        write_measured(json_file, model, command_given(__file__), numbers)


def _print(results: Mapping[str, RepeatResult]) -> None:
    title = "PSNR of single repeats against the mean of the others / against the truth (reference noise taken out), dB"
    table = Table(
        "set",
        "images",
        "noisy",
        "best blur",
        "denoised",
        "closer than noisy, blur",
        "mean residual",
        "worst",
        "floor",
        "holds",
        title=title,
    )
    for name, result in results.items():
        versions = (f"{version.psnr:.2f} / {version.true_psnr:.2f}" for version in (result.noisy, result.blurred, result.denoised))
        wins = f"{result.closer_than_noisy}, {result.closer_than_blur} of {result.repeats}"
        bias = f"{result.bias:+.2f} %", f"{result.worst_bias:+.2f} %", f"{result.floor_percent:.2f} %"
        table.add_row(name, str(result.repeats), *versions, wins, *bias, "yes" if result.holds else "NO")
    console = Console(width=140)
    console.print(table)
    for name, result in results.items():
        console.print(f"{name}: best blur {result.blur}; noise of the reference {result.reference_sigma:.4f} of P99.5")
    console.print(
        f"It holds where the denoised image is closer than both, and its mean residual at most {LARGEST_BIAS:g} % below zero or above "
        f"the floor: what noise adds to a magnitude, which the mean of the others keeps. {NOTE}"
    )


def _numbers(result: RepeatResult) -> dict[str, Any]:
    def of(version: Closeness) -> dict[str, float]:
        return {"mse": version.mse, "psnr": version.psnr, "true_mse": version.true_mse, "true_psnr": version.true_psnr}

    return {
        "repeats": result.repeats,
        "reference_sigma": result.reference_sigma,
        "noisy": of(result.noisy),
        "denoised": of(result.denoised),
        "best_blur": of(result.blurred) | {"setting": str(result.blur)},
        "closer_than_noisy": result.closer_than_noisy,
        "closer_than_blur": result.closer_than_blur,
        "bias_percent": result.bias,
        "worst_bias_percent": result.worst_bias,
        "floor_percent": result.floor_percent,
        "holds": result.holds,
    }


if __name__ == "__main__":
    run(main)
