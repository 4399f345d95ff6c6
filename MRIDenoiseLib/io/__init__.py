"""Files in and out: NIfTI, NRRD, MetaImage and DICOM to :class:`~MRIDenoiseLib.volume.Volume` and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import Dataset

from MRIDenoiseLib.errors import AmbiguousInputError, InputError, OutputError
from MRIDenoiseLib.io.atomic import check_room, check_target, replacing
from MRIDenoiseLib.io.dicom.files import Series
from MRIDenoiseLib.io.dicom.folder import find_series
from MRIDenoiseLib.io.dicom.read import read_dicom
from MRIDenoiseLib.io.dicom.read import read_slices as read_dicom_slices
from MRIDenoiseLib.io.dicom.stack import listed
from MRIDenoiseLib.io.dicom.write import check_source, is_our_series, write_series
from MRIDenoiseLib.io.images import ENDINGS, READ_ONLY, Derivation, ending, read_image, readable, write_image
from MRIDenoiseLib.io.sidecar import dataset_of, read_sidecar
from MRIDenoiseLib.io.volumes import (
    Member,
    Several,
    Together,
    computed_only,
    count_volumes,
    dicom_volumes,
    gradient_names,
    image_volumes,
    writing_together,
)
from MRIDenoiseLib.prompt import read_acquisition
from MRIDenoiseLib.volume import Volume

__all__ = ["Derivation", "Series", "check_writable", "list_series", "read", "read_slices", "replacing", "write", "writing"]
__all__ += ["Several", "Together", "hearing_notes", "read_all", "writing_together"]

_heard: ContextVar[list[tuple[str, tuple[str, ...]]] | None] = ContextVar("_heard", default=None)
"""Where :func:`read` adds what it said, while somebody wants to hear it."""

LEAST_PACKED = 8
"""An image with noise in it is hardly ever packed to less than this part of its size."""

_OTHER_FILES = {*READ_ONLY, ".gz", ".dcm", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".npz", ".h5"}
_OTHER_FILES |= {".mnc", ".txt", ".json", ".csv", ".zip", ".vtk", ".bmp", ".gif", ".pdf"}
"""Endings that show that a single file was meant, of a kind that is not written."""


def read(
    path: str | Path, *, series: int | None = None, echo: int | None = None, volume: int | None = None, stack: int | None = None
) -> Volume:
    """Read one MR volume, and what its headers and name state about how it was acquired.

    Args:
        path: a ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.mha`` file (or ``.hdr`` with ``.img``, ``.nhdr``, ``.mhd``, ``.mgz``), a
            DICOM file, or a folder of DICOM files.
        series: which series of a DICOM folder, from 1, in the order of :func:`list_series`.
        echo: which echo of a DICOM series, from 1, in the order of echo times.
        volume: which volume of a four-dimensional image, from 1 (time point, b-value, kind of image).
        stack: which stack of a DICOM series that holds several, from 1, in the order in which they were imaged; by default
            the one that is plainly the largest. What was left out is in :attr:`Volume.notes`.

    Raises:
        AmbiguousInputError: the input holds several volumes and no choice was made.
        InputError: it cannot be used; the message gives the reason.

    Examples:
        >>> import MRIDenoiseLib as m
        >>> from MRIDenoiseLib.card import sample_data
        >>> noisy = m.read(sample_data("head_T1w_noisy.nii.gz"))
        >>> noisy.voxels.shape, noisy.acquisition.contrast.value
        ((16, 256, 256), 'T1w')
    """
    path = Path(path)
    with _reading(path):
        if path.is_file() and readable(path):
            _refuse_choices_of_dicom(path, series=series, echo=echo, stack=stack)
            try:
                result = read_image(path, volume)
            except AmbiguousInputError as error:
                count = count_volumes(path)
                named = listed(gradient_names(path, count))
                said = str(error.args[0])
                raise AmbiguousInputError(said.replace(f" (1 to {count})", named) if named else said) from error
            return _said(path, _with_sidecar(result, path))
        return _said(path, _with_acquisition(read_dicom(path, series, echo, volume, stack)))


@contextmanager
def hearing_notes() -> Iterator[list[tuple[str, tuple[str, ...]]]]:
    """For work that reads images somewhere inside: a list that receives, from each :func:`read`, the name of its input and its notes."""
    heard: list[tuple[str, tuple[str, ...]]] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def _said(path: Path, volume: Volume) -> Volume:
    if volume.notes and (heard := _heard.get()) is not None:
        heard.append((path.name, volume.notes))
    return volume


def read_all(path: str | Path, *, series: int | None = None, echo: int | None = None, stack: int | None = None) -> Several:
    """Every volume of an input, each to be read when its turn comes; arguments and errors are those of :func:`read`.

    Of a DICOM series these are the magnitude volumes of every echo of one stack, or of the one echo that is given.
    """
    path = Path(path)
    with _reading(path):
        image = path.is_file() and bool(readable(path))
        if image:
            _refuse_choices_of_dicom(path, series=series, echo=echo, stack=stack)
            found = image_volumes(path)
        else:
            found = dicom_volumes(path, series, echo, stack)

    def read_member(member: Member) -> Volume:
        try:
            with _reading(path):
                return _with_sidecar(member.read(), path) if image else _with_acquisition(member.read())
        except InputError as error:
            raise InputError(f"{member.name}: {error.args[0]}") from error

    return replace(found, members=tuple(replace(member, read=partial(read_member, member)) for member in found.members))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Refuse what is no readable file or folder in our own words."""
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist; check the name")
        if not (path.is_file() or path.is_dir()):
            raise InputError(f"{path} is neither a file nor a folder but a pipe or a device; write the image to a file first")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path.name} is an empty file; copy or export it again")
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or 'the system refused'}") from error


