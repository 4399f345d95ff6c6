"""The voxels of an image file as bytes: where they lie, how they are packed, and the proof that all of them are there.

Image libraries fill a short file with zeros, or hand out uninitialised memory after a failed unpacking, without an error.
So the readers here take only the header from a library (or read it themselves) and fetch the bytes with this module.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from MRIDenoiseLib.errors import AmbiguousInputError, InputError

Packing = Literal["", "gzip", "zlib", "bzip2", "text", "hex"]

_CHUNK = 1 << 20
_PLAIN_EXTRA = 256
"""Bytes behind the voxels that need no word: padding to a block of a disk, a line's end."""


@dataclass(frozen=True)
class Piece:
    """A run of voxels in one file.

    Args:
        path: the file.
        start: bytes of the file before the run; -1 where the run is the end of the file.
        packing: how it is packed.
        skip: unpacked bytes before the first voxel.
        size: bytes of voxels it may give, or None for all there are.
    """

    path: Path
    start: int = 0
    packing: Packing = ""
    skip: int = 0
    size: int | None = None


@dataclass(frozen=True)
class Stored:
    """How a file stores its image, as its header says.

    Args:
        pieces: where the voxels lie, in order.
        dtype: of one stored number, with its byte order.
        shape: samples along each stored axis, fastest first.
        listed: the stored axes that count volumes; the others are i, j and k, in this order.
        ijk_to_ras: 4x4 matrix from voxel index to RAS mm.
        slope: physical value = stored value * slope + intercept.
        intercept: see ``slope``.
        exact: whether nothing but padding may follow the voxels, as in a file of nothing else that a header names.
        notes: what the reader chose or found odd, a sentence each.
        nifti: the NIfTI header (nibabel's), where a result may keep it.
        account: what an earlier run of ours wrote into the header of a NRRD or MetaImage file; empty where none did.
    """

    pieces: tuple[Piece, ...]
    dtype: np.dtype
    shape: tuple[int, ...]
    listed: tuple[int, ...]
    ijk_to_ras: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0
    exact: bool = False
    notes: tuple[str, ...] = ()
    nifti: Any = None
    account: str = ""

    @property
    def scaled(self) -> bool:
        """Whether physical values differ from stored ones."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def volumes(self) -> int:
        """How many volumes the file holds."""
        return int(np.prod([self.shape[axis] for axis in self.listed], dtype=object))


def read_volume(stored: Stored, volume: int | None, what: str) -> tuple[np.ndarray, list[str]]:
    """The stored numbers of one volume, native byte order, (z, y, x), and notes about the bytes.

    Args:
        stored: where they lie.
        volume: which one, counted from 1; those of an earlier listed axis follow each other.
        what: how to name the file in front of the user.

    Raises:
        AmbiguousInputError: there are several volumes and none was chosen.
        InputError: no voxels, no such volume, too few bytes, more than the header explains, or they cannot be unpacked.
    """
    if 0 in stored.shape:
        raise InputError(f"{what} holds no voxels; export the image again")
    chosen = _chosen_volume(stored.volumes, volume, what)
    promised = stored.dtype.itemsize * int(np.prod(stored.shape, dtype=object))
    spatial = len(stored.shape) - len(stored.listed)
    apart = stored.listed == tuple(range(spatial, len(stored.shape)))
    one = promised // stored.volumes
    first, end = (chosen * one, (chosen + 1) * one) if apart else (0, promised)
    data, notes = _section(stored, first, end, promised, what)
    numbers = np.frombuffer(data, stored.dtype)
    if apart:
        numbers = numbers.reshape(stored.shape[:spatial][::-1])
    else:
        numbers = numbers.reshape(stored.shape[::-1])
        places = np.unravel_index(chosen, [stored.shape[axis] for axis in stored.listed], order="F")
        index: list[Any] = [slice(None)] * numbers.ndim
        for axis, place in zip(stored.listed, places, strict=True):
            index[numbers.ndim - 1 - axis] = place
        numbers = numbers[tuple(index)]
    numbers = numbers.reshape((1,) * (3 - numbers.ndim) + numbers.shape)
    return numbers.astype(stored.dtype.newbyteorder("="), copy=False), notes


def _chosen_volume(count: int, volume: int | None, what: str) -> int:
    """Index from 0 of the volume the user chose (counted from 1) among ``count``."""
    if volume is None and count > 1:
        raise AmbiguousInputError(f"{what} holds {count} volumes; choose one with --volume N (1 to {count})")
    chosen = 1 if volume is None else volume
    if not 1 <= chosen <= count:
        raise InputError(f"{what} holds {count} volume(s), so there is no volume {chosen}")
    return chosen - 1


def _section(stored: Stored, first: int, end: int, promised: int, what: str) -> tuple[bytearray, list[str]]:
    """Bytes ``first`` to ``end`` of the voxels; all of them are counted, also those that are not wanted."""
    kept = bytearray()
    total = 0
    foreign = False
    for block in chain.from_iterable(blocks(piece, stored.dtype, what) for piece in stored.pieces):
        if total < end and total + len(block) > first:
            kept += block[max(first - total, 0) : end - total]
        if total + len(block) > promised:
            behind = block[max(promised - total, 0) :]
            foreign = foreign or behind.count(0) != len(behind)
        total += len(block)
    if total < promised:
        raise InputError(
            f"{what} is cut short: its header promises {promised} bytes of voxels and {total} are there; copy or export it again"
        )
    return kept, _about_what_follows(total - promised, promised, foreign, stored, what)


def _about_what_follows(extra: int, promised: int, foreign: bool, stored: Stored, what: str) -> list[str]:
    """What to say of bytes behind the voxels: padding and foreign bytes do no harm, voxels that the header forgot do.

    A damaged size along one axis, or a damaged number of bytes a voxel, leaves a whole share of the voxels behind.
    """
    if extra == 0:
        return []
    if foreign and (stored.exact or any(extra * size % promised == 0 for size in (*stored.shape, 1))):
        raise InputError(
            f"{what} does not fit its header: {promised} bytes of voxels are promised and more are there; copy or export it again"
        )
    if extra <= _PLAIN_EXTRA and not foreign:
        return []
    return [f"The file holds {extra} bytes behind its voxels that its header does not explain; they were left out."]


def blocks(piece: Piece, dtype: np.dtype, what: str) -> Iterator[bytes]:
    """The unpacked bytes of a piece, a block at a time.

    Args:
        piece: where they lie.
        dtype: what numbers written as text become.
        what: how to name the file in front of the user.

    Raises:
        InputError: the file is missing, or cannot be unpacked.
    """
    try:
        size = piece.path.stat().st_size
        start = piece.start if piece.start >= 0 else size - (piece.size or 0)
        if start < 0:
            raise InputError(f"{what} is cut short: its header promises {piece.size} bytes of voxels and {size} are there")
        source = _unpacked(piece, start, what) if piece.packing in ("gzip", "zlib", "bzip2") else _file_blocks(piece.path, start)
        if piece.packing in ("text", "hex"):
            source = iter([_typed(b"".join(source), piece.packing, dtype, what)])
        yield from _between(source, piece.skip, piece.size)
    except FileNotFoundError as error:
        raise InputError(f"{what} keeps its voxels in another file, {piece.path.name}, which is not there; copy both files") from error
    except (zlib.error, EOFError) as error:
        raise InputError(f"{what} is damaged or cut short: it cannot be unpacked; copy or export it again") from error


def _between(source: Iterator[bytes], skip: int, size: int | None) -> Iterator[bytes]:
    left = size
    for block in source:
        part = block[skip:]
        skip = max(skip - len(block), 0)
        if left is not None:
            part = part[:left]
            left -= len(part)
        if part:
            yield part


def _file_blocks(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_CHUNK):
            yield block


def _unpacked(piece: Piece, start: int, what: str) -> Iterator[bytes]:
    """The members of a packed stream, one after the other; their check sums are compared, what follows the last is no member."""
    magic = {"gzip": b"\x1f\x8b", "bzip2": b"BZh"}.get(piece.packing)

    def unpacker() -> Any:
        return bz2.BZ2Decompressor() if piece.packing == "bzip2" else zlib.decompressobj(wbits=31 if piece.packing == "gzip" else 47)

    member = unpacker()
    try:
        for packed in _file_blocks(piece.path, start):
            rest = packed
            while rest or (piece.packing == "bzip2" and not member.eof and not member.needs_input):
                if member.eof:
                    if magic is None or not magic.startswith(rest[: len(magic)]):
                        return
                    member = unpacker()
                yield member.decompress(rest, 16 * _CHUNK)
                rest = member.unused_data if member.eof else getattr(member, "unconsumed_tail", b"")
    except OSError as error:
        if error.errno is not None:
            raise
        raise zlib.error("bzip2") from error  # its own errors have no number
    if not member.eof:
        raise InputError(f"{what} is cut short: its packed voxels end too early; copy or export it again")


def _typed(content: bytes, packing: str, dtype: np.dtype, what: str) -> bytes:
    """Voxels that are written as text: numbers, or the hexadecimal digits of their bytes."""
    try:
        if packing == "hex":
            return bytes.fromhex(content.decode("ascii"))
        words = content.replace(b",", b" ").split()
        numbers = np.array(words, np.float64) if dtype.kind == "f" else np.array([int(word) for word in words])
        typed = numbers.astype(dtype)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{what} holds something else than numbers where its voxels should be; copy or export it again") from error
    if dtype.kind != "f" and not np.array_equal(typed, numbers):
        raise InputError(f"{what} holds numbers that do not fit their type; copy or export it again")
    return typed.tobytes()
