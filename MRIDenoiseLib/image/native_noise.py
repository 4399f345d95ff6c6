"""The noise of real scans as they are, nothing simulated: the grain in flat tissue, and how much of it a denoiser removes.

There is no clean partner here. So the flat and the steep places of the body are found once, on the noisy image, and every
method is judged there: how much of the grain in flat tissue is removed, and whether edges are removed with it. Fine texture
of the anatomy counts as grain, too, so no method removes all of it; the standard is what BM4D removes when it is given this
grain as the noise level.

Arrays are (slices, rows, columns) across the acquired plane, in any unit; places in all of them are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError

GRADIENT_SIGMA = 3.0
"""Pixels over which the image is smoothed before its gradient separates flat from steep places."""
FLATTEST, STEEPEST = 0.2, 0.1
"""Parts of the body, by gradient."""
FINE, COARSE = 1.5, 4.0
"""Pixels: fine grain is what a Gaussian of the first width removes; coarse grain (of interpolated images) lies between the two."""
MAD_TO_STD = 1.48
WIDEST = 6.0
"""Pixels: the widest Gaussian that is tried."""
TOLERANCE = 1e-3
"""Accuracy, in the part removed, with which the Gaussian of equal effect is found."""

LARGEST_EDGE_RATIO = 2.0
LEAST_OF_BM4D = 2 / 3
LARGEST_CHANGE = 0.010
"""The limit for a pass: see ``mridenoise measure native-noise``."""


@dataclass(frozen=True, eq=False)
class Places:
    """The places where grain and edges are measured.

    Args:
        body: bool (slices, rows, columns).
        flat: the :data:`FLATTEST` part of the body.
        steep: its :data:`STEEPEST` part.
    """

    body: np.ndarray
    flat: np.ndarray
    steep: np.ndarray

    @classmethod
    def of(cls, noisy: np.ndarray, body: np.ndarray) -> Places:
        """Find the places on the noisy image.

        Args:
            noisy: float (slices, rows, columns).
            body: bool, the same shape, see :func:`MRIDenoiseLib.image.body.body_mask`.

        Raises:
            InputError: there is no body.
        """
        if not body.any():
            raise InputError("these slices show no body, so there is no tissue to measure noise in")
        slope = np.hypot(*(_gaussian(noisy, GRADIENT_SIGMA, order) for order in ((0, 1, 0), (0, 0, 1))))
        low, high = np.quantile(slope[body], (FLATTEST, 1 - STEEPEST))
        return cls(body, body & (slope <= low), body & (slope >= high))


@dataclass(frozen=True)
class Grain:
    """How strong the grain in flat tissue is, in the image's units.

    Args:
        fine: 1.48 median |I - G_1.5 I|; of white noise it is 0.95 of the standard deviation.
        coarse: 1.48 median |G_1.5 I - G_4 I|; of white noise 0.15 of it.
    """

    fine: float
    coarse: float

    @classmethod
    def of(cls, image: np.ndarray, flat: np.ndarray) -> Grain:
        """The grain of an image (slices, rows, columns) where ``flat``, bool of the same shape, is True."""
        smooth, smoother = _gaussian(image, FINE), _gaussian(image, COARSE)
        fine, coarse = (float(MAD_TO_STD * np.median(np.abs(band[flat]))) for band in (image - smooth, smooth - smoother))
        return cls(fine, coarse)


@dataclass(frozen=True)
class Removal:
    """What a method removed from a scan.

    Args:
        fine: part of the fine grain that is gone, 0..1; below zero where grain was added.
        coarse: the same of the coarse grain.
        edge_ratio: root mean square of what was removed in steep places over that in flat places; None where nothing was
            removed in flat places. Noise alone gives about 1, a blur a multiple.
        flat_rms: root mean square of what was removed in flat places, in the image's units.
        change: root mean square of what was removed in the whole body, in the image's units.
    """

    fine: float
    coarse: float
    edge_ratio: float | None
    flat_rms: float
    change: float

    @classmethod
    def of(cls, noisy: np.ndarray, result: np.ndarray, places: Places) -> Removal:
        """Compare a result with its noisy input, both (slices, rows, columns) in one unit."""
        before, after = Grain.of(noisy, places.flat), Grain.of(result, places.flat)
        removed = noisy.astype(np.float64) - result
        steep, flat, body = (float(np.sqrt(np.square(removed[where]).mean())) for where in (places.steep, places.flat, places.body))
        return cls(
            _gone(before.fine, after.fine),
            _gone(before.coarse, after.coarse),
            steep / flat if flat > 0 else None,
            flat_rms=flat,
            change=body,
        )


def equal_blur(noisy: np.ndarray, places: Places, fine: float) -> tuple[float, np.ndarray]:
    """The Gaussian within slices that removes the same part of the fine grain.

    Args:
        noisy: (slices, rows, columns).
        places: the flat and steep places of ``noisy``.
        fine: the part, as :attr:`Removal.fine`.

    Returns:
        Its standard deviation in pixels, at most :data:`WIDEST`, and the blurred image. Where nothing was removed: 0 and the
        image itself.
    """
    if fine <= 0:
        return 0.0, noisy
    before = Grain.of(noisy, places.flat).fine
    low, high = 0.0, WIDEST
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        part = _gone(before, Grain.of(_gaussian(noisy, middle), places.flat).fine)
        if abs(part - fine) < TOLERANCE:
            low = high = middle
        elif part < fine:
            low = middle
        else:
            high = middle
    return high, _gaussian(noisy, high)


def _gone(before: float, after: float) -> float:
    return 1 - after / before if before > 0 else 0.0


def _gaussian(image: np.ndarray, sigma: float, order: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """Within slices; ``order`` of the derivatives along (slices, rows, columns)."""
    smooth: np.ndarray = ndimage.gaussian_filter(image.astype(np.float64, copy=False), (0, sigma, sigma), order, mode="nearest")
    return smooth


def verdict(rows: list[tuple[Removal, Removal]]) -> tuple[bool, str]:
    """Whether as much grain is removed as BM4D removes, and a sentence with the numbers.

    The limits, for fine and for coarse grain: on average at least what BM4D removes when it is given the grain, and at least
    two thirds of that on every scan. The edge ratio must be at most 2 on every scan.

    Args:
        rows: for every scan what the model and what BM4D removed; at least one.
    """
    holds, said = True, []
    for band in ("fine", "coarse"):
        ours, theirs = (np.array([getattr(row[side], band) for row in rows]) for side in (0, 1))
        enough = bool(ours.mean() >= theirs.mean() and (ours >= LEAST_OF_BM4D * theirs).all())
        least = min((our / their for our, their in zip(ours, theirs, strict=True) if their > 0), default=math.inf)
        holds = holds and enough
        said.append(f"{band} {100 * ours.mean():.0f} % on average (BM4D {100 * theirs.mean():.0f} %; where least, {least:.2f} of BM4D's)")
    edges = max((ours.edge_ratio for ours, _ in rows if ours.edge_ratio is not None), default=0.0)
    return holds and edges <= LARGEST_EDGE_RATIO, f"grain removed: {', '.join(said)}; edge ratio at most {edges:.2f}"
