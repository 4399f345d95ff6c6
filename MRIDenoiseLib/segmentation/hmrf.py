"""Tissue classes by a hidden Markov random field and EM, with the bias field taken out (Zhang, Brady and Smith 2001).

A magnitude image is tissue times bias, so its logarithm is a class mean plus a smooth field plus noise. Labels (iterated
conditional modes), class probabilities, bias field, and the classes' means and widths are found in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.segmentation.mixture import Mixture, first_mixture, posteriors
from MRIDenoiseLib.segmentation.random_field import OUTSIDE, Neighbourhood, cheapest_labels, field_costs, relax

FEWEST, MOST = 2, 6
DARKEST = 0.15
"""Log intensities are not taken below this part of the mask's 99.5th percentile."""
FWHM_TO_SIGMA = 1 / math.sqrt(8 * math.log(2))
ROUNDS_A_FIELD = 3
"""Rounds of labels, probabilities and classes between two estimates of the bias field."""
SWEEPS = 5
"""Of iterated conditional modes in a round; what is left moves in the next."""
REACH = 3.0
"""Standard deviations at which the bias field's Gaussian ends."""

FRACTIONS = (np.arange(32) + 0.5) / 32
"""Of the brighter class, over which the likelihood of a mixture is averaged."""
TABLE = 2048


@dataclass(frozen=True)
class TissueSettings:
    """How to segment; the values are those of FSL's program ``fast``.

    Args:
        classes: K, 2 to 6.
        initial_rounds: of EM on the histogram, before places count.
        bias_rounds: estimates of the bias field; 0 takes the image as free of one.
        bias_fwhm: of the Gaussian that smooths it, mm.
        bias_smoothness: beta while the bias field is found.
        final_rounds: after that.
        smoothness: beta then.
        mixing_smoothness: beta of the partial-volume types.

    Raises:
        SettingsError: a value that cannot work.
    """

    classes: int = 3
    initial_rounds: int = 15
    bias_rounds: int = 4
    bias_fwhm: float = 20.0
    bias_smoothness: float = 0.02
    final_rounds: int = 4
    smoothness: float = 0.1
    mixing_smoothness: float = 0.3

    def __post_init__(self) -> None:
        if not FEWEST <= self.classes <= MOST:
            raise SettingsError(f"the number of classes must be {FEWEST} to {MOST}, not {self.classes}")
        if min(self.initial_rounds, self.bias_rounds) < 0 or self.final_rounds < 1:
            raise SettingsError("rounds are counted from 0, and at least one is the last")
        if not 0 < self.bias_fwhm < math.inf:
            raise SettingsError(f"the bias field's width is a positive number of mm, not {self.bias_fwhm:g}")
        betas = (self.bias_smoothness, self.smoothness, self.mixing_smoothness)
        if not all(0 <= beta < math.inf for beta in betas):
            raise SettingsError("smoothness is zero or a positive number")


@dataclass(frozen=True, eq=False)
class Tissues:
    """A segmented image; arrays are (slices, rows, columns).

    Args:
        labels: uint8, 0 outside the mask, 1 to K in the order of brightness.
        posteriors: float32, K of them, summing to 1 inside the mask.
        partial_volumes: float32, K of them: the part of each voxel that is of the class, summing to 1 inside the mask.
        bias: float32, 1 outside the mask; the image divided by it has one brightness for each class.
        mixture: the classes, in log(intensity / unit).
        unit: in the image's units.
    """

    labels: np.ndarray
    posteriors: np.ndarray
    partial_volumes: np.ndarray
    bias: np.ndarray
    mixture: Mixture
    unit: float

    def placed(self, shape: tuple[int, ...], box: tuple[slice, ...]) -> Tissues:
        """The same inside a larger image of which this is the part ``box``."""

        def grown(part: np.ndarray, outside: int) -> np.ndarray:
            whole = np.full((*part.shape[:-3], *shape), outside, part.dtype)
            places: tuple[Any, ...] = (..., *box)
            whole[places] = part
            return whole

        parts = (grown(self.labels, 0), grown(self.posteriors, 0), grown(self.partial_volumes, 0), grown(self.bias, 1))
        return Tissues(*parts, self.mixture, self.unit)


def segment_tissues(
    image: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    settings: TissueSettings | None = None,
    checkpoint: Callable[[float], None] | None = None,
) -> Tissues:
    """Segment an image inside a mask. The result does not depend on its units, nor on how it is mirrored.

    Args:
        image: float (slices, rows, columns), magnitudes.
        mask: bool, the same shape.
        spacing: mm along (slices, rows, columns).
        settings: FSL's defaults when not given.
        checkpoint: called with the part done after every step; may raise to stop.

    Raises:
        InputError: values that are not numbers, an empty mask, or fewer grey values in it than classes.
    """
    settings = settings or TissueSettings()
    if image.shape != mask.shape:
        raise InputError(f"the mask has the shape {mask.shape} and the image {image.shape}; give a mask of this image")
    if not np.isfinite(image).all():
        raise InputError("the image holds values that are not numbers (NaN or infinity); repair or re-export it first")
    if not mask.any():
        raise InputError("the mask is empty, so there is nothing to segment")
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    fit = _Fit(image[box], mask[box], spacing, settings, checkpoint)
    return fit.run().placed(image.shape, box)


