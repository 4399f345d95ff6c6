"""What is measured once on a whole volume before any slice is denoised, and is the same whichever slices are requested.

That includes how strong its noise is, from the volume alone, as a network measures it slice by slice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import find_body, intensity_scale
from MRIDenoiseLib.image.noise import SLICES, estimate_noise_level, grain_coarseness
from MRIDenoiseLib.inference.disturbances import Disturbances, find_reception, find_wiped, occupied
from MRIDenoiseLib.inference.noise_map import NoiseMap, given_noise_map, measured_noise_map
from MRIDenoiseLib.inference.oddities import Oddities
from MRIDenoiseLib.inference.slices import NetworkSlices, Slices, Window, content_window
from MRIDenoiseLib.models.noise_estimator import SMALLEST_LEVEL, SQUARE, NoiseEstimator, weighted_level
from MRIDenoiseLib.volume import Volume

LEAST_SIDE = 4
"""Rows and columns of a slice; a network that measures noise looks at squares of that size."""
DIFFERING = 1.5
"""A ratio between slices: above it, the networks are given each slice's own noise level, if the noise in the air agrees."""
UNANIMOUS = 25
"""The percentile that is used for all slices where their noise levels differ but the noise in the air does not. What differs is
then the anatomy: fine anatomy is taken for noise, never noise for anatomy."""
AWAY = 6
"""Pixels from the body: air that is nearer holds signal that blurs out of the body."""
LEAST_AIR = 300
"""Pixels of air that are needed to measure its noise."""
RAYLEIGH_MEDIAN = 1.1774
"""Of the magnitude of noise without signal from one coil, relative to the noise in tissue."""
INSIDE = 0.9
"""The part of a square that must be body for its noise to be part of the map."""
MOST_COILS = 4.0
"""How many times as high as from one coil the floor of the noise is taken to be at most; 32 coils give about 6, with ghosts or not."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A few numbers about a volume, and no voxel of it, so that it may be kept.

    Args:
        window: the in-plane part of every slice that the networks see.
        scale: P99.5 of the body, in the volume's units; +1 in network units. An unevenly lit body is evened out first.
        noise_level: standard deviation of the noise inside the body, in the volume's units.
        given_level: the noise level that the networks are given for each slice, (slices,), in network units.
        disturbances: what is not evenly lit tissue.
        brightest: the largest value that the networks see, in network units.
        negative_share: the part of all voxels, 0 to 1, that is below zero.
        noise_map: where the noise is stronger and where weaker; None where nothing measures it.
        coarseness: of the grain, see :func:`MRIDenoiseLib.image.noise.grain_coarseness`.
        floor: how high the noise lies in air, relative to one coil's; 1 where there is no air to see it.
        air_noise: standard deviation of the noise of one coil that would fill the air as it is, in the volume's units; 0 likewise.
        oddities: what about the volume is outside of the networks' training.
    """

    window: Window
    scale: float
    noise_level: float
    given_level: np.ndarray
    disturbances: Disturbances
    brightest: float
    negative_share: float
    noise_map: NoiseMap | None = None
    coarseness: float = 1.0
    floor: float = 1.0
    air_noise: float = 0.0
    oddities: Oddities = Oddities()

    def noise_of(self, index: int, shape: tuple[int, int], *, at_least_level: bool = False) -> np.ndarray:
        """The standard deviation of the noise at every pixel of a slice of that shape, float32, in the volume's units.

        Outside the networks' window it is that of the window's border.

        Args:
            index: of the slice.
            shape: its rows and columns.
            at_least_level: whether a measured map, which may find too little in places, counts only where it finds more than the
                level of the slice.
        """
        inside = np.full(self.window.shape, self.given_level[index] * self.scale / 2, np.float32)
        if self.noise_map is not None:
            relative = self.noise_map.log_of(index, self.window.shape)
            inside *= np.exp(np.maximum(relative, 0) if at_least_level and not self.noise_map.given else relative)
        rows, columns = self.window.rows, self.window.columns
        noise = np.pad(inside, ((rows.start, shape[0] - rows.stop), (columns.start, shape[1] - columns.stop)), mode="edge")
        reception = self.disturbances.reception
        return noise if reception is None else noise * reception.of(index, shape)

    def slices(self, stack: np.ndarray, window: Window | None = None) -> NetworkSlices:
        """The volume as the networks see it; another window than the analysis's own may be given."""
        return NetworkSlices(stack, window or self.window, self.scale, self.disturbances, float(np.median(self.given_level)))


