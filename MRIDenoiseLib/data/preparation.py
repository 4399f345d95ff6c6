"""One pair from a reader becomes the voxels of a record: on the noisy grid, aligned, equally bright, and measured.

One brightness for both images of a pair: vendors scale every series by itself, so equal tissue has unequal values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.data.alignment_check import residual_motion
from MRIDenoiseLib.data.cases import Check, Pair, Step, unchecked
from MRIDenoiseLib.data.records import Alignment
from MRIDenoiseLib.data.references import GtKind, from_inclusive
from MRIDenoiseLib.data.registration import (
    LARGEST_FLOW,
    LEAST_COVERED,
    Registration,
    coverage,
    register,
    resample,
)
from MRIDenoiseLib.data.zero_fill import fill_factor, matching_matrix, resize_volume
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask, intensity_scale
from MRIDenoiseLib.image.kind import judged
from MRIDenoiseLib.image.noise import estimate_noise_level
from MRIDenoiseLib.volume import Volume

MINIMUM_SNR = 10.0
"""Below it the noise floor of a magnitude image raises its mean by more than 0.5 % (1 / (2 SNR^2), Gudbjartsson 1995)."""
BLUR = 2.0
"""Pixels, standard deviation, within each slice: the ratio of two single voxels would be mostly noise."""
MINIMUM_VOXELS = 200


def match_gain(clean: np.ndarray, noisy: np.ndarray, mask: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """How much brighter the clean volume is than the noisy one, and the clean volume divided by it.

    The median of blurred clean / blurred noisy over the body, where the noisy volume's signal-to-noise ratio is above ten.

    Args:
        clean: float array (slices, rows, columns) on the grid of ``noisy``.
        noisy: float array of the same shape, slices across the acquired plane.
        mask: bool, the same shape: where the two show the same body; the noisy volume's body when not given.

    Returns:
        The gain, and float32 ``clean / gain``.

    Raises:
        InputError: too little of the noisy volume rises clear of its noise, or the clean one is dark there.
    """
    mask = body_mask(noisy) if mask is None else mask
    smooth_clean, smooth_noisy = (ndimage.gaussian_filter(image.astype(np.float64), (0, BLUR, BLUR)) for image in (clean, noisy))
    trusted = mask & (smooth_noisy > MINIMUM_SNR * estimate_noise_level(noisy, mask))
    if np.count_nonzero(trusted) < MINIMUM_VOXELS:
        raise InputError(f"too little of the noisy image rises {MINIMUM_SNR:g} times above its noise to compare the two images' brightness")
    gain = float(np.median(smooth_clean[trusted] / smooth_noisy[trusted]))
    if gain <= 0:
        raise InputError("the clean image is dark where the noisy one shows tissue, so the two do not belong together")
    return gain, (clean / gain).astype(np.float32)


STILL_PIXELS, STILL_DEGREES = 0.1, 0.1
"""A smaller movement lies within the error of registration; undoing it would only cost the clean volume sharpness."""
LEAST_AGREEMENT = 0.6
"""Correlation of gradients from which the headers' alignment may be kept where registration found none."""
LIKE_BRIGHTNESS = 1.25
"""Repeats of one measurement differ in brightness by less than this factor."""
SAME_VALUE = 1e-3
"""Of the intensity scale: voxels of one image that was stored twice, in other types or units, differ by less; noise by more."""

Look = Callable[[Volume, np.ndarray, np.ndarray, Registration], None]
"""Shown the noisy volume, the clean voxels on its grid, the mask of the same shape and the registration, accepted or not."""


class Refused(Exception):
    """A pair that cannot become a record.

    Args:
        step: see :class:`~.cases.Dropped`.
        reason: one sentence without names.
    """

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step = step
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Made:
    """The voxels of a record, slices first, and what was measured on the way; see :class:`~.records.RecordMeta`."""

    noisy: np.ndarray
    clean: np.ndarray
    mask: np.ndarray
    gt_kind: GtKind
    gain: float
    scale: float
    noise_level: float
    own_noise: float
    alignment: Alignment | None
    fill_factor: tuple[float, float]
    notes: tuple[str, ...] = ()
    """What is to be said about the images; may hold the names of files."""


@dataclass(frozen=True, eq=False)
class _Laid:
    """A clean volume on the noisy one's grid.

    Args:
        clean: slices first.
        covered: bool, where it shows something.
        fill_factor: how its matrix was changed.
        interpolated: False where every voxel still has the value that was read.
        registration: None for a simulated pair.
    """

    clean: np.ndarray
    covered: np.ndarray
    fill_factor: tuple[float, float] = (1.0, 1.0)
    interpolated: bool = False
    registration: Registration | None = None


