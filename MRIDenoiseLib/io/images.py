"""NIfTI, NRRD and MetaImage files to Volume and back, through SimpleITK, with what was done to the image in their headers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import AmbiguousInputError, InputError, OutputError
from MRIDenoiseLib.io import stored_bytes
from MRIDenoiseLib.io.geometry import check_grid, check_voxels, ijk_to_ras, lps_parts
from MRIDenoiseLib.io.paths import utf8_path
from MRIDenoiseLib.volume import Volume


@dataclass(frozen=True)
class Derivation:
    """How a result was made, in words that may be written into its file.

    Args:
        method: the sampler's name, or what else was done.
        bundle: the model bundle's hash (hexadecimal; its first 12 digits are written), or ``none``.
        seed: the random seed; 0 where nothing is random.
        settings: further settings of the method, name to number or word.
        suffix: what the series' description gets at its end, such as ``denoised`` or ``residual``.
    """

    method: str
    bundle: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = "denoised"

    @property
    def note(self) -> str:
        """The account as far as a NIfTI header holds it: at most 79 characters, the number of steps where it fits."""
        text = f"NOT FOR DIAGNOSTIC USE; {self.method}; bundle {self.bundle[:12]}; seed {self.seed}"
        steps = f"; steps {self.settings['steps']}" if "steps" in self.settings else ""
        return (text + steps if len(text + steps) <= 79 else text)[:79]

    @property
    def description(self) -> str:
        """The whole account, for Derivation Description (0008,2111) and image headers, at most 1024 characters."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        text = f"{self.suffix} by MRI Denoise, method {self.method}, bundle {self.bundle[:12]}, seed {self.seed}"
        return f"{RESEARCH_USE_ONLY} {text}{', ' + settings if settings else ''}"[:1024]


ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
"""The image files read and written here; everything else is taken for DICOM."""

_READERS = {".nii.gz": "NiftiImageIO", ".nii": "NiftiImageIO", ".nrrd": "NrrdImageIO", ".mha": "MetaImageIO"}
_WIDER = ("int16", "int32", "float32")
_NOTE_KEY = "MRIDenoise"


def ending(path: Path) -> str:
    """The image ending of a file name (one of :data:`ENDINGS`), or an empty string."""
    name = path.name.lower()
    return next((e for e in ENDINGS if name.endswith(e)), "")


def read_image(path: Path, volume: int | None = None, *, constant: bool = False) -> Volume:
    """Read one three-dimensional image file.

    A two-dimensional image becomes one slice. Values are physical: slope and intercept are applied, and then
    ``pixel_type`` is ``float32``, because whole numbers of the stored type no longer hold them.

    Args:
        path: a file with one of the known endings.
        volume: which volume of a four-dimensional file (or of a list of volumes in a NRRD file), counted from 1.
        constant: whether one value everywhere will do, as in a mask.

    Raises:
        AmbiguousInputError: the file holds several volumes and none was chosen.
        InputError: anything that keeps the file from being one grey, finite, complete, non-constant MR volume.
    """
    what = path.name
    kind = ending(path)
    if kind in (".nii", ".nii.gz"):
        stored = stored_bytes.nifti(path, kind == ".nii.gz")
    elif kind == ".nrrd":
        stored = stored_bytes.nrrd(path)
    else:
        stored = stored_bytes.meta_image(path)

    with _quiet(), utf8_path(path) as plain:
        reader = sitk.ImageFileReader()
        reader.SetImageIO(_READERS[kind])
        reader.SetFileName(str(plain))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            if "orthonormal" in str(error):
                raise InputError(
                    f"{what}: the image axes are not perpendicular (a sheared grid); resample it to a straight grid first"
                ) from error
            raise InputError(f"{what} has a header that cannot be read; copy or export it again") from error
        _check_kind(reader, stored.listed, what)
        account = next((reader.GetMetaData(key) for key in (_NOTE_KEY, "ITK_FileNotes") if reader.HasMetaDataKey(key)), "")
        size = list(reader.GetSize())
        if 0 in size:
            raise InputError(f"{what} holds no voxels; export the image again")
        components = reader.GetNumberOfComponents()
        stored_type = sitk.GetArrayFromImage(sitk.Image([1] * len(size), reader.GetPixelID())).dtype
        if not stored.pixel_type:
            promised = int(np.prod(size, dtype=object)) * stored_type.itemsize * components
            stored_bytes.check_payload(stored.payload, promised, what)
        reader.SetExtractIndex([0] * len(size))
        extract = size[:3] + [0] * (len(size) - 3)
        component = 0
        if components > 1:
            if len(size) > 3:
                raise InputError(f"{what} has more than four dimensions; split it into volumes first")
            component = _chosen_volume(components, volume, what)
        elif len(size) > 3:
            if any(n > 1 for n in size[4:]):
                raise InputError(f"{what} has more than four dimensions; split it into volumes first")
            index = [0] * len(size)
            index[3] = _chosen_volume(size[3], volume, what)
            reader.SetExtractIndex(index)
        elif volume not in (None, 1):
            raise InputError(f"{what} holds one volume, so there is no volume {volume}")
        reader.SetExtractSize(extract)
        try:
            image = reader.Execute()
            if components > 1:
                image = sitk.VectorIndexSelectionCast(image, component)
        except RuntimeError as error:
            raise InputError(f"{what} cannot be read as an image; copy or export it again") from error

    with np.errstate(over="ignore", invalid="ignore"):
        voxels = sitk.GetArrayFromImage(image).astype(np.float32)
    if voxels.ndim == 2:
        voxels = voxels[None]
    matrix = _grid_of(image)
    check_grid(matrix, what)
    check_voxels(voxels, what, constant=constant)
    pixel_type = "float32" if stored.scaled else stored.pixel_type or str(stored_type)
    return Volume(voxels, matrix, pixel_type, name=what[: -len(kind)], account=account)


