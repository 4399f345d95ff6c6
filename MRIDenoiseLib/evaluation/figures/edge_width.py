"""How wide edges are: where the reference has a clean edge, the distance in the image from 10 to 90 % of the step.

Single profiles of a noisy image show little. Here all profiles are combined, each weighted by its step. This gives one
edge-spread function with almost no noise, and its width is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

REACH = 5.0
"""Relative to the larger pixel side: how far profiles go to either side of the edge."""
STEP = 0.25
"""Relative to the same: the distance between the samples of a profile."""
PLATEAU = 1.5
"""Relative to the same: the outer part of a profile at either end, which has to be flat and gives the levels of the step."""
SMOOTHING = 1.0
"""Relative to the same: the width over which the reference is smoothed before edges are searched."""
FLAT = 0.2
"""Relative to the step: how much the reference may vary within a plateau."""
STRONG = 0.2
"""Relative to the 99th percentile of the gradients along all ridges: only stronger ones are used."""
MOST = 12000
"""Edges examined, spread evenly over the slices; more would not change the result. Most do not end in a flat level and are left out."""
FEWEST = 50
"""With fewer profiles no width is given."""
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True, eq=False)
class Edges:
    """Clean edges of a reference, for any number of images of the same thing.

    Args:
        points: (profiles, samples, 3) places in voxels along (slices, rows, columns), from the dark to the bright side.
        low: (profiles,) the reference's level on the dark side.
        step: (profiles,) how much brighter the bright side is.
        spacing: between samples, in the unit of the voxel spacing given.
    """

    points: np.ndarray
    low: np.ndarray
    step: np.ndarray
    spacing: float

    @classmethod
    def of(cls, reference: np.ndarray, mask: np.ndarray, spacing: tuple[float, float]) -> Edges:
        """Find the edges of a reference: ridges of its gradient whose profile goes from one flat level to another, the steeper half.

        Args:
            reference: (slices, rows, columns).
            mask: bool, the same shape: where the middle of an edge may lie.
            spacing: mm along rows and columns; (1, 1) for widths in pixels.
        """
        side = max(spacing)
        smooth = ndimage.gaussian_filter(reference.astype(np.float64), (0, *(SMOOTHING * side / length for length in spacing)))
        slopes = [np.gradient(smooth, length, axis=axis) for axis, length in zip((1, 2), spacing, strict=True)]
        strength = np.hypot(*slopes)
        ridges = _ridges(strength, slopes, spacing, side) & mask
        middle = np.argwhere(ridges & (strength >= (STRONG * np.percentile(strength[ridges], 99) if ridges.any() else 0)))
        middle = middle[:: max(1, -(-len(middle) // MOST))]
        direction = np.stack([slope[tuple(middle.T)] for slope in slopes], axis=1)
        direction /= np.maximum(np.hypot(*direction.T)[:, None], np.finfo(float).tiny)
        places = np.arange(-round(REACH / STEP), round(REACH / STEP) + 1) * STEP * side
        points = _along(middle, direction, places, spacing)
        inside = ((points[..., 1:] >= 0) & (points[..., 1:] <= np.array(reference.shape[1:]) - 1)).all(axis=(1, 2))
        middle, direction, points = middle[inside], direction[inside], points[inside]
        low, step, clean = _levels(_sampled(smooth, points))
        # A ramp across several pixels is anatomy, and a blur would not widen it: the steepest half shows the sharpness.
        steepness = strength[tuple(middle.T)] / np.where(clean, step, 1)
        clean &= steepness >= (np.median(steepness[clean]) if clean.any() else 0)
        middle, direction, points, low, step = (each[clean] for each in (middle, direction, points, low, step))
        # The place of the ridge is known only to one pixel; profiles shifted by a pixel would widen their mean.
        shift = _crossing(_sampled(smooth, points), low, step) * STEP * side
        return cls(_along(middle, direction, places + shift[:, None], spacing), low, step, STEP * side)

    def width(self, image: np.ndarray) -> float:
        """The 10-90 % width of the mean edge of an image, in mm (pixels for a spacing of 1).

        The edge-spread function E is the least-squares fit of low + step E(t) to all profiles. An edge of a Gaussian blur of
        standard deviation s has 2.56 s.

        Args:
            image: (slices, rows, columns) as the reference.

        Returns:
            NaN where the reference has too few clean edges, or the image has no edges left at these places.
        """
        if len(self.points) < FEWEST:
            return np.nan
        profiles = self._profiles(image.astype(np.float64))
        spread = self.step @ (profiles - self.low[:, None]) / (self.step @ self.step)
        ends = round(PLATEAU / STEP)
        dark, bright = spread[:ends].mean(), spread[-ends:].mean()
        if bright - dark < LOW:
            return np.nan
        return float(self.spacing * (_reached(spread, dark + HIGH * (bright - dark)) - _reached(spread, dark + LOW * (bright - dark))))

    def _profiles(self, image: np.ndarray) -> np.ndarray:
        """(profiles, samples) by cubic splines: linear interpolation would blur, and sharp edges the most."""
        profiles = np.empty(self.points.shape[:2])
        of_slice = self.points[:, 0, 0].astype(int)
        for number in np.unique(of_slice):
            chosen = of_slice == number
            profiles[chosen] = ndimage.map_coordinates(
                image[number], self.points[chosen, :, 1:].transpose(2, 0, 1), order=3, mode="nearest"
            )
        return profiles


def _ridges(strength: np.ndarray, slopes: list[np.ndarray], spacing: tuple[float, float], side: float) -> np.ndarray:
    """Where the gradient is stronger than a step before and after, along itself."""
    scale = [slope / np.maximum(strength, np.finfo(float).tiny) * side / length for slope, length in zip(slopes, spacing, strict=True)]
    grid = np.indices(strength.shape, dtype=np.float64)
    ahead, behind = (
        ndimage.map_coordinates(strength, [grid[0], grid[1] + sign * scale[0], grid[2] + sign * scale[1]], order=1, mode="nearest")
        for sign in (1, -1)
    )
    return (strength > 0) & (strength >= ahead) & (strength > behind)


def _along(middle: np.ndarray, direction: np.ndarray, places: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    offsets = np.broadcast_to(places, (len(middle), places.shape[-1]))
    within = middle[:, None, 1:] + offsets[..., None] * direction[:, None, :] / np.array(spacing)
    return np.concatenate([np.broadcast_to(middle[:, None, :1], (*offsets.shape, 1)), within], axis=2)


def _sampled(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(image, points.transpose(2, 0, 1), order=1, mode="nearest")


def _levels(profiles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dark level, step, and whether both ends are flat with everything between them in between."""
    ends = round(PLATEAU / STEP)
    dark, bright = profiles[:, :ends], profiles[:, -ends:]
    low = dark.mean(axis=1)
    step = bright.mean(axis=1) - low
    flat = np.maximum(np.ptp(dark, axis=1), np.ptp(bright, axis=1)) <= FLAT * step
    between = (profiles.min(axis=1) >= low - FLAT * step) & (profiles.max(axis=1) <= low + (1 + FLAT) * step)
    return low, step, (step > 0) & flat & between


def _crossing(profiles: np.ndarray, low: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Samples from the middle at which each profile is half way up."""
    half = (low + step / 2)[:, None]
    above = profiles >= half
    first = np.maximum(above.argmax(axis=1), 1)
    rows = np.arange(len(profiles))
    before, after = profiles[rows, first - 1], profiles[rows, first]
    part = (half[:, 0] - before) / np.where(after > before, after - before, 1)
    return first - 1 + np.clip(part, 0, 1) - (profiles.shape[1] - 1) / 2


def _reached(spread: np.ndarray, level: float) -> float:
    """The place, in samples, where a rising curve passes a level; counted from its middle outward, as its ends may ripple."""
    middle = len(spread) // 2
    if spread[middle] >= level:
        below = np.flatnonzero(spread[: middle + 1] < level)
        first = int(below[-1]) if below.size else 0
    else:
        above = np.flatnonzero(spread[middle:] >= level)
        first = middle + int(above[0]) - 1 if above.size else len(spread) - 2
    rise = spread[first + 1] - spread[first]
    return first + float(np.clip((level - spread[first]) / rise, 0, 1) if rise > 0 else 0.0)
