"""The clean image moved onto the noisy one's grid, and the pairs that cannot be trusted turned away.

Only the clean image is ever interpolated: interpolation smooths noise and correlates it, which would change in the noisy
image the very thing that is to be learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from MRIDenoiseLib.data.alignment_check import gradient_agreement, residual_motion
from MRIDenoiseLib.data.cases import Check, unchecked
from MRIDenoiseLib.errors import Cancelled, InputError
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.io.geometry import LPS_TO_RAS
from MRIDenoiseLib.io.images import sitk_image
from MRIDenoiseLib.volume import Volume

HISTOGRAM_BINS = 32
SAMPLED_SHARE = 0.2
SHRINK_FACTORS = (4, 2, 1)
SMOOTHING_PIXELS = (2.0, 1.0, 1.0)
"""Of the three resolutions. The finest one stays smoothed: at a signal-to-noise ratio of 5 that halves the error."""
ITERATIONS = 200
FIRST_STEP, LAST_STEP = 1.0, 1e-4
"""Step lengths of the gradient descent, mm."""
STEP_REDUCTION = 0.7
"""At every turn of the gradient; halving it, as is usual, stops short of the optimum."""

LEAST_VOXELS = 4
"""Along every axis, for smoothing and splines."""
LEAST_COVERED = 0.5
"""Part of the noisy image's body that the clean one has to show."""
LARGEST_FLOW = 0.7
"""Pixels."""
LARGEST_THROUGH_PLANE = 0.5
"""Slice spacings, for stacks of thick slices."""
LARGEST_TILT = 1.0
"""Degrees about an axis in the slice plane, for stacks of thick slices."""
THICK_SLICES = 3.0
"""mm between slices from which a volume counts as a stack of two-dimensional slices, which hold nothing to interpolate between."""
TOLERATED_LOSS = 0.01
"""Interpolation alone may cost the correlation of gradients this much where the headers were already right."""


@dataclass(frozen=True, eq=False)
class Registration:
    """Where the noisy volume's anatomy lies in the clean one, and whether the pair may be used.

    Args:
        noisy_to_clean: 4 x 4 rigid matrix, RAS mm to RAS mm, in addition to what the two headers state.
        rotation: degrees about the noisy volume's (z, y, x) axes: a rotation vector.
        translation: mm along the noisy volume's (z, y, x) axes, of the middle of its grid.
        through_plane_fraction: the part of the translation across the noisy volume's slices, in slice spacings, signed.
        covered: part of the noisy volume's body that the moved clean volume shows.
        ncc_before: correlation of the two gradient magnitudes with the headers' positions, see
            :func:`~.alignment_check.gradient_agreement`.
        ncc_after: the same after registration.
        flow_p95: pixels of in-plane movement that is left, see :func:`~.alignment_check.residual_motion`.
        accepted: whether the pair is good enough to be trained on.
        reason: why not, one sentence; empty for an accepted pair.
    """

    noisy_to_clean: np.ndarray
    rotation: tuple[float, float, float]
    translation: tuple[float, float, float]
    through_plane_fraction: float
    covered: float
    ncc_before: float
    ncc_after: float
    flow_p95: float
    accepted: bool
    reason: str


