"""Does the map of uncertainty hold what it promises, on patients that were never trained on?

The images are those of the honest table. Each is denoised by the regression network, and at the voxels of its reference's body the
error is compared with the map. The factors that make intervals of the network's scales are found here, too, for the model's card:
one a noise range, every patient counting alike. What is printed for a patient uses factors that were found on the other patients
alone. Beside the map stand one constant width for all voxels, which covers as much; the spread of eight mirrored and turned views;
and that of posterior samples. Over patches of 8 x 8 pixels the map is ranked against the true error, with what a map would reach
that knew every patch's expected error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
from rich.table import Table

from MRIDenoiseLib.card import COVERAGE, Calibration
from MRIDenoiseLib.evaluation.claims.claim import (
    EVERY_NOISE,
    Claim,
    Data,
    Headline,
    Noises,
    Numbers,
    Option,
    Subjects,
    chosen,
    tracked,
)
from MRIDenoiseLib.evaluation.claims.methods import CONFIG
from MRIDenoiseLib.evaluation.comparison.cases import Case, CaseSpec, load, volume_specs
from MRIDenoiseLib.evaluation.comparison.config import read_config
from MRIDenoiseLib.evaluation.figures.intervals import best_rank_correlation, coverage, factor_at, rank_correlation
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.inference import Denoiser, ModelSet, Settings
from MRIDenoiseLib.inference.batch import SliceBatch, method_of, watched
from MRIDenoiseLib.inference.uncertainty import ErrorsOf, calibrated
from MRIDenoiseLib.methods import DDIM, REGRESSION
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.kspace import seeded_generator
from MRIDenoiseLib.simulation.noise import rician
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, benchmark_row, rician_benchmark_sigma
from MRIDenoiseLib.volume import Volume

WHAT = (
    "intervals at the voxels of the body of images of the honest table, with factors from the other patients; coverage: share of the "
    "voxels whose truth lies within; width: half-width, part of P99.5; constant: one width for all voxels of a noise, views and "
    "samples: their standard deviation times one factor a noise, each covering as much as the map; rank: Spearman's correlation with "
    "the error over patches of 8 x 8, means over images; best: for a map that knew every patch's expected error"
)
LEVELS = (0.03, 0.045, 0.065, 0.09)
"""Noise levels, relative to P99.5, at which a factor is found; between them it is interpolated."""
MOST_RATIOS = 20_000
"""Voxels of an image that the factors are found from, evenly spread."""
VIEWS = 8
REACH = 2
"""Neighbours on either side that the networks see at most."""
OTHER_SEED = 12
"""Of the second noise; the first is the benchmark's own."""
MAP, CONSTANT, OF_VIEWS, OF_SAMPLES = "map", "constant", "views", "samples"
WANTED, WANTED_EACH, WANTED_RANK = (0.88, 0.92), (0.80, 0.97), 0.5

AS_IT_IS = Settings(guarantee=0, denoise_clean=True)
ONE = replace(AS_IT_IS, method=REGRESSION.name, samples=1, strength=1.0, uncertainty=True)
"""What the network was trained on: the answer to one view, which nothing changes afterwards."""


class Uncalibrated:
    """A model whose map of uncertainty is the network's own scale; everything else is the model's own."""

    calibration = Calibration((1.0,), (1.0,))

    def __init__(self, model: ModelSet) -> None:
        self._model = model

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)


