"""How far a result may be off: the half-width of the 90 % interval around every voxel, in the image's own units.

A small network says on what scale the regression network's answer errs (:mod:`MRIDenoiseLib.models.uncertainty`). How many such
scales hold 90 % of the errors in the body is measured on patients kept out of all training and stands in the model's card, one factor
a noise range (split conformal prediction: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; Angelopoulos et
al., "Image-to-Image Regression with Distribution-Free Uncertainty Quantification", ICML 2022).

The interval lies around the regression network's answer. Where a result is another image - by another method, a strength below 1, or
whatever changes it afterwards - the half-width grows by the distance between the two, so that the wider interval around the result
holds the other one whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.card import COVERAGE, UNCERTAINTY, Calibration
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.inference.batch import Method, ModelSet, SliceBatch
from MRIDenoiseLib.inference.slices import NetworkSlices
from MRIDenoiseLib.methods import REGRESSION
from MRIDenoiseLib.models.flow import noise_unit
from MRIDenoiseLib.sampling import regression

TISSUE = 0.1
"""Relative to bright tissue: what is darker does not count for the map's median."""
OUTSIDE = 1.5
"""How many times weaker or stronger than that of the calibration a noise may be without a warning."""
HALVES = 2
"""Network units that the image range spans, so of a noise level relative to P99.5."""
NO_NETWORK = "this model has no network that says how sure the result is: leave the uncertainty map out, or choose another model"
NOT_CALIBRATED = (
    "nobody has measured yet what this model's map of uncertainty stands for: leave the map out, or measure it with mridenoise measure "
    "uncertainty and put the numbers into the model's card"
)


