"""One real scan as it is: what the model, BM4D told the grain and the blur of equal effect take away of its middle slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.image.native_noise import Grain, Places, Removal, equal_blur
from MRIDenoiseLib.image.scale import intensity_scale
from MRIDenoiseLib.inference import Denoiser, ModelSet, Settings
from MRIDenoiseLib.volume import Volume

DENOISED, BM4D, BLURRED = "denoised", "BM4D", "equal blur"
MARGIN = 3
"""Slices on either side that a three-dimensional filter may look at."""
BORDER = 16
"""Pixels around the body that it may look at; it saves it the air."""

Filter = Callable[[np.ndarray, float], np.ndarray]
"""Noisy (slices, rows, columns) and the standard deviation of its noise -> filtered."""
Denoise = Callable[[Volume, tuple[int, int]], tuple[Volume, float]]
"""Scan and half-open range of slices -> the scan with these slices denoised, and the standard deviation of its noise as reported,
in its units."""


@dataclass(frozen=True, eq=False)
class ScanOutcome:
    """What became of a scan.

    Args:
        name: of the scan.
        slices: half-open range looked at, across the acquired plane.
        scale: P99.5 of the body, in the scan's units.
        grain: of the scan, part of the scale.
        told: the noise that the model reports, part of the scale.
        blur: standard deviation in pixels of the Gaussian that removes as much fine grain as the model.
        removals: by the name of the method; rms values are parts of the scale.
        images: the noisy slices and those of every method, (slices, rows, columns), in the scan's units.
    """

    name: str
    slices: tuple[int, int]
    scale: float
    grain: Grain
    told: float
    blur: float
    removals: dict[str, Removal]
    images: dict[str, np.ndarray]

    @property
    def of_told(self) -> float:
        """Root mean square of what the model removed in flat tissue, part of the noise it reports; 0 where it reports none.

        The shift by which it takes the noise floor away in dark tissue counts, too, which :attr:`Removal.fine` does not see.
        """
        return self.removals[DENOISED].flat_rms / self.told if self.told > 0 else 0.0


def middle_slices(count: int, limit: int) -> tuple[int, int]:
    """Half-open range of the ``limit`` middle slices of ``count``, or of all where there are fewer."""
    first = max(0, count // 2 - limit // 2)
    return first, min(count, first + limit)


def denoise_with(model: ModelSet, method: str | None = None, samples: int | None = None) -> Denoise:
    """What users get of a model, with a method and a number of views or samples of theirs."""
    denoiser = Denoiser(model)

    def denoise(scan: Volume, slices: tuple[int, int]) -> tuple[Volume, float]:
        result = denoiser(scan, Settings(method=method, samples=samples, slices=slices))
        return result.volume, result.noise_level

    return denoise


def scan_trial(scan: Volume, denoise: Denoise, *, limit: int, told_filter: Filter | None = None) -> ScanOutcome:
    """Denoise the middle slices of a scan and measure what was taken away.

    Args:
        scan: as it came from the scanner.
        denoise: see :func:`denoise_with`.
        limit: how many middle slices.
        told_filter: BM4D or alike; it is told the fine grain as the standard deviation of the noise.

    Raises:
        InputError: the scan or its middle slices show no body.
    """
    slices = scan.stack
    body = body_mask(slices)
    scale = intensity_scale(slices, body)
    first, last = middle_slices(len(slices), limit)
    noisy = np.ascontiguousarray(slices[first:last] / scale)
    places = Places.of(noisy, body[first:last])
    grain = Grain.of(noisy, places.flat)
    denoised, told = denoise(scan, (first, last))
    results = {DENOISED: denoised.stack[first:last] / scale}
    if told_filter is not None:
        results[BM4D] = filtered_slices(slices / scale, body, (first, last), grain.fine, told_filter)
    removals = {name: Removal.of(noisy, image, places) for name, image in results.items()}
    blur, results[BLURRED] = equal_blur(noisy, places, removals[DENOISED].fine)
    removals[BLURRED] = Removal.of(noisy, results[BLURRED], places)
    images = {name: image * scale for name, image in ({"noisy": noisy} | results).items()}
    return ScanOutcome(scan.name, (first, last), scale, grain, told / scale, blur, removals, images)


def filtered_slices(slices: np.ndarray, body: np.ndarray, chosen: tuple[int, int], level: float, told_filter: Filter) -> np.ndarray:
    """Some slices as a filter leaves them; it sees their neighbours, and air only near the body.

    Args:
        slices: the whole volume (slices, rows, columns), in units of which P99.5 is about 1.
        body: bool, the same shape, with some body in the chosen slices.
        chosen: half-open range of slices.
        level: the standard deviation that the filter is told.
        told_filter: what to run.

    Returns:
        The chosen slices; away from the body they are as they were.
    """
    first, last = max(0, chosen[0] - MARGIN), min(len(slices), chosen[1] + MARGIN)
    seen: np.ndarray = np.any(body[first:last], axis=0)
    places = (np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0)))
    frame = tuple(slice(max(0, int(found[0]) - BORDER), int(found[-1]) + BORDER + 1) for found in places)
    filtered = told_filter(np.ascontiguousarray(slices[(slice(first, last), *frame)], dtype=np.float32), level)
    result = slices[chosen[0] : chosen[1]].copy()
    result[(slice(None), *frame)] = filtered[chosen[0] - first : chosen[1] - first]
    return result
