"""What denoising does to a tissue segmentation: Dice and volumes of images against the segmentation of a reference.

Every image is segmented in one mask, the reference's, with one set of settings. Dice rewards smoothness, so the first image
(the noisy one) is also shown with the Gaussian blur that agrees best: a denoiser that is not better than that is useless.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import Blur
from MRIDenoiseLib.io.geometry import same_grid
from MRIDenoiseLib.progress import ShouldStop
from MRIDenoiseLib.segmentation import Agreement, Segmentation, TissueSettings, dice, make_mask, segment
from MRIDenoiseLib.volume import Volume

BLURS = tuple(Blur(sigma, 0.0) for sigma in (0.5, 0.7, 1.0))


@dataclass(frozen=True, eq=False)
class TissueAgreement:
    """One row of a comparison.

    Args:
        name: of the image.
        segmentation: of the image.
        agreement: with the reference's.
    """

    name: str
    segmentation: Segmentation
    agreement: Agreement


def compare_tissues(
    images: Sequence[tuple[str, Volume]],
    reference: Volume,
    settings: TissueSettings | None = None,
    mask: np.ndarray | None = None,
    progress: Callable[[float], None] | None = None,
    should_stop: ShouldStop | None = None,
) -> tuple[Segmentation, list[TissueAgreement]]:
    """Segment a reference and images of the same object, and measure how well they agree.

    Args:
        images: name and volume; the first is also shown blurred.
        reference: what they are compared with; its organ and contrast are used for all.
        settings: of the segmentation.
        mask: bool (z, y, x), the same for all; the reference's own when not given.
        progress: called with the part done.
        should_stop: called often; True cancels.

    Raises:
        InputError: an image lies on another grid than the reference, or one cannot be segmented.
        Cancelled: when ``should_stop`` returned True.
    """
    for name, image in images:
        shape = reference.voxels.shape
        if image.voxels.shape != shape or not same_grid(image.ijk_to_ras, reference.ijk_to_ras, shape):
            raise InputError(f"{name} and the reference lie on different grids; compare images of one grid")
    where, kind = (mask, "given") if mask is not None else make_mask(reference)
    total, done = 1 + len(images) + len(BLURS), 0

    def segmented(volume: Volume) -> Segmentation:
        nonlocal done
        alike = volume.with_acquisition(reference.acquisition)
        steps = (lambda part: progress((done + part) / total)) if progress is not None else None
        found = segment(alike, settings, where, steps, should_stop, mask_kind=kind)
        done += 1
        return found

    target = segmented(reference)

    def row(name: str, volume: Volume) -> TissueAgreement:
        found = segmented(volume)
        return TissueAgreement(name, found, dice(found.labels, target.labels, len(target.classes)))

    rows = [row(name, volume) for name, volume in images]
    first, noisy = images[0]
    blurred = [row(f"{first}, {blur}", _blurred(noisy, blur)) for blur in BLURS]
    best = max(blurred, key=lambda one: one.agreement.mean)
    return target, [rows[0], best, *rows[1:]]


def volume_bias(found: Segmentation, target: Segmentation) -> tuple[float, ...]:
    """By how much each class is larger than the reference's, in per cent of the reference's volume; nearer 0 is better.

    Volumes are those of the labels. One mask holds all of them, so what one class gains others lose; a small class can be far
    off in per cent where Dice hardly shows it.

    Args:
        found: of an image.
        target: of the reference, the same classes in the same mask.

    Returns:
        One a class, with its sign; NaN where the reference has nothing of a class.
    """
    return tuple(
        100 * (ours.millilitres / theirs.millilitres - 1) if theirs.millilitres else math.nan
        for ours, theirs in zip(found.classes, target.classes, strict=True)
    )


def _blurred(volume: Volume, blur: Blur) -> Volume:
    return volume.with_stack(blur(volume.stack))
