"""Whether a change between two scans of a patient survives their subtraction, and whether none appears where there was none.

The two scans are the same volume with independent noise; in the second, lesions have appeared (those of the claim on lesions). The
second one is denoised with the settings of the first, as ``mridenoise denoise --like`` does, and, as a control, with settings of
its own. What is measured is the difference between the two results. A lesion in it keeps a part of its contrast; far from the
lesions the difference should be nothing: the largest mean over any disc of three pixels is compared with that of the noisy scans.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Any

import numpy as np
import torch
from rich.table import Table
from scipy import ndimage

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import BLURS
from MRIDenoiseLib.evaluation.claims.claim import (
    EVERY_NOISE,
    Claim,
    Data,
    Headline,
    Method,
    Noises,
    Numbers,
    Option,
    Subjects,
    chosen,
    tracked,
    volumes_of,
)
from MRIDenoiseLib.evaluation.claims.lesion_contrast import Lesion, Summary, insert, kept
from MRIDenoiseLib.evaluation.claims.lesions import NOISY, lesions_in
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.guarantee import disc_weights
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, benchmark_row
from MRIDenoiseLib.volume import Volume

BLURRED, LOCKED, OWN = "best blur", "same settings", "own settings"
WAYS = (NOISY, BLURRED, LOCKED, OWN)
SEEDS = (11, 12)
"""Of the noise of the two scans."""
RADIUS = 3.0
"""Pixels, of the discs in which a change that is none is looked for."""
AWAY = 12
"""Pixels from a lesion, beyond which nothing has changed."""
WHAT = (
    "two scans with independent noise, in the second of which lesions (3 to 8 pixels, 2 to 5 sigma) have appeared; kept: the part of a "
    "lesion's contrast in the difference between the results; missing: less than half of it, lost: less than a quarter; nothing: the "
    "largest mean of the difference over a disc of 3 pixels radius where nothing changed, relative to that between the noisy scans"
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two scans of one volume, in units of its P99.5, and what changed in between.

    Args:
        scans: the volume twice; the second has the lesions.
        truths: the same slice of each without noise, (rows, columns).
        lesions: all in that slice.
        index: of the slice.
    """

    scans: tuple[Volume, Volume]
    truths: tuple[np.ndarray, np.ndarray]
    lesions: tuple[Lesion, ...]
    index: int

    @classmethod
    def of(cls, source: Volume, noise: str, count: int, seed: int) -> Pair:
        """Two noisy scans of a clean volume.

        Raises:
            InputError: it has no flat tissue to put a lesion into.
        """
        clean = np.ascontiguousarray(source.stack / np.float32(clean_scale(source.voxels))).clip(min=0)
        first = benchmark_row(noise, torch.from_numpy(clean), SEEDS[0]).numpy()
        lesions = lesions_in(source, clean, first, count, np.random.default_rng([seed, *f"{source.name} {noise}".encode()]))
        changed = insert(clean, lesions)
        second = benchmark_row(noise, torch.from_numpy(changed), SEEDS[1]).numpy()
        z = lesions[0].centre[0]
        return cls((source.with_stack(first), source.with_stack(second)), (clean[z], changed[z]), lesions, z)

    def noisy(self) -> tuple[np.ndarray, np.ndarray]:
        """The slice of both scans."""
        return self.scans[0].stack[self.index], self.scans[1].stack[self.index]

    def blurred(self) -> tuple[np.ndarray, np.ndarray]:
        """The same after the Gaussian blur with the smallest error in the first scan."""
        stacks, where = [scan.stack for scan in self.scans], self.truths[0] > FOREGROUND_THRESHOLD
        best = min(BLURS, key=lambda blur: float(np.square(blur.of_slice(stacks[0], self.index) - self.truths[0])[where].mean()))
        return best.of_slice(stacks[0], self.index), best.of_slice(stacks[1], self.index)

    def denoised(self, denoiser: Denoiser, settings: Settings) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The slice of both scans after denoising, the second with the settings of the first, and with its own."""
        here = replace(settings, slices=(self.index, self.index + 1), denoise_clean=True)
        first = denoiser(self.scans[0], here)
        locked = denoiser(self.scans[1], replace(Settings.like(first.report), slices=here.slices))
        own = denoiser(self.scans[1], here)
        images = [result.volume.stack[self.index] for result in (first, locked, own)]
        return {LOCKED: (images[0], images[1]), OWN: (images[0], images[2])}

    def kept_of(self, images: tuple[np.ndarray, np.ndarray]) -> list[float]:
        """The part of each lesion's contrast that is in the difference between two images of the slice."""
        return [kept(lesion, clean=self.truths[::-1], result=images[::-1]).paired for lesion in self.lesions]

    def of_nothing(self, images: tuple[np.ndarray, np.ndarray]) -> float:
        """The largest mean of the difference over a disc in tissue far from every lesion."""
        unchanged = ndimage.distance_transform_edt(self.truths[0] == self.truths[1]) > AWAY
        weights = disc_weights(RADIUS)
        tissue = ndimage.binary_erosion(self.truths[0] > FOREGROUND_THRESHOLD, np.ones(weights.shape))
        means = ndimage.correlate(images[1] - images[0], weights, mode="nearest")
        return float(np.abs(means[unchanged & tissue]).max(initial=0.0))


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    rows: Noises = EVERY_NOISE,
    subjects: Subjects = "",
    count: Annotated[int, Option("lesions in all, at least", least=1)] = 100,
    seed: Annotated[int, Option("of the lesions")] = 0,
) -> Numbers:
    """Let lesions appear in every volume under every noise, denoise both scans, and look at the difference.

    Raises:
        InputError: no volume has room for a lesion.
    """
    cases = list(product([row.file for row in volumes_of(data, subjects)], chosen(rows, BENCHMARK_ROWS, "noise")))
    denoiser = Denoiser(model)
    pairs: list[dict[str, Any]] = []
    left_out: list[str] = []
    found = 0
    for done, (file, noise) in enumerate(tracked(cases, progress, "volumes and noises")):
        wanted = math.ceil((count - found) / (len(cases) - done))
        if wanted <= 0:
            continue
        source = io.read(data / file)
        try:
            pair = Pair.of(source, noise, wanted, seed)
        except InputError as error:
            left_out.append(f"{file} {noise} left out: {error}")
            continue
        found += len(pair.lesions)
        images = {NOISY: pair.noisy(), BLURRED: pair.blurred(), **pair.denoised(denoiser, Settings(method=method))}
        nothing = {way: pair.of_nothing(images[way]) for way in WAYS}
        pairs.append(
            {
                "volume": source.name,
                "noise": noise,
                "kept": {way: [round(value, 4) for value in pair.kept_of(images[way])] for way in WAYS},
                "nothing": {way: round(value / nothing[NOISY], 4) if nothing[NOISY] > 0 else None for way, value in nothing.items()},
            }
        )
    if not pairs:
        raise InputError("no volume has room for a lesion")
    return {"what": WHAT, "method": method or model.default_method, "seed": seed, "pairs": pairs, "left_out": left_out}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """What is left of the changes, and what appears where there is none."""
    yield from numbers["left_out"]
    table = Table(
        "", "median %", "5th percentile %", "missing", "lost", "nothing, median", "nothing, most", title="Change between two scans"
    )
    for way in WAYS:
        summary, nothing = _summary(numbers, way), _nothing(numbers, way)
        table.add_row(
            way,
            f"{100 * summary.median:.0f}",
            f"{100 * summary.fifth_percentile:.0f}",
            f"{summary.missing} of {summary.number}",
            str(summary.lost),
            *((f"{np.median(nothing):.2f}", f"{max(nothing):.2f}") if nothing else ("-", "-")),
        )
    yield table


