"""What the tests of preparation share: a body to look at, and files of every kind that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import SimpleITK as sitk
from dicom_factory import COLUMNS, NORMAL, ORIGIN, ROWS, put_pixels, save, slice_header
from scipy import fft, ndimage
from scipy.special import j1

from MRIDenoiseLib.data.records import Record, RecordMeta
from MRIDenoiseLib.volume import Volume


def quiet(what: str) -> None:
    """A listener that has nothing to say."""


def body(depth: int = 6, size: int = 64, seed: int = 0) -> np.ndarray:
    """Float32 (depth, size, size): an ellipse with structures that change from slice to slice and from seed to seed; 0 to about 1000."""
    z, y, x = np.meshgrid(np.linspace(-0.5, 0.5, depth), np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((depth, size, size)), (1, 2.5, 2.5))
    tissue = 550 + 120 * np.tanh(texture / texture.std()) + 150 * np.sign(np.sin(7 * x + 2 * z) * np.cos(6 * y - z))
    inside = ndimage.gaussian_filter(((x / 0.8) ** 2 + (y / (0.85 - 0.2 * z**2)) ** 2 < 1).astype(float), (0, 0.7, 0.7))
    return (inside * tissue).astype(np.float32)


def rician(clean: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """The magnitude of ``clean`` with complex noise."""
    real, imaginary = np.random.default_rng(seed).normal(0, sigma, (2, *clean.shape))
    return np.hypot(clean + real, imaginary).astype(np.float32)


def volume(voxels: np.ndarray, spacing: tuple[float, float, float] = (4.0, 1.0, 1.0), origin: Sequence[float] = (0, 0, 0)) -> Volume:
    """A volume with its slices along z; ``spacing`` in mm between slices, rows, columns."""
    matrix = np.diag([spacing[2], spacing[1], spacing[0], 1.0])
    matrix[:3, 3] = origin
    return Volume(np.ascontiguousarray(voxels, np.float32), matrix)


def nifti(path: Path, voxels: np.ndarray) -> Path:
    """A NIfTI file of 3-D or 4-D voxels, slices 4 mm apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if voxels.ndim == 4:
        image = sitk.JoinSeries([sitk.GetImageFromArray(part) for part in voxels])
        image.SetSpacing((1.0, 1.0, 4.0, 1.0))
    else:
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((1.0, 1.0, 4.0))
    sitk.WriteImage(image, str(path))
    return path


def dicom(folder: Path, voxels: np.ndarray, series: str, first: int = 0, turned: bool = False, **changes: Any) -> Path:
    """A classic DICOM series of these slices from place ``first`` on; ``changes`` are attributes by keyword, None for none.

    ``turned`` slices are written from their last pixel to their first.
    """
    corner = ORIGIN + (0.7 * (voxels.shape[2] - 1) * ROWS + 0.9 * (voxels.shape[1] - 1) * COLUMNS if turned else 0)
    sign = -1 if turned else 1
    for place, pixels in enumerate(voxels, first):
        told: dict[str, Any] = {"SeriesInstanceUID": series, "BodyPartExamined": "KNEE", "SeriesDescription": "pd sag", "EchoTime": 30}
        told |= {"RepetitionTime": 3000, "NumberOfAverages": 2, "ImageOrientationPatient": [*(sign * ROWS), *(sign * COLUMNS)]}
        told = {keyword: value for keyword, value in (told | changes).items() if value is not None}
        header = slice_header(place, **told)
        header.ImagePositionPatient = [round(float(v), 6) for v in corner + place * 4.0 * NORMAL]
        put_pixels(header, np.rint(pixels).astype(np.uint16))
        save(header, folder / f"{series}-{changes.get('EchoTime', 30)}-{place:03d}.dcm")
    return folder


