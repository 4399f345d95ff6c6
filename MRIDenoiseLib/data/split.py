"""Which patients are trained on, which steer the training and which only measure it; and images that turn up twice."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
from scipy import fft

from MRIDenoiseLib.data.manifest import folded
from MRIDenoiseLib.data.zero_fill import resize
from MRIDenoiseLib.errors import InputError

Split = Literal["train", "validation", "test"]

SHARES: tuple[tuple[Split, int], ...] = (("train", 7), ("validation", 1), ("test", 2))

HASHED_MATRIX = 64
HASHED_FREQUENCIES = 16
NEAR = 0.125
"""Part of a hash's bits that may differ between copies. Copies at other matrix sizes and down to a signal-to-noise ratio of 5
differ in up to 9 %, two scans of one patient in 6 % and more, scans of two patients in more than 20 %."""


def split_of(subject: str, site: str = "", study: str = "", external_sites: Collection[str] = ()) -> Split:
    """The split of a patient: the same on every machine, in any order of files, for all organs and examinations.

    A SHA-256 hash of patient and site, divided 7 : 1 : 2.

    Args:
        subject: Patient ID (0010,0020), or whatever names the patient at that site.
        site: where the patient was scanned; patients of two sites may have the same number.
        study: Study Instance UID (0020,000D), taken where there is no patient.
        external_sites: sites that are kept out of training as a whole.

    Raises:
        InputError: neither patient nor study is known.
    """
    where = folded(site)
    if where in {folded(external) for external in external_sites}:
        return "test"
    who = folded(subject) or folded(study)
    if not who:
        raise InputError("neither a patient nor a study identifier is known, so images of one patient could end up on both sides")
    digest = hashlib.sha256(f"{where}\0{who}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") * sum(share for _, share in SHARES) / 2**64
    for split, share in SHARES:
        if place < share:
            return split
        place -= share
    raise AssertionError("the place lies below the sum of the shares")


def near_duplicates(slices: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    """Pairs of images that are one image, whatever their matrix, brightness and noise.

    Each image's hash holds the signs of its 16 x 16 lowest cosine frequencies about their median (a perceptual hash).

    Args:
        slices: for each identifier one image (rows, columns), such as the middle slice of a volume; a blank one is like no other.

    Returns:
        The identifiers of each pair, in the order of ``slices``.
    """
    # Where nothing is to be seen everything is alike.
    names = [name for name, image in slices.items() if image.min() < image.max()]
    if not names:
        return []
    signs = np.stack([_perceptual_hash(slices[name]) for name in names])
    differing = (signs.shape[1] - signs @ signs.T) / 2
    first, second = np.nonzero(np.triu(differing <= NEAR * signs.shape[1], k=1))
    return [(names[i], names[j]) for i, j in zip(first, second, strict=True)]


def _perceptual_hash(image: np.ndarray) -> np.ndarray:
    """255 values of +1 or -1."""
    small = resize(image, (HASHED_MATRIX, HASHED_MATRIX))
    # The first one is the mean, which says nothing about the content.
    waves = fft.dctn(small)[:HASHED_FREQUENCIES, :HASHED_FREQUENCIES].ravel()[1:]
    return np.where(waves > np.median(waves), np.float32(1), np.float32(-1))