@dataclass(frozen=True, eq=False)
class Judged:
    """One image, denoised. Arrays are (slices, rows, columns), relative to P99.5.

    Args:
        spec: identifies it.
        level: its noise level, as it was measured.
        error: answer minus reference.
        body: bool, the reference's body.
        scale: the network's.
        others: name of another source -> its standard deviation, on the middle slice alone.
        best: of :func:`best_rank_correlation`.
    """

    spec: CaseSpec
    level: float
    error: np.ndarray
    body: np.ndarray
    scale: np.ndarray
    others: dict[str, np.ndarray] = field(default_factory=dict)
    best: float = math.nan

    def errors(self) -> ErrorsOf:
        """For the calibration."""
        ratios = (np.abs(self.error) / self.scale)[self.body]
        return ErrorsOf(self.spec.subject, self.level, ratios[:: max(1, len(ratios) // MOST_RATIOS)])

    def middle(self) -> Judged:
        """The middle slice alone, on which there are the other sources."""
        part = slice(len(self.error) // 2, len(self.error) // 2 + 1)
        return replace(self, error=self.error[part], body=self.body[part], scale=self.scale[part])


def judge(model: ModelSet, case: Case, *, views: int = VIEWS, samples: int = 0) -> Judged:
    """Denoise the scored slices of an image, and those of the same anatomy with another noise.

    Args:
        model: its networks.
        case: the image.
        views: whose spread is another source, on the middle slice; below 2 it is left out.
        samples: posterior samples, likewise.

    Raises:
        SettingsError: the model lacks a network.
    """
    uncalibrated: Any = Uncalibrated(model)
    denoiser = Denoiser(uncalibrated)
    slices = (case.scored.start, case.scored.stop)
    result = denoiser(case.volume, replace(ONE, slices=slices))
    assert result.uncertainty is not None
    again, part = _other_noise(case)
    other = denoiser(again, replace(ONE, slices=(part.start, part.stop))).volume.stack[part]
    body = case.cut(case.clean.unstacked(body_mask(case.clean.stack)))
    found = Judged(
        spec=case.spec,
        level=result.report["noise_level_fraction"],
        error=case.cut(result.volume.voxels) - case.reference,
        body=body,
        scale=np.maximum(case.cut(result.uncertainty.voxels), np.float32(1e-6)),
    )
    best = best_rank_correlation(found.error, other - case.reference, body)
    return replace(found, best=best, others=_others(denoiser, case, views, samples))


def _other_noise(case: Case) -> tuple[Volume, slice]:
    """The scored slices of the reference with as much noise of another seed, between two neighbours on either side, and where they are."""
    clean = torch.from_numpy(np.ascontiguousarray(case.clean.stack))
    made = range(max(0, case.scored.start - REACH), min(len(clean), case.scored.stop + REACH))
    if case.spec.noise == "U":
        # Its seed decides how strong it is.
        sigma = rician_benchmark_sigma(clean)
        noisy = torch.stack([rician(clean[k], sigma, seeded_generator(OTHER_SEED, "U", k)) for k in made])
    else:
        noisy = benchmark_row(case.spec.noise, clean, OTHER_SEED, slices=made)
    first = case.scored.start - made.start
    return case.clean.with_stack(noisy.numpy()), slice(first, first + len(case.scored))


def _others(denoiser: Denoiser, case: Case, views: int, samples: int) -> dict[str, np.ndarray]:
    """Name -> standard deviation on the middle slice, (1, rows, columns)."""
    middle = (case.scored.start + case.scored.stop) // 2
    found = {}
    if views > 1:
        found[OF_VIEWS] = _spread(_views(denoiser, case.volume, middle, views))
    if samples > 1:
        one = replace(AS_IT_IS, method=DDIM.name, steps=10, slices=(middle, middle + 1))
        drawn = [denoiser(case.volume, replace(one, seed=seed)).volume.stack[middle] for seed in range(samples)]
        found[OF_SAMPLES] = _spread(drawn)
    return found


def _views(denoiser: Denoiser, volume: Volume, index: int, views: int) -> list[np.ndarray]:
    """The regression network's answer to each view of a slice, in the volume's units."""
    seen: list[np.ndarray] = []
    method = method_of(Settings(method=REGRESSION.name, samples=views))

    def observe(batch: SliceBatch, event: dict[str, Any]) -> None:
        image = volume.stack[index].copy()
        batch.slices.window.of(image)[:] = batch.slices.restored(index, event["denoised"][0, 0].cpu().numpy())  # type: ignore[attr-defined]
        seen.append(image)

    denoiser(volume, replace(AS_IT_IS, slices=(index, index + 1)), method=watched(method, observe))
    return seen


def _spread(images: Iterable[np.ndarray]) -> np.ndarray:
    return np.maximum(np.stack(list(images)).std(axis=0, ddof=1), 1e-6)[None].astype(np.float32)


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    rows: Noises = EVERY_NOISE,
    subjects: Subjects = "",
    slices: Annotated[int, Option("of each volume", least=1)] = 3,
    views: Annotated[int, Option("whose spread is compared, on one slice of each volume; 0 leaves them out", least=0)] = VIEWS,
    samples: Annotated[int, Option("posterior samples, likewise", least=0)] = 0,
) -> Numbers:
    """Compare map and error on every image, and find the factors for the model's card."""
    wanted = chosen(rows, BENCHMARK_ROWS, "noise")
    specs = [replace(one, slices=slices) for one in _specs(data, subjects, wanted)]
    images = [judge(model, load(spec), views=views, samples=samples) for spec in tracked(specs, progress, "images")]
    return {"what": WHAT, "slices": slices, **evaluated(images)}


def _specs(data: Any, subjects: str, noises: Sequence[str]) -> list[CaseSpec]:
    if subjects:
        return volume_specs(data, subjects.split(","), noises, 1)
    return [spec for spec in read_config(CONFIG).specs(data).values() if spec.noise in noises]


def evaluated(images: Sequence[Judged]) -> Numbers:
    """All figures of some images, and the calibration from all of them."""
    errors = [image.errors() for image in images]
    whole = calibrated(errors, LEVELS)
    patients = list(dict.fromkeys(image.spec.subject for image in images))
    without = {each: [one for one in errors if one.patient != each] for each in patients}
    # With one patient there are no others; then the figures show how well the factors fit, and say so.
    held = {each: calibrated(others, LEVELS) if others else whole for each, others in without.items()}
    factors = [held[image.spec.subject].factor(image.level) for image in images]
    rows = [_row(image, factor) for image, factor in zip(images, factors, strict=True)]
    cells = {
        each: {noise: _mean(row["coverage"] for row in group) for noise, group in _by(rows, "noise", patient=each).items()}
        for each in patients
    }
    every = _mean(_mean(row["coverage"] for row in rows if row["patient"] == each) for each in patients)
    noises = {}
    for noise in dict.fromkeys(row["noise"] for row in rows):
        chosen_ones = [(image, factor) for image, factor in zip(images, factors, strict=True) if image.spec.noise == noise]
        noises[noise] = _of_noise(chosen_ones, [row for row in rows if row["noise"] == noise])
    return {
        "calibration": {**asdict(whole), "patients": len(patients), "images": len(images), "coverage": COVERAGE},
        "others_alone": len(patients) > 1,
        "coverage": every,
        "patients": cells,
        "noises": noises,
        "rank": _mean(row["rank"] for row in rows),
        "best_rank": _mean(row["best"] for row in rows),
        "images": rows,
    }


def _row(image: Judged, factor: float) -> dict[str, Any]:
    return {
        "volume": image.spec.name.removesuffix(f"_{image.spec.noise}"),
        "patient": image.spec.subject,
        "noise": image.spec.noise,
        "level": round(image.level, 5),
        "own_noise": image.spec.own_noise,
        "factor": round(factor, 4),
        "coverage": round(coverage(image.error, factor * image.scale, image.body), 4),
        "width": round(float(np.median(factor * image.scale[image.body])), 5),
        "rank": _rounded(rank_correlation(image.scale, image.error, image.body)),
        "best": _rounded(image.best),
    }


def _of_noise(images: Sequence[tuple[Judged, float]], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The map beside its controls under one noise; median and mean half-widths, means over images."""
    reached = _mean(row["coverage"] for row in rows)
    maps = [factor * image.scale[image.body] for image, factor in images]
    found: dict[str, Any] = {"coverage": reached, "images": len(rows), "best": _mean(row["best"] for row in rows), "sources": {}}
    constant = factor_at(reached, [np.abs(image.error[image.body]) for image, _ in images])
    sources = found["sources"]
    sources[MAP] = _widths(maps) | {"rank": _mean(row["rank"] for row in rows)}
    sources[CONSTANT] = {"median": round(constant, 5), "mean": round(constant, 5)}
    for name in images[0][0].others:
        middles = [(image.middle(), image.others[name]) for image, _ in images]
        factor = factor_at(reached, [(np.abs(one.error) / spread)[one.body] for one, spread in middles])
        sources[name] = _widths([factor * spread[one.body] for one, spread in middles])
        sources[name]["rank"] = _mean(rank_correlation(spread, one.error, one.body) for one, spread in middles)
    return found


def _widths(maps: Sequence[np.ndarray]) -> dict[str, float]:
    return {"median": _mean((float(np.median(one)) for one in maps), 5), "mean": _mean((float(one.mean()) for one in maps), 5)}


def _by(rows: Sequence[dict[str, Any]], key: str, **those: Any) -> dict[Any, list[dict[str, Any]]]:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if all(row[name] == value for name, value in those.items()):
            groups.setdefault(row[key], []).append(row)
    return groups


def _mean(values: Iterable[float | None], digits: int = 4) -> float:
    """Of the numbers that are known; 0 where none is."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return round(sum(known) / len(known), digits) if known else 0.0


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def show(numbers: Numbers) -> Iterator[Table | str]:
    """Coverage by patient and noise, the map beside its controls, the factors, and what was wanted."""
    table = Table("patient", *numbers["noises"], title="Share of the body within the 90 % interval, factors from the other patients")
    for patient, cells in numbers["patients"].items():
        table.add_row(patient, *(_percent(cells.get(noise)) for noise in numbers["noises"]))
    yield table
    names = list(dict.fromkeys(name for row in numbers["noises"].values() for name in row["sources"]))
    title = "Median half-width, per mille of P99.5, and rank correlation with the error"
    table = Table("noise", *(f"{name}: width, rank" for name in names), "best rank", title=title)
    for noise, row in numbers["noises"].items():
        table.add_row(noise, *(_source(row["sources"].get(name)) for name in names), f"{row['best']:.2f}")
    yield table
    calibration = numbers["calibration"]
    pairs = zip(calibration["levels"], calibration["factors"], strict=True)
    yield f"Factors: {', '.join(f'{factor:.2f} at noise of {level:.1%}' for level, factor in pairs)}."
    if not numbers["others_alone"]:
        yield "There is one patient only: the coverage is that of the very images the factors were found on."
    yield verdict(numbers)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _source(row: dict[str, float] | None) -> str:
    if row is None:
        return "-"
    return f"{1000 * row['median']:.1f}" + (f", {row['rank']:.2f}" if "rank" in row else "")


def narrower(numbers: Numbers) -> float:
    """The map's median half-width over the constant width that covers as much, the median over the noises."""
    return median(row["sources"][MAP]["median"] / row["sources"][CONSTANT]["median"] for row in numbers["noises"].values())


def verdict(numbers: Numbers) -> str:
    """What was wanted, and whether it holds."""
    cells = [value for row in numbers["patients"].values() for value in row.values()]
    sources: Callable[[dict[str, Any], str], float] = lambda row, name: row["sources"][name]["median"]  # noqa: E731
    beaten = [sources(row, MAP) < sources(row, CONSTANT) for row in numbers["noises"].values()]
    inside = sum(WANTED_EACH[0] <= one <= WANTED_EACH[1] for one in cells)
    wanted = {
        f"88 to 92 % of the body (it is {numbers['coverage']:.1%})": WANTED[0] <= numbers["coverage"] <= WANTED[1],
        f"80 to 97 % for each patient and noise (so in {inside} of {len(cells)})": inside == len(cells),
        f"narrower than one constant width (in {sum(beaten)} of {len(beaten)} noises)": all(beaten),
        f"rank correlation of at least 0.5 (it is {numbers['rank']:.2f}, of {numbers['best_rank']:.2f})": numbers["rank"] >= WANTED_RANK,
    }
    return "Wanted: " + "; ".join(f"{what}: {'holds' if holds else 'does not hold'}" for what, holds in wanted.items()) + "."


def headline(numbers: Numbers) -> Headline:
    """Coverage, width against the constant, and rank."""
    cells = [value for row in numbers["patients"].values() for value in row.values()]
    part = narrower(numbers)
    each = f"{100 * min(cells):.0f} to {100 * max(cells):.0f} % each"
    says = f"90 % intervals hold {numbers['coverage']:.0%} of the body ({each}); {part:.2f} times one constant width."
    figures = {
        "images": len(numbers["images"]),
        "coverage": numbers["coverage"],
        "lowest coverage of a patient and noise": min(cells),
        "highest": max(cells),
        "median width over one constant width": round(part, 3),
        "rank correlation with the error": numbers["rank"],
    }
    return Headline(says, figures)


CLAIM = Claim("uncertainty", measure, show, headline, width=160)
