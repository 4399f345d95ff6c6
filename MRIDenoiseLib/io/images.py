"""Image files (NIfTI, NRRD, MetaImage) to Volume and back, with what was done to the image in their headers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.io.geometry import check_grid, check_voxels, lps_parts
from MRIDenoiseLib.io.paths import utf8_path
from MRIDenoiseLib.io.stored_bytes import Stored, read_volume
from MRIDenoiseLib.io.text_headers import ACCOUNT_KEY, read_meta_image, read_nrrd
from MRIDenoiseLib.volume import Unmeasured, Volume


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
"""The image files read and written here; what is neither these nor one of :data:`READ_ONLY` is taken for DICOM."""

READ_ONLY = (".hdr", ".img", ".hdr.gz", ".img.gz", ".mgz", ".mgh", ".nhdr", ".mhd")
"""Further image files that are read: pairs of a header and its voxels, and FreeSurfer's own."""

_WIDER = ("int16", "int32", "float32")

MOST_HOLES = 0.05
"""Up to this share of the voxels within an image's outline may hold no number; more is a damaged image."""


def ending(path: Path) -> str:
    """The image ending of a file name (one of :data:`ENDINGS`), or an empty string."""
    name = path.name.lower()
    return next((e for e in ENDINGS if name.endswith(e)), "")


def readable(path: Path) -> str:
    """The ending of a file that :func:`read_image` reads (also one of :data:`READ_ONLY`), or an empty string.

    Old scanners end DICOM files in ``.img`` too, so that such a file counts only with its header beside it.
    """
    name = path.name.lower()
    found = ending(path) or next((e for e in sorted(READ_ONLY, key=len, reverse=True) if name.endswith(e)), "")
    if found.startswith(".img"):
        stem = path.name[: -len(found)]
        return found if any(path.with_name(stem + e).is_file() for e in (".hdr", ".HDR", ".hdr.gz", ".HDR.GZ")) else ""
    return found


def stem_of(path: Path) -> str:
    """A file's name without its image ending."""
    return path.name[: len(path.name) - len(readable(path))]


def read_image(path: Path, volume: int | None = None, *, constant: bool = False) -> Volume:
    """Read one three-dimensional image file.

    A two-dimensional image becomes one slice. Values are physical: slope and intercept are applied, and then
    ``pixel_type`` is ``float32``, because whole numbers of the stored type no longer hold them. NaN counts as not measured.

    Args:
        path: a file with one of the known endings.
        volume: which volume of a four-dimensional file (or of a list of volumes in a NRRD file), counted from 1.
        constant: whether one value everywhere will do, as in a mask.

    Raises:
        AmbiguousInputError: the file holds several volumes and none was chosen.
        InputError: anything that keeps the file from being one grey, finite, complete, non-constant MR volume.
    """
    what = path.name
    with np.errstate(all="ignore"):  # what overflows in a header is refused as not finite or impossible
        stored = read_header(path)
    check_grid(stored.ijk_to_ras, what)
    numbers, of_bytes = read_volume(stored, volume, what)
    with np.errstate(over="ignore", invalid="ignore"):
        if stored.scaled:
            numbers = numbers * stored.slope + stored.intercept
        voxels = np.array(numbers, np.float32)
    result = Volume(
        voxels,
        stored.ijk_to_ras,
        "float32" if stored.scaled else stored.dtype.newbyteorder("=").name,
        name=stem_of(path),
        notes=(*stored.notes, *of_bytes),
        nifti=stored.nifti,
        account=stored.account,
    )
    result = without_nan(result, what)
    check_voxels(result.voxels, what, constant=constant)
    return result


def read_header(path: Path) -> Stored:
    """How a file of one of the known endings stores its image.

    Raises:
        InputError: it is of another kind, damaged, or holds no grey image.
    """
    kind = readable(path)
    if kind in (".nrrd", ".nhdr"):
        return read_nrrd(path, path.name)
    if kind in (".mha", ".mhd"):
        return read_meta_image(path, path.name)
    from MRIDenoiseLib.io.nifti import read_header as read_nifti  # loads nibabel

    return read_nifti(path, path.name)


