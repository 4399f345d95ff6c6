"""Whether a diffusion model draws from the posterior: how much its samples differ, compared with their error.

The middle slices of volumes of patients that no training saw are made noisy and denoised by regression, by the posterior mean,
by single samples and by fidelity-guided sampling. The model is compared with one whose denoiser is untrained. If the denoiser
starts where regression ends, even the untrained one is as good as regression, but its samples do not differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Annotated, Any

import numpy as np
import torch
from rich.table import Table
from torch import nn

from MRIDenoiseLib.evaluation.claims.claim import (
    EVERY_NOISE,
    Claim,
    Data,
    Headline,
    Noises,
    NoisyVolume,
    Numbers,
    Option,
    Subjects,
    chosen,
    tracked,
    volumes_of,
)
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, psnr
from MRIDenoiseLib.evaluation.figures.edge_width import Edges
from MRIDenoiseLib.inference import Denoiser, ModelSet, Settings
from MRIDenoiseLib.inference.batch import config_of
from MRIDenoiseLib.methods import DDIM, FIDELITY_GUIDED, POSTERIOR_MEAN, REGRESSION
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS

WHAT = (
    "means over the images: PSNR in the foreground, dB; edges: their width relative to that of the model's default; calibration: "
    "variance of samples over the squared error of their mean, 1 for draws from the true posterior"
)
OURS, NOTHING = "this model", "untrained"

DEFAULT = "default"
WAYS: dict[str, Settings] = {
    DEFAULT: Settings(),
    # One view, because the denoiser is given the answer to one view.
    REGRESSION.name: Settings(method=REGRESSION.name, samples=1, strength=1.0),
    "posterior mean": Settings(method=POSTERIOR_MEAN.name, samples=1, steps=1, strength=1.0),
    "one sample": Settings(method=DDIM.name, steps=10, strength=1.0),
    FIDELITY_GUIDED.name: Settings(method=FIDELITY_GUIDED.name, steps=10, strength=1.0),
}
"""What is compared, with its settings."""
SEEDED = ("one sample", FIDELITY_GUIDED.name)
"""Those whose answer depends on the seed; for the others one run is enough."""


class Untrained:
    """A model with an untrained denoiser of the same form; everything else is the model's own."""

    def __init__(self, model: ModelSet) -> None:
        self._model = model
        config = {name: value for name, value in config_of(model, "denoiser").items() if not name.startswith("_")}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._denoiser = DiffusionDenoiser(**config)

    def network(self, name: str) -> nn.Module | None:
        """The untrained denoiser, or another network of the model."""
        return self._denoiser if name == "denoiser" else self._model.network(name)

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)


@dataclass(frozen=True)
class Sampled:
    """The result of one way on one image.

    Args:
        psnr: dB in the foreground, P99.5 as its range; the mean over the seeds.
        edge_width: 10-90 %, mm, the mean over the seeds; NaN where the image has too few clean edges.
        calibration: see :func:`calibration`; 0 for an answer that no seed changes.
    """

    psnr: float
    edge_width: float
    calibration: float


def calibration(samples: Sequence[np.ndarray], truth: np.ndarray, where: np.ndarray) -> float:
    """The variance of samples over the squared error of their mean: 1 for draws from the true posterior.

    Then the truth is one more draw: the squared error of the mean of K samples is on average 1 + 1/K times their variance; this
    factor is corrected. Below 1 the samples vary too little, above 1 they vary more than their error.

    Args:
        samples: arrays of one shape, at least two.
        truth: the same shape.
        where: bool, the same shape; the pixels that count.

    Raises:
        ValueError: fewer than two samples, or no pixel counts.
    """
    if len(samples) < 2 or not where.any():
        raise ValueError("calibration needs two samples or more, and pixels that count")
    drawn = np.stack([np.asarray(sample, dtype=np.float64)[where] for sample in samples])
    error = float(np.square(drawn.mean(axis=0) - truth[where]).mean())
    spread = float(drawn.var(axis=0, ddof=1).mean()) * (1 + 1 / len(drawn))
    return spread / error if error else 0.0