def register(moving: Volume, fixed: Volume, *, seed: int = 0, check: Check = unchecked) -> Registration:
    """Find the rigid movement between a clean and a noisy volume, and judge it.

    Mattes mutual information (Mattes 2003) over six degrees of freedom, from coarse to fine, starting where the headers put
    the two volumes. It runs in one thread, so that a machine with more cores gives the same result.

    Args:
        moving: the clean volume.
        fixed: the noisy volume, on whose grid the pair will live.
        seed: decides at which voxels the two are compared.
        check: called at every iteration and all through the rest; raises :class:`Cancelled` to stop.

    Returns:
        A registration; not accepted, with the reason, where the two hardly overlap, agree less than before, still move
        against each other, or, in stacks of thick slices, were moved or turned out of the slice plane.

    Raises:
        InputError: one of the volumes has fewer than four voxels along an axis, or shows nothing.
        Cancelled: by ``check``.
    """
    _check_size(moving)
    _check_size(fixed)
    noisy = fixed.stack
    body = body_mask(noisy)
    by_headers = np.eye(4)
    before, seen_before = _on_grid(moving, fixed, by_headers, check)
    overlap = _share(seen_before, body) >= LEAST_COVERED
    matrix = (
        _aligned(_image(moving), _image(fixed), min(np.delete(fixed.spacing, fixed.slice_axis)), seed, check) if overlap else by_headers
    )
    after, seen = _on_grid(moving, fixed, matrix, check)
    mask = body & seen & seen_before
    rotation, translation = _movement(matrix, fixed)
    result = Registration(
        noisy_to_clean=matrix,
        rotation=rotation,
        translation=translation,
        through_plane_fraction=translation[fixed.slice_axis] / fixed.spacing[fixed.slice_axis],
        covered=_share(seen, body),
        ncc_before=gradient_agreement(noisy, before, mask),
        ncc_after=gradient_agreement(noisy, after, mask),
        flow_p95=residual_motion(noisy, after, mask, check),
        accepted=True,
        reason="",
    )
    reason = _objection(result, fixed)
    return replace(result, accepted=not reason, reason=reason)


def resample(moving: Volume, fixed: Volume, registration: Registration, check: Check = unchecked) -> Volume:
    """The clean volume on the noisy one's grid, by quintic B-spline interpolation.

    It keeps as much of the fine detail as a windowed sinc of radius four and takes a thirtieth of the time (Thevenaz, Blu and
    Unser 2000 explain why).

    Args:
        moving: the clean volume.
        fixed: the noisy volume; it is not changed.
        registration: of the two.
        check: called all through it; raises :class:`Cancelled` to stop.

    Returns:
        The clean volume, not below zero, and zero where it shows nothing (see :func:`coverage`). It has no DICOM headers;
        its slices lie along ``fixed.slice_axis``.
    """
    voxels = _resampled(moving, fixed, registration.noisy_to_clean, check)
    return replace(moving, voxels=voxels, ijk_to_ras=fixed.ijk_to_ras, headers=(), unmeasured=None, nifti=None)


def coverage(moving: Volume, fixed: Volume, registration: Registration) -> np.ndarray:
    """Where on the noisy volume's grid the clean volume shows something: bool, the shape of ``fixed.voxels``."""
    return _covered(moving, fixed, registration.noisy_to_clean)


def _check_size(volume: Volume) -> None:
    if min(volume.voxels.shape) < LEAST_VOXELS:
        raise InputError(f"a volume of {min(volume.voxels.shape)} slice(s) is too thin to be registered in three dimensions")


