"""How strong the noise of a volume is, from the volume alone: by a network, or from the spectrum where there is none.

Scanner noise is seldom white: filters, zero filling and coil combination give it a spectrum of its own. So the noise is
measured ring by ring in k-space, in places where the anatomy is flat, and the rings are added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.inference.slices import Slices

RING_EDGES = (0.4, 0.6, 0.8)
"""Borders of the rings, as fractions of the Nyquist frequency; below the first the anatomy hides the noise."""
RING_SOFTNESS = 0.35
"""Width of a border; a sharp one would carry the ringing of anatomical edges far into flat tissue."""
FLAT_FRACTION = 0.2
"""The part of the body, with the smallest gradients, in which noise is measured."""
SMOOTHING = 2.5
"""Pixels over which the anatomy is smoothed before its gradient is taken: about the reach of the ring filters."""
MAD_TO_STD = 1.4826
SLICES = 12
MINIMUM_PIXELS = 200
"""Flat pixels that a median takes; small bodies are measured on several slices together."""
DIFFERING = 1.5
"""Times the noise of other slices: then a slice's own is told, if the air says so, too."""
UNANIMOUS = 25
"""The percentile that holds for all slices where they are told differently and the air says that their noise is one: what differs
is anatomy, and fine anatomy is taken for noise, never noise for anatomy."""
AWAY = 6
"""Pixels from the body: air that is nearer holds what blurs out of it."""
LEAST_AIR = 300
"""Pixels of air that tell its noise."""
FEWEST_PIXELS = 20
"""Flat pixels that a slice must have to be counted in with others."""


SMALLEST_TOLD = 1e-3
"""Network units; the networks are told of no less."""


def told_noise_level(estimator: nn.Module, image: Tensor, body: Tensor) -> Tensor:
    """B noise levels as the networks are told them; image and body B x 1 x H x W, in network units."""
    return estimator(image, body).clamp_min(SMALLEST_TOLD)


def measured_noise_levels(
    estimator: nn.Module, slices: Slices, mask: np.ndarray, air: Callable[[int], float | None] = lambda index: None
) -> np.ndarray:
    """The standard deviation of the noise inside the body of every slice, as a network measures it.

    Up to twelve slices are measured. Where they agree, their median holds for all. Where they differ and their air does so, too
    (a coil at one end, slices of another series), a smooth course through them; where the air explains less than half of it, or
    there is none to ask, the lower quartile holds for all.

    Args:
        estimator: a :class:`MRIDenoiseLib.models.noise_estimator.NoiseEstimator`.
        slices: float32 (slices, rows, columns) in network units, 2 I / scale - 1.
        mask: bool, the body, same shape.
        air: index of a slice -> how strong the noise of its air is, in any unit, see :func:`air_level`; None where that is not known.

    Returns:
        (slices,), in network units.
    """
    size = mask.sum(axis=(1, 2))
    large = np.flatnonzero(size >= size.max() / 2)
    chosen = large[np.unique(np.linspace(0, large.size - 1, SLICES).round().astype(int))]
    device = next(estimator.parameters()).device
    found = []
    for z in chosen:
        image, body = (torch.from_numpy(np.ascontiguousarray(part[z], dtype=np.float32))[None, None].to(device) for part in (slices, mask))
        with torch.no_grad():
            found.append(float(told_noise_level(estimator, image, body)))
    course = ndimage.median_filter(found, 3, mode="nearest")
    if _spread(course) <= DIFFERING:
        return np.full(len(mask), np.median(found))
    of_air = np.array([np.nan if (level := air(int(z))) is None else level for z in chosen])
    unexplained = course / ndimage.median_filter(of_air, 3, mode="nearest")
    if np.isnan(of_air).any() or _spread(unexplained) > math.sqrt(_spread(course)):
        return np.full(len(mask), np.percentile(found, UNANIMOUS))
    return np.exp(np.interp(np.arange(len(mask)), chosen, np.log(course)))


def _spread(values: np.ndarray) -> float:
    return float(values.max() / values.min())