class _Fit:
    """One run on the mask's bounding box."""

    def __init__(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        spacing: tuple[float, float, float],
        settings: TissueSettings,
        checkpoint: Callable[[float], None] | None,
    ) -> None:
        self.settings = settings
        self.mask = mask
        self.neighbourhood = Neighbourhood(spacing)
        self.sigma = [settings.bias_fwhm * FWHM_TO_SIGMA / step for step in spacing]
        self.unit = float(np.percentile(image[mask], 99.5))
        if self.unit <= 0 or np.unique(image[mask]).size < settings.classes:
            raise InputError(f"inside the mask the image has fewer grey values than {settings.classes} classes")
        self.logs = np.where(mask, np.log(np.maximum(image / self.unit, DARKEST)), 0.0)
        self.bias = np.zeros(mask.shape)
        self.steps = settings.bias_rounds * ROUNDS_A_FIELD + settings.final_rounds + 1
        self.checkpoint = checkpoint
        self.done = 0
        self.mixture = first_mixture(self.logs[mask], settings.classes, settings.initial_rounds)
        self.labels = np.where(mask, cheapest_labels(self.mixture.costs(self.logs))[0], OUTSIDE).astype(np.uint8)

    def run(self) -> Tissues:
        for _ in range(self.settings.bias_rounds):
            for _ in range(ROUNDS_A_FIELD):
                weights = self.round(self.settings.bias_smoothness)
            self.bias = self.field(weights)
        for _ in range(self.settings.final_rounds):
            weights = self.round(self.settings.smoothness)
        mixture, places = self.mixture.ordered()
        places = np.append(places, np.full(OUTSIDE + 1 - len(places), OUTSIDE)).astype(np.uint8)
        labels, weights = places[self.labels], weights[np.argsort(places[: len(weights)])]
        parts = partial_volumes(self.corrected, mixture, labels, self.neighbourhood, self.settings.mixing_smoothness, SWEEPS)
        self.report()
        bias = np.exp(self.bias, where=self.mask, out=np.ones(self.mask.shape))
        shown = np.where(self.mask, labels + 1, 0).astype(np.uint8)
        return Tissues(shown, weights * self.mask, parts, bias.astype(np.float32), mixture, self.unit)

    @property
    def corrected(self) -> np.ndarray:
        return self.logs - self.bias

    def round(self, smoothness: float) -> np.ndarray:
        """Labels, then probabilities, then classes; gives the probabilities (K, slices, rows, columns)."""
        values = self.corrected
        costs = self.mixture.costs(values)
        self.labels = relax(costs, self.labels, self.neighbourhood, smoothness, SWEEPS)
        weights = posteriors(field_costs(costs, self.labels, self.neighbourhood, smoothness))
        self.mixture = self.mixture.updated(values[self.mask], weights[:, self.mask])
        self.report()
        return weights

    def field(self, weights: np.ndarray) -> np.ndarray:
        """The bias field that explains best what the classes leave, smoothed; its mean over the mask is 0."""
        precision, residual = np.zeros(self.mask.shape), np.zeros(self.mask.shape)
        for weight, mean, width in zip(weights, self.mixture.means, self.mixture.widths, strict=True):
            share = np.where(self.mask, weight / width**2, 0)
            precision += share
            residual += share * (self.logs - mean)
        above, below = (ndimage.gaussian_filter(part, self.sigma, mode="constant", truncate=REACH) for part in (residual, precision))
        field = np.divide(above, below, where=self.mask, out=np.zeros(self.mask.shape))
        return np.where(self.mask, field - np.sort(field[self.mask]).mean(), 0)

    def report(self) -> None:
        self.done += 1
        if self.checkpoint is not None:
            self.checkpoint(self.done / self.steps)


def partial_volumes(
    values: np.ndarray, mixture: Mixture, labels: np.ndarray, neighbourhood: Neighbourhood, smoothness: float, sweeps: int
) -> np.ndarray:
    """The part of every voxel that is of each class.

    A voxel is of one class, or a mixture of two that follow each other in brightness, all proportions being as likely.
    Intensities mix linearly, not their logarithms. Which of these types a voxel is, is found with a Potts prior; the
    proportions of a mixture then follow from its value.

    Args:
        values: log intensities without bias, (slices, rows, columns).
        mixture: the K classes in the order of their means.
        labels: uint8, 0 to K - 1, or OUTSIDE.
        neighbourhood: who is whose neighbour.
        smoothness: beta of the types.
        sweeps: of iterated conditional modes.

    Returns:
        float32 (K, slices, rows, columns), summing to 1 inside and 0 outside.
    """
    classes = len(mixture.means)
    mixed = [_mixture_cost(values, mixture, k) for k in range(classes - 1)]
    costs = np.concatenate([mixture.costs(values), np.stack(mixed).astype(np.float32)])
    start = np.where(labels == OUTSIDE, OUTSIDE, cheapest_labels(costs)[0]).astype(np.uint8)
    types = relax(costs, start, neighbourhood, smoothness, sweeps)

    parts = np.stack([types == k for k in range(classes)]).astype(np.float32)
    levels = np.exp(mixture.means)
    for k in range(classes - 1):
        here = types == classes + k
        brighter = np.clip((np.exp(values[here]) - levels[k]) / (levels[k + 1] - levels[k]), 0, 1)
        parts[k][here], parts[k + 1][here] = 1 - brighter, brighter
    return parts


def _mixture_cost(values: np.ndarray, mixture: Mixture, k: int) -> np.ndarray:
    """-log likelihood of a mixture of classes k and k + 1, from a table over the values."""
    dark, bright = np.exp(mixture.means[k : k + 2])
    means = np.log((1 - FRACTIONS) * dark + FRACTIONS * bright)
    variances = (1 - FRACTIONS) * mixture.widths[k] ** 2 + FRACTIONS * mixture.widths[k + 1] ** 2
    table = np.linspace(values.min(), values.max(), TABLE)
    each = -np.square(table[:, None] - means) / (2 * variances) - np.log(variances) / 2
    highest = each.max(axis=1, keepdims=True)
    cost = -(highest[:, 0] + np.log(np.exp(each - highest).mean(axis=1)))
    return np.interp(values, table, cost)