def _aligned(moving: sitk.Image, fixed: sitk.Image, pixel: float, seed: int, check: Check) -> np.ndarray:
    """The 4 x 4 RAS matrix that maximises mutual information; ``pixel`` is the fixed image's in-plane spacing in mm."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter(fixed.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in fixed.GetSize()]))
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    # Zero would mean a seed from the clock.
    method.SetMetricSamplingPercentage(SAMPLED_SHARE, seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(FIRST_STEP, LAST_STEP, ITERATIONS, STEP_REDUCTION)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK_FACTORS)
    # In mm rather than voxels: a voxel of a thick slice is many times longer across the slice than along it.
    method.SetSmoothingSigmasPerLevel([pixels * pixel for pixels in SMOOTHING_PIXELS])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(transform, True)
    # Every resolution has to be stopped by itself.
    with _listening(method, sitk.sitkIterationEvent, method.StopRegistration, check):
        method.Execute(fixed, moving)
    rotation = np.reshape(transform.GetMatrix(), (3, 3))
    centre = np.array(transform.GetCenter())
    found = np.eye(4)
    found[:3, :3] = rotation
    found[:3, 3] = centre + transform.GetTranslation() - rotation @ centre
    return LPS_TO_RAS @ found @ LPS_TO_RAS


@contextmanager
def _listening(process: sitk.ProcessObject, event: int, stop: Callable[[], object], check: Check) -> Iterator[None]:
    """Call ``check`` at every ``event`` of a process that runs inside, and ``stop`` when it requests a stop; then raise Cancelled."""
    requests: list[Cancelled] = []

    def listen() -> None:
        # An exception would be lost in the library's own code.
        try:
            check()
        except Cancelled as cancelled:
            requests.append(cancelled)
            stop()

    process.AddCommand(event, listen)
    try:
        yield
    except RuntimeError:
        if not requests:
            raise
    if requests:
        raise requests[0]


def _objection(result: Registration, fixed: Volume) -> str:
    """Why a pair may not be used, or an empty string."""
    if result.covered < LEAST_COVERED:
        return f"the full image shows only {result.covered:.0%} of the accelerated one's body"
    if result.ncc_after < result.ncc_before - TOLERATED_LOSS:
        return f"registration made their edges agree less (correlation {result.ncc_before:.2f} before, {result.ncc_after:.2f} after)"
    # Rounded, because a header in single precision makes 3 mm 2.9999.
    if round(fixed.spacing[fixed.slice_axis], 2) >= THICK_SLICES:
        tilt = float(np.abs(np.delete(result.rotation, fixed.slice_axis)).max())
        if abs(result.through_plane_fraction) > LARGEST_THROUGH_PLANE:
            return f"the full image lies {abs(result.through_plane_fraction):.2f} slice spacings off across the slices"
        if tilt > LARGEST_TILT:
            return f"the full image is turned by {tilt:.1f} degrees out of the slice plane"
    if result.flow_p95 >= LARGEST_FLOW:
        return f"the two still differ as if parts lay {result.flow_p95:.2f} pixels apart (movement, or another contrast)"
    return ""


def _movement(matrix: np.ndarray, fixed: Volume) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Rotation vector (degrees) and movement of the middle of the grid (mm), both along the fixed volume's (z, y, x) axes."""
    axes = fixed.ijk_to_ras[:3, :3] / np.linalg.norm(fixed.ijk_to_ras[:3, :3], axis=0)
    middle = fixed.ijk_to_ras @ [*((size - 1) / 2 for size in fixed.voxels.shape[::-1]), 1.0]
    rotation = Rotation.from_matrix(axes.T @ matrix[:3, :3] @ axes).as_rotvec(degrees=True)
    translation = axes.T @ (matrix @ middle - middle)[:3]
    (rx, ry, rz), (tx, ty, tz) = rotation.tolist(), translation.tolist()
    return (rz, ry, rx), (tz, ty, tx)


def _on_grid(moving: Volume, fixed: Volume, matrix: np.ndarray, check: Check) -> tuple[np.ndarray, np.ndarray]:
    """The moved volume and where it shows something, both with the fixed volume's slices first."""
    return fixed.stacked(_resampled(moving, fixed, matrix, check)), fixed.stacked(_covered(moving, fixed, matrix))


def _resampled(moving: Volume, fixed: Volume, matrix: np.ndarray, check: Check) -> np.ndarray:
    method = sitk.ResampleImageFilter()
    method.SetReferenceImage(_image(fixed))
    method.SetTransform(_transform(matrix))
    method.SetInterpolator(sitk.sitkBSpline5)
    with _listening(method, sitk.sitkProgressEvent, method.Abort, check):
        resampled = method.Execute(_image(moving))
    return np.maximum(sitk.GetArrayFromImage(resampled), 0)


def _covered(moving: Volume, fixed: Volume, matrix: np.ndarray) -> np.ndarray:
    everywhere = _image(moving.with_voxels(np.ones_like(moving.voxels)))
    return sitk.GetArrayFromImage(sitk.Resample(everywhere, _image(fixed), _transform(matrix), sitk.sitkNearestNeighbor, 0.0)) > 0


def _transform(matrix: np.ndarray) -> sitk.AffineTransform:
    lps = LPS_TO_RAS @ matrix @ LPS_TO_RAS
    return sitk.AffineTransform(lps[:3, :3].ravel().tolist(), lps[:3, 3].tolist())


def _image(volume: Volume) -> sitk.Image:
    return sitk_image(volume.voxels, volume.ijk_to_ras)


def _share(seen: np.ndarray, body: np.ndarray) -> float:
    return float(np.count_nonzero(seen & body) / np.count_nonzero(body))