@dataclass(eq=False)
class Intervals:
    """The intervals of one volume, filled slice by slice together with the result.

    Args:
        calibration: of the model.
        answer: float32 (slices, rows, columns), the regression network's answer in the volume's units.
        half_width: the same shape and units; 0 where nothing was computed.
    """

    calibration: Calibration
    answer: np.ndarray
    half_width: np.ndarray

    @classmethod
    def of(cls, models: ModelSet, shape: tuple[int, ...]) -> Intervals:
        """Empty ones of a volume (slices, rows, columns).

        Raises:
            SettingsError: the model cannot say how sure a result is.
        """
        if models.network(UNCERTAINTY) is None or models.network("restoration") is None:
            raise SettingsError(NO_NETWORK)
        if models.calibration is None:
            raise SettingsError(NOT_CALIBRATED)
        return cls(models.calibration, np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def computed(self, batch: SliceBatch, estimate: Tensor, method: Method) -> tuple[Tensor, Tensor]:
        """The regression network's answer and the half-width around it, both B x 1 x rows x columns in network units.

        Args:
            batch: some slices.
            estimate: what the method made of them, B x 1 x rows x columns.
            method: where it is regression, its estimate is the answer; of several views the mean errs a little less than one does.
        """
        answer = estimate
        if method.name != REGRESSION.name:
            answer = regression(batch.network("restoration"), batch.seen_by("restoration"), batch.conditioning, limits=batch.limits)
        return answer, error_scale(batch, answer) * self._factors(batch.conditioning.noise_level)

    def _factors(self, levels: Tensor) -> Tensor:
        """B x 1 x 1 x 1, of noise levels in network units."""
        factors = [self.calibration.factor(float(level) / HALVES) for level in levels]
        return torch.tensor(factors, dtype=torch.float32, device=levels.device).view(-1, 1, 1, 1)

    def place(self, slices: NetworkSlices, index: int, answer: np.ndarray, half_width: np.ndarray) -> None:
        """Put what :meth:`computed` gave for a slice, (rows, columns) in network units, into that slice, in the volume's units."""
        window = slices.window
        window.of(self.answer[index])[:] = slices.restored(index, answer)
        window.of(self.half_width[index])[:] = window.weight * slices.width(index, half_width)

    def around(self, result: np.ndarray, gaps: np.ndarray | None = None) -> np.ndarray:
        """The half-widths around a result, float32 (slices, rows, columns).

        Args:
            result: in the volume's units.
            gaps: bool, where nothing was measured; None where there are none.
        """
        computed = self.half_width > 0
        if gaps is not None:
            computed &= ~gaps
        return np.where(computed, self.half_width + np.abs(result - self.answer), np.float32(0))

    def warnings(self, level: float) -> list[str]:
        """A sentence where the noise (relative to P99.5) is unlike that of the patients on whom the factors were measured."""
        first, last = self.calibration.levels[0], self.calibration.levels[-1]
        if first / OUTSIDE <= level <= last * OUTSIDE:
            return []
        return [
            f"The map of uncertainty was checked on images with noise of {first:.1%} to {last:.1%} of bright tissue, and here it is "
            f"{level:.1%}: its widths may be wrong."
        ]


def error_scale(batch: SliceBatch, answer: Tensor) -> Tensor:
    """On what scale the regression network's answer to a batch errs, B x 1 x rows x columns in network units, not calibrated."""
    unit = noise_unit(batch.conditioning.noise_level).view(-1, 1, 1, 1)
    scale: Tensor = batch.network(UNCERTAINTY)(batch.seen_by(UNCERTAINTY), answer, batch.conditioning).exp() * unit
    return scale


def median_in_tissue(half_width: np.ndarray, stack: np.ndarray, scale: float) -> float:
    """The median of a map over the tissue where it was computed, relative to ``scale``; 0 where there is none.

    Args:
        half_width: (slices, rows, columns).
        stack: the noisy volume, same shape and units.
        scale: P99.5 of the body, same units.
    """
    counted = half_width[(half_width > 0) & (stack > TISSUE * scale)]
    return round(float(np.median(counted)) / scale, 5) if counted.size else 0.0


@dataclass(frozen=True, eq=False)
class ErrorsOf:
    """How many scales the answer was off, at the body's voxels of one image.

    Args:
        patient: whose image it is.
        level: its noise level as it was told to the networks, relative to P99.5.
        ratios: absolute error over scale.
    """

    patient: str
    level: float
    ratios: np.ndarray


def calibrated(errors: Sequence[ErrorsOf], levels: Sequence[float]) -> Calibration:
    """The factors that hold 90 % of the errors of each noise range, every patient counting alike.

    An image counts for the two levels next to its own, the nearer one the more, as :meth:`Calibration.factor` joins them.

    Args:
        errors: of images of kept-out patients.
        levels: of noise, relative to P99.5, rising; one that no image is near to is left out.

    Raises:
        ValueError: there are no errors.
    """
    places = np.log(np.asarray(levels))
    kept, factors = [], []
    for number, level in enumerate(levels):
        corner = np.eye(len(levels))[number]
        shares = [float(np.interp(np.log(one.level), places, corner)) for one in errors]
        near = [(one, share) for one, share in zip(errors, shares, strict=True) if share > 0]
        if near:
            kept.append(float(level))
            factors.append(round(_quantile(near), 4))
    if not kept:
        raise ValueError("a calibration needs errors")
    return Calibration(tuple(kept), tuple(factors))


def _quantile(errors: Iterable[tuple[ErrorsOf, float]]) -> float:
    """The weighted quantile of the ratios; a patient's voxels share the patient's one vote, each image by its weight."""
    votes: dict[str, float] = {}
    found = [(one, share) for one, share in errors if one.ratios.size]
    for one, share in found:
        votes[one.patient] = votes.get(one.patient, 0.0) + share
    # A patient of whom only images far from the level are there has no whole vote.
    weight = [share / votes[one.patient] * min(1.0, votes[one.patient]) for one, share in found]
    ratios = np.concatenate([one.ratios for one, _ in found])
    weights = np.concatenate([np.full(one.ratios.size, each / one.ratios.size) for (one, _), each in zip(found, weight, strict=True)])
    order = np.argsort(ratios)
    reached = np.cumsum(weights[order])
    return float(ratios[order][np.searchsorted(reached, COVERAGE * reached[-1])])
