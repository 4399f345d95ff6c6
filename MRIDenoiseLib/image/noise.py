"""How strong the noise of an image is, from the image alone: of a noisy one, and of one that stands for the truth.

Scanner noise is seldom white: filters, zero filling and coil combination give it a spectrum of its own. So the noise of a noisy
image is measured ring by ring in k-space, in places where the anatomy is flat, and the rings are added up. For a clean image
the estimate is rather too low than too high.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.image.body import body_mask

WINDOW = 15
"""Rows and columns of the windows in which the noise is measured."""
FLATTEST = 10
"""Percentile over the windows: nearly all contain some anatomy, the lowest ones almost none."""
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
FEWEST_PIXELS = 20
"""Flat pixels that a slice must have to be counted in with others."""


def reference_noise(slices: np.ndarray, foreground: np.ndarray) -> float:
    """The standard deviation of the noise in the flattest places of a clean volume, in the image's own units.

    It is measured on the finest diagonal detail (a - b - c + d) / 2 of each 2 x 2 pixels. That detail has the strength of white
    noise and holds the least anatomy (Immerkaer 1996). Its mean square is taken in windows inside the foreground; the lowest
    tenth of them counts.
    The estimate for noisy volumes, :func:`estimate_noise_level`, is right for those, but in a clean one it mistakes texture for
    noise. Here anatomy adds less, and noise that zero filling or a filter keeps out of the finest detail is missed, so that a
    correction by this estimate takes out too little rather than too much.

    Args:
        slices: float array (slices, rows, columns) across the acquired plane.
        foreground: bool, the same shape.

    Returns:
        The standard deviation; 0 where no window fits into the foreground.
    """
    values = slices.astype(np.float64)
    detail = (values[:, 1:, 1:] - values[:, 1:, :-1] - values[:, :-1, 1:] + values[:, :-1, :-1]) / 2
    body = foreground[:, 1:, 1:] & foreground[:, 1:, :-1] & foreground[:, :-1, 1:] & foreground[:, :-1, :-1]
    power = ndimage.uniform_filter(detail**2, (0, WINDOW, WINDOW))
    inside = ndimage.binary_erosion(body, np.ones((1, WINDOW, WINDOW)))
    return float(np.sqrt(max(0.0, np.percentile(power[inside], FLATTEST)))) if inside.any() else 0.0


def estimate_noise_level(slices: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The standard deviation of the noise inside the body, in the image's own units.

    Each ring's standard deviation comes from the median absolute deviation over flat tissue; the hidden lowest
    frequencies are taken to hold the same density as the first ring. Up to twelve slices spread over the volume are read
    and their median is given; where the body is too small in every slice, their flat pixels are taken together.

    Args:
        slices: float array (slices, rows, columns) across the acquired plane.
        mask: the body, same shape; found by :func:`body_mask` when not given.

    Returns:
        The standard deviation; 0 for an image whose flat parts do not vary, or that has too little body to measure.

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


def grain_coarseness(slices: np.ndarray, mask: np.ndarray) -> float:
    """How much stronger the noise's coarse part is than that of white noise with the same standard deviation: 1 for white noise.

    It is the root of the ratio of two spectral densities: that of the lowest ring in which noise can be told from anatomy, and
    the mean over all of k-space. The standard deviation of a mean over n pixels is about this much higher than sigma / sqrt(n).
    Zero filling by two in both directions gives about 2. What anatomy is left in the ring makes the figure a little too high.

    Args:
        slices: float array (slices, rows, columns) across the acquired plane.
        mask: the body, same shape.

    Returns:
        At least 1; 1 where too little tissue is flat to measure it.
    """
    flat_pixels = mask.sum(axis=(1, 2)) * FLAT_FRACTION
    large = np.flatnonzero(flat_pixels >= MINIMUM_PIXELS)
    if not large.size:
        return 1.0
    shape, found = slices.shape[1:], []
    for z in large[np.unique(np.linspace(0, large.size - 1, SLICES).round().astype(int))]:
        bands = _flat_bands(slices[z], mask[z])
        lowest = MAD_TO_STD * float(np.median(np.abs(bands[0]))) / np.sqrt(_rings(*shape)[1][0])
        whole = _strength(bands, shape)
        found.append(lowest / whole if whole > 0 else 1.0)
    return max(1.0, float(np.median(found)))


def steepness(image: np.ndarray) -> np.ndarray:
    """The length of the gradient of a slice (rows, columns); along an axis of one pixel nothing changes."""
    changes = [np.gradient(image, axis=axis) for axis, size in enumerate(image.shape) if size > 1]
    return np.hypot(*changes) if len(changes) == 2 else np.abs(changes[0] if changes else np.zeros_like(image))


def _flat_bands(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The part of one slice (rows, columns) in each ring, at the pixels of its flat tissue: (rings, pixels)."""
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