def air_level(image: np.ndarray, body: np.ndarray, wiped: float | None) -> float | None:
    """How strong the noise in the air of a slice is, in its own units: the mean of the fainter half of it, which ghosts hardly reach.

    Args:
        image: (rows, columns).
        body: bool, where there is tissue.
        wiped: the value that stands where air was wiped out.

    Returns:
        None where too little air is left to tell.
    """
    air = image[~ndimage.binary_dilation(body, iterations=AWAY)]
    air = air[(air > 0) & (air != wiped)]
    return float(air[air <= np.median(air)].mean()) if air.size >= LEAST_AIR else None


def estimate_noise_level(slices: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The standard deviation of the noise inside the body, in the image's own units.

    Each ring's standard deviation comes from the median absolute deviation over flat tissue; the hidden lowest
    frequencies are taken to hold the same density as the first ring. Up to twelve slices spread over the volume are read
    and their median is given; where the body is too small in every slice, their flat pixels are taken together.

    Args:
        slices: float array (slices, rows, columns) across the acquired plane.
        mask: the body, same shape; found by :func:`body_mask` when not given.

    Returns:
        The standard deviation; 0 for an image whose flat parts do not vary, or that has too little body to tell.

    Raises:
        InputError: as :func:`body_mask`.
    """
    mask = body_mask(slices) if mask is None else mask
    flat_pixels = mask.sum(axis=(1, 2)) * FLAT_FRACTION
    large = np.flatnonzero(flat_pixels >= MINIMUM_PIXELS)
    if large.size:
        chosen = large[np.unique(np.linspace(0, large.size - 1, SLICES).round().astype(int))]
        return float(np.median([_strength(_flat_bands(slices[z], mask[z]), slices.shape[1:]) for z in chosen]))
    chosen = np.flatnonzero(flat_pixels >= FEWEST_PIXELS)
    if flat_pixels[chosen].sum() < MINIMUM_PIXELS:
        return 0.0
    return _strength(np.concatenate([_flat_bands(slices[z], mask[z]) for z in chosen], axis=1), slices.shape[1:])


def steepness(image: np.ndarray) -> np.ndarray:
    """The length of the gradient of a slice (rows, columns); along an axis of one pixel nothing changes."""
    changes = [np.gradient(image, axis=axis) for axis, size in enumerate(image.shape) if size > 1]
    return np.hypot(*changes) if len(changes) == 2 else np.abs(changes[0] if changes else np.zeros_like(image))


def _flat_bands(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What each ring holds of one slice (rows, columns) at the pixels of its flat tissue: (rings, pixels)."""
    image = image.astype(np.float64)
    smooth = ndimage.gaussian_filter(image, SMOOTHING)
    gradient = steepness(smooth)
    flat = mask & (gradient <= np.quantile(gradient[mask], FLAT_FRACTION))
    windows, _ = _rings(*image.shape)
    return np.fft.irfft2(np.fft.rfft2(image) * windows, s=image.shape)[:, flat]


def _strength(bands: np.ndarray, shape: tuple[int, ...]) -> float:
    """The standard deviation over all of k-space of noise whose rings are ``bands`` (rings, pixels)."""
    _, areas = _rings(*shape)
    variances = (MAD_TO_STD * np.median(np.abs(bands), axis=1)) ** 2
    hidden = variances[0] * (1 - areas.sum()) / areas[0]
    return float(np.sqrt(variances.sum() + hidden))


@lru_cache(maxsize=16)
def _rings(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Ring filters (rings, rows, columns//2+1), whose squares add to one above the first border, and each one's share of k-space."""
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :]) / 0.5
    steps = [np.sin(np.pi / 2 * np.clip((frequency - edge) / RING_SOFTNESS + 0.5, 0, 1)) ** 2 for edge in RING_EDGES]
    windows = np.sqrt(np.stack([steps[i] - (steps[i + 1] if i + 1 < len(steps) else 0) for i in range(len(steps))]))
    # The half spectrum of a real image stands for both halves, except for its first and (even size) last column.
    weight = np.full(frequency.shape[1], 2.0)
    weight[0] = 1
    if columns % 2 == 0:
        weight[-1] = 1
    return windows, (windows**2 * weight).sum(axis=(1, 2)) / (rows * columns)
