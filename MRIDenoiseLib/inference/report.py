"""The account of a run that goes with its result: every setting, nothing about the patient.

And how much of the noise the run removed, measured where noise is seen best: the grain of flat tissue before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.image.noise import FLAT_FRACTION, MAD_TO_STD, MINIMUM_PIXELS, SLICES, steepness
from MRIDenoiseLib.inference.batch import Method
from MRIDenoiseLib.inference.settings import Settings

if TYPE_CHECKING:
    from MRIDenoiseLib.io import Derivation

NEGATIVE_SHARE = 1e-3
"""More negative voxels than this share give a warning: a magnitude image has none."""

_WRITTEN_TO_FILES = (
    "mode",
    "steps",
    "fidelity",
    "samples",
    "sharpness",
    "strength",
    "slices",
    "prompt",
    "noise_level_fraction",
    "noise_removed",
    "version",
)

GRAIN_SMOOTHING = 1.5
"""Pixels; grain is the difference between an image and its own blur by this width."""
GRADIENT_SMOOTHING = 3.0
"""Pixels over which the anatomy is smoothed before its gradient is taken, so that grain makes no pixel steep."""
TISSUE = 0.1
"""Relative to bright tissue; where the smoothed image is darker there is air, which fills a slice outside the body."""

WORTH_REMOVING = 0.01
"""Relative to bright tissue; a volume with less noise counts as clean, and its flat parts vary mostly because of tissue."""
LITTLE = 1 / 3
"""If a smaller part of the noise is removed, a user hardly sees a difference."""


def setting_warnings(requested: Settings, method: str) -> list[str]:
    """One sentence for each given option that the method does not use."""
    return [f"The option {name} has no meaning for {method} and was ignored." for name in requested.unused(method)]


def build_report(
    method: Method,
    *,
    strength: float,
    seed: int,
    bundle_hash: str,
    prompt: str,
    scale: float,
    noise_level: float,
    noise_removed: float | None,
    noise_varies: bool,
    clean: bool,
    outside_training: list[str],
    guarantee: dict[str, Any] | None,
    device: str,
    precision: str,
    seconds: float,
    slices: tuple[int, int],
    slice_axis: int,
    warnings: list[str],
    uncertainty_median: float | None = None,
) -> dict[str, Any]:
    """A JSON-ready account of a run, free of names, identifiers, dates and paths.

    Args:
        method: the one that ran; with its options, the strength and the seed the run can be repeated.
        strength: the part that was removed of what the method would remove.
        seed: of the noise fields.
        bundle_hash: sha256 of the bundle's card.
        prompt: the text the networks were given.
        scale: P99.5 of the body, in the volume's units.
        noise_level: standard deviation of the noise, in the volume's units.
        noise_removed: the part of the grain of flat tissue that was removed, 0 to 1; None where it could not be measured.
        noise_varies: whether the noise varied so much over the slices that the networks were told more than one level.
        clean: whether there was so little noise that the volume was returned unchanged.
        outside_training: what is odd about the volume, kinds of :data:`MRIDenoiseLib.inference.oddities.SENTENCES`.
        guarantee: of :meth:`MRIDenoiseLib.inference.guarantee.Guarantee.as_json`; None where the result is not bounded.
        device: where the networks ran at the end.
        precision: number format of their products.
        seconds: wall-clock time of the run.
        slices: half-open range that was denoised.
        slice_axis: of the voxels (z, y, x) it counts along.
        warnings: sentences for the user.
        uncertainty_median: of the uncertainty map in the tissue, relative to ``scale``; None where no map was asked for.
    """
    return {
        "research_use": RESEARCH_USE_ONLY,
        "version": __version__,
        "bundle": bundle_hash,
        "method": method.name,
        **method.options,
        "strength": strength,
        "seed": seed,
        "slices": list(slices),
        "slice_axis": slice_axis,
        "prompt": prompt,
        "intensity_scale": scale,
        "noise_level": noise_level,
        "noise_level_fraction": noise_level / scale,
        "noise_removed": noise_removed,
        "noise_varies": noise_varies,
        "clean": clean,
        "outside_training": outside_training,
        "guarantee": guarantee,
        **({} if uncertainty_median is None else {"uncertainty_median": uncertainty_median}),
        "device": device,
        "precision": precision,
        "seconds": round(seconds, 3),
        "warnings": warnings,
    }


def derivation(report: Mapping[str, Any], suffix: str = "denoised") -> Derivation:
    """How a result was made, for its file; the patient's file needs the settings, not the machine they ran on.

    Args:
        report: of :func:`build_report`.
        suffix: what the result is, ``denoised`` or ``residual``.
    """
    # Imported here, because only a result that is written to a file needs the readers and writers of files.
    from MRIDenoiseLib.io import Derivation

    settings = {name: report[name] for name in _WRITTEN_TO_FILES if report.get(name) is not None}
    return Derivation(method=report["method"], bundle=report["bundle"], seed=report["seed"], settings=settings, suffix=suffix)


def removed_in_flat_tissue(
    noisy: np.ndarray, denoised: np.ndarray, slices: tuple[int, int], scale: float, unmeasured: np.ndarray | None = None
) -> float | None:
    """The part of the grain of flat tissue that denoising removed.

    Up to twelve of the denoised slices are measured, one after the other; :func:`flat_grain` defines what is compared. Texture
    of the tissue itself counts as grain as well, so a perfect result stays a little below 1.

    Args:
        noisy: float32 (slices, rows, columns) across the acquired plane.
        denoised: the same after denoising.
        slices: half-open range that was denoised.
        scale: P99.5 of the body, in the volume's units.
        unmeasured: bool, the shape of ``noisy``, where nothing was measured; None where everything was.

    Returns:
        0 to 1, in whole percent so that it is the same wherever it is shown; None where there is too little flat tissue to
        measure, or no grain in it. More grain than before counts as 0.
    """
    first, last = slices
    every = slice(first, last, max(1, -(-(last - first) // SLICES)))
    before, after = noisy[every], denoised[every]
    try:
        body = body_mask(before, None if unmeasured is None else unmeasured[every])
    except InputError:
        # Slices of one value, outside the body.
        return None
    grains = [flat_grain(image, (image, cleaned), mask, TISSUE * scale) for image, cleaned, mask in zip(before, after, body, strict=True)]
    grain, left = np.concatenate(grains, axis=1) if grains else np.empty((2, 0))
    if grain.size < MINIMUM_PIXELS:
        return None
    strength, remaining = (MAD_TO_STD * float(np.median(values)) for values in (grain, left))
    return round(float(np.clip(1 - remaining / strength, 0, 1)), 2) if strength > 0 else None


def flat_grain(noisy: np.ndarray, images: Iterable[np.ndarray], body: np.ndarray, darkest: float) -> np.ndarray:
    """The difference between images of one slice and their own blur by 1.5 pixels, in the flattest fifth of the body.

    1.4826 times the median of it is the grain of an image, a standard deviation.

    Args:
        noisy: (rows, columns); shows where the body is flat.
        images: of the same shape and units.
        body: bool, where there is tissue.
        darkest: where the smoothed image is darker, there is no tissue whatever ``body`` holds; in the images' units.

    Returns:
        Absolute values, (images, flat pixels).
    """
    smooth = ndimage.gaussian_filter(noisy, GRADIENT_SMOOTHING)
    gradient = steepness(smooth)
    tissue = body & (smooth > darkest)
    flat = tissue & (gradient <= np.quantile(gradient[tissue], FLAT_FRACTION)) if tissue.any() else tissue
    return np.stack([np.abs(image - ndimage.gaussian_filter(image, GRAIN_SMOOTHING))[flat] for image in images])


def removal_warnings(removed: float | None, noise_share: float, strength: float) -> list[str]:
    """A sentence with what to try where noise worth removing was found and less than a third of it was removed; otherwise nothing.

    Args:
        removed: of :func:`removed_in_flat_tissue`.
        noise_share: noise found, relative to bright tissue.
        strength: the one that was chosen.
    """
    if removed is None or removed >= LITTLE or noise_share < WORTH_REMOVING:
        return []
    little = f"{f'Only {removed:.0%}' if removed else 'None'} of the noise in flat tissue was removed"
    if removed >= LITTLE * strength:
        return [f"{little}, because the strength is {strength:g}: try strength 1."]
    stronger = "strength 1 or " if strength < 1 else ""
    return [f"{little}: check organ and contrast, and try {stronger}another method; what is left may also be tissue texture."]
