"""Raw scanner data in HDF5 files as fastMRI defined the layout and M4Raw took it over: header, k-space, coil images.

A file is one acquisition. ``kspace`` is complex with the axes (slices, coils, readout, phase encoding), the zero frequency in
the middle of both; ``ismrmrd_header`` is the XML header of the ISMRMRD format (Inati et al. 2017, doi 10.1002/mrm.26089).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
from scipy import fft

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.geometry import check_voxels
from MRIDenoiseLib.prompt.vocabulary import VENDORS, canonical
from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume


@dataclass(frozen=True)
class RawHeader:
    """What the ISMRMRD header gives; None or empty where it does not.

    Args:
        matrix: rows (readout) and columns (phase encoding) of the image without oversampling (reconSpace).
        pixel: mm between its rows, mm between its columns.
        encoded_columns_mm: field of view along the phase encoding as it was encoded (encodedSpace).
        slice_thickness: mm.
        field_strength: tesla.
        vendor: as the file writes it.
        model: of the machine.
        parallel: reduction factor along the phase encoding.
    """

    matrix: tuple[int, int] | None = None
    pixel: tuple[float, float] | None = None
    encoded_columns_mm: float | None = None
    slice_thickness: float | None = None
    field_strength: float | None = None
    vendor: str = ""
    model: str = ""
    parallel: float | None = None


_FAULTS = (OSError, KeyError, RuntimeError, TypeError, ValueError)
"""What h5py raises on damaged files. Caught only around its calls, so that faults of ours still show."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading, by the functions below; InputError where it is none."""
    with ExitStack() as stack:
        with _damage_reported(path):
            file = stack.enter_context(h5py.File(path, "r"))
        yield file


def has(file: h5py.File, name: str) -> bool:
    """Whether a file holds something of this name.

    Raises:
        InputError: the file is damaged.
    """
    with _damage_reported(Path(file.filename)):
        return name in file


def dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A data set of numbers, whose ``shape``, ``ndim`` and ``dtype`` can be relied on; :func:`values` reads of it.

    Raises:
        InputError: the file is damaged, or holds no such numbers.
    """
    with _damage_reported(Path(file.filename)):
        found = file[name]
        if not isinstance(found, h5py.Dataset) or not found.shape or 0 in found.shape or found.dtype.kind not in "fciu":
            raise InputError(f"{Path(file.filename).name} holds no numbers where {name} belongs; copy or download it again")
        return found


def values(stored: h5py.Dataset, *where: Any) -> np.ndarray:
    """A part of a data set, chosen as NumPy does; all of it by default.

    Raises:
        InputError: the file is damaged.
    """
    with _damage_reported(Path(stored.file.filename)):
        return np.asarray(stored[where])


def attribute(holder: h5py.File | h5py.Dataset, name: str) -> str:
    """An attribute of a file or data set as text, empty where it is not there.

    Raises:
        InputError: the file is damaged.
    """
    with _damage_reported(Path(holder.file.filename)):
        value: Any = holder.attrs.get(name, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        raise InputError(f"{path.name} is damaged or not a raw data file; copy or download it again") from error


def read_header(file: h5py.File) -> RawHeader:
    """The header of an open file; an empty one where there is none.

    Raises:
        InputError: it is not XML, or the file is damaged.
    """
    if not has(file, "ismrmrd_header"):
        return RawHeader()
    with _damage_reported(Path(file.filename)):
        written: Any = file["ismrmrd_header"][()]
    try:
        root = ElementTree.fromstring(written if isinstance(written, (bytes, str)) else "")
    except ElementTree.ParseError as error:
        raise InputError("the file's ISMRMRD header cannot be read; copy or download it again") from error

    def word(path: str) -> str:
        return (root.findtext("./" + "/".join(f"{{*}}{part}" for part in path.split("/"))) or "").strip()

    def number(path: str) -> float | None:
        try:
            value = float(word(path))
        except ValueError:
            return None
        return value if np.isfinite(value) and value > 0 else None

    rows, columns = (number(f"encoding/reconSpace/matrixSize/{axis}") for axis in "xy")
    height, width, depth = (number(f"encoding/reconSpace/fieldOfView_mm/{axis}") for axis in "xyz")
    return RawHeader(
        matrix=(int(rows), int(columns)) if rows and columns else None,
        pixel=(height / rows, width / columns) if rows and columns and height and width else None,
        encoded_columns_mm=number("encoding/encodedSpace/fieldOfView_mm/y"),
        slice_thickness=depth,
        field_strength=number("acquisitionSystemInformation/systemFieldStrength_T"),
        vendor=word("acquisitionSystemInformation/systemVendor"),
        model=word("acquisitionSystemInformation/systemModel"),
        parallel=number("encoding/parallelImaging/accelerationFactor/kspace_encoding_step_1"),
    )


def coil_images(kspace: np.ndarray, header: RawHeader) -> np.ndarray:
    """Complex images (..., rows, columns) without oversampling from fully sampled k-space (..., readout, phase encoding).

    Lines that a scanner left out at both ends are filled with zeros to square pixels, as the header describes them.
    """
    if header.pixel and header.encoded_columns_mm:
        missing = max(round(header.encoded_columns_mm / header.pixel[1]) - kspace.shape[-1], 0)
        before = missing // 2
        kspace = np.pad(kspace, [(0, 0)] * (kspace.ndim - 1) + [(before, missing - before)])
    axes = (-2, -1)
    images = fft.fftshift(fft.ifft2(fft.ifftshift(kspace, axes=axes), axes=axes, norm="ortho"), axes=axes)
    return cropped(images, header.matrix)


def cropped(images: np.ndarray, matrix: tuple[int, int] | None) -> np.ndarray:
    """The middle of images (..., rows, columns), at most ``matrix`` large."""
    for axis, size in zip((-2, -1), matrix or images.shape[-2:], strict=True):
        first = max(images.shape[axis] - size, 0) // 2
        images = np.take(images, range(first, first + min(size, images.shape[axis])), axis=axis)
    return images


def root_sum_of_squares(images: np.ndarray, axis: int = 0) -> np.ndarray:
    """Magnitude of coil images, combined over the coils' axis."""
    return np.sqrt(np.square(np.abs(images)).sum(axis=axis)).astype(np.float32)


def volume_of(slices: np.ndarray, spacing: tuple[float, float, float], acquisition: Acquisition) -> Volume:
    """A volume of raw data: slices (slices, rows, columns), mm between slices, rows and columns, position unknown.

    Raises:
        InputError: they show nothing, or hold values that are not numbers.
    """
    check_voxels(slices, "the file's image")
    matrix = np.diag([spacing[2], spacing[1], spacing[0], 1.0])
    return Volume(np.ascontiguousarray(slices, np.float32), matrix, acquisition=acquisition)


def acquisition_of(
    header: RawHeader, *, organ: str, contrast: str, fat: str | None, plane: str, field_strength: float | None = None
) -> Acquisition:
    """The acquisition as the data set's documentation and the file's header describe it.

    Args:
        header: of the file.
        organ, contrast, fat, plane: as the documentation of the data set has them.
        field_strength: tesla, for data sets whose headers do not give it.
    """

    def stated(value: str | float | None, source: str) -> AcquisitionField:
        return AcquisitionField() if value is None else AcquisitionField(value, source, "high")

    return Acquisition(
        organ=stated(organ, "data set"),
        contrast=stated(contrast, "data set"),
        fat_suppression=stated(fat, "data set"),
        plane=stated(plane, "data set"),
        vendor=stated(canonical(header.vendor, VENDORS), "ISMRMRD header"),
        field_strength=stated(header.field_strength or field_strength, "ISMRMRD header" if header.field_strength else "data set"),
        parallel_imaging=stated(header.parallel, "ISMRMRD header"),
    )
