"""True repeats: one object measured several times, so that a denoised single measurement can be compared with all the others.

No noise is simulated here, and the reference holds nothing of the measurement that is denoised. For independent noise,
E|out - mean of the others|^2 = E|out - truth|^2 + the variance of that mean, which is known from the spread of the repeats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.data.references import leave_one_out, reference_noise
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import BLURS
from MRIDenoiseLib.image.body import body_mask, clean_scale
from MRIDenoiseLib.volume import Volume

LARGEST_BIAS = 1.0
"""Per cent of the mean signal: the largest mean of the residual allowed, beyond the magnitude's own noise floor."""

RAYLEIGH_MEAN = math.sqrt(math.pi / 2)
"""Mean magnitude of complex noise of standard deviation 1 in either part: the mean of air."""
SUPPRESSED = 0.5
"""Part of the air that may be exactly zero; with more, the scanner has removed its noise and it cannot be used."""
AWAY = 3
"""Pixels from tissue at which air begins."""

FEWEST_REPEATS = 3
"""With two, the reference would be as noisy as the image compared with it."""

NOTE = (
    "The repeats are not motion corrected, and the EPI series holds BOLD signal; sets called noise alone differ by nothing but "
    "noise. Motion and BOLD signal make one repeat differ from the mean of the others, count as noise in every column alike, and "
    "cannot be removed by a denoiser. No repeat was trained on, but other scans of the subjects of EPI and DWI b0 were."
)


class Closeness(NamedTuple):
    """How close single images come to the mean of the other repeats, pooled over tissue and repeats.

    Args:
        mse: mean squared error, the P99.5 of the mean of all repeats being 1.
        true_mse: the same minus the variance of the reference: the error against the truth.
    """

    mse: float
    true_mse: float

    @property
    def psnr(self) -> float:
        """Decibels against the mean of the others."""
        return _decibels(self.mse)

    @property
    def true_psnr(self) -> float:
        """Decibels against the truth; infinite where the error is within that of the estimate of the variance."""
        return _decibels(self.true_mse)


Trials = Callable[[np.ndarray, float], Iterable[tuple[str, np.ndarray]]]
"""(Image (slices, rows, columns), its noise level, about) -> (setting, result) of another denoiser, for several settings."""


class Peer(NamedTuple):
    """Another denoiser at the one setting that comes closest to the references of a set.

    Args:
        closeness: of its results.
        setting: that setting, chosen with knowledge of the references, which no user has.
        beaten: how many denoised images come closer than its result.
    """

    closeness: Closeness
    setting: str
    beaten: int


@dataclass(frozen=True)
class RepeatResult:
    """The result for one set.

    Args:
        repeats: how many single images were denoised.
        reference_sigma: noise of the references inside tissue, the P99.5 of the mean of all repeats being 1.
        noisy: the single images as they are.
        denoised: the same denoised.
        blur: the best Gaussian blur.
        others: other denoisers at their best.
        closer_than_noisy: how many denoised images come closer to their reference than their noisy input.
        bias_percent: of each image, the mean of noisy - denoised inside tissue, in per cent of the mean signal there.
        floor_percent: by how much tissue is brighter in a magnitude image than without noise (Rician floor), in the same
            per cent; a mean of magnitudes keeps it, and a denoiser may rightly take it away.
    """

    repeats: int
    reference_sigma: float
    noisy: Closeness
    denoised: Closeness
    blur: Peer
    others: dict[str, Peer]
    closer_than_noisy: int
    bias_percent: tuple[float, ...]
    floor_percent: float

    @property
    def bias(self) -> float:
        """Mean of ``bias_percent``."""
        return float(np.mean(self.bias_percent))

    @property
    def worst_bias(self) -> float:
        """The value of ``bias_percent`` farthest from zero."""
        return max(self.bias_percent, key=abs)

    @property
    def holds(self) -> bool:
        """Whether denoised images come closer than noisy and blurred ones and keep the mean signal."""
        closest = self.denoised.mse < min(self.noisy.mse, self.blur.closeness.mse)
        return closest and -LARGEST_BIAS <= self.bias <= self.floor_percent + LARGEST_BIAS


