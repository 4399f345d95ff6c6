"""Maps of quantities that are computed from several images: T2 from echoes, ADC from diffusion weights; their bias and their spread.

A magnitude never falls below its noise. Late echoes and strong diffusion weights, which are dark, are therefore too bright, T2 too
long and ADC too small. :func:`without_floor` takes that out where the noise is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 3
"""How often the weights of the fit are computed again from its own answer."""
DARKEST = 1e-4
"""Of the brightest echo of a voxel: darker ones are raised to this before logarithms are taken."""
THIRDS = ("short", "middle", "long")


def without_floor(square: np.ndarray, sigma: float | np.ndarray) -> np.ndarray:
    """The signal A behind magnitudes M of Rician noise: sqrt(E[M^2] - 2 sigma^2) (Gudbjartsson 1995), 0 where nothing is left.

    Of the mean of a few magnitudes it is right; of a single one it takes out too much where the signal is near the noise.

    Args:
        square: mean of M^2, over repeats where there are several; any shape.
        sigma: standard deviation of the noise in either part of the complex image.
    """
    return np.sqrt(np.maximum(square - 2 * np.square(sigma), 0))


def decay_time(echoes: np.ndarray, times: Sequence[float]) -> np.ndarray:
    """T2 by a fit of one exponential, S = S0 exp(-TE / T2).

    Least squares on the logarithm, each echo weighted by the square of the signal that the last round predicts: then it minimises
    about the errors of the magnitudes themselves, and an echo that is all noise counts for next to nothing.

    Args:
        echoes: (echoes, ...), magnitudes of zero or more, two echoes at least.
        times: their TE, ms.

    Returns:
        T2 in ms, float64 of the shape of one echo; infinite where the signal does not fall, NaN where there is none.
    """
    signal = echoes.astype(np.float64)
    highest = signal.max(axis=0)
    t = np.asarray(times, np.float64).reshape(-1, *[1] * (signal.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.maximum(signal / highest, DARKEST)
        logarithm, weight = np.log(relative), relative**2
        for _ in range(ROUNDS):
            total = weight.sum(axis=0)
            middle, mean = ((weight * values).sum(axis=0) / total for values in (t, logarithm))
            slope = (weight * (t - middle) * (logarithm - mean)).sum(axis=0) / (weight * (t - middle) ** 2).sum(axis=0)
            weight = np.exp(2 * np.clip(mean + slope * (t - middle), np.log(DARKEST), 0))
        found = np.where(slope < 0, -1 / slope, np.inf)
    return np.where(highest > 0, found, np.nan)


def diffusion_coefficient(unweighted: np.ndarray, weighted: np.ndarray, b: float) -> np.ndarray:
    """ADC = ln(S0 / Sb) / b, in mm^2/s where ``b`` is in s/mm^2; NaN where either is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(unweighted.astype(np.float64) / weighted) / b
    return np.where(np.isfinite(found), found, np.nan)


@dataclass(frozen=True)
class Deviation:
    """How a map deviates from a reference, in per cent of the reference at every voxel.

    Args:
        bias: median deviation; nearer 0 is better.
        spread: half the distance between the 16th and the 84th percentile of the deviations: their standard deviation, not
            decided by single voxels in which a fit has failed; smaller is better.
        flat: the same in flat tissue, where neighbours are alike and nearly all of it is noise.
        thirds: bias where the reference's values are short, in the middle and long, so that opposite errors do not cancel out.
    """

    bias: float
    spread: float
    flat: float
    thirds: tuple[float, float, float]

    @classmethod
    def of(
        cls, found: np.ndarray, reference: np.ndarray, where: np.ndarray, flat: np.ndarray, course: np.ndarray | None = None
    ) -> Deviation:
        """Compare two maps.

        Args:
            found: a map; infinite values count as far off, NaN as zero.
            reference: of the same shape, finite and above 0 in ``where``.
            where: bool, what counts.
            flat: bool, flat tissue; only what is in ``where``, too, counts.
            course: what the thirds are told by; the reference when not given. A noisy reference needs a smooth one: where its noise
                makes it small, everything else is too large.

        Raises:
            ValueError: nothing counts.
        """
        if not (where & flat).any():
            raise ValueError("no voxel of flat tissue counts")
        with np.errstate(divide="ignore", invalid="ignore"):
            off = 100 * (np.nan_to_num(found, nan=0.0, posinf=np.inf) / reference - 1)
        values = (reference if course is None else course)[where]
        limits = np.quantile(values, (1 / 3, 2 / 3))
        group = np.digitize(values, limits)
        thirds = [float(np.median(off[where][group == k])) if (group == k).any() else 0.0 for k in range(3)]
        return cls(float(np.median(off[where])), _spread(off[where]), _spread(off[where & flat]), (thirds[0], thirds[1], thirds[2]))


def _spread(values: np.ndarray) -> float:
    low, high = np.quantile(values, (0.16, 0.84), method="nearest")
    return float(high - low) / 2
