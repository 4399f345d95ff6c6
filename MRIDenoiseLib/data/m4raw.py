"""M4Raw: brains at 0.3 T, every contrast measured two to six times, one HDF5 file a repetition (doi 10.1038/s41597-023-02181-4).

``2022061003_T203.h5`` is repetition 3 of subject 2022061003's T2w scan. Each repetition becomes a noisy volume, and the
complex average of the others its reference; the published labels, which include the input itself, are not used.

Repeated raw acquisitions of one image: every repetition, and the complex average of the others as its reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.data.cases import MEASURED_ONCE, Acceleration, Case, Check, Dropped, Pair, Say, unchecked
from MRIDenoiseLib.data.raw import (
    RawHeader,
    acquisition_of,
    coil_images,
    dataset,
    opened,
    read_header,
    root_sum_of_squares,
    values,
    volume_of,
)
from MRIDenoiseLib.data.references import complex_leave_one_out, reference_noise, refuse_copies
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Acquisition

PHASE_SMOOTHING = 4.0
"""Pixels over which the phase between two repetitions is smooth."""


def noisy_and_clean(slices: Iterable[np.ndarray], check: Check = unchecked) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of each repetition and of its reference, from coil images.

    The average is taken coil by coil and complex, before the root sum of squares: magnitudes have a noise floor that no
    averaging removes.

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


CONTRASTS = {"T1": "T1w", "T2": "T2w", "FLAIR": "T2-FLAIR"}
FIELD_STRENGTH = 0.3
FIELD_OF_VIEW = 240.0
"""mm, of rows and of columns; the published protocol, for files whose header does not give it."""
SLICE_SPACING = 6.0
"""mm: 5 mm slices 1 mm apart; the published protocol."""
SLICE_THICKNESS = 5.0
SOURCE, LICENCE = "M4Raw", "CC BY 4.0"

_NAME = re.compile(r"(?P<subject>[^_]+)_(?P<contrast>T1|T2|FLAIR)(?P<repetition>\d+)\.h5")


def find_m4raw(folder: Path, say: Say) -> list[Case | Dropped]:
    """One case for each subject and contrast below a folder, in the order of their names; then the files that were not used.

    Raises:
        InputError: there is no such folder, or no file named as M4Raw names them.
        Cancelled: from ``say``.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that holds the M4Raw files")
    say("Listing files")
    scans: dict[tuple[str, str], dict[int, Path]] = {}
    dropped: list[Case | Dropped] = []
    for number, path in enumerate(sorted(folder.rglob("*.h5")), 1):
        name = _NAME.fullmatch(path.name)
        if name is None:
            dropped.append(Dropped(f"file {number}", "listing", "its name is not one of M4Raw's, such as 2022061003_T101.h5"))
            continue
        repetitions = scans.setdefault((name["subject"], name["contrast"]), {})
        if int(name["repetition"]) in repetitions:
            dropped.append(Dropped(f"file {number}", "listing", "its repetition is there twice, and would be its own reference"))
            continue
        repetitions[int(name["repetition"])] = path
    if not scans:
        raise InputError(f"{folder} holds no M4Raw files such as 2022061003_T101.h5; choose another folder")
    return [_case(number, *key, list(scans[key].values())) for number, key in enumerate(sorted(scans), 1)] + dropped


def _case(number: int, subject: str, contrast: str, paths: Sequence[Path]) -> Case | Dropped:
    label = f"scan {number}"
    if len(paths) < 2:
        return Dropped(label, "matching", MEASURED_ONCE)
    return Case(
        label=label,
        subject=subject,
        study="",
        series=f"{subject} {contrast}",
        read=partial(_read, contrast, paths),
        names=tuple(str(path) for path in paths),
        slice_thickness=SLICE_THICKNESS,
        source=SOURCE,
        licence=LICENCE,
    )


def _read(contrast: str, paths: Sequence[Path], check: Check) -> Iterator[Pair]:
    with ExitStack() as files:
        measured = [files.enter_context(opened(path)) for path in paths]
        kspaces = [dataset(file, "kspace") for file in measured]
        shapes = {kspace.shape for kspace in kspaces}
        if len(shapes) != 1 or any(len(shape) != 4 for shape in shapes):
            raise InputError("its repetitions differ in size, or are not slices x coils x rows x columns; download them again")
        header = read_header(measured[0])
        depth = shapes.pop()[0]
        slices = (np.stack([coil_images(values(kspace, z), RawHeader()) for kspace in kspaces]) for z in range(depth))
        noisy, clean = noisy_and_clean(slices, check)
    rows, columns = header.pixel if header.pixel and header.matrix == noisy.shape[2:] else FIELD_OF_VIEW / np.array(noisy.shape[2:])
    acquisition = acquisition_of(header, organ="head", contrast=CONTRASTS[contrast], fat=None, plane="axial", field_strength=FIELD_STRENGTH)
    yield from repetition_pairs(noisy, clean, (SLICE_SPACING, float(rows), float(columns)), acquisition)
