"""Where a volume shows the body rather than air, and the scale of its brightness; works without torch.

The scale of a noisy volume is the brightness of its body, that of a clean one the brightness of its signal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError

HISTOGRAM_BINS = 256
FAINTEST = 1e-3
"""Relative to the brightest tissue: darker values are raised to this before logarithms are taken."""
BRIGHTEST = 98
"""The percentile of the brighter class that stands for bright tissue: letters and spikes are above it."""
CEILING = 5.0
"""Times bright tissue: nothing in a body is brighter (at most 2.9 times on 38 real volumes), but letters and spikes are."""
ROUGH_WINDOW, ROUGH_OPENING = 9, 9
"""Pixels: the side of the square in which roughness is measured, and the smallest width of a rough region; edges are thinner."""
ROUGH, SMOOTH = 0.45, 0.30
"""Standard deviation over mean in that square. Noise alone has 0.52 (Rayleigh) or 0.58 (uniform), tissue at an SNR of 3.3 has 0.30."""
BRIGHT_NOISE = 0.7
"""Times smooth tissue's median: only in quotient images is noise without signal as bright (others have up to 0.58, at edges)."""
PIXEL_SIZED = 0.6
"""Of that noise's standard deviation, what is left after taking out means of 3 x 3 (0.93 of white noise, 0.47 of small bright anatomy)."""
LEAST_BRIGHT_NOISE = 0.05
"""The smallest part of the image that such noise fills."""
PERCENTILE = 99.5
TOLERATED_NEGATIVE_SHARE = 0.01


@dataclass(frozen=True)
class Body:
    """What :func:`find_body` finds.

    Args:
        mask: bool (slices, rows, columns), where there is tissue.
        ceiling: in the image's units; what is brighter is not tissue but letters or spikes.
        noisy_air: whether the air holds noise as bright as tissue, as in images that are the quotient of two others.
        threshold: where the image, blurred 5 x 5, is darker, there is air; in the image's units.
    """

    mask: np.ndarray
    ceiling: float
    noisy_air: bool
    threshold: float


def body_mask(voxels: np.ndarray, unmeasured: np.ndarray | None = None) -> np.ndarray:
    """Where there is tissue rather than air; bool, the same shape. See :func:`find_body`."""
    return find_body(voxels, unmeasured).mask


def find_body(voxels: np.ndarray, unmeasured: np.ndarray | None = None) -> Body:
    """Tissue by brightness: Otsu's threshold on the volume blurred 5 x 5 within each slice.

    What would mislead it is removed first: letters and spikes far brighter than tissue, and the noise of quotient images
    (MP2RAGE UNI, T1 and T2 maps). Where there is no signal, that noise is as bright as tissue; its roughness distinguishes it.

    Args:
        voxels: float array (slices, rows, columns).
        unmeasured: bool, the same shape, where nothing was measured and the voxels are 0: that is never body.

    Raises:
        InputError: when the volume holds values that are not numbers, or only one value.
    """
    # NaN passes through min and max, and infinity is one of them; so no array of the volume's size is needed to find either.
    lowest, highest = voxels.min(), voxels.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise InputError("the image holds values that are not numbers (NaN or infinity); repair or re-export it first")
    if lowest == highest:
        raise InputError("the image has the same value everywhere, so it shows nothing")
    ceiling = _ceiling(voxels)
    blurred = np.empty(voxels.shape, voxels.dtype)
    for image, blur in zip(voxels, blurred, strict=True):
        blur[:] = _blurred(np.minimum(image, ceiling))
    noisy_air = _has_noisy_air(voxels, blurred)
    threshold = 0.0 if noisy_air else otsu_threshold(blurred)
    mask = np.empty(voxels.shape, bool)
    for image, blur, tissue in zip(voxels, blurred, mask, strict=True):
        tissue[:] = (_signal(image) if noisy_air else blur > threshold) & (image <= ceiling)
    if unmeasured is not None:
        mask &= ~unmeasured
    return Body(mask, ceiling, noisy_air, threshold)


def otsu_threshold(values: np.ndarray) -> float:
    """The threshold that best splits the values in two classes (Otsu 1979); the largest value where all are equal except for rounding."""
    lowest, highest = float(values.min()), float(values.max())
    if highest - lowest <= HISTOGRAM_BINS * float(np.spacing(values.dtype.type(max(abs(lowest), abs(highest))))):
        return highest
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(centres[int(np.nanargmax(between[:-1]))])


def faint_threshold(positive: np.ndarray) -> float:
    """The threshold that splits the logarithms of positive values: dark tissue is above it, however bright the brightest values are.

    Args:
        positive: at least one value above zero; the array is overwritten, to save the memory of a second one.
    """
    top = np.percentile(positive, BRIGHTEST, overwrite_input=True)
    np.clip(positive, FAINTEST * top, top, out=positive)
    return float(np.exp(otsu_threshold(np.log(positive, out=positive))))


def noise_without_signal(image: np.ndarray) -> np.ndarray:
    """Where a slice (rows, columns) is as rough as noise alone, over regions broader than edges; bool."""
    return _opened(_roughness(image) > ROUGH, ROUGH_OPENING)