def make(pair: Pair, seed: int, look: Look, check: Check = unchecked) -> Made:
    """Make the voxels of one record. The noisy volume's voxels come out as they came in.

    Args:
        pair: as read.
        seed: of the registration.
        look: called once for a pair that had to be aligned.
        check: called often; raises :class:`Cancelled` to stop.

    Raises:
        Refused: the pair cannot be used.
        Cancelled: by ``check``.
    """
    try:
        pair = replace(pair, noisy=judged(pair.noisy), clean=judged(pair.clean))
    except InputError as error:
        raise Refused("reading", str(error)) from error
    noisy = pair.noisy.stack
    unmeasured = None if pair.noisy.unmeasured is None else pair.noisy.stacked(pair.noisy.unmeasured.mask)
    if pair.noise == "simulated":
        laid = _Laid(pair.noisy.stacked(pair.clean.voxels), np.ones(noisy.shape, bool))
    else:
        laid = _laid(pair, seed, look, check)
    try:
        mask = body_mask(laid.clean, unmeasured) & laid.covered
        body = body_mask(noisy, unmeasured)
        scale, noise_level = intensity_scale(noisy, body), estimate_noise_level(noisy, body)
        gain, clean = _equally_bright(pair, laid.clean, noisy, mask)
    except InputError as error:
        raise Refused("brightness", str(error)) from error
    if pair.noise == "measured" and mask.any() and np.abs(clean - noisy)[mask].max() <= SAME_VALUE * scale:
        raise Refused("reference", "the full image is the same as the accelerated one, so it cannot be its reference")
    gt_kind = pair.gt_kind
    if gt_kind == "leave_one_out" and not 1 / LIKE_BRIGHTNESS < gain < LIKE_BRIGHTNESS:
        raise Refused("brightness", "its repeats differ too much in brightness to be repeats of one measurement; choose those that are")
    if gt_kind == "inclusive" and not laid.interpolated:
        # Interpolated, the average would no longer hold the very noise that is to be taken out of it.
        clean, gt_kind = np.maximum(from_inclusive(clean, noisy, pair.repeats), 0), "leave_one_out"
    own_noise = estimate_noise_level(clean, mask) if mask.any() else 0.0
    notes = tuple(dict.fromkeys([*pair.noisy.notes, *pair.clean.notes]))
    return Made(noisy, clean, mask, gt_kind, gain, scale, noise_level, own_noise, _alignment(laid.registration), laid.fill_factor, notes)


def _equally_bright(pair: Pair, clean: np.ndarray, noisy: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """The gain and the clean slices divided by it; 1 where both come from one scan that is too noisy to compare."""
    if pair.noise == "simulated":
        return 1.0, clean
    try:
        return match_gain(clean, noisy, mask)
    except InputError:
        if pair.gt_kind == "leave_one_out":
            return 1.0, clean
        raise


def _alignment(registration: Registration | None) -> Alignment | None:
    return None if registration is None else Alignment(**{field.name: getattr(registration, field.name) for field in fields(Alignment)})


def _laid(pair: Pair, seed: int, look: Look, check: Check) -> _Laid:
    """The clean volume resized to the noisy one's resolution and moved onto it."""
    noisy, clean = pair.noisy, pair.clean
    try:
        matrix = matching_matrix(clean, noisy)
        fill = fill_factor(clean, matrix)
        if fill != (1.0, 1.0):
            clean = resize_volume(clean, matrix)
        registration = _judged(register(clean, noisy, seed=seed, check=check), clean, noisy, check)
        moved, covered = resample(clean, noisy, registration, check).voxels, coverage(clean, noisy, registration)
        if clean.unmeasured is not None:
            holes = clean.with_voxels(clean.unmeasured.mask)
            covered &= resample(holes, noisy, registration, check).voxels <= 0
        body = noisy.unstacked(body_mask(noisy.stack))
    except InputError as error:
        raise Refused("alignment", str(error)) from error
    look(noisy, moved, body & covered, registration)
    if not registration.accepted:
        raise Refused("alignment", registration.reason)
    one_grid = clean.voxels.shape == noisy.voxels.shape and np.allclose(clean.ijk_to_ras, noisy.ijk_to_ras, atol=0.01)
    interpolated = not (one_grid and fill == (1.0, 1.0) and np.array_equal(registration.noisy_to_clean, np.eye(4)))
    laid = noisy.stacked(moved if interpolated else clean.voxels)
    return _Laid(laid, noisy.stacked(covered), fill, interpolated, registration)


def _judged(found: Registration, clean: Volume, noisy: Volume, check: Check) -> Registration:
    """The registration, or the headers' own alignment where that is as good: the better pair is the one interpolated less.

    Between repeats there is often no movement at all, and registration then finds what noise suggests.
    """
    steps = np.abs(found.translation) / np.array(noisy.spacing)
    still = steps.max() < STILL_PIXELS and np.linalg.norm(found.rotation) < STILL_DEGREES
    if not still and found.ncc_after > found.ncc_before:
        return found
    headers = replace(found, noisy_to_clean=np.eye(4), rotation=(0.0, 0.0, 0.0), translation=(0.0, 0.0, 0.0), through_plane_fraction=0.0)
    covered = noisy.stacked(coverage(clean, noisy, headers))
    voxels = noisy.stack
    body = body_mask(voxels)
    share = float(covered[body].mean())
    # The flow is measured within slices only: edges that hardly agree may lie a slice apart.
    if share < LEAST_COVERED or found.ncc_before < LEAST_AGREEMENT:
        return found
    motion = residual_motion(voxels, noisy.stacked(resample(clean, noisy, headers, check).voxels), body & covered, check)
    if motion > LARGEST_FLOW:
        return found
    return replace(headers, covered=share, ncc_after=found.ncc_before, flow_p95=motion, accepted=True, reason="")
