"""The comparison itself: rivals and a model on the same rows, every number kept with the setting it came from."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from MRIDenoiseLib.data.manifest import ManifestRow
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.benchmark import BenchmarkRow
from MRIDenoiseLib.evaluation.rival_store import RivalStore, same_image
from MRIDenoiseLib.evaluation.rivals import RIVALS, Best, at_its_best
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.volume import Volume

NOISY = "noisy"
"""The image that nobody touched, as one of the methods."""

Case = tuple[ManifestRow, str]
"""A file of the data folder and the name of a noise."""


@dataclass(frozen=True)
class RowResult:
    """Everything measured on one row.

    Args:
        volume: the file's name without its ending.
        subject: whose it is.
        noise: name of the noise.
        noise_level: true standard deviation of the noise in bright tissue, in units of P99.5.
        reference_noise: that of the clean volume's own noise, estimated.
        scores: method or rival -> measure -> value.
        settings: rival -> measure -> the setting of that value.
    """

    volume: str
    subject: str
    noise: str
    noise_level: float
    reference_noise: float
    scores: dict[str, dict[str, float]]
    settings: dict[str, dict[str, str]]


def row_result(
    row: BenchmarkRow,
    rivals: Sequence[str],
    store: RivalStore,
    methods: Mapping[str, Callable[[BenchmarkRow], Volume]],
    *,
    stored_only: bool = False,
    earlier: RowResult | None = None,
) -> RowResult:
    """Score the noisy image, the rivals and a model's methods on one row.

    Args:
        row: the row.
        rivals: names of :data:`MRIDenoiseLib.evaluation.rivals.RIVALS`.
        store: where rivals' numbers are taken from, and new ones put.
        methods: name -> what gives the denoised volume of a row.
        stored_only: leave out the rivals whose numbers the store lacks.
        earlier: what the same model came to before; its methods are not run again while the noisy image has the scores it had.
    """
    noisy = row.score_filtered(row.noisy)
    bests = _bests(row, noisy, rivals, store, stored_only)
    scores = {NOISY: noisy} | {name: best.scores for name, best in bests.items()}
    known = earlier.scores if earlier is not None and same_image(earlier.scores[NOISY], noisy) else {}
    for name, denoise in methods.items():
        scores[name] = known[name] if name in known else row.score_volume(denoise(row))
    return RowResult(
        volume=volume_name(row.source),
        subject=row.source.subject,
        noise=row.noise,
        noise_level=round(row.noise_level, 5),
        reference_noise=round(row.reference_noise, 5),
        scores=scores,
        settings={name: best.settings for name, best in bests.items()},
    )


def earlier_results(path: Path, model: Bundle) -> dict[tuple[str, str], RowResult]:
    """File name and noise -> what a model came to, from the file that an earlier comparison wrote.

    Raises:
        InputError: the file holds something else, or is of other weights.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        results = [RowResult(**row) for row in content["details"]["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read as the numbers of an earlier comparison") from error
    if content.get("files") != model.card["files"]:
        raise InputError(f"{path} holds the numbers of another model; leave --earlier out")
    return {(result.volume, result.noise): result for result in results}


def volume_name(source: ManifestRow) -> str:
    """A file's name without its ending."""
    return Path(source.file).name.removesuffix(".nii.gz")


def _bests(row: BenchmarkRow, noisy: dict[str, float], rivals: Sequence[str], store: RivalStore, stored_only: bool) -> dict[str, Best]:
    bests: dict[str, Best] = {}
    for name in rivals:
        best = store.get(row, noisy, name)
        if best is None and not stored_only:
            best = at_its_best(RIVALS[name], row)
            store.put(row, noisy, name, best)
        if best is not None:
            bests[name] = best
    return bests


def fill_store(folder: Path, cases: Sequence[Case], rivals: Sequence[str], path: Path, jobs: int) -> Iterator[Case]:
    """Put the rivals' numbers of many rows into a store, several rows at a time; interrupted, the next call goes on.

    Args:
        folder: the data folder.
        cases: the rows.
        rivals: names of :data:`MRIDenoiseLib.evaluation.rivals.RIVALS`.
        path: the store's file.
        jobs: processes, of one thread each.

    Yields:
        Each case when it is done.

    Raises:
        InputError: a file cannot be read.
        OutputError: the store cannot be written.
        SettingsError: a rival's package is not installed.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin_process, initargs=(context.Lock(),))
    with pool:
        waiting = {pool.submit(_fill_row, folder, case, rivals, path): case for case in cases}
        try:
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_lock: AbstractContextManager[Any] | None = None


def _begin_process(lock: AbstractContextManager[Any]) -> None:
    global _lock
    _lock = lock
    torch.set_num_threads(1)
    # Read by Slicer's filters and by ANTs, each when its first filter runs.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"


def _fill_row(folder: Path, case: Case, rivals: Sequence[str], path: Path) -> None:
    row_result(BenchmarkRow.read(folder, *case), rivals, RivalStore(path, _lock), {})