def _check_kind(reader: sitk.ImageFileReader, listed: bool, what: str) -> None:
    if reader.GetNumberOfComponents() != 1 and not listed:
        raise InputError(f"{what} holds {reader.GetNumberOfComponents()} values a voxel (RGB or vectors); only grey images can be denoised")
    if reader.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise InputError(f"{what} holds complex voxels; take the magnitude first")
    if not 2 <= reader.GetDimension() <= 5:
        raise InputError(f"{what} has {reader.GetDimension()} dimensions; only two- and three-dimensional images can be denoised")


def _chosen_volume(count: int, volume: int | None, what: str) -> int:
    """Index from 0 of the volume the user chose (counted from 1) among ``count``."""
    if volume is None and count > 1:
        raise AmbiguousInputError(f"{what} holds {count} volumes; choose one with --volume N (1 to {count})")
    chosen = 1 if volume is None else volume
    if not 1 <= chosen <= count:
        raise InputError(f"{what} holds {count} volume(s), so there is no volume {chosen}")
    return chosen - 1


def _grid_of(image: sitk.Image) -> np.ndarray:
    dimension = image.GetDimension()
    origin, spacing, direction = np.zeros(3), np.ones(3), np.eye(3)
    origin[:dimension] = image.GetOrigin()
    spacing[:dimension] = image.GetSpacing()
    direction[:dimension, :dimension] = np.reshape(image.GetDirection(), (dimension, dimension))
    return ijk_to_ras(origin, spacing, direction)


def sitk_image(voxels: np.ndarray, ijk_to_ras: np.ndarray) -> sitk.Image:
    """Voxels (z, y, x) of any type and their grid as SimpleITK has them."""
    image = sitk.GetImageFromArray(voxels)
    origin, spacing, direction = lps_parts(ijk_to_ras)
    image.SetOrigin(origin.tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    return image


def stored_as(voxels: np.ndarray, pixel_type: str) -> np.ndarray:
    """Voxels in the type the source stored, or the narrowest wider one where their range does not fit.

    Whole-number types are rounded to. Nothing is clipped: a result brighter than int16 can hold is written as int32,
    a negative one (a residual) from an unsigned source as int16 or int32, and beyond that as float32.
    """
    kind = np.dtype(pixel_type)
    if kind.kind == "f":
        return voxels.astype(kind)
    rounded = np.rint(voxels)
    # As Python's numbers: NumPy would round the limits of int32 to float32 before it compares.
    low, high = float(rounded.min()), float(rounded.max())
    for name in (pixel_type, *_WIDER):
        wider = np.dtype(name)
        if wider.kind == "f":
            return voxels.astype(wider)
        if np.iinfo(wider).min <= low and high <= np.iinfo(wider).max:
            return rounded.astype(wider)
    raise AssertionError("float32 holds every float32")


def write_image(volume: Volume, path: Path, derivation: Derivation | None = None) -> None:
    """Write a volume to an image file (the ending chooses the format), in its source's pixel type and geometry.

    Where the result does not fit the source's type it is written in a wider one, see :func:`stored_as`.

    Args:
        volume: what to write.
        path: a file that does not exist yet, with a known ending.
        derivation: what was done, see :func:`write_sitk`.
    """
    stored = stored_as(volume.voxels, volume.pixel_type)
    image = sitk_image(stored, volume.ijk_to_ras)
    write_sitk(image, path, derivation)


def write_sitk(image: sitk.Image, path: Path, derivation: Derivation | None = None) -> None:
    """Write an image to a file that does not exist yet, compressed where the format can.

    Args:
        image: any pixel type.
        path: a file that does not exist yet, with a known ending.
        derivation: what was done: NIfTI keeps a short note of it in ``descrip``, NRRD and MetaImage the whole account in
            a field of their header.

    Raises:
        OutputError: the system refused, or the file is not complete.
    """
    if derivation and ending(path).startswith(".nii"):
        image.SetMetaData("ITK_FileNotes", derivation.note)
    elif derivation:
        image.SetMetaData(_NOTE_KEY, derivation.description)
    refused = OutputError(f"cannot write the {ending(path)} file; is there enough space, and may you write there?")
    with _quiet(), utf8_path(path) as plain:
        try:
            sitk.WriteImage(image, str(plain), useCompression=ending(path) != ".nii")
        except RuntimeError as error:
            raise refused from error
    size = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent() * image.GetNumberOfComponentsPerPixel()
    if ending(path).startswith(".nii") and not stored_bytes.nifti_is_complete(path, ending(path) == ".nii.gz", size):
        raise refused


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the image libraries' own warnings off the screen: our one sentence contains what matters in them.

    Some of these libraries print straight to the process's standard error, with the file's path and header text in
    it, so it is pointed elsewhere for the moment of the call.
    """
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        saved = os.dup(2)
    except OSError:
        saved = None  # a process without standard error, such as a windowed one, prints nothing
    try:
        if saved is not None:
            if sys.stderr is not None:
                sys.stderr.flush()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        yield
    finally:
        if saved is not None:
            os.dup2(saved, 2)
            os.close(saved)
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
