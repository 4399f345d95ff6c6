"""The older contest of a model with everything a user could take instead; the card's numbers are those of ``measure_methods.py``.

    python scripts/compare_methods.py --data DIR [--bundle DIR] [--cache FILE] [--json FILE] [--jobs N]
    python scripts/compare_methods.py --data DIR --cache FILE --only-peers          the others' numbers, to use many times

A row is a volume with a noise (see ``MRIDenoiseLib.simulation.noise.benchmark_row``, seed 11). The 12 middle slices count, in the
foreground, with L = the volume's P99.5. Filters and peers see three more slices on either side and stand at their best
setting for that very row, chosen on the clean volume: an advantage no user has. The model gets the noisy volume with what
its file tells of organ and contrast, as a user's would. The plain regression network and the posterior mean of the
diffusion model are always both in the table.

The others take minutes a row. With --cache their numbers are kept, so that the run may be stopped at any time and goes on
where it was. They need the extra ``peers``. With --earlier the model's numbers are taken from what an earlier run wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from command import Data, ModelFolder, chosen, command_given, run, volumes_of
from rich.console import Console
from rich.progress import Progress

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.benchmark import MEASURES, BenchmarkRow
from MRIDenoiseLib.evaluation.claims.claim import write_measured
from MRIDenoiseLib.evaluation.contest import Case, RowResult, earlier_results, fill_store, row_result, volume_name
from MRIDenoiseLib.evaluation.rival_store import RivalStore
from MRIDenoiseLib.evaluation.rivals import RIVALS, STRONGEST
from MRIDenoiseLib.evaluation.table import BEST_OTHER, card_content, comparisons, print_comparisons, print_means, print_rows
from MRIDenoiseLib.inference import METHODS, Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.simulation.noise import BENCHMARK_ROWS
from MRIDenoiseLib.volume import Volume

ALWAYS = ("regression", "posterior-mean")
MEASURED_IN_EVERY_WAY = (BEST_OTHER, STRONGEST, *ALWAYS)
"""Whom the methods are compared with by SSIM and corrected PSNR too; the file has the others."""


def compare(
    data: Data,
    bundle: ModelFolder = None,
    rows: Annotated[str, typer.Option(help="noises, with commas between")] = ",".join(BENCHMARK_ROWS),
    subjects: Annotated[str, typer.Option(help="whose volumes, with commas between; by default the test patients'")] = "",
    methods: Annotated[str, typer.Option(help=f"more methods of the model, beside {' and '.join(ALWAYS)}")] = "",
    rivals: Annotated[str, typer.Option(help="what to compare with, with commas between")] = ",".join(RIVALS),
    cache: Annotated[Path | None, typer.Option(help="keep the rivals' numbers in this file")] = None,
    cached_only: Annotated[bool, typer.Option("--cached-only", help="leave out rivals that the cache does not know yet")] = False,
    only_peers: Annotated[bool, typer.Option("--only-peers", help="fill the cache and use no model")] = False,
    earlier: Annotated[Path | None, typer.Option(help="an earlier --json of the same weights: the model is not run again")] = None,
    jobs: Annotated[int, typer.Option(help="processes that the rivals may use", min=1)] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the numbers here, for the model's card")] = None,
) -> None:
    """Print the tables."""
    others = chosen(rivals, RIVALS, "rival")
    # Noise by noise, so that a cache in the making soon has whole noises.
    cases: list[Case] = [(source, noise) for noise in chosen(rows, BENCHMARK_ROWS, "noise") for source in volumes_of(data, subjects)]
    if cache is None and (only_peers or cached_only or jobs > 1):
        raise SettingsError("--only-peers, --cached-only and --jobs need a --cache FILE for the rivals' numbers")
    if cache is not None and (only_peers or (jobs > 1 and not cached_only)):
        with _progress() as progress:
            for source, noise in progress.track(fill_store(data, cases, others, cache, jobs), len(cases), description="rivals"):
                progress.console.print(f"{source.file} {noise}", style="dim")
    if only_peers:
        return

    model = Bundle.load(bundle or bundled_model())
    ours = chosen(methods, METHODS, "method") if methods else []
    ours = list(dict.fromkeys((*ALWAYS, model.default_method, *ours)))
    runs = {name: _run(Denoiser(model), name) for name in ours}
    store = RivalStore(cache)
    before = earlier_results(earlier, model) if earlier else {}
    results: list[RowResult] = []
    with _progress() as progress:
        for source, noise in progress.track(cases, description="rows"):
            known = before.get((volume_name(source), noise))
            results.append(row_result(BenchmarkRow.read(data, source, noise), others, store, runs, stored_only=cached_only, earlier=known))
    _print(results, ours)
    if json_file:
        numbers, details = card_content(results, model.default_method, ours)
        write_measured(json_file, model, command_given(__file__), numbers, details)


def _run(denoiser: Denoiser, method: str) -> Callable[[BenchmarkRow], Volume]:
    return lambda row: denoiser(row.volume, Settings(method=method, slices=(row.scored.start, row.scored.stop))).volume


def _progress() -> Progress:
    return Progress(console=Console(stderr=True))


def _print(results: list[RowResult], methods: list[str]) -> None:
    console = Console(width=210)
    for measure in MEASURES:
        print_rows(console, results, measure)
    for measure in MEASURES:
        print_means(console, results, measure)
    every = comparisons(results, methods)
    shown = [entry for entry in every if entry["measure"] == "psnr" or entry["rival"] in MEASURED_IN_EVERY_WAY]
    print_comparisons(console, shown, len({result.subject for result in results}))


if __name__ == "__main__":
    run(compare)
