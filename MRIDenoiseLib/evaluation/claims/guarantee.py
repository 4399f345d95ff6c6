"""Whether the guarantee holds: discs planted in the networks' answer, and real ones removed from it, against the table of each volume.

Real discs of random size and contrast are put into volumes of patients that no training saw, before the noise. What the networks
answer to the volume without them stands for networks that have removed every one of them; into that answer other discs are planted
that were never measured. The guarantee then holds this answer to the noisy image. Each volume's own table says by how much the mean
of a disc may differ between the result and the noisy image; a disc that differs by more is a violation. Discs lie where the table
claims to hold, and their sizes are those of the table and any between, which have to keep the row of the next smaller one.

Beside it: what the guarantee costs in PSNR where nothing was tampered with, and in time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Annotated, Any

import numpy as np
import torch
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import (
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
from MRIDenoiseLib.evaluation.claims.native_noise import middle_slices
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, psnr
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.analysis import Analysis, analyse
from MRIDenoiseLib.inference.guarantee import ABOVE_FLOOR, RADII, Guarantee, disc_weights, hold
from MRIDenoiseLib.inference.settings import GUARANTEED
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, benchmark_row
from MRIDenoiseLib.volume import Volume

WHAT = (
    "discs planted in the networks' answer or removed from it: change of their mean against the noisy image, over the contrast that "
    "the volume's own table allows; above 1 it is a violation; left: part of a planted disc that stays, or of a removed one that stays "
    "away; psnr: in the foreground, without the guarantee and with it, where nothing was tampered with"
)
STRONGEST = 4.0
"""Discs have contrasts up to so many times what the table allows at their size."""
ROUNDING = 1e-3
"""Part of a bound by which a mean may exceed it, as the guarantee itself allows."""
APART = 12.0
"""Pixels between the borders of two discs."""
TRIES = 40
LARGEST_LOSS = 0.05
"""dB of PSNR."""
LARGEST_SHARE = 0.10
"""Of the time."""


@dataclass(frozen=True)
class Disc:
    """A disc with an edge one pixel wide.

    Args:
        centre: slice, row, column.
        radius: pixels.
        contrast: what it adds, in the units of the image; negative for a dark one.
        real: whether it was measured and is then removed from the networks' answer, rather than planted there.
    """

    centre: tuple[int, int, int]
    radius: float
    contrast: float
    real: bool

    @property
    def row(self) -> int:
        """The row of a guarantee's table that it has to keep: that of the largest radius listed that is not above its own."""
        return max(k for k, radius in enumerate(RADII) if radius <= self.radius)

    def window(self) -> tuple[slice, slice, np.ndarray]:
        """The rows and columns that it touches, and its weights there, which add up to 1."""
        weights = disc_weights(self.radius)
        reach = len(weights) // 2
        _, y, x = self.centre
        return slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1), weights

    def mean(self, stack: np.ndarray) -> float:
        """The mean of (slices, rows, columns) over it."""
        rows, columns, weights = self.window()
        return float((stack[self.centre[0], rows, columns] * weights).sum(dtype=np.float64))

    def drawn(self, stack: np.ndarray) -> None:
        """Add it to (slices, rows, columns), in place."""
        rows, columns, weights = self.window()
        stack[self.centre[0], rows, columns] += np.float32(self.contrast) * weights / weights.max()


@dataclass(frozen=True)
class Outcome:
    """What became of a disc.

    Args:
        real: whether it was removed rather than planted.
        radius: pixels.
        contrast: of the disc, over what the table allows.
        change: of its mean from the noisy image to the result, over what the table allows; more than 1 is a violation.
        left: of a planted disc the part that stays in the result, of a removed one the part that stays away; 1 without a guarantee.
    """

    real: bool
    radius: float
    contrast: float
    change: float
    left: float

    @property
    def violates(self) -> bool:
        """Whether more changed than is guaranteed."""
        return self.change > 1 + ROUNDING