def headline(numbers: Numbers) -> Headline:
    """What half of the changes keep, and what appears where nothing changed."""
    ours, noisy, nothing = _summary(numbers, LOCKED), _summary(numbers, NOISY), _nothing(numbers, LOCKED)
    false = f"; false ones are at most {max(nothing):.2f} of noise's" if nothing else ""
    says = f"Half of {ours.number} changes keep {100 * ours.median:.0f} %, {ours.lost} are lost (noisy {noisy.lost}){false}."
    figures: dict[str, float] = {
        "changes": ours.number,
        "contrast that half keep": round(ours.median, 3),
        "contrast that nineteen of twenty keep": round(ours.fifth_percentile, 3),
        "keep less than a quarter (lost)": ours.lost,
        "of the noisy scans, lost": noisy.lost,
    }
    if nothing:
        figures["largest change where none was, relative to the noisy scans'"] = round(max(nothing), 3)
    return Headline(says, figures)


def _summary(numbers: Numbers, way: str) -> Summary:
    return Summary.of([value for pair in numbers["pairs"] for value in pair["kept"][way]])


def _nothing(numbers: Numbers, way: str) -> list[float]:
    return [pair["nothing"][way] for pair in numbers["pairs"] if pair["nothing"][way] is not None]


CLAIM = Claim("change", measure, show, headline)
