"""Repeated raw acquisitions of one image: every repetition, and the complex average of the others as its reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.data.acceleration_group import Acceleration
from MRIDenoiseLib.data.cases import Check, Pair, unasked
from MRIDenoiseLib.data.raw import root_sum_of_squares, volume_of
from MRIDenoiseLib.data.references import complex_leave_one_out, reference_noise, refuse_copies
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Acquisition

PHASE_SMOOTHING = 4.0
"""Pixels over which the phase between two repetitions is smooth."""


def noisy_and_clean(slices: Iterable[np.ndarray], check: Check = unasked) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of each repetition and of its reference, from coil images.

    The average is taken coil by coil and complex, before the root sum of squares: magnitudes have a noise floor that no
    averaging takes away.

    Args:
        slices: one complex array (repetitions, coils, rows, columns) for each slice.
        check: called for every slice; raises :class:`Cancelled` to stop.

    Returns:
        Two float32 arrays (repetitions, slices, rows, columns).
    """
    noisy, clean = [], []
    for repetitions in slices:
        check()
        references = complex_leave_one_out(aligned_in_phase(repetitions, 0))
        # What the first one is compared with must not have been aligned by it.
        references[0] = complex_leave_one_out(aligned_in_phase(repetitions, 1))[0]
        noisy.append(root_sum_of_squares(repetitions, axis=1))
        clean.append(root_sum_of_squares(references, axis=1))
    return np.stack(noisy, axis=1), np.stack(clean, axis=1)


def repetition_pairs(noisy: np.ndarray, clean: np.ndarray, spacing: tuple[float, float, float], acquisition: Acquisition) -> Iterator[Pair]:
    """Each repetition with its reference.

    Args:
        noisy, clean: (repetitions, slices, rows, columns), see :func:`noisy_and_clean`.
        spacing: mm between slices, rows and columns.
        acquisition: of all.

    Raises:
        InputError: two of them are equal.
    """
    refuse_copies(noisy)
    count = float(len(noisy))
    parallel = positive(acquisition.parallel_imaging.value)
    acceleration = Acceleration(count, 1.0, count, parallel, parallel, source="one of all repetitions")
    sigma = reference_noise(noisy, body_mask(noisy.mean(axis=0)))
    for one, reference in zip(noisy, clean, strict=True):
        pair = volume_of(one, spacing, acquisition), volume_of(reference, spacing, acquisition)
        yield Pair(*pair, "leave_one_out", len(noisy), acceleration, reference_noise=sigma)


def aligned_in_phase(repetitions: np.ndarray, to: int) -> np.ndarray:
    """Coil images of repetitions, each turned so that its smooth phase is that of one of them.

    The phase drifts between repetitions, and without this their complex average would lose signal.

    Args:
        repetitions: complex (repetitions, coils, rows, columns).
        to: number of the one that stays as it is.
    """
    turned = []
    for images in repetitions:
        difference = (images * repetitions[to].conj()).sum(axis=0)
        real, imaginary = (ndimage.gaussian_filter(part, PHASE_SMOOTHING) for part in (difference.real, difference.imag))
        turned.append(images * np.exp(-1j * np.arctan2(imaginary, real)).astype(images.dtype))
    return np.stack(turned)
