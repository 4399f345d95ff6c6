"""Several volumes of one input (echoes, time points, b-values), and their results as one file or one DICOM series."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.io.dicom.frames import headers_of
from MRIDenoiseLib.io.dicom.read import named, stack_of, volume_of
from MRIDenoiseLib.io.dicom.stack import choices, component, echo_count, stack
from MRIDenoiseLib.io.dicom.write import is_our_series, new_series, write_series
from MRIDenoiseLib.io.images import Derivation, ending, read_header, read_image, stem_of, stored_as, write_array
from MRIDenoiseLib.volume import Unmeasured, Volume

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
        beside: files that belong to the input and to a result alike, by the ending that takes the place of the image's.
    """

    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()
    beside: tuple[tuple[str, Path], ...] = ()


def count_volumes(path: Path) -> int:
    """How many volumes an image file holds; 1 for a file whose header cannot be read, whose error is reported when it is read."""
    try:
        return read_header(path).volumes
    except InputError:
        return 1


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
    return Several(tuple(members), beside=beside)


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

    most = {one.echo: max(len(other.frames) for other in kept if other.echo == one.echo) for one in kept}
    short = [called[id(one)] for one in kept if len(one.frames) < most[one.echo]]
    if short:
        notes += (f"Left out what lacks slices: {', '.join(short[:6])}{f' and {len(short) - 6} more' if len(short) > 6 else ''}.",)
        kept = [one for one in kept if len(one.frames) == most[one.echo]]

    def read(frames: tuple[Any, ...]) -> Volume:
        return named(volume_of(stack(frames, path.name), path.name), path, ())

    return Several(tuple(Member(one.volume, one.echo, called[id(one)], partial(read, one.frames)) for one in kept), notes)


def _called(echo: int, volume: int, name: str, echoes: int) -> str:
    number = f"echo {echo}, volume {volume}" if echoes > 1 else f"volume {volume}"
    return f"{number} ({name})" if name else number


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(stem_of(path) + kind)


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
def writing_together(path: Path, *, overwrite: bool = False) -> Iterator[Together]:
    """Results of several volumes as one: a four-dimensional image file, or one derived DICOM series.

    What is added is kept under a temporary name; leaving puts the whole in place, or removes it when an error passes through.

    Args:
        path: an image file (the ending decides), or a folder for DICOM.
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
        image.finish(temporary)


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

    def finish(self, path: Path) -> None:
        """Write the file, in the type that holds all volumes."""
        assert self._first is not None
        self._heap.flush()
        if len(set(self._kinds)) == 1:
            # A view of the file, so that one volume after the other is in memory.
            voxels: np.ndarray = np.memmap(self._heap, self._kinds[0], "r", shape=(len(self._kinds), *self._shape))
        else:
            kind = np.result_type(*self._kinds)
            if kind == np.float64 and np.dtype(np.float64) not in self._kinds:
                kind = np.dtype(np.float32)
            voxels = np.stack(list(self._volumes(kind)))
        write_array(voxels, self._first, path, self._derivation)

    def _volumes(self, kind: np.dtype[Any]) -> Iterator[np.ndarray]:
        self._heap.seek(0)
        for stored in self._kinds:
            voxels = np.frombuffer(self._heap.read(stored.itemsize * int(np.prod(self._shape))), stored)
            yield voxels.reshape(self._shape).astype(kind)