def analyse(
    stack: np.ndarray, noise_estimator: nn.Module | None, gaps: np.ndarray | None = None, given_noise: np.ndarray | None = None
) -> Analysis:
    """Find body, scale, noise, disturbances and extremes of a volume.

    Apart from the input, memory holds the mask and, while the mask is being found, one blurred volume. While the body of an
    unevenly lit volume is measured, it also holds an evened-out copy.

    Args:
        stack: float32 (slices, rows, columns) across the acquired plane.
        noise_estimator: measures the noise; without one it is measured from the spectrum.
        gaps: bool, the same shape, where nothing was measured and ``stack`` was filled, see :mod:`.unmeasured`: neither body nor
            noise. None where there are none.
        given_noise: the standard deviation of the noise at every voxel, the same shape, where the user knows it.

    Raises:
        InputError: as :func:`find_body` and :func:`intensity_scale`, and when slices have too few pixels.
    """
    rows, columns = stack.shape[1:]
    if min(rows, columns) < LEAST_SIDE:
        raise InputError(f"the slices have {rows} x {columns} pixels, too few to distinguish noise from anatomy")
    body = find_body(stack, gaps)
    wiped = find_wiped(stack, body)
    ceiling = body.ceiling if float(stack.max()) > body.ceiling else float("inf")
    reception = None if body.noisy_air else find_reception(stack, ceiling)
    disturbances = Disturbances(wiped, body.noisy_air, ceiling, reception)
    mask, even = body.mask, stack
    if reception is not None:
        even = np.stack([np.minimum(image, ceiling) / reception.of(z, image.shape) for z, image in enumerate(stack)])
        mask = find_body(even, gaps).mask
    scale = intensity_scale(even, mask)
    rows_shown, columns_shown = occupied(stack, wiped)
    if gaps is not None:
        rows_shown, columns_shown = rows_shown & ~gaps.all(axis=(0, 2)), columns_shown & ~gaps.all(axis=(0, 1))
    window = content_window(rows_shown, columns_shown)
    noise_map = None
    if given_noise is not None:
        profile = 1 if reception is None else np.stack([reception.of(z, (rows, columns)) for z in range(len(stack))])
        levels, noise_map = given_noise_map(window.of(given_noise / profile), window.of(mask))
        given_level = 2 * levels / scale
    elif noise_estimator is None:
        given_level = np.full(len(stack), 2 * estimate_noise_level(even, mask) / scale)
    else:

        def air(index: int) -> float | None:
            return None if body.noisy_air else air_level(stack[index], body.mask[index], wiped)

        given_level, noise_map = measured_noise(noise_estimator, NetworkSlices(even, window, scale), window.of(mask), air)
    amplification = 1.0 if reception is None else reception.amplification
    found = Analysis(
        window=window,
        scale=scale,
        noise_level=float(np.median(given_level)) * scale / 2 / amplification,
        given_level=given_level,
        disturbances=disturbances,
        brightest=0.0,
        negative_share=sum(int(np.count_nonzero(image < 0)) for image in stack) / stack.size,
        noise_map=noise_map,
        coarseness=grain_coarseness(even, mask),
    )
    if not body.noisy_air:
        found = _with_air(found, stack, body.mask, wiped)
    return replace(found, brightest=found.slices(stack).brightest())


def fingerprint(volume: Volume) -> str:
    """A text that is the same only for the same voxels in the same slices, measured in the same places.

    It takes a small part of :func:`analyse`'s time.
    """
    content = hashlib.sha256(f"{volume.voxels.shape} across {volume.slice_axis} ".encode())
    content.update(np.ascontiguousarray(volume.voxels).data)
    if volume.unmeasured is not None:
        content.update(np.packbits(volume.unmeasured.mask).data)
    return content.hexdigest()