def held_to(
    noisy: np.ndarray, answer: np.ndarray, analysis: Analysis, slices: tuple[int, int], kappa: float
) -> tuple[np.ndarray, Guarantee]:
    """An answer of the networks after the guarantee, and the guarantee's own account; sizes in pixels.

    Args:
        noisy: (slices, rows, columns).
        answer: the same shape and units; it stays as it is.
        analysis: of ``noisy``, from it alone.
        slices: half-open range that the networks answered.
        kappa: see :class:`MRIDenoiseLib.inference.guarantee.Guarantee`.
    """
    result = answer.copy()
    account = hold(noisy, result, analysis, kappa, spacing=(1.0, 1.0), slices=slices, device=torch.device("cpu"))
    return result, account


def place_discs(
    noisy: np.ndarray, analysis: Analysis, table: Sequence[float], slices: tuple[int, int], count: int, generator: np.random.Generator
) -> list[Disc]:
    """Random discs, far apart, where the table claims to hold: in tissue well above the noise floor.

    Args:
        noisy: (slices, rows, columns).
        analysis: of it.
        table: the contrast that is allowed at each of the radii, in the units of ``noisy``.
        slices: half-open range of where they may lie.
        count: how many in each slice, at most.
        generator: of every choice.
    """
    shape = noisy.shape[1], noisy.shape[2]
    placed: list[Disc] = []
    for z in range(*slices):
        bright = noisy[z] > ABOVE_FLOOR * analysis.noise_of(z, shape) * analysis.floor
        places = np.argwhere(bright)
        here: list[Disc] = []
        for _ in range(TRIES * count if len(places) else 0):
            if len(here) == count:
                break
            radius = float(generator.choice(RADII) if generator.random() < 0.5 else generator.uniform(RADII[0], RADII[-1]))
            y, x = places[generator.integers(len(places))].tolist()
            reach = math.ceil(radius) + 1
            inside = reach <= y < shape[0] - reach and reach <= x < shape[1] - reach
            if not inside or any(math.dist((z, y, x), other.centre) < radius + other.radius + APART for other in here):
                continue
            disc = Disc((z, y, x), radius, 0.0, bool(generator.integers(2)))
            mean = disc.mean(noisy)
            rows, columns, _ = disc.window()
            allowed = table[disc.row]
            contrast = float(generator.uniform(0, STRONGEST) * generator.choice([-1, 1])) * allowed
            # Nothing in a magnitude image is below zero, nor near it in tissue.
            if math.isfinite(allowed) and bright[rows, columns].mean() > 0.9 and mean + min(contrast, 0.0) > mean / 4:
                here.append(Disc(disc.centre, radius, contrast, disc.real))
        placed += here
    return placed


