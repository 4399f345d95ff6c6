"""Is the text of any use? The same noisy crops with the right text, another crop's text, no text, and a wrong acceleration.

Simulated crops of patients that no training saw go through the networks once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from MRIDenoiseLib.data.manifest import CleanVolume, load_clean_volumes
from MRIDenoiseLib.data.samples import Batch, PairSampler, neighbourhood
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Numbers, Option, Subjects, volumes_of
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.inference.batch import ModelSet, config_of, is_informed
from MRIDenoiseLib.methods import POSTERIOR_MEAN, REGRESSION
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.noise_estimator import estimated_noise_level
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.prompt.acceleration import LEAST, MOST
from MRIDenoiseLib.sampling import Schedule, SharedNoise, posterior_mean, regression
from MRIDenoiseLib.sampling.interfaces import informed
from MRIDenoiseLib.statistics import clustered_interval

WHAT = "PSNR of simulated crops with the true text, and with another one; gain: what the truth brings, dB, with its 95 % interval"

SMALLEST_USE = 0.02
"""Decibels; a smaller gain is called not useful even where it can be measured."""

CHUNK = 8
"""Crops per network call."""

SHUFFLED, DROPPED, WRONG_ACCELERATION = "another crop's text", "no text", "wrong acceleration number"
"""What the networks are given instead of the truth."""

TESTED = {SHUFFLED: "text", DROPPED: "presence of a text", WRONG_ACCELERATION: "acceleration number"}
"""What each of them tests. Only another crop's text shows whether the words are understood: a network may get worse without any
text even if it ignores what the text says."""


@dataclass(frozen=True)
class Crops:
    """Simulated pairs to measure on.

    Args:
        pairs: noisy and clean crops with what the networks are given about them.
        subjects: the patient of each pair: crops of one patient are not independent evidence.
    """

    pairs: Batch
    subjects: list[str]


@dataclass(frozen=True)
class Effect:
    """The effect of one change of the given text or number on one method.

    Args:
        method: that of regression, or the posterior mean's.
        change: what was given instead of the truth, a key of :data:`TESTED`.
        psnr: mean PSNR in the body when everything given is true, dB.
        gain: mean of PSNR with the truth - PSNR with the change, dB; positive where the truth helps.
        interval: 95 % confidence interval of ``gain``, whole patients being drawn.
    """

    method: str
    change: str
    psnr: float
    gain: float
    interval: tuple[float, float]

    @property
    def useful(self) -> bool:
        """Whether the truth helps, beyond chance and by more than :data:`SMALLEST_USE`."""
        return self.interval[0] > 0 and self.gain >= SMALLEST_USE

    @property
    def verdict(self) -> str:
        """One sentence on the effect of the change."""
        low, high = self.interval
        return (
            f"{self.method}: the {TESTED[self.change]} lowers the error by {self.gain:+.3f} dB (95 % CI {low:+.3f} to {high:+.3f}): "
            f"{'useful' if self.useful else 'not useful'}"
        )


def draw_crops(volumes: Sequence[CleanVolume], *, per_volume: int, size: int = 128, seed: int = 0) -> Crops:
    """The same number of simulated training-type pairs of each volume.

    Args:
        volumes: of patients that no network was trained on.
        per_volume: pairs of each.
        size: rows and columns of a crop.
        seed: of every choice.

    Raises:
        InputError: as :meth:`PairSampler.batch`.
    """
    parts = [PairSampler([volume], size, seed).batch(number, per_volume) for number, volume in enumerate(volumes)]
    return Crops(Batch.joined(parts), [volume.row.subject for volume in volumes for _ in range(per_volume)])


def measure_text(models: ModelSet, crops: Crops, *, seed: int = 0) -> tuple[Effect, ...]:
    """The effect of every change on every method the model has.

    Args:
        models: networks in evaluation mode, on the CPU.
        crops: what to denoise.
        seed: of whose text a crop gets, of the denoiser's noise, and of the bootstrap.

    Raises:
        InputError: all crops have the same text, so that nothing can be shuffled.
    """
    pairs = crops.pairs
    generator = np.random.default_rng(seed)
    right = _conditioning(models, pairs, pairs.prompts)
    changes = {
        SHUFFLED: _conditioning(models, pairs, _shuffled(pairs.prompts, generator)),
        DROPPED: right.without_text(),
        WRONG_ACCELERATION: replace(right, acceleration=_wrong(pairs.acceleration)),
    }
    effects = []
    for method, estimate in _methods(models, pairs, seed).items():
        decibels = _decibels(estimate, pairs, right)
        for change, conditioning in changes.items():
            gains = decibels - _decibels(estimate, pairs, conditioning)
            effects.append(
                Effect(
                    method=method,
                    change=change,
                    psnr=float(decibels.mean()),
                    gain=float(gains.mean()),
                    interval=clustered_interval(gains, crops.subjects, seed),
                )
            )
    return tuple(effects)


Estimate = Callable[[slice, Conditioning], Tensor]
"""(Which pairs, conditioning) -> the clean estimate, B x 1 x H x W."""


def _methods(models: ModelSet, pairs: Batch, seed: int) -> dict[str, Estimate]:
    """The two ways to estimate the posterior mean, each in one network call."""
    schedule = Schedule.from_scheduler(models.scheduler)
    shape = pairs.clean.shape[-2], pairs.clean.shape[-1]
    plain, restoration = models.network("denoiser"), models.network("restoration")

    def by_regression(part: slice, conditioning: Conditioning) -> Tensor:
        assert restoration is not None
        return regression(restoration, neighbourhood(pairs[part], config_of(models, "restoration").in_channels), conditioning)

    def by_diffusion(part: slice, conditioning: Conditioning) -> Tensor:
        assert plain is not None
        denoiser = informed(plain, by_regression(part, conditioning)) if is_informed(models) else plain
        measured = neighbourhood(pairs[part], 2 * config_of(models, "denoiser").neighbours + 1)
        noise = SharedNoise(shape, seed, measured.device)
        return posterior_mean(denoiser, measured, conditioning, schedule, noise=noise)

    methods: dict[str, Estimate] = {POSTERIOR_MEAN.name: by_diffusion}
    return methods if restoration is None else {REGRESSION.name: by_regression, **methods}


def _conditioning(models: ModelSet, pairs: Batch, prompts: list[str]) -> Conditioning:
    text, text_mask = models.encode(prompts)
    noise_level = pairs.noise_level
    estimator = models.network("noise_estimator")
    if estimator is not None:
        noise_level = estimated_noise_level(estimator, neighbourhood(pairs, 1), pairs.body)
    return Conditioning(text, text_mask, pairs.acceleration, noise_level, pairs.slice_spacing)


def _shuffled(prompts: list[str], generator: np.random.Generator) -> list[str]:
    """For every prompt the prompt of another pair, drawn among those that differ."""
    if len(set(prompts)) < 2:
        raise InputError("all crops have the same text, so it cannot be shuffled; take volumes of several organs or contrasts")
    return [str(generator.choice([other for other in prompts if other != prompt])) for prompt in prompts]


def _wrong(acceleration: Tensor) -> Tensor:
    """The end of the trained range that is farther away, by ratio."""
    return torch.where(acceleration.square() < LEAST * MOST, MOST, LEAST)


def _decibels(estimate: Estimate, pairs: Batch, conditioning: Conditioning) -> np.ndarray:
    """PSNR in the body (dB) of every pair."""
    found = []
    for first in range(0, len(pairs.prompts), CHUNK):
        part = slice(first, min(first + CHUNK, len(pairs.prompts)))
        images = estimate(part, conditioning[part])
        for offset, index in enumerate(range(part.start, part.stop)):
            pair, image = pairs[index : index + 1], images[offset : offset + 1]
            found.append(psnr(image.numpy(), pair.clean.numpy(), data_range=2.0, mask=pair.body.numpy() > 0))
    return np.array(found)


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    subjects: Subjects = "",
    per_volume: Annotated[int, Option("crops of each volume", least=1)] = 16,
    size: Annotated[int, Option("rows and columns of a crop", least=64)] = 128,
    seed: Annotated[int, Option("of crops, noise and shuffling")] = 0,
) -> Numbers:
    """Draw the crops and measure what each change does."""
    rows = volumes_of(data, subjects)
    progress(0.0, None, "crops")
    crops = draw_crops(list(load_clean_volumes(data, rows)), per_volume=per_volume, size=size, seed=seed)
    progress(0.1, None, "networks")
    effects = measure_text(model, crops, seed=seed)
    facts = {"crops": len(crops.subjects), "size": size, "seed": seed, "volumes": [row.file for row in rows]}
    entries = [asdict(effect) | {"useful": effect.useful, "verdict": effect.verdict} for effect in effects]
    return {"what": WHAT, **facts, "effects": entries}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per method and change, and a verdict on each."""
    title = f"{numbers['crops']} crops of {len(numbers['volumes'])} volumes"
    table = Table("method", "given", "PSNR dB", "gain of the truth dB", "95 % CI", title=title)
    for effect in numbers["effects"]:
        low, high = effect["interval"]
        cells = (f"{effect['psnr']:.2f}", f"{effect['gain']:+.3f}", f"{low:+.3f} .. {high:+.3f}")
        table.add_row(effect["method"], effect["change"], *cells)
    yield table
    for effect in numbers["effects"]:
        yield effect["verdict"]


def headline(numbers: Numbers) -> Headline:
    """The gain of each method from the right text, compared with another crop's."""
    gains = {effect["method"]: effect["gain"] for effect in numbers["effects"] if effect["change"] == SHUFFLED}
    says = ", ".join(f"{method} {gain:+.3f} dB" for method, gain in gains.items())
    figures = {f"gain of {method}, dB": round(gain, 4) for method, gain in gains.items()}
    return Headline(f"The right text, against another image's, brings {says}.", {"crops": numbers["crops"], **figures})


CLAIM = Claim("text", measure, show, headline)
