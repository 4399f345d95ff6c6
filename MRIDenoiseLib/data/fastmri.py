"""fastMRI: raw knee, brain, prostate and breast data (doi 10.48550/arXiv.1811.08839 and what followed), distinguished by layout.

Prostates were measured three times, which gives real pairs. Knees, brains and breasts were measured once: their image serves
as the clean one, and the noisy one is simulated from it, since an image made from some of its own k-space lines shares their noise.

fastMRI prostate, T2w raw data: three averages, each of every other line, the second of the lines the others leave out.

Layout (Tibrewala et al. 2024, doi 10.1038/s41597-024-03252-w): ``kspace`` (averages, slices, coils, readout, phase encoding)
with zeros in lines that were not measured, and fully sampled ``calibration_data`` (slices, coils, readout, lines). The missing
lines of each average are made up for by GRAPPA, so that the averages become repetitions of one image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import torch

from MRIDenoiseLib.data.breast import is_radial, read_breast
from MRIDenoiseLib.data.cases import Acceleration, Case, Check, Dropped, Pair, Say, anonymous
from MRIDenoiseLib.data.m4raw import noisy_and_clean, repetition_pairs
from MRIDenoiseLib.data.raw import (
    RawHeader,
    acquisition_of,
    attribute,
    coil_images,
    dataset,
    has,
    opened,
    read_header,
    root_sum_of_squares,
    values,
    volume_of,
)
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.simulation.grappa import LINES, READOUT_POINTS, calibrate, fill
from MRIDenoiseLib.simulation.simulate import Simulation, simulate_volume
from MRIDenoiseLib.volume import Volume


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
            raise InputError(f"{path.name} does not give its field of view in the ISMRMRD header; download it again")
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


SOURCE, LICENCE = "fastMRI", "fastMRI data sharing agreement"
ACCELERATIONS = (1.5, 2.0, 3.0)
DEFAULT_ACCELERATION = 2.0
SIGMA = (6 / 255, 25 / 255)
"""Range of the Rician noise of level 0, as parts of the volume's P99.5."""


@dataclass(frozen=True)
class _Protocol:
    """What an ``acquisition`` attribute stands for."""

    organ: str
    contrast: str
    fat: str | None
    plane: str


PROTOCOLS = {
    "CORPD_FBK": _Protocol("knee", "PDw", "none", "coronal"),
    "CORPDFS_FBK": _Protocol("knee", "PDw", "fat-saturated", "coronal"),
    "AXT1": _Protocol("head", "T1w", None, "axial"),
    "AXT1PRE": _Protocol("head", "T1w", None, "axial"),
    "AXT1POST": _Protocol("head", "T1w", None, "axial"),
    "AXT2": _Protocol("head", "T2w", None, "axial"),
    "AXFLAIR": _Protocol("head", "T2-FLAIR", None, "axial"),
}
"""``acquisition`` attribute of knee and brain files -> what it is."""

Kind = Literal["cartesian", "prostate", "breast"]


@dataclass(frozen=True)
class Noise:
    """The noise that volumes measured once are given.

    Args:
        level: 2 for a whole accelerated acquisition, 0 for Rician noise, see :class:`~MRIDenoiseLib.simulation.simulate.Simulation`.
        acceleration: of level 2; by default one of :data:`ACCELERATIONS` for each volume.
        seed: of the noise, and of what is drawn for each volume.

    Raises:
        SettingsError: another level, or an acceleration that does not go with it.
    """

    level: int = 2
    acceleration: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, before anything is read."""
        if self.level not in (0, 2):
            raise SettingsError(f"--level is 0 or 2, not {self.level}")
        if self.level == 0 and self.acceleration is not None:
            raise SettingsError("--level 0 adds plain Rician noise and has no acceleration; leave one of the two out")
        self.of(0)

    def of(self, number: int) -> Simulation:
        """What volume ``number`` gets."""
        draw = np.random.default_rng([self.seed, number])
        seed = int(draw.integers(2**31))
        if self.level == 0:
            return Simulation(level=0, sigma=float(draw.uniform(*SIGMA)), seed=seed)
        return Simulation(level=2, acceleration=self.acceleration or float(draw.choice(ACCELERATIONS)), seed=seed)


def find_fastmri(folder: Path, noise: Noise, say: Say) -> list[Case | Dropped]:
    """One case for each file below a folder that can be used, in the order of their names.

    Raises:
        InputError: there is no such folder, or no HDF5 file in it.
        Cancelled: from ``say``.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that holds the fastMRI files")
    paths = sorted(folder.rglob("*.h5"))
    if not paths:
        raise InputError(f"{folder} holds no .h5 files; choose another folder")
    cases: list[Case | Dropped] = []
    for number, path in enumerate(paths, 1):
        say("Reading headers")
        label = f"file {number}"
        try:
            with opened(path) as file:
                cases.append(_case(label, path, file, noise.of(number)))
        except InputError as error:
            cases.append(Dropped(label, "listing", anonymous(str(error), [path])))
    return cases