def tampered(
    source: Volume, noise: str, denoiser: Denoiser, settings: Settings, *, limit: int, count: int, seed: int
) -> tuple[list[Outcome], dict[str, Any]]:
    """Plant and remove discs in the middle slices of a volume until there are ``count``, and judge each by the table that was given for it.

    Args:
        source: a clean volume.
        noise: one of :data:`MRIDenoiseLib.simulation.presets.BENCHMARK_ROWS`.
        denoiser: of the model.
        settings: with the guarantee to be tested.
        limit: how many middle slices.
        count: discs; they are placed in rounds, of one answer of the networks.
        seed: of the discs; the noise is the benchmark's.

    Returns:
        The outcomes, and what the guarantee costs: ``off`` and ``on``, PSNR in dB without it and with it, ``seconds`` of the whole
        run and ``holding`` of the guarantee; and what it allows, ``allowed``: the contrasts of its table, in parts of bright tissue.

    Raises:
        InputError: there is no room for a disc.
    """
    clean = np.ascontiguousarray(source.stack / np.float32(clean_scale(source.stack))).clip(min=0)
    noisy = benchmark_row(noise, torch.from_numpy(clean)).numpy()
    slices = middle_slices(len(clean), limit)
    free = Settings(**{**vars(settings), "slices": slices, "guarantee": 0.0, "denoise_clean": True})
    began = time.perf_counter()
    answer = denoiser(source.with_stack(noisy), free).volume.stack
    whole = time.perf_counter() - began
    estimator = denoiser.bundle.network("noise_estimator")
    analysis = analyse(noisy, estimator)
    began = time.perf_counter()
    untouched, account = held_to(noisy, answer, analysis, slices, settings.guarantee)
    holding = time.perf_counter() - began
    part = slice(*slices)
    foreground = clean[part] > FOREGROUND_THRESHOLD
    off, on = (psnr(image[part], clean[part], data_range=1.0, mask=foreground) for image in (answer, untouched))
    cost: dict[str, Any] = {"off": round(off, 4), "on": round(on, 4), "seconds": round(whole + holding, 3), "holding": round(holding, 3)}
    cost["allowed"] = [round(contrast, 4) if math.isfinite(contrast) else None for contrast in account.contrasts]

    generator = np.random.default_rng([seed, *f"{source.name} {noise}".encode()])
    outcomes: list[Outcome] = []
    while len(outcomes) < count:
        table = [contrast * analysis.scale for contrast in account.contrasts]
        discs = place_discs(noisy, analysis, table, slices, math.ceil((count - len(outcomes)) / limit), generator)
        if not discs:
            raise InputError(f"{source.name} has no room for a disc where something is guaranteed")
        with_real, planted = clean.copy(), answer.copy()
        for disc in discs:
            disc.drawn(with_real if disc.real else planted)
        measured = noisy.copy()
        measured[part] = benchmark_row(noise, torch.from_numpy(with_real.clip(min=0)), slices=range(*slices)).numpy()
        result, given = held_to(measured, planted, analyse(measured, estimator), slices, settings.guarantee)
        outcomes += [_outcome(disc, measured, answer, result, given, analysis.scale) for disc in discs][: count - len(outcomes)]
    return outcomes, cost