def measure_repeats(
    groups: Sequence[Sequence[Volume]],
    denoise: Callable[[Volume], Volume],
    *,
    others: Mapping[str, Trials] | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RepeatResult:
    """Denoise single repeats and compare each with the mean of the others of its group.

    Args:
        groups: repeats of each condition, three or more, all on one grid.
        denoise: volume -> volume on the same grid, in the same units.
        others: name -> other denoisers to try; they are given the spread of the repeats as the noise level.
        limit: how many repeats are denoised, spread over the groups; all when None. The references always use all.
        progress: called after every volume with (done, of how many).

    Raises:
        InputError: a group has too few repeats, or its volumes differ in shape.
    """
    conditions = [_Condition.of(group) for group in groups]
    chosen = sorted((index, number) for number, group in enumerate(groups) for index in range(len(group)))[:limit]
    peers: dict[str, Trials] = {"blur": _blurs, **(others or {})}
    rows, biases, variances = [], [], []
    tried: dict[str, dict[str, list[float]]] = {name: {} for name in peers}
    for done, (index, number) in enumerate(chosen, start=1):
        volume, condition = groups[number][index], conditions[number]
        noisy = condition.repeats[index]
        denoised = condition.in_units(denoise(volume))
        rows.append((condition.error(noisy, index), condition.error(denoised, index)))
        for name, trials in peers.items():
            for setting, image in trials(noisy, condition.spread):
                tried[name].setdefault(setting, []).append(condition.error(image, index))
        biases.append(float(100 * (noisy - denoised)[condition.tissue].mean() / noisy[condition.tissue].mean()))
        variances.append(condition.reference_variance)
        if progress is not None:
            progress(done, len(chosen))
    of_noisy, of_denoised = np.array(rows).T
    variance = float(np.mean(variances))

    def closeness(errors: np.ndarray) -> Closeness:
        return Closeness(float(errors.mean()), float(errors.mean()) - variance)

    def at_its_best(name: str) -> Peer:
        errors = {setting: np.array(values) for setting, values in tried[name].items()}
        setting = min(errors, key=lambda setting: float(errors[setting].mean()))
        return Peer(closeness(errors[setting]), setting, int((of_denoised < errors[setting]).sum()))

    return RepeatResult(
        repeats=len(chosen),
        reference_sigma=math.sqrt(variance),
        noisy=closeness(of_noisy),
        denoised=closeness(of_denoised),
        blur=at_its_best("blur"),
        others={name: at_its_best(name) for name in others or {}},
        closer_than_noisy=int((of_denoised < of_noisy).sum()),
        bias_percent=tuple(biases),
        floor_percent=float(np.mean([condition.floor_percent for condition in conditions])),
    )


def _blurs(noisy: np.ndarray, _: float) -> Iterable[tuple[str, np.ndarray]]:
    return ((str(blur), blur(noisy)) for blur in BLURS)


@dataclass(frozen=True)
class _Condition:
    """The repeats of one condition, (N, slices, rows, columns), the P99.5 of their mean being 1."""

    repeats: np.ndarray
    references: np.ndarray
    tissue: np.ndarray
    reference_variance: float
    scale: float

    @classmethod
    def of(cls, volumes: Sequence[Volume]) -> _Condition:
        if len(volumes) < FEWEST_REPEATS:
            raise InputError(f"at least {FEWEST_REPEATS} repeats of a condition are needed, not {len(volumes)}")
        if len({volume.voxels.shape for volume in volumes}) > 1:
            raise InputError("the repeats of a condition differ in shape; give repeats of one series")
        repeats = np.stack([volume.stack for volume in volumes])
        mean = repeats.mean(axis=0)
        scale, tissue = clean_scale(mean), body_mask(mean)
        repeats = repeats / np.float32(scale)
        return cls(repeats, leave_one_out(repeats), tissue, reference_noise(repeats, tissue) ** 2, scale)

    @property
    def spread(self) -> float:
        """Standard deviation of a single repeat inside tissue: its noise, motion and pulsation."""
        return math.sqrt(self.reference_variance * (len(self.repeats) - 1))

    @property
    def floor_percent(self) -> float:
        """By how much noise makes tissue brighter: mean - sqrt(mean^2 - sigma^2), sigma measured in air.

        The spread of the repeats, which holds pulsation and motion as well, is an upper bound of sigma: ghosts lie in air.
        """
        mean = self.repeats.mean(axis=0)
        air = mean[~ndimage.binary_dilation(self.tissue, np.ones((1, 3, 3)), iterations=AWAY)]
        if not air.size or (air == 0).mean() > SUPPRESSED:
            return 0.0
        variance = min(float(np.median(air)) / RAYLEIGH_MEAN, self.spread) ** 2
        signal = mean[self.tissue]
        return float(100 * (signal - np.sqrt(np.maximum(signal**2 - variance, 0))).mean() / signal.mean())

    def in_units(self, volume: Volume) -> np.ndarray:
        """Slices first, in the units of ``repeats``."""
        return volume.stack / np.float32(self.scale)

    def error(self, image: np.ndarray, index: int) -> float:
        """Mean squared error inside tissue against the mean of all repeats except ``index``."""
        return float(np.square(image - self.references[index], dtype=np.float64)[self.tissue].mean())


def _decibels(mse: float) -> float:
    return -10 * math.log10(mse) if mse > 0 else math.inf
