"""fastMRI prostate, T2w raw data: three averages, each of every other line, the second of the lines the others leave out.

Layout (Tibrewala et al. 2024, doi 10.1038/s41597-024-03252-w): ``kspace`` (averages, slices, coils, readout, phase encoding)
with zeros in lines that were not measured, and fully sampled ``calibration_data`` (slices, coils, readout, lines). The missing
lines of each average are made up for by GRAPPA, so that the averages become repetitions of one image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from MRIDenoiseLib.data.cases import Check, Pair
from MRIDenoiseLib.data.raw import acquisition_of, coil_images, dataset, opened, read_header, values
from MRIDenoiseLib.data.repetitions import noisy_and_clean, repetition_pairs
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.simulation.grappa import LINES, READOUT_POINTS, calibrate, fill


def read_prostate(path: Path, check: Check) -> Iterator[Pair]:
    """Each average of a T2w acquisition as a noisy volume, with the complex average of the others as its reference.

    Args:
        path: of the file.
        check: called for every average of every slice; raises :class:`Cancelled` to stop.

    Raises:
        InputError: the file is damaged, or its header or sampling is not that of the data set.
    """
    with opened(path) as file:
        header = read_header(file)
        if header.pixel is None or header.slice_thickness is None:
            raise InputError(f"{path.name} does not tell its field of view in the ISMRMRD header; download it again")
        kspace, calibration = dataset(file, "kspace"), dataset(file, "calibration_data")
        if calibration.ndim != 4 or calibration.shape[:2] != kspace.shape[1:3]:
            raise InputError(f"{path.name} does not hold calibration data for every slice and coil; download it again")
        # The kernel takes every second line.
        if calibration.shape[2] < READOUT_POINTS or calibration.shape[3] < 2 * LINES - 1:
            raise InputError(f"{path.name} holds too few lines of calibration data; download it again")
        filled = (_filled(values(kspace, slice(None), z), values(calibration, z), check) for z in range(kspace.shape[1]))
        noisy, clean = noisy_and_clean((coil_images(averages, header) for averages in filled), check)
    acquisition = acquisition_of(header, organ="prostate", contrast="T2w", fat="none", plane="axial")
    yield from repetition_pairs(noisy, clean, (header.slice_thickness, *header.pixel), acquisition)


def _filled(averages: np.ndarray, calibration: np.ndarray, check: Check) -> np.ndarray:
    """The averages of one slice (averages, coils, readout, lines) with all lines; ``calibration`` is (coils, readout, lines)."""
    reference = torch.from_numpy(np.ascontiguousarray(calibration.swapaxes(1, 2))[None])
    weights = calibrate(reference, period=2, kept=1)
    return np.stack([_filled_average(average, weights, check) for average in averages])


def _filled_average(average: np.ndarray, weights: torch.Tensor, check: Check) -> np.ndarray:
    check()
    measured = np.flatnonzero(np.abs(average).sum(axis=(0, 1)) > 0)
    if len(measured) < 2 or (np.diff(measured) != 2).any():
        raise InputError("an average does not hold every other line of k-space, as the averages of this data set do; download it again")
    lines = average.shape[-1]
    # Rows are phase encoded there, an even number of them, of which the first was measured.
    kspace = np.zeros((1, average.shape[0], lines + lines % 2, average.shape[1]), np.complex64)
    kspace[0, :, :lines] = average.swapaxes(1, 2)
    first = int(measured[0]) % 2
    complete = fill(torch.roll(torch.from_numpy(kspace), -first, dims=2), weights, period=2, kept=1)
    return torch.roll(complete, first, dims=2)[0, :, :lines].numpy().swapaxes(1, 2)