def coils(count: int, size: int) -> np.ndarray:
    """Complex64 (count, size, size): smooth sensitivities around the body."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angles = 2 * np.pi * np.arange(count) / count
    places = [(1.2 * np.cos(angle), 1.2 * np.sin(angle)) for angle in angles]
    return np.stack([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 2 + 1j * (a * x - b * y)) for a, b in places]).astype(np.complex64)


def kspace_of(images: np.ndarray) -> np.ndarray:
    """Complex64 k-space of complex images (..., rows, columns), the zero frequency in the middle."""
    axes = (-2, -1)
    return fft.fftshift(fft.fft2(fft.ifftshift(images, axes=axes), axes=axes, norm="ortho"), axes=axes).astype(np.complex64)


def disc(size: int, spokes: int, radius: float, row: float, column: float) -> np.ndarray:
    """Golden-angle k-space (spokes, 2 size) of a disc of value 1; radius and place in fields of view, from the middle."""
    reach = (np.arange(2 * size) - size) / 2
    angle = np.arange(spokes) * np.pi * 2 / (1 + np.sqrt(5))
    along, across = np.outer(np.cos(angle), reach), np.outer(np.sin(angle), reach)
    frequency = np.maximum(np.hypot(along, across), 1e-9)
    return radius * j1(2 * np.pi * radius * frequency) / frequency * np.exp(-2j * np.pi * (along * row + across * column))


def complex_noise(shape: tuple[int, ...], sigma: float, seed: int) -> np.ndarray:
    """Complex64 noise, ``sigma`` in the real and in the imaginary part."""
    real, imaginary = np.random.default_rng(seed).normal(0, sigma, (2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


def ismrmrd(encoded: tuple[int, int], recon: tuple[int, int], fov: tuple[float, float], encoded_fov: tuple[float, float]) -> str:
    """An ISMRMRD header of a Siemens machine, as fastMRI's files hold it; (readout, phase encoding) each."""

    def space(name: str, matrix: tuple[int, int], size: tuple[float, float]) -> str:
        sizes = f"<matrixSize><x>{matrix[0]}</x><y>{matrix[1]}</y><z>1</z></matrixSize>"
        return f"<{name}>{sizes}<fieldOfView_mm><x>{size[0]}</x><y>{size[1]}</y><z>4.5</z></fieldOfView_mm></{name}>"

    machine = "<systemVendor>SIEMENS</systemVendor><systemModel>Skyra</systemModel><systemFieldStrength_T>2.8936</systemFieldStrength_T>"
    parallel = "<accelerationFactor><kspace_encoding_step_1>2</kspace_encoding_step_1></accelerationFactor>"
    return (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        f"<acquisitionSystemInformation>{machine}</acquisitionSystemInformation><encoding>"
        f"{space('encodedSpace', encoded, encoded_fov)}{space('reconSpace', recon, fov)}"
        f"<parallelImaging>{parallel}</parallelImaging></encoding></ismrmrdHeader>"
    )


def hdf5(path: Path, attributes: dict[str, Any] | None = None, **data: Any) -> Path:
    """An HDF5 file with these data sets and attributes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in data.items():
            file.create_dataset(name, data=value)
        for name, value in (attributes or {}).items():
            file.attrs[name] = value
    return path


def record(noisy: np.ndarray | None = None, clean: np.ndarray | None = None, **changes: Any) -> Record:
    """A record of a phantom; ``changes`` are fields of its meta."""
    clean = body() if clean is None else clean
    noisy = rician(clean, 30, 1) if noisy is None else noisy
    told: dict[str, Any] = {
        **{"subject": "5ub", "exam": "3xa", "series": "53r", "site": "here", "vendor": "GE", "model": "M", "field_strength": 1.5},
        **{"organ": "knee", "contrast": "PDw", "fat_suppression": "none", "plane": "sagittal", "acceleration": 2.0},
        **{"acceleration_group": "2x", "nex_fast": 1.0, "nex_full": 2.0, "parallel_fast": None, "parallel_full": None},
        **{"spacing": (1.0, 1.0), "slice_spacing": 4.0, "slice_thickness": 3.5, "gt_kind": "independent", "repeats": 1},
        **{"noise": "measured", "gain": 1.0, "scale": 900.0, "noise_level": 30.0, "reference_noise": None, "alignment": None},
        **{"fill_factor": (1.0, 1.0), "split": "train", "source": "made here", "licence": "none"},
    }
    return Record(noisy, clean, clean > 100, RecordMeta(**(told | changes)))