def _case(label: str, path: Path, file: h5py.File, simulation: Simulation) -> Case:
    kind = _kind(file)
    header = read_header(file)
    if kind == "prostate":
        read = partial(read_prostate, path)
    else:
        read = partial(_simulated, read_breast if kind == "breast" else _read_cartesian, path, simulation)
    # Breast files name the patient only in the file name: fastMRI_breast_001_2.h5 is the second scan of patient 001.
    subject = path.stem.rpartition("_")[0] or path.stem if kind == "breast" else attribute(file, "patient_id")
    if not subject:
        raise InputError("it does not name its patient (patient_id), so it cannot be kept out of another patient's split")
    return Case(
        label=label,
        subject=subject,
        study=subject,
        series=path.stem,
        read=read,
        names=(str(path),),
        model=header.model,
        slice_thickness=header.slice_thickness,
        source=f"{SOURCE} {kind}" if kind != "cartesian" else f"{SOURCE} {PROTOCOLS[attribute(file, 'acquisition')].organ}",
        licence=LICENCE,
    )


def _kind(file: h5py.File) -> Kind:
    """Which of the layouts a file has."""
    if not has(file, "kspace"):
        raise InputError("it holds no k-space; download it again")
    if has(file, "coil_sens_maps") or has(file, "phase_correction"):
        raise InputError("it is diffusion raw data, which needs the scanner's own regridding and phase correction and is not read")
    kspace = dataset(file, "kspace")
    if is_radial(kspace):
        return "breast"
    if kspace.ndim == 5 and has(file, "calibration_data"):
        return "prostate"
    if has(file, "mask"):
        raise InputError("it is test data with lines left out, and holds no clean image")
    if kspace.ndim in (3, 4) and attribute(file, "acquisition") in PROTOCOLS:
        return "cartesian"
    raise InputError("its layout is not one of the knee, brain, prostate and breast files that are read")


def _read_cartesian(path: Path, check: Check) -> Volume:
    """The image of a knee or brain: as the data set reconstructed it, or from k-space where that is missing."""
    with opened(path) as file:
        header = read_header(file)
        if header.pixel is None or header.slice_thickness is None:
            raise InputError(f"{path.name} does not give its field of view in the ISMRMRD header; download it again")
        stored = next((dataset(file, name) for name in ("reconstruction_rss", "reconstruction_esc") if has(file, name)), None)
        if stored is not None and stored.ndim != 3:
            raise InputError(f"{path.name} holds an image that is not slices x rows x columns; download it again")
        slices = _reconstructed(dataset(file, "kspace"), header, check) if stored is None else values(stored)
        protocol = PROTOCOLS[attribute(file, "acquisition")]
    acquisition = acquisition_of(header, organ=protocol.organ, contrast=protocol.contrast, fat=protocol.fat, plane=protocol.plane)
    return volume_of(slices, (header.slice_thickness, *header.pixel), acquisition)


def _reconstructed(kspace: h5py.Dataset, header: RawHeader, check: Check) -> np.ndarray:
    """(slices, rows, columns) from k-space of one coil (slices, rows, columns) or several (slices, coils, rows, columns)."""
    slices = []
    for z in range(len(kspace)):
        check()
        image = coil_images(values(kspace, z), header)
        slices.append(root_sum_of_squares(image) if kspace.ndim == 4 else np.abs(image))
    return np.stack(slices)


def _simulated(read: Callable[[Path, Check], Volume], path: Path, simulation: Simulation, check: Check) -> Iterator[Pair]:
    def should_stop() -> bool:
        check()
        return False

    clean = read(path, check)
    noisy = simulate_volume(clean, simulation, should_stop=should_stop)
    # Rician noise implies no acceleration; the one that inference assumes is used.
    given = simulation.acceleration or DEFAULT_ACCELERATION
    acceleration = Acceleration.between(noisy.acquisition, clean.acquisition, given=given)
    yield Pair(noisy, clean, "independent", 1, acceleration, noise="simulated")