def _outcome(disc: Disc, measured: np.ndarray, answer: np.ndarray, result: np.ndarray, given: Guarantee, scale: float) -> Outcome:
    allowed = given.contrasts[disc.row] * scale
    # Its mean over itself is a little below its contrast, because its edge is soft.
    weights = disc.window()[2]
    full = disc.contrast * float(np.square(weights).sum() / weights.max())
    moved = (disc.mean(result) - disc.mean(answer)) / full if full else 0.0
    return Outcome(
        real=disc.real,
        radius=round(disc.radius, 3),
        contrast=round(abs(disc.contrast) / allowed, 4),
        change=round(abs(disc.mean(measured) - disc.mean(result)) / allowed, 5),
        left=round(1 - moved if disc.real else moved, 4),
    )


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    kappa: Annotated[float, Option("standard deviations of a disc's mean that are allowed", least=2, most=10)] = GUARANTEED,
    rows: Noises = "M0.10,L2-2",
    subjects: Subjects = "",
    limit: Annotated[int, Option("middle slices of each volume", least=1)] = 2,
    count: Annotated[int, Option("discs in all, at least", least=1)] = 1000,
    seed: Annotated[int, Option("of the discs")] = 0,
) -> Numbers:
    """Tamper with the networks' answer to every volume with every noise."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    denoiser = Denoiser(model)
    settings = Settings(method=method, guarantee=kappa)
    outcomes: list[Outcome] = []
    costs: list[dict[str, Any]] = []
    left_out: list[str] = []
    for done, (source, noise) in enumerate(tracked(cases, progress, "volumes and noises")):
        wanted = max(1, math.ceil((count - len(outcomes)) / (len(cases) - done)))
        try:
            found, cost = tampered(io.read(data / source.file), noise, denoiser, settings, limit=limit, count=wanted, seed=seed)
        except InputError as error:
            left_out.append(f"{source.name} {noise} left out: {error}")
            continue
        outcomes += found
        costs.append({"volume": source.name, "noise": noise, **cost})
    if not outcomes:
        raise InputError("no volume has room for a disc")
    facts = {"what": WHAT, "method": method or model.default_method, "kappa": kappa, "limit": limit, "seed": seed}
    return {**facts, "costs": costs, "discs": [asdict(one) for one in outcomes], "left_out": left_out}


KINDS = ((False, "planted"), (True, "removed"))
CLASSES = ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, math.inf))
"""Of the contrast, over what is allowed."""


def show(numbers: Numbers) -> Iterator[Table | str]:
    """Violations and what is left by contrast, and what the guarantee costs."""
    yield from numbers.get("left_out", ())
    outcomes = [Outcome(**one) for one in numbers["discs"]]
    table = Table("discs", "contrast / allowed", "number", "violations", "largest change / allowed", "left, median", "95th percentile")
    table.title = f"Discs in the networks' answer, under a guarantee of {numbers['kappa']:g} standard deviations"
    for (real, kind), (low, high) in product(KINDS, CLASSES):
        found = [one for one in outcomes if one.real == real and low <= one.contrast < high]
        if found:
            left = [one.left for one in found]
            shown = f"{100 * np.median(left):.0f} %", f"{100 * np.percentile(left, 95):.0f} %"
            most = f"{max(one.change for one in found):.3f}"
            table.add_row(
                kind,
                f"{low:g} to {high:g}" if math.isfinite(high) else f"over {low:g}",
                str(len(found)),
                str(sum(one.violates for one in found)),
                most,
                *shown,
            )
    yield table
    sizes = [f"{2 * radius:g} px" for radius in RADII]
    table = Table("volume", "noise", "PSNR without, dB", "with", "change", "time of it", *sizes)
    table.title = "What it costs where nothing was tampered with, and the contrasts that it allows, per cent of bright tissue"
    for cost in numbers["costs"]:
        allowed = ("-" if contrast is None else f"{100 * contrast:.1f}" for contrast in cost["allowed"])
        decibels = f"{cost['off']:.3f}", f"{cost['on']:.3f}", f"{cost['on'] - cost['off']:+.4f}"
        table.add_row(cost["volume"], cost["noise"], *decibels, f"{100 * cost['holding'] / cost['seconds']:.1f} %", *allowed)
    yield table
    violations, change, share = _summary(numbers)
    answer = "holds" if not violations and abs(change) < LARGEST_LOSS and share < LARGEST_SHARE else "does not hold"
    yield (
        f"Wanted: no violation, PSNR changed by less than {LARGEST_LOSS:g} dB, less than {100 * LARGEST_SHARE:.0f} % of the time. "
        f"It {answer}: {violations} of {len(outcomes)} discs, {change:+.4f} dB at most, {100 * share:.1f} % of the time."
    )


def _summary(numbers: Numbers) -> tuple[int, float, float]:
    """Violations, the largest change of PSNR, and the share of the time."""
    violations = sum(Outcome(**one).violates for one in numbers["discs"])
    change = max((cost["on"] - cost["off"] for cost in numbers["costs"]), key=abs)
    share = sum(cost["holding"] for cost in numbers["costs"]) / sum(cost["seconds"] for cost in numbers["costs"])
    return violations, float(change), float(share)


def headline(numbers: Numbers) -> Headline:
    """Violations among the discs, and the largest change of PSNR."""
    violations, change, share = _summary(numbers)
    of = len(numbers["discs"])
    figures = {"discs": of, "violations": violations, "largest change of PSNR, dB": round(change, 4), "share of the time": round(share, 4)}
    says = f"{violations} of {of} planted and removed discs break the guarantee, which changes PSNR by {change:+.3f} dB at most."
    return Headline(says, figures)


CLAIM = Claim("guarantee", measure, show, headline, width=160)
