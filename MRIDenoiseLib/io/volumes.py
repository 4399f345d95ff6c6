"""Several volumes of one input (echoes, time points, b-values), and their results as one file or one DICOM series."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import nibabel
import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.io.dicom.frames import headers_of
from MRIDenoiseLib.io.dicom.read import named, stack_of, volume_of
from MRIDenoiseLib.io.dicom.stack import choices, component, echo_count, stack
from MRIDenoiseLib.io.dicom.write import is_our_series, new_series, write_series
from MRIDenoiseLib.io.geometry import lps_parts
from MRIDenoiseLib.io.images import Derivation, ending, read_image, stored_as, write_sitk
from MRIDenoiseLib.volume import Unmeasured, Volume

NIFTI = (".nii", ".nii.gz")
_GRADIENTS = (".bval", ".bvec")
"""FSL's files of b-values and directions, which lie beside a diffusion image under its name."""


@dataclass(frozen=True, eq=False)
class Member:
    """One of several volumes.

    Args:
        volume: its number, from 1, as ``--volume`` takes it.
        echo: the number of its echo, from 1, as ``--echo`` takes it.
        name: how to name it in front of the user, such as ``volume 2 (b = 1000 s/mm2)``; free of names and dates.
        read: reads it.
    """

    volume: int
    echo: int
    name: str
    read: Callable[[], Volume]


@dataclass(frozen=True, eq=False)
class Several:
    """The volumes of one input.

    Args:
        members: in the order of their echoes and numbers.
        notes: what was left out, a sentence each.
        nifti: the header of a four-dimensional NIfTI file, whose units and codes a result keeps, or None.
        beside: files that belong to the input and to a result alike, by the ending that takes the place of the image's.
    """

    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()
    nifti: Any = None
    beside: tuple[tuple[str, Path], ...] = ()


def count_volumes(path: Path) -> int:
    """How many volumes an image file holds; 1 for a file whose header cannot be read, whose error is reported when it is read."""
    if ending(path) in NIFTI:
        header = _nifti_header(path)
        return 1 if header is None else int(np.prod(header.get_data_shape()[3:], dtype=int))
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return 1
    size = reader.GetSize()
    return max(size[3] if len(size) > 3 else 1, reader.GetNumberOfComponents())


def gradient_names(path: Path, count: int) -> list[str]:
    """``b = 1000 s/mm2`` for each volume of an image file with a file of b-values beside it; empty where there is none."""
    file = _beside(path, ".bval")
    try:
        values = [float(word) for word in file.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
    return [f"b = {value:g} s/mm2" for value in values] if len(values) == count else []


def image_volumes(path: Path) -> Several:
    """Every volume of an image file; what is wrong with one is reported when it is read."""
    count = count_volumes(path)
    names = gradient_names(path, count) or [""] * count
    members = [
        Member(number, 1, f"volume {number}" + (f" ({name})" if name else ""), partial(read_image, path, number))
        for number, name in enumerate(names, 1)
    ]
    beside = tuple((kind, _beside(path, kind)) for kind in _GRADIENTS if count > 1 and _beside(path, kind).is_file())
    return Several(tuple(members), nifti=_nifti_header(path) if ending(path) in NIFTI and count > 1 else None, beside=beside)


def dicom_volumes(path: Path, series: int | None = None, echo: int | None = None, number: int | None = None) -> Several:
    """Every magnitude volume of one stack of a DICOM series; phase, real and imaginary images are left out with a note.

    Args:
        path: a DICOM file or folder.
        series: which series, as in :func:`MRIDenoiseLib.io.read`.
        echo: only this echo.
        number: which stack.

    Raises:
        AmbiguousInputError: several series or stacks, and none was chosen.
        InputError: nothing can be read, or no volume is a magnitude image.
    """
    frames, notes = stack_of(path, series, number)
    found = choices(frames, path.name)
    if echo is not None:
        if not 1 <= echo <= echo_count(found):
            raise InputError(f"{path.name} holds {echo_count(found)} echo(es), so there is no echo {echo}")
        found = [one for one in found if one.echo == echo]
    called = {id(one): _called(one.echo, one.volume, one.name, echo_count(found)) for one in found}
    kept = [one for one in found if component(one.frames[0]) in ("", "magnitude")]
    if not kept:
        raise InputError(f"{path.name} holds no magnitude images, only {component(found[0].frames[0])} images and their kind")
    left = [called[id(one)] for one in found if one not in kept]
    if left:
        more = f" and {len(left) - 6} more" if len(left) > 6 else ""
        notes += (f"Left out what is no magnitude image: {', '.join(left[:6])}{more}.",)

    def read(frames: tuple[Any, ...]) -> Volume:
        return named(volume_of(stack(frames, path.name), path.name), path, ())

    return Several(tuple(Member(one.volume, one.echo, called[id(one)], partial(read, one.frames)) for one in kept), notes)


def _called(echo: int, volume: int, name: str, echoes: int) -> str:
    number = f"echo {echo}, volume {volume}" if echoes > 1 else f"volume {volume}"
    return f"{number} ({name})" if name else number


def _nifti_header(path: Path) -> Any:
    try:
        return nibabel.load(path).header
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError):
        return None


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(path.name[: -len(ending(path))] + kind)


def computed_only(volume: Volume, derivation: Derivation | None) -> Volume:
    """A volume that came from DICOM, reduced to the slices that were computed where its account names a range of them.

    Every image of a derived series is called denoised, so that slices which were merely copied may not be among them.
    """
    first, last = (derivation.settings.get("slices") if derivation else None) or (0, len(volume.voxels))
    if (first, last) == (0, len(volume.voxels)) or not volume.headers:
        return volume
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] = (volume.ijk_to_ras @ [0, 0, first, 1])[:3]
    left = volume.unmeasured
    if left is not None:
        inside = np.zeros_like(left.mask)
        inside[first:last] = left.mask[first:last]
        left = Unmeasured(left.mask[first:last], left.values[inside[left.mask]])
    return replace(
        volume, voxels=volume.voxels[first:last], ijk_to_ras=matrix, headers=headers_of(volume.headers, first, last), unmeasured=left
    )