def without_nan(volume: Volume, what: str) -> Volume:
    """The volume with 0 for NaN, which :attr:`Volume.unmeasured` keeps for the result.

    Raises:
        InputError: nothing is a number, or more than a few voxels within the image's outline are none.
    """
    empty = np.isnan(volume.voxels)
    if not empty.any():
        return volume
    if empty.all():
        raise InputError(f"{what} holds no number in any voxel (NaN); export the image again")
    from scipy.ndimage import binary_fill_holes

    slices = volume.stacked(~empty)
    inside = np.stack([binary_fill_holes(one) for one in slices])
    holes = int((inside & ~slices).sum())
    if holes > MOST_HOLES * inside.sum():
        raise InputError(
            f"{what} holds values that are not finite numbers (NaN) in {holes / inside.sum():.0%} of the voxels within its outline; "
            "export the image again"
        )
    note = f"Voxels without a number (NaN): {int(empty.sum())}. They count as not measured and stay as they are."
    voxels = np.where(empty, np.float32(0), volume.voxels)
    unmeasured = Unmeasured(empty, volume.voxels[empty])
    return replace(volume, voxels=voxels, unmeasured=unmeasured, notes=(*volume.notes, note))


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
        derivation: what was done, see :func:`write_array`.
    """
    write_array(stored_as(volume.in_file(), volume.pixel_type), volume, path, derivation)


def write_array(
    voxels: np.ndarray, like: Volume, path: Path, derivation: Derivation | None = None, fields: Mapping[str, str] | None = None
) -> None:
    """Write voxels, of the type to be stored, on a volume's grid, compressed where the format can.

    Args:
        voxels: (z, y, x), or several of one grid (n, z, y, x).
        like: the volume; a NIfTI file of a NIfTI source keeps the codes, matrices and units of its header.
        path: a file that does not exist yet, with a known ending.
        derivation: what was done: NIfTI keeps a short note of it in ``descrip``, NRRD and MetaImage the whole account in
            a field of their header.
        fields: further fields for the header of NRRD and MetaImage.

    Raises:
        OutputError: the system refused, or the file is not complete.
    """
    if ending(path).startswith(".nii"):
        from MRIDenoiseLib.io.nifti import write_nifti

        same_kind = derivation is None or derivation.suffix == "denoised"
        try:
            write_nifti(voxels, like.ijk_to_ras, path, like=like.nifti, note=derivation.note if derivation else "", same_kind=same_kind)
        except OSError as error:
            raise _refused(path) from error
        return
    images = [sitk_image(one, like.ijk_to_ras) for one in (voxels if voxels.ndim == 4 else voxels[None])]
    image = images[0] if voxels.ndim == 3 else sitk.JoinSeries(images)
    for name, text in (fields or {}).items():
        image.SetMetaData(name, text)
    if derivation:
        image.SetMetaData(ACCOUNT_KEY, derivation.description)
    _write_sitk(image, path)


def _refused(path: Path) -> OutputError:
    return OutputError(f"cannot write the {ending(path)} file; is there enough space, and may you write there?")


def _write_sitk(image: sitk.Image, path: Path) -> None:
    """Write an image as NRRD or MetaImage, and prove that the file holds it.

    ITK's writers print what went wrong and return, so that the file is read again, whatever they print.
    """
    kind = ending(path)
    # ITK knows no ending in capitals.
    small = path.with_name(path.name[: -len(kind)] + kind)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO({".nrrd": "NrrdImageIO", ".mha": "MetaImageIO"}[kind])
    writer.UseCompressionOn()
    try:
        with itk_printing_into(os.devnull, warnings=False), utf8_path(small) as plain:
            writer.SetFileName(str(plain))
            writer.Execute(image)
        small.replace(path)
        written = read_header(path)
        for volume in range(1, written.volumes + 1):
            read_volume(written, volume, path.name)
    except (RuntimeError, InputError) as error:
        small.unlink(missing_ok=True)
        raise _refused(path) from error


@contextmanager
def itk_printing_into(file: Path | str, *, warnings: bool) -> Iterator[None]:
    """Send what ITK prints to the process's standard error, with the file's path in it, somewhere else.

    Args:
        file: what is written to, such as ``os.devnull``; made where it is missing.
        warnings: whether ITK's own warnings are among it.
    """
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(warnings)
    target = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        saved = os.dup(2)
    except OSError:
        saved = None  # a process without standard error, such as a windowed one, prints nothing
    try:
        if saved is not None:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(target, 2)
        yield
    finally:
        if saved is not None:
            os.dup2(saved, 2)
            os.close(saved)
        os.close(target)
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