def _with_air(found: Analysis, stack: np.ndarray, body: np.ndarray, wiped: float | None) -> Analysis:
    """The same with what the air of some slices says of the noise where there is no signal."""
    medians, ratios = [], []
    for z in np.unique(np.linspace(0, len(stack) - 1, SLICES).round().astype(int)):
        air = air_values(stack[z], body[z], wiped)
        noise = float(found.given_level[z]) * found.scale / 2
        if air.size >= LEAST_AIR and noise > 0:
            medians.append(float(np.median(air)) / RAYLEIGH_MEDIAN)
            ratios.append(medians[-1] / noise)
    if not ratios:
        return found
    return replace(found, floor=float(np.clip(np.median(ratios), 1.0, MOST_COILS)), air_noise=float(np.median(medians)))


def measured_noise(
    estimator: nn.Module, slices: Slices, mask: np.ndarray, air: Callable[[int], float | None] = lambda index: None
) -> tuple[np.ndarray, NoiseMap]:
    """The standard deviation of the noise inside the body of every slice, as a network measures it, and how it varies inside slices.

    Up to twelve slices are measured. Where they agree, their median is used for all. Where they differ and their air differs, too
    (a coil at one end, slices of another series), a smooth curve through them is used. Where the air explains less than half of
    the difference, or cannot be measured, the lower quartile is used for all.

    Args:
        estimator: a :class:`MRIDenoiseLib.models.noise_estimator.NoiseEstimator`.
        slices: float32 (slices, rows, columns) in network units, 2 I / scale - 1.
        mask: bool, the body, same shape.
        air: index of a slice -> how strong the noise of its air is, in any unit, see :func:`air_level`; None where that is unknown.

    Returns:
        (slices,), in network units, and the map.
    """
    size = mask.sum(axis=(1, 2))
    large = np.flatnonzero(size >= size.max() / 2)
    chosen = large[np.unique(np.linspace(0, large.size - 1, SLICES).round().astype(int))]
    device = next(estimator.parameters()).device
    found, log_levels, trusts = [], [], []
    for z in chosen:
        image, body = (torch.from_numpy(np.ascontiguousarray(part[z], dtype=np.float32))[None, None].to(device) for part in (slices, mask))
        with torch.no_grad():
            squares = cast(NoiseEstimator, estimator).squares(image, body)
            found.append(float(weighted_level(*squares).clamp_min(SMALLEST_LEVEL)))
        log_level, log_trust = (part[0, 0].cpu().numpy() for part in squares)
        inside = functional.avg_pool2d(body, SQUARE)[0, 0].cpu().numpy() > INSIDE
        log_levels.append(log_level)
        trusts.append(np.exp(log_trust - log_trust.max()) * inside)
    return _levels(np.array(found), chosen, len(mask), air), measured_noise_map(log_levels, trusts, chosen, SQUARE)


def _levels(found: np.ndarray, chosen: np.ndarray, count: int, air: Callable[[int], float | None]) -> np.ndarray:
    """The noise level of every slice from those of the measured ones."""
    course = ndimage.median_filter(found, 3, mode="nearest")
    if _spread(course) <= DIFFERING:
        return np.full(count, np.median(found))
    of_air = np.array([np.nan if (level := air(int(z))) is None else level for z in chosen])
    unexplained = course / ndimage.median_filter(of_air, 3, mode="nearest")
    if np.isnan(of_air).any() or _spread(unexplained) > math.sqrt(_spread(course)):
        return np.full(count, np.percentile(found, UNANIMOUS))
    return np.exp(np.interp(np.arange(count), chosen, np.log(course)))


def _spread(values: np.ndarray) -> float:
    return float(values.max() / values.min())


def air_level(image: np.ndarray, body: np.ndarray, wiped: float | None) -> float | None:
    """How strong the noise in the air of a slice is, in the slice's units: the mean of the fainter half of it, where ghosts are rare.

    Args:
        image: (rows, columns).
        body: bool, where there is tissue.
        wiped: the value that stands where air was wiped out.

    Returns:
        None where too little air is left to measure.
    """
    air = air_values(image, body, wiped)
    return float(air[air <= np.median(air)].mean()) if air.size >= LEAST_AIR else None


def air_values(image: np.ndarray, body: np.ndarray, wiped: float | None) -> np.ndarray:
    """The pixels of a slice that show air, away from the body; arguments as in :func:`air_level`."""
    air = image[~ndimage.binary_dilation(body, iterations=AWAY)]
    return air[(air > 0) & (air != wiped)]
