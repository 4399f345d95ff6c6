"""What a noisy image is compared with, and whether that shares the image's own noise.

A mean over all repeats contains the noisy repeat itself. A network trained or measured against it learns that part of the
noise is anatomy: with N repeats the expected reference is x + (y - x) / N, and a method that returns its input scores too well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

import numpy as np

from MRIDenoiseLib.errors import InputError

GtKind = Literal["independent", "leave_one_out", "inclusive"]
"""A separate acquisition, the mean of all other repeats, or an average that contains the noisy image's own data."""

ALLOWED_SHARE = 1 / 3
"""The largest share of the added noise that a reference may have of its own where figures are to count."""


def counts(own: float, added: float) -> bool:
    """Whether a comparison with a reference counts.

    Args:
        own: standard deviation of the reference's own noise in the body.
        added: that of the noise that was added, in the same place and units.
    """
    return own <= ALLOWED_SHARE * added


def refuse_copies(repeats: Iterable[np.ndarray]) -> None:
    """Raise InputError where two repeats are one image twice: its own noise would be part of its reference."""
    seen: set[bytes] = set()
    for repeat in repeats:
        digest = hashlib.sha256(np.ascontiguousarray(repeat).data).digest()
        if digest in seen:
            raise InputError("two of its repeats are the same image, which would be its own reference; remove the copy")
        seen.add(digest)


def leave_one_out(repeats: np.ndarray) -> np.ndarray:
    """For every repeat the mean of all others, which shares no noise with it.

    Args:
        repeats: real or complex (repeats, ...), at least two.

    Returns:
        An array of the same shape and type.

    Raises:
        InputError: fewer than two repeats.
    """
    count = _count(repeats)
    # In double precision: what rounding leaves of a repeat in "sum minus itself" would be shared noise.
    wide = repeats.astype(np.result_type(repeats.dtype, np.float64))
    return ((wide.sum(axis=0) - wide) / (count - 1)).astype(repeats.dtype)


def complex_leave_one_out(repeats: np.ndarray) -> np.ndarray:
    """:func:`leave_one_out` for raw data, before coils are combined and magnitudes are taken.

    The noise of complex data averages out. That of magnitudes does not where there is little signal: their floor stays.

    Args:
        repeats: complex (repeats, ...), for example (repeats, coils, rows, columns), k-space or coil images, equal in phase.

    Raises:
        InputError: fewer than two repeats, or magnitudes.
    """
    if not np.iscomplexobj(repeats):
        raise InputError("the repeats are magnitudes; average the complex images of each coil")
    return leave_one_out(repeats)


def from_inclusive(inclusive: np.ndarray, noisy: np.ndarray, repeats: int) -> np.ndarray:
    """The leave-one-out reference, (N GT - y) / (N - 1), from a mean that contains the noisy image.

    Args:
        inclusive: mean of all repeats.
        noisy: one of them, in the same units.
        repeats: N, how many were averaged.

    Raises:
        InputError: N is below two.
    """
    if repeats < 2:
        raise InputError(f"a mean over {repeats} repeat(s) holds nothing but the noisy image")
    return ((repeats * inclusive.astype(np.float64) - noisy) / (repeats - 1)).astype(inclusive.dtype)


def reference_noise(repeats: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The standard deviation of the noise of a leave-one-out reference, from what differs between the repeats.

    Root of the mean variance over the mask, divided by sqrt(N - 1): its square is what the reference itself adds to a mean
    squared error over the same mask. Movement and pulsation between the repeats count as noise.

    Args:
        repeats: real (repeats, ...), at least two.
        mask: bool, the shape of one repeat; everything when not given.

    Raises:
        InputError: fewer than two repeats, or an empty mask.
    """
    count = _count(repeats)
    variance = repeats.var(axis=0, ddof=1, dtype=np.float64)
    inside = variance if mask is None else variance[mask]
    if inside.size == 0:
        raise InputError("the mask holds no voxel, so the noise of the reference cannot be found")
    return float(np.sqrt(inside.mean() / (count - 1)))


def _count(repeats: np.ndarray) -> int:
    if len(repeats) < 2:
        raise InputError(f"a reference needs at least two repeats of the image, not {len(repeats)}")
    return len(repeats)