class Together(Protocol):
    """Takes the results of several volumes one after the other."""

    def add(self, volume: Volume, derivation: Derivation) -> None:
        """Take the next volume, and the account of how it was made."""


@contextmanager
def writing_together(path: Path, source: Several, *, overwrite: bool = False) -> Iterator[Together]:
    """Results of several volumes as one: a four-dimensional image file, or one derived DICOM series.

    What is added is kept under a temporary name; leaving puts the whole in place, or removes it when an error passes through.

    Args:
        path: an image file (the ending decides), or a folder for DICOM.
        source: what the volumes were read from.
        overwrite: whether an earlier result there may be replaced.

    Raises:
        OutputError: it cannot be written there, or a volume lies on another grid than the first.
    """
    if not ending(path):
        with replacing(path, overwrite, is_our_series) as temporary:
            yield _Series(temporary)
        return
    with replacing(path, overwrite) as temporary, tempfile.TemporaryFile(dir=path.parent) as heap:
        image = _Image(heap)
        yield image
        image.finish(temporary, source)


class _Series:
    """One DICOM series for all volumes, its images numbered through."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._uid, self._next = folder, new_series(), 1

    def add(self, volume: Volume, derivation: Derivation) -> None:
        self._next += write_series(computed_only(volume, derivation), self._folder, derivation, series=self._uid, first=self._next)


class _Image:
    """One image file for all volumes, which wait on disk until the type that holds them all is known."""

    def __init__(self, heap: IO[bytes]) -> None:
        self._heap = heap
        self._kinds: list[np.dtype[Any]] = []
        self._first: Volume | None = None
        self._derivation: Derivation | None = None

    def add(self, volume: Volume, derivation: Derivation) -> None:
        if self._first is None:
            self._first, self._derivation = replace(volume, voxels=volume.voxels[:1], unmeasured=None, headers=()), derivation
            self._shape = volume.voxels.shape
        elif volume.voxels.shape != self._shape or not np.allclose(volume.ijk_to_ras, self._first.ijk_to_ras, atol=1e-3):
            raise OutputError("the volumes lie on different grids, so one image cannot hold them; choose them one by one, or write DICOM")
        stored = stored_as(volume.in_file(), volume.pixel_type)
        self._kinds.append(stored.dtype)
        self._heap.write(stored.tobytes())

    def finish(self, path: Path, source: Several) -> None:
        assert self._first is not None and self._derivation is not None
        kind = np.result_type(*self._kinds)
        if kind == np.float64 and np.dtype(np.float64) not in self._kinds:
            kind = np.dtype(np.float32)
        self._heap.seek(0)
        if ending(path) in NIFTI:
            _write_nifti(path, self._volumes(kind), self._header(kind, source.nifti), self._derivation)
        else:
            image = sitk.GetImageFromArray(np.stack(list(self._volumes(kind))), isVector=False)
            origin, spacing, direction = lps_parts(self._first.ijk_to_ras)
            image.SetOrigin([*origin.tolist(), 0.0])
            image.SetSpacing([*spacing.tolist(), 1.0])
            turned = np.eye(4)
            turned[:3, :3] = direction
            image.SetDirection(turned.ravel().tolist())
            write_sitk(image, path, self._derivation)

    def _volumes(self, kind: np.dtype[Any]) -> Iterator[np.ndarray]:
        for stored in self._kinds:
            voxels = np.frombuffer(self._heap.read(stored.itemsize * int(np.prod(self._shape))), stored)
            yield voxels.reshape(self._shape).astype(kind)

    def _header(self, kind: np.dtype[Any], source: Any) -> Any:
        """The header of the result: the source's own where it was a NIfTI file of as many volumes."""
        assert self._first is not None
        shape = (*self._shape[::-1], len(self._kinds))
        header = (nibabel.Nifti2Header if isinstance(source, nibabel.Nifti2Header) else nibabel.Nifti1Header)()
        if source is None:
            header.set_data_shape(shape)
            header.set_sform(self._first.ijk_to_ras, 1)
            header.set_qform(self._first.ijk_to_ras, 1)
            header.set_xyzt_units("mm")
        else:
            for field in set(source.structarr.dtype.names) - {"sizeof_hdr", "magic", "vox_offset", "eol_check"}:
                header.structarr[field] = source.structarr[field]
            header.extensions.extend(source.extensions)
            given = source.get_data_shape()
            header.set_data_shape(given if np.prod(given[3:]) == len(self._kinds) else shape)
        header.set_data_dtype(kind)
        header.set_slope_inter(1, 0)
        return header


def _write_nifti(path: Path, volumes: Iterable[np.ndarray], header: Any, derivation: Derivation) -> None:
    """One volume after the other, so that no more than one is in memory."""
    header["descrip"] = derivation.note.encode("ascii", "replace")
    with path.open("wb") as plain, _packed(plain, path) as file:
        header.write_to(file)
        file.write(b"\0" * (int(header["vox_offset"]) - file.tell()))
        for voxels in volumes:
            file.write(voxels.astype(header.get_data_dtype()).tobytes())


@contextmanager
def _packed(plain: IO[bytes], path: Path) -> Iterator[Any]:
    if ending(path) == ".nii":
        yield plain
        return
    # Without a name and a time in it, equal results are equal files.
    with gzip.GzipFile("", "wb", 6, plain, 0) as packed:
        yield packed
