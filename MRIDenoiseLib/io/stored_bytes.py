"""Is everything there that the header promises? Image readers fill a short file with zeros without an error.

Only the few header numbers that give where the voxels start, how they are packed and how many there are get read
here; everything else is left to the image reader.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from MRIDenoiseLib.errors import InputError

_CHUNK = 1 << 20
_TEXT_HEADER_LIMIT = 1 << 20

_NIFTI_TYPES = {
    2: "uint8",
    4: "int16",
    8: "int32",
    16: "float32",
    64: "float64",
    256: "int8",
    512: "uint16",
    768: "uint32",
    1024: "int64",
    1280: "uint64",
}
_NIFTI_REFUSED = {1: "one-bit", 32: "complex", 1792: "complex", 2048: "complex", 128: "RGB", 2304: "RGB", 1536: "128-bit"}


@dataclass(frozen=True)
class Stored:
    """How a file stores its voxels.

    Args:
        pixel_type: NumPy name of the stored type, or empty when the image reader gives it.
        scaled: whether a slope or intercept has to be applied to the stored values.
        payload: number of bytes of voxel data in the file, unpacked.
        shape: stored samples along each axis, fastest first, or empty when the image reader gives it.
        listed: whether the values at a voxel are those of a list of volumes (NRRD as Slicer saves time series), not a
            colour or a vector.
    """

    pixel_type: str
    scaled: bool
    payload: int
    shape: tuple[int, ...] = ()
    listed: bool = False


def check_payload(stored: int, promised: int, what: str) -> None:
    """Raise InputError unless a file holds exactly the bytes of voxel data its header promises."""
    if stored < promised:
        raise InputError(
            f"{what} is cut short: its header promises {promised} bytes of voxels and {stored} are there; copy or export it again"
        )
    if stored > promised:
        raise InputError(
            f"{what} does not fit its header: {promised} bytes of voxels are promised and more are there; copy or export it again"
        )


def nifti_is_complete(path: Path, gzipped: bool, payload: int) -> bool:
    """Whether a NIfTI file just written holds its header and ``payload`` bytes of voxels.

    ITK's NIfTI writer reports no error when a disk fills up.
    """
    try:
        return sum(len(chunk) for chunk in (_unpacked(path) if gzipped else _chunks(path))) >= 352 + payload
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def nifti(path: Path, gzipped: bool) -> Stored:
    """Read how a NIfTI-1 or NIfTI-2 file stores its voxels, and check that all are there.

    Raises:
        InputError: not a NIfTI file, a damaged header, complex or RGB voxels, or too few or too many bytes.
    """
    what = path.name
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed != gzipped:
        right = ".nii.gz" if packed else ".nii"
        raise InputError(f"{what} is not what its ending says; if it is a NIfTI image, rename it to end in {right}")
    chunks = _unpacked(path) if gzipped else _chunks(path)
    try:
        head = b""
        for chunk in chunks:
            head += chunk
            if len(head) >= 540:
                break
        header = _nifti_header(head, what)
        start = int(header["vox_offset"])
        promised = header["promised"]
        total = len(head)
        # ITK's NIfTI reader turns NaN and infinity into zeros, so stored reals are kept and looked at here.
        real = np.dtype(header["stored"]).kind == "f"
        parts = [head]
        for chunk in chunks:
            total += len(chunk)
            if real:
                parts.append(chunk)
            if total > start + promised:
                break
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{what} is damaged or cut short: it cannot be unpacked; copy or export it again") from error
    check_payload(max(total - start, 0), promised, what)
    if real and not np.isfinite(np.frombuffer(b"".join(parts)[start:], header["stored"])).all():
        raise InputError(f"{what} holds values that are not numbers (NaN or infinity); repair or export the image again")
    return Stored(header["type"], header["scaled"], total - start, header["shape"])


def _nifti_header(head: bytes, what: str) -> dict:
    """The few NIfTI header numbers needed here (NIfTI-1.1 and NIfTI-2 headers, either byte order)."""
    not_nifti = InputError(f"{what} is not a NIfTI image; check the file or its ending")
    if len(head) < 348:
        raise not_nifti
    for order in "<>":
        size = int(np.frombuffer(head, order + "i4", 1)[0])
        if size in (348, 540):
            break
    else:
        raise not_nifti

    def number(kind: str, offset: int, count: int = 1) -> np.ndarray:
        return np.frombuffer(head, order + kind, count, offset).astype(float)

    if size == 348:
        if head[344:348] not in (b"n+1\0", b"ni1\0"):
            raise not_nifti
        if head[344:348] == b"ni1\0":
            raise InputError(f"{what} keeps its voxels in a second file; convert the pair to one .nii.gz file first")
        dim, kind, offset = number("i2", 40, 8), number("i2", 70)[0], number("f4", 108)[0]
        slope, intercept = number("f4", 112, 2)
        placed = np.concatenate([number("f4", 76, 4), number("f4", 256, 18)])
    else:
        if len(head) < 540 or head[4:8] != b"n+2\0":
            raise not_nifti
        dim, kind, offset = number("i8", 16, 8), number("i2", 12)[0], number("i8", 168)[0]
        slope, intercept = number("f8", 176, 2)
        placed = np.concatenate([number("f8", 104, 4), number("f8", 352, 18)])
    damaged = InputError(f"{what} has a damaged NIfTI header; copy or export it again")
    if not 1 <= dim[0] <= 7:
        raise damaged
    shape = tuple(int(n) for n in dim[1 : int(dim[0]) + 1])
    if any(n < 0 for n in shape):
        raise damaged
    if 0 in shape:
        raise InputError(f"{what} holds no voxels; export the image again")
    if not np.isfinite(placed).all():
        raise InputError(f"{what}: the position or orientation in the header is not a finite number; export the image again")
    if int(kind) in _NIFTI_REFUSED:
        raise InputError(f"{what} holds {_NIFTI_REFUSED[int(kind)]} voxels; only real-valued grey images can be denoised")
    if int(kind) not in _NIFTI_TYPES or not np.isfinite(offset) or not size <= offset < 2**40:
        raise damaged
    if not np.isfinite([slope, intercept]).all():
        raise damaged
    kind_name = _NIFTI_TYPES[int(kind)]
    promised = int(np.dtype(kind_name).itemsize)
    for n in shape:
        promised *= n
    scaled = slope != 0 and (slope != 1 or intercept != 0)
    return {
        "vox_offset": offset,
        "promised": promised,
        "type": kind_name,
        "stored": order + np.dtype(kind_name).str[1:],
        "scaled": bool(scaled),
        "shape": shape,
    }


def nrrd(path: Path) -> Stored:
    """Count the bytes of voxel data in an attached-header NRRD file.

    Raises:
        InputError: not a NRRD file, a detached one, an encoding other than raw or gzip, or unpacking fails.
    """
    what = path.name
    fields, start = _text_header(path, b"NRRD", what)
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{what} keeps its voxels in a second file; save it as one .nrrd file first")
    encoding = fields.get("encoding", "").lower()
    listed = fields.get("kinds", "").lower().split()[:1] == ["list"]
    if encoding == "raw":
        return Stored("", False, path.stat().st_size - start, listed=listed)
    if encoding in ("gzip", "gz"):
        return Stored("", False, _count_unpacked(path, start, 31, what), listed=listed)
    raise InputError(f"{what} is packed as '{encoding[:20] or 'nothing known'}', which is not read here; save it with gzip or raw encoding")


def meta_image(path: Path) -> Stored:
    """Count the bytes of voxel data in a MetaImage file with local data.

    Raises:
        InputError: not a MetaImage, its voxels lie in another file, or unpacking fails.
    """
    what = path.name
    fields, start = _text_header(path, None, what)
    if fields.get("elementdatafile", "").upper() != "LOCAL" or not {"ndims", "dimsize", "elementtype"} <= fields.keys():
        raise InputError(f"{what} is not a MetaImage with its voxels inside; save it as one .mha file")
    if fields.get("compresseddata", "false").lower() == "true":
        packed = path.stat().st_size - start
        if fields.get("compresseddatasize", str(packed)) != str(packed):
            raise InputError(
                f"{what} is damaged or cut short: it does not hold the packed voxels its header promises; copy or export it again"
            )
        return Stored("", False, _count_unpacked(path, start, 47, what))
    return Stored("", False, path.stat().st_size - start)


def _text_header(path: Path, magic: bytes | None, what: str) -> tuple[dict[str, str], int]:
    """The ``name: value`` or ``name = value`` lines a file begins with (names in lower case), and where its data start."""
    with path.open("rb") as file:
        head = file.read(_TEXT_HEADER_LIMIT)
    if magic is not None and not head.startswith(magic):
        raise InputError(f"{what} is not a {magic.decode()} image; check the file or its ending")
    fields: dict[str, str] = {}
    at = 0
    while (end := head.find(b"\n", at)) >= 0:
        line = head[at:end].decode("latin-1").strip()
        at = end + 1
        if magic is not None and not line:
            return fields, at
        name, _, value = line.partition("=" if magic is None else ":")
        fields[name.strip().lower()] = value.removeprefix("=").strip()
        if magic is None and name.strip().lower() == "elementdatafile":
            return fields, at
    raise InputError(f"{what} has no complete image header; check the file or its ending")


def _count_unpacked(path: Path, start: int, window: int, what: str) -> int:
    """Bytes that a zlib or gzip stream in a file unpacks to."""
    unpacker = zlib.decompressobj(wbits=window)
    total = 0
    try:
        with path.open("rb") as file:
            file.seek(start)
            for chunk in _blocks(file):
                while chunk:
                    total += len(unpacker.decompress(chunk, _CHUNK * 16))
                    chunk = unpacker.unconsumed_tail
        total += len(unpacker.flush())
    except zlib.error as error:
        raise InputError(f"{what} is damaged or cut short: it cannot be unpacked; copy or export it again") from error
    if not unpacker.eof:
        raise InputError(f"{what} is cut short: its packed voxels end too early; copy or export it again")
    return total


def _unpacked(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as file:
        yield from _blocks(file)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _blocks(file)


def _blocks(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