def _ceiling(voxels: np.ndarray) -> float:
    """What is brighter is not tissue. Slices are blurred twice rather than kept, so that memory holds one array of the volume's size."""
    room = np.empty(voxels.size, voxels.dtype)
    positive = _gathered((blur[blur > 0] for blur in map(_blurred, voxels)), room)
    if not positive.size:
        return float("inf")
    faint = faint_threshold(positive)
    bright = _gathered((image[_blurred(image) > faint] for image in voxels), room)
    return CEILING * float(np.percentile(bright, BRIGHTEST, overwrite_input=True)) if bright.size else float("inf")


def _gathered(parts: Iterable[np.ndarray], room: np.ndarray) -> np.ndarray:
    """Copies one array after the other to the beginning of a long one; returns a view of the filled part."""
    end = 0
    for part in parts:
        room[end : end + part.size] = part
        end += part.size
    return room[:end]


def _blurred(image: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(image, size=5)


def _has_noisy_air(voxels: np.ndarray, blurred: np.ndarray) -> bool:
    """Whether noise without signal is as bright as smooth tissue and fills a good part of the image; found on a few slices."""
    chosen = np.unique(np.linspace(0, len(voxels) - 1, 5).round().astype(int))
    noise, fine, tissue, pixels = [], [], [], 0
    for z in chosen:
        roughness = _roughness(voxels[z])
        rough = _opened(roughness > ROUGH, ROUGH_OPENING)
        noise.append(blurred[z][rough])
        spread = float(voxels[z][rough].std()) if rough.any() else 0.0
        if spread > 0:
            fine.append((voxels[z] - ndimage.uniform_filter(voxels[z], 3))[rough] / spread)
        tissue.append(blurred[z][(roughness < SMOOTH) & (blurred[z] > 0)])
        pixels += rough.size
    rough_values, smooth_values = np.concatenate(noise), np.concatenate(tissue)
    if rough_values.size < LEAST_BRIGHT_NOISE * pixels or not smooth_values.size or not fine:
        return False
    # Air that was smoothed is smooth, too, and dark; tissue is what is brighter than half of the brightest smooth place.
    bright = smooth_values[smooth_values > np.percentile(smooth_values, 90) / 2]
    return bool(np.median(rough_values) > BRIGHT_NOISE * np.median(bright) and np.concatenate(fine).std() > PIXEL_SIZED)


def _signal(image: np.ndarray) -> np.ndarray:
    """Tissue of a slice whose air is noise as bright as tissue: what is not such noise, without specks."""
    left = ~ndimage.binary_dilation(noise_without_signal(image), np.ones((3, 3)))
    return _opened(left & (image > 0), 5)


def _opened(mask: np.ndarray, size: int) -> np.ndarray:
    """The opening of a mask (rows, columns) by a square: as :func:`scipy.ndimage.binary_opening`, but one axis after the other."""
    eroded = ndimage.minimum_filter(mask, size, mode="constant")
    return ndimage.maximum_filter(eroded, size, mode="constant")


def _roughness(image: np.ndarray) -> np.ndarray:
    """Standard deviation over mean in the square around every pixel of a slice; 0 where the mean is not above zero."""
    image = image.astype(np.float64)
    mean = ndimage.uniform_filter(image, ROUGH_WINDOW)
    square = ndimage.uniform_filter(image * image, ROUGH_WINDOW)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean > 0, np.sqrt(np.maximum(square - mean * mean, 0)) / mean, 0.0)


def intensity_scale(voxels: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The 99.5th percentile inside the body, in the volume's own units; it maps to +1 in network units.

    Args:
        voxels: float array (slices, rows, columns).
        mask: the body, if it is known already.

    Raises:
        InputError: as :func:`body_mask`, and when the body is not brighter than zero.
    """
    mask = body_mask(voxels) if mask is None else mask
    # The body's voxels are a copy already, which may be sorted in place.
    scale = float(np.percentile(voxels[mask], PERCENTILE, overwrite_input=True)) if mask.any() else 0.0
    if scale <= 0:
        raise InputError("the image holds no positive signal, so its intensity scale cannot be found")
    return scale


def clean_scale(voxels: np.ndarray) -> float:
    """The 99.5th percentile of the positive voxels: the unit of every noise level here and in the benchmark rows.

    Raises:
        InputError: when the volume holds values that are not numbers, holds no signal, or is not a magnitude image.
    """
    if not np.isfinite(voxels).all():
        raise InputError("the image holds values that are not numbers (NaN or infinity); repair or re-export it first")
    positive = voxels[voxels > 0]
    if positive.size == 0:
        raise InputError("the image holds no positive signal, so it shows nothing; give a magnitude image")
    scale = float(np.percentile(positive, PERCENTILE))
    if (voxels < -0.02 * scale).mean() > TOLERATED_NEGATIVE_SHARE:
        raise InputError("the image has negative values, so it is not a magnitude image; give the magnitude images of the series")
    return scale