def _refuse_choices_of_dicom(path: Path, **numbers: int | None) -> None:
    given = [f"--{name}" for name, number in numbers.items() if (number or 1) != 1]
    if given:
        raise InputError(f"{path.name} is a single image without series, echoes or stacks; leave {' and '.join(given)} out")


def read_slices(slices: Iterable[tuple[Path, int | None]]) -> Volume:
    """Read one volume from DICOM slices that are known, see :func:`MRIDenoiseLib.io.dicom.read.read_slices`.

    Raises:
        InputError: it cannot be used; the message gives the reason.
    """
    try:
        return _with_acquisition(read_dicom_slices(slices))
    except OSError as error:
        raise InputError(f"the series cannot be read: {error.strerror or 'the system refused'}") from error


def _with_sidecar(result: Volume, path: Path) -> Volume:
    sidecar = read_sidecar(path)
    if sidecar.modality not in ("", "MR"):
        raise InputError(f"{path.name} is {sidecar.modality}, as the JSON file beside it says, not MR; only MR images can be denoised")
    stated, of_times = dataset_of(sidecar)
    notes = (*result.notes, *sidecar.notes, *of_times)
    return _with_acquisition(replace(result, notes=notes, image_type=sidecar.image_type), stated)


def _with_acquisition(result: Volume, sidecar: Dataset | None = None) -> Volume:
    axis = result.slice_axis
    acquisition = read_acquisition(result.headers, name=result.name, ijk_to_ras=result.ijk_to_ras, slice_axis=axis, sidecar=sidecar)
    return result.with_acquisition(acquisition)


def list_series(folder: str | Path) -> list[Series]:
    """The image series in a DICOM folder (or file), numbered as ``series=`` takes them.

    Raises:
        InputError: there is no DICOM image.
    """
    path = Path(folder)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name")
    return find_series(path)


def check_writable(volume: Volume, path: str | Path, *, overwrite: bool = False) -> None:
    """Find out before long work whether :func:`write` will be able to write there.

    Raises:
        OutputError: an unknown ending, an existing result without ``overwrite``, a folder that is missing, may not be
            written to or holds something else, a disk without room, or DICOM output of a volume that did not come from DICOM.
    """
    path = Path(path)
    _check_ending(volume, path)
    check_target(path, overwrite, _replaceable(path))
    bytes_stored = volume.voxels.size * np.dtype(volume.pixel_type).itemsize
    check_room(path, bytes_stored // (LEAST_PACKED if ending(path) not in ("", ".nii") else 1))


def write(volume: Volume, path: str | Path, *, overwrite: bool = False, derivation: Derivation | None = None) -> None:
    """Write a volume under a temporary name, and put it in place when it is complete.

    The ending of ``path`` decides: ``.nii``, ``.nii.gz``, ``.nrrd`` and ``.mha`` are image files in the source's pixel
    type (a wider one where the values do not fit) and geometry; a name without a known ending is a folder that gets a
    derived DICOM series, see :func:`MRIDenoiseLib.io.dicom.write.write_series`. An existing folder is replaced only if
    ``overwrite`` is set and it holds nothing but a derived series of ours.

    Args:
        volume: what to write.
        path: file or folder.
        overwrite: whether an earlier result there may be replaced.
        derivation: what was done; its account goes into the file.

    Raises:
        OutputError: see :func:`check_writable`, or the system refused to write.

    Examples:
        >>> import MRIDenoiseLib as m
        >>> from MRIDenoiseLib.card import sample_data
        >>> noisy = m.read(sample_data("head_T1w_noisy.nii.gz"))
        >>> m.write(noisy, "copy.nrrd")
        >>> bool((m.read("copy.nrrd").voxels == noisy.voxels).all())
        True
    """
    with writing(volume, path, overwrite=overwrite, derivation=derivation):
        pass


@contextmanager
def writing(volume: Volume, path: str | Path, *, overwrite: bool = False, derivation: Derivation | None = None) -> Iterator[None]:
    """:func:`write` in two halves, for several results that belong together.

    Entering writes the volume completely under its temporary name; leaving puts it in place, or removes it when an error
    passes through. Arguments and errors are those of :func:`write`.
    """
    path = Path(path)
    _check_ending(volume, path)
    with replacing(path, overwrite, _replaceable(path)) as temporary:
        if ending(path):
            write_image(volume, temporary, derivation)
        else:
            write_series(computed_only(volume, derivation), temporary, derivation)
        yield


def _check_ending(volume: Volume, path: Path) -> None:
    if ending(path):
        if path.is_dir():
            raise OutputError(f"cannot write the file {path}: a folder of that name exists")
        return
    if path.suffix.lower() in _OTHER_FILES or path.is_file():
        raise OutputError(f"cannot write {path.name}: give a name that ends in {', '.join(ENDINGS)}, or a folder for a DICOM series")
    check_source(volume)


def _replaceable(path: Path) -> Callable[[Path], bool] | None:
    return None if ending(path) else is_our_series
