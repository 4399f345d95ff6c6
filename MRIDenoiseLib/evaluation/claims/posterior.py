"""Whether a diffusion model draws from the posterior: how far its samples differ, against how far they are from the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from MRIDenoiseLib.evaluation.claims.noisy_volume import NoisyVolume
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, psnr
from MRIDenoiseLib.evaluation.figures.edge_width import Edges
from MRIDenoiseLib.inference import Denoiser, ModelSet, Settings
from MRIDenoiseLib.methods import DDIM, FIDELITY_GUIDED, POSTERIOR_MEAN, REGRESSION
from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser

DEFAULT = "default"
WAYS: dict[str, Settings] = {
    DEFAULT: Settings(),
    # One view: what informs the denoiser.
    REGRESSION.name: Settings(method=REGRESSION.name, samples=1, strength=1.0),
    "posterior mean": Settings(method=POSTERIOR_MEAN.name, samples=1, steps=1, strength=1.0),
    "one sample": Settings(method=DDIM.name, steps=10, strength=1.0),
    FIDELITY_GUIDED.name: Settings(method=FIDELITY_GUIDED.name, steps=10, strength=1.0),
}
"""What is compared, with how it is asked for."""
SEEDED = ("one sample", FIDELITY_GUIDED.name)
"""Those whose answer depends on the seed; of the others one is as good as many."""


class Untrained:
    """A model with a denoiser of the same form that has learned nothing: every other question goes to the model itself."""

    def __init__(self, model: ModelSet) -> None:
        self._model = model
        config = {name: value for name, value in model.denoiser.config.items() if not name.startswith("_")}  # type: ignore[operator, union-attr]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.denoiser = DiffusionDenoiser(**config)

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)


@dataclass(frozen=True)
class Sampled:
    """What one way comes to on one image.

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

    There the truth is one more draw: the squared error of the mean of K samples is on average 1 + 1/K times their variance,
    which is allowed for. Below 1 the samples are surer than they may be, above 1 they scatter more than they err.

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
        seeds: how many samples of those ways that have any.

    Raises:
        SettingsError: the model lacks a network.
    """
    denoiser = Denoiser(model)
    first = max(0, (len(row.clean) - slices) // 2)
    part = slice(first, min(first + slices, len(row.clean)))
    truth = row.clean[part]
    where = truth > FOREGROUND_THRESHOLD
    edges = Edges.of(truth, where, row.volume.stack_spacing[1:])

    def answer(asked: Settings, seed: int) -> np.ndarray:
        volume = denoiser(row.volume, replace(asked, seed=seed, slices=(part.start, part.stop))).volume
        return volume.stack[part]

    return {
        name: _judged([answer(asked, seed) for seed in range(seeds if name in SEEDED else 1)], truth, where, edges.width)
        for name, asked in WAYS.items()
    }


def _judged(answers: list[np.ndarray], truth: np.ndarray, where: np.ndarray, width: Callable[[np.ndarray], float]) -> Sampled:
    return Sampled(
        psnr=float(np.mean([psnr(image, truth, data_range=1.0, mask=where) for image in answers])),
        edge_width=float(np.mean([width(image) for image in answers])),
        calibration=calibration(answers, truth, where) if len(answers) > 1 else 0.0,
    )