def measure_posterior(model: ModelSet, row: NoisyVolume, *, slices: int = 2, seeds: int = 4) -> dict[str, Sampled]:
    """Every one of :data:`WAYS` on the middle slices of a noisy volume.

    Args:
        model: its networks.
        row: the volume, noisy and clean.
        slices: how many.
        seeds: how many samples of the ways that depend on the seed.

    Raises:
        SettingsError: the model lacks a network.
    """
    denoiser = Denoiser(model)
    first = max(0, (len(row.clean) - slices) // 2)
    part = slice(first, min(first + slices, len(row.clean)))
    truth = row.clean[part]
    where = truth > FOREGROUND_THRESHOLD
    edges = Edges.of(truth, where, row.volume.stack_spacing[1:])

    def answer(chosen: Settings, seed: int) -> np.ndarray:
        volume = denoiser(row.volume, replace(chosen, seed=seed, slices=(part.start, part.stop))).volume
        return volume.stack[part]

    return {
        name: _judged([answer(chosen, seed) for seed in range(seeds if name in SEEDED else 1)], truth, where, edges.width)
        for name, chosen in WAYS.items()
    }


def _judged(answers: list[np.ndarray], truth: np.ndarray, where: np.ndarray, width: Callable[[np.ndarray], float]) -> Sampled:
    return Sampled(
        psnr=float(np.mean([psnr(image, truth, data_range=1.0, mask=where) for image in answers])),
        edge_width=float(np.mean([width(image) for image in answers])),
        calibration=calibration(answers, truth, where) if len(answers) > 1 else 0.0,
    )


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    rows: Noises = EVERY_NOISE,
    subjects: Subjects = "",
    slices: Annotated[int, Option("of each volume", least=1)] = 2,
    seeds: Annotated[int, Option("samples of every image", least=2)] = 4,
) -> Numbers:
    """Every way of the model and of the untrained one, on every volume and noise."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    models: dict[str, Any] = {OURS: model, NOTHING: Untrained(model)}
    found: list[tuple[str, str, dict[str, dict[str, Sampled]]]] = []
    for source, noise in tracked(cases, progress, "volumes and noises"):
        row = NoisyVolume.read(data, source, noise)
        of_it = {name: measure_posterior(each, row, slices=slices, seeds=seeds) for name, each in models.items()}
        found.append((source.name, noise, of_it))
    means = {name: {way: _mean([of_it[name] for _, _, of_it in found], way) for way in WAYS} for name in models}
    images = [
        {"volume": volume, "noise": noise, **{name: {way: asdict(one) for way, one in ways.items()} for name, ways in of_it.items()}}
        for volume, noise, of_it in found
    ]
    facts = {"what": WHAT, "slices": slices, "seeds": seeds}
    return {**facts, "means": means, "verdict": _verdict(means[OURS]), "images": images}


def _mean(found: list[dict[str, Sampled]], way: str) -> dict[str, float]:
    # Images without clean edges give no information on sharpness.
    widths = [ways[way].edge_width / ways[DEFAULT].edge_width for ways in found]
    return {
        "psnr": round(float(np.mean([ways[way].psnr for ways in found])), 3),
        "edges": round(float(np.nanmean(widths)), 3) if np.isfinite(widths).any() else 0.0,
        "calibration": round(float(np.mean([ways[way].calibration for ways in found])), 3),
    }


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per way, and which limits it meets."""
    means, images = numbers["means"], len(numbers["images"])
    table = Table("", "PSNR dB", "edge width / default's", "variance / squared error", title=f"Means over {images} images")
    for name, ways in means.items():
        for way, mean in ways.items():
            # The default and regression do not run the denoiser under test.
            if name == OURS or mean != means[OURS][way]:
                spread = f"{mean['calibration']:.2f}" if way in SEEDED else "-"
                table.add_row(f"{way}, {name}", f"{mean['psnr']:.2f}", f"{mean['edges']:.3f}" if mean["edges"] else "-", spread)
    yield table
    yield numbers["verdict"]


def _verdict(ways: dict[str, dict[str, float]]) -> str:
    guided, regression = ways[FIDELITY_GUIDED.name], ways[REGRESSION.name]
    wanted = {
        "posterior mean within 0.05 dB of regression": ways["posterior mean"]["psnr"] >= regression["psnr"] - 0.05,
        f"{FIDELITY_GUIDED.name} within 0.1 dB of it": guided["psnr"] >= regression["psnr"] - 0.1,
        "with edges 3 % sharper than the default's": 0 < guided["edges"] <= 0.97,
        "variance of the samples 0.7 to 1.4 of their squared error": 0.7 <= ways["one sample"]["calibration"] <= 1.4,
    }
    return "Wanted: " + "; ".join(f"{what}: {'holds' if holds else 'does not hold'}" for what, holds in wanted.items()) + "."


def headline(numbers: Numbers) -> Headline:
    """The two ways to the posterior mean, and whether samples differ as much as their error."""
    ways = numbers["means"][OURS]
    ahead, spread = ways["posterior mean"]["psnr"] - ways[REGRESSION.name]["psnr"], ways["one sample"]["calibration"]
    figures = {
        "images": len(numbers["images"]),
        "PSNR of regression, dB": ways[REGRESSION.name]["psnr"],
        "PSNR of the posterior mean, dB": ways["posterior mean"]["psnr"],
        "variance of samples over squared error": spread,
    }
    return Headline(f"Posterior mean {ahead:+.2f} dB against regression; samples vary {spread:.2f} times what they err.", figures)


CLAIM = Claim("posterior", measure, show, headline)
