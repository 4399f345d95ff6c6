"""NRRD and MetaImage, whose headers are lines of text: how they store their image, and where it lies.

Read here because ITK refuses sound files of both (a list of volumes on the last axis, bzip2, a stream without its size)
and hands out memory that nobody filled in where it fails to unpack one.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal

import numpy as np

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.geometry import LPS_TO_RAS
from MRIDenoiseLib.io.stored_bytes import Packing, Piece, Stored

ACCOUNT_KEY = "MRIDenoise"
"""The field of a NRRD or MetaImage header that holds the account of what we did to an image."""

_HEADER_LIMIT = 1 << 22

_NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_NRRD_PACKINGS: dict[str, Packing] = {
    "raw": "",
    **dict.fromkeys(("gzip", "gz"), "gzip"),
    **dict.fromkeys(("bzip2", "bz2"), "bzip2"),
    **dict.fromkeys(("text", "txt", "ascii"), "text"),
    "hex": "hex",
}
_ORDERS: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
_TO_LPS = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1, 1, 1)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1, -1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1, -1, 1)),
}
_SPACE_AXES = {"space", "domain"}
_COLOURS = {"rgb-color", "rgba-color", "hsv-color", "xyz-color"}
_SEVERAL_VALUES = re.compile(r"complex|quaternion|normal|covariant-vector|\dd?-.*(vector|color|gradient|normal|matrix)")
_VOLUMES = {"list", "time", "vector", "point", "none", "???", "stub", "scalar", ""}

_META_TYPES = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4", "ULONG": "u4"}
_META_TYPES |= {"LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}

_NO_ORIENTATION = "The header states no orientation, so which side is left is not known."


def read_nrrd(path: Path, what: str) -> Stored:
    """Read the header of a NRRD file, attached or detached (http://teem.sourceforge.net/nrrd/format.html).

    Axes of a kind such as ``list`` or ``time``, or without a direction in space, count volumes, wherever they stand.

    Raises:
        InputError: not a NRRD file, a damaged header, or colours, vectors or tensors at every voxel.
    """
    fields, start, rest = _header(path, what, b"NRRD", ":")
    damaged = InputError(f"{what} has a header that cannot be read; copy or export it again")
    try:
        shape = tuple(int(size) for size in fields["sizes"].split())
        count = int(fields["dimension"])
        kind = _NRRD_TYPES.get(" ".join(fields["type"].lower().split()))
        skipped_lines, skipped_bytes = (int(_any(fields, f"{unit} skip", f"{unit}skip") or 0) for unit in ("line", "byte"))
        directions = _nrrd_directions(fields, count)
        origin = _vector(fields["space origin"]) if "space origin" in fields else None
    except (KeyError, ValueError) as error:
        raise damaged from error
    if kind is None or len(shape) != count or min(shape, default=-1) < 0 or skipped_lines < 0 or skipped_bytes < -1:
        raise damaged
    encoding = fields.get("encoding", "").lower()
    if encoding not in _NRRD_PACKINGS:
        shown = encoding[:20] or "nothing known"
        raise InputError(f"{what} is packed as '{shown}', which is not read here; save it with gzip or raw encoding")
    packing = _NRRD_PACKINGS[encoding]
    order = _ORDERS.get(fields.get("endian", "").lower())
    if order is None and np.dtype(kind).itemsize > 1 and packing != "text":
        raise InputError(f"{what} does not say in which order its bytes are (endian); copy or export it again")
    dtype = np.dtype(kind).newbyteorder(order or "=")
    listed = _nrrd_listed(fields, shape, dtype, directions, what)
    matrix, notes = _nrrd_place(fields, directions, listed, origin, shape, what)
    promised = dtype.itemsize * math.prod(shape)
    pieces = []
    names = _data_files(_any(fields, "data file", "datafile"), rest, what)
    for file in [path] if names is None else [_beside(path, name) for name in names]:
        at = _after_lines(file, start if file == path else 0, skipped_lines, what)
        size = promised // (len(names) if names else 1)
        from_end = skipped_bytes == -1
        raw = packing == "" and not from_end
        pieces.append(
            Piece(
                file,
                -1 if from_end else at + (skipped_bytes if raw else 0),
                packing,
                0 if raw or from_end else skipped_bytes,
                size if from_end or (names is not None and len(names) > 1) else None,
            )
        )
    return Stored(
        tuple(pieces),
        dtype,
        shape,
        listed,
        matrix,
        exact=names is not None,
        notes=tuple(notes),
        account=fields.get(ACCOUNT_KEY.lower(), ""),
    )


def _nrrd_directions(fields: dict[str, str], count: int) -> list[np.ndarray | None] | None:
    if "space directions" not in fields:
        return None
    found = re.findall(r"none|\([^)]*\)", fields["space directions"])
    if len(found) != count:
        raise ValueError("directions")
    return [None if one == "none" else _vector(one) for one in found]


def _vector(text: str) -> np.ndarray:
    vector = np.array([float(part) for part in text.strip().strip("()").split(",")])
    return vector[:3]


def _nrrd_listed(
    fields: dict[str, str], shape: tuple[int, ...], dtype: np.dtype, directions: list[np.ndarray | None] | None, what: str
) -> tuple[int, ...]:
    """The axes that count volumes."""
    kinds = fields.get("kinds", "").lower().split()
    kinds = kinds if len(kinds) == len(shape) else [""] * len(shape)
    for kind, size in zip(kinds, shape, strict=True):
        if size > 1 and (kind in _COLOURS or (kind == "vector" and size in (3, 4) and dtype == np.uint8)):
            raise InputError(f"{what} holds {size} values a voxel (RGB or vectors); only grey images can be denoised")
        if size > 1 and _SEVERAL_VALUES.search(kind):
            raise InputError(f"{what} holds {size} values a voxel ({kind[:30]}); only grey images can be denoised")
        if kind not in _VOLUMES | _SPACE_AXES | _COLOURS and not _SEVERAL_VALUES.search(kind):
            raise InputError(f"{what} has a header that cannot be read; copy or export it again")
    of_kind = [axis for axis, kind in enumerate(kinds) if kind not in _SPACE_AXES and kind not in ("", "???", "none")]
    undirected = [] if directions is None else [axis for axis, one in enumerate(directions) if one is None]
    listed = sorted({*of_kind, *undirected})
    if len(shape) - len(listed) > 3:
        listed = sorted({*listed, *[axis for axis in range(len(shape)) if axis not in listed][3:]})
    if len(shape) == len(listed):
        raise InputError(f"{what} has no axis in space; only two- and three-dimensional images can be denoised")
    return tuple(listed)


def _nrrd_place(
    fields: dict[str, str],
    directions: list[np.ndarray | None] | None,
    listed: tuple[int, ...],
    origin: np.ndarray | None,
    shape: tuple[int, ...],
    what: str,
) -> tuple[np.ndarray, list[str]]:
    spatial = [axis for axis in range(len(shape)) if axis not in listed]
    notes = []
    space = fields.get("space", "").lower().removesuffix("-time")
    space = space[:3] if space in ("rast", "last", "lpst") else space
    if space not in _TO_LPS:
        notes.append(_NO_ORIENTATION)
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    if any(unit.strip().lower() not in ("", "mm", "millimeter", "millimeters", "millimetre", "none", "???") for unit in units[:3]):
        notes.append("The header gives its lengths in another unit than mm; they were read as mm, as other programs do.")
    try:
        if directions is None:
            steps, starts = _nrrd_axes(fields, shape)
            columns = [np.eye(3)[number] * steps[axis] for number, axis in enumerate(spatial)]
            if origin is None and np.isfinite([starts[axis] for axis in spatial]).all():
                origin = np.array([starts[axis] for axis in spatial])
        else:
            columns = [np.resize(one, 3) * (np.arange(3) < len(one)) for axis in spatial if (one := directions[axis]) is not None]
    except (IndexError, ValueError) as error:
        raise InputError(f"{what} has a header that cannot be read; copy or export it again") from error
    return LPS_TO_RAS @ np.diag([*_TO_LPS.get(space, (1, 1, 1)), 1.0]) @ _matrix(columns, origin), notes


def _nrrd_axes(fields: dict[str, str], shape: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Spacing along each axis and the place of its first sample, NaN where it is not stated, in a file without directions."""

    def of(name: str) -> list[float]:
        return _numbers(fields.get(name), len(shape), np.nan)

    centres = (fields.get("centerings") or fields.get("centers") or "").lower().split()
    steps = [step if math.isfinite(step) and step else 1.0 for step in of("spacings")]
    starts = of("axis mins")
    at_nodes = [centre == "node" for centre in centres] if len(centres) == len(shape) else [False] * len(shape)
    starts = [start if node else start + step / 2 for start, step, node in zip(starts, steps, at_nodes, strict=True)]
    return steps, starts


def _matrix(columns: list[np.ndarray], origin: np.ndarray | None) -> np.ndarray:
    """Columns of i, j and k, and the first voxel's place; a missing axis gets 1 mm across the others."""
    matrix = np.eye(4)
    if len(columns) == 2 and np.linalg.norm(normal := np.cross(columns[0], columns[1])) > 0:
        columns = [*columns, normal / np.linalg.norm(normal)]
    for axis, column in enumerate(columns):
        matrix[:3, axis] = column
    if origin is not None:
        matrix[: len(origin), 3] = origin
    return matrix


def read_meta_image(path: Path, what: str) -> Stored:
    """Read the header of a MetaImage, its voxels inside (``.mha``) or in other files (``.mhd``).

    Raises:
        InputError: not a MetaImage, a damaged header, or colours or vectors at every voxel.
    """
    fields, start, rest = _header(path, what, None, "=")
    damaged = InputError(f"{what} has a header that cannot be read; copy or export it again")
    kind = _META_TYPES.get(fields.get("elementtype", "").upper().removeprefix("MET_"))
    if "elementtype" not in fields or "dimsize" not in fields or "ndims" not in fields:
        raise InputError(f"{what} is not a MetaImage; check the file or its ending")
    try:
        count, channels = int(fields["ndims"]), int(fields.get("elementnumberofchannels", "1"))
        shape = tuple(int(size) for size in fields["dimsize"].split())
        header_size = int(fields.get("headersize", "0"))
        spacing = _numbers(_any(fields, "elementspacing", "elementsize"), count, 1.0)
        origin = np.array(_numbers(_any(fields, "offset", "position", "origin"), count, 0.0))
        directions = np.array(_numbers(_any(fields, "transformmatrix", "rotation", "orientation"), count * count, np.nan))
    except ValueError as error:
        raise damaged from error
    if kind is None or len(shape) != count or min(shape, default=-1) < 0 or channels < 1 or header_size < -1:
        raise damaged
    if (channels in (3, 4) and kind == "u1") or (channels == 2 and kind[0] == "f"):
        raise InputError(f"{what} holds {channels} values a voxel (RGB, complex or vectors); only grey images can be denoised")
    big = _is_true(_any(fields, "elementbyteordermsb", "binarydatabyteordermsb"))
    dtype = np.dtype(kind).newbyteorder(">" if big else "<")
    axes = np.eye(count) if np.isnan(directions).any() else directions.reshape(count, count)
    columns = [(axes[axis] * spacing[axis])[:3] for axis in range(min(count, 3))]
    matrix = LPS_TO_RAS @ _matrix([np.pad(column, (0, 3 - len(column))) for column in columns], origin[:3])
    packing: Packing = "zlib" if _is_true(fields.get("compresseddata")) else "" if _is_true(fields.get("binarydata", "true")) else "text"
    listed = tuple(range(3, count))
    if channels > 1:
        shape, listed = (channels, *shape), (0, *(axis + 1 for axis in listed))
    promised = dtype.itemsize * math.prod(shape)
    names = None if fields["elementdatafile"].upper() == "LOCAL" else _data_files(fields["elementdatafile"], rest, what)
    if names is None:
        pieces = [Piece(path, start, packing)]
    else:
        files = [_beside(path, name) for name in names]
        each = promised // len(files)
        only = each if len(files) > 1 or header_size == -1 else None
        pieces = [Piece(file, header_size, packing, 0, only) for file in files]
    notes = (_NO_ORIENTATION,) if count < 3 or np.isnan(directions).any() else ()
    account = fields.get(ACCOUNT_KEY.lower(), "")
    return Stored(tuple(pieces), dtype, shape, listed, matrix, exact=names is not None, notes=notes, account=account)


def _numbers(text: str | None, count: int, default: float) -> list[float]:
    numbers = [default] * count if text is None else [float(word) for word in text.split()]
    if len(numbers) != count:
        raise ValueError(text)
    return numbers


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower()[:1] in ("t", "y", "1")


def _any(fields: dict[str, str], *names: str) -> str | None:
    return next((fields[name] for name in names if name in fields), None)


def _header(path: Path, what: str, magic: bytes | None, colon: str) -> tuple[dict[str, str], int, list[str]]:
    """The header's fields (names in lower case), where the data behind it start, and the lines of a list that ends it."""
    with path.open("rb") as file:
        head = file.read(_HEADER_LIMIT)
    if magic is not None and not head.startswith(magic):
        raise InputError(f"{what} is not a {magic.decode()} image; check the file or its ending")
    fields: dict[str, str] = {}
    at = 0
    while at < len(head):
        end = head.find(b"\n", at)
        end = len(head) if end < 0 else end
        line = head[at:end].decode("latin-1").strip()
        at = end + 1
        if any(letter < " " and letter != "\t" for letter in line):
            raise InputError(f"{what} has a damaged header, in which text is overwritten by other bytes; copy or export it again")
        if magic is not None and not line:
            return fields, at, []
        if line.startswith("#"):
            continue  # a remark
        if magic is not None and ":=" in line and ": " not in line.split(":=")[0]:
            # A key that is not the format's own.
            if line.startswith(f"{ACCOUNT_KEY}:="):
                fields[ACCOUNT_KEY.lower()] = line.partition(":=")[2]
            continue
        name, _, value = re.sub("[=:]", "=", line, count=1).partition(colon) if magic is None else line.partition(colon)
        name = name.strip().lower()
        fields[name] = value.strip()
        if name in ("data file", "datafile", "elementdatafile") and value.strip().upper().startswith("LIST"):
            return fields, at, [text.strip() for text in head[at:].decode("latin-1").splitlines() if text.strip()]
        if name == "elementdatafile" and magic is None:
            return fields, at, []
    if _any(fields, "data file", "datafile"):
        return fields, at, []  # a detached header may end with the file
    raise InputError(f"{what} has no complete image header; check the file or its ending")


def _data_files(value: str | None, rest: list[str], what: str) -> list[str] | None:
    """The names of the files with the voxels: one, a list, or a pattern with its first, last and step; None for none."""
    if value is None:
        return None
    if value.upper().startswith("LIST") and rest:
        return rest
    if not value.isprintable() or not value or value.upper().startswith("LIST"):
        raise InputError(f"{what} names no file that holds its voxels; copy or export it again")
    words = value.split()
    if re.search(r"%\d*d", words[0]) and len(words) >= 3:
        try:
            first, last, step = (int(word) for word in (*words[1:3], *(words[3:4] or ["1"])))
            if step == 0 or not re.fullmatch(r"[^%]*%0?\d*d[^%]*", words[0]) or abs(last - first) > 100_000:
                raise ValueError(value)
            return [words[0] % number for number in range(first, last + (1 if step > 0 else -1), step)]
        except ValueError as error:
            raise InputError(f"{what} has a header that cannot be read; copy or export it again") from error
    return [value]


def _beside(path: Path, name: str) -> Path:
    """A file that a header names: relative to it; of a path on another machine, the file of that name beside it."""
    absolute = re.match(r"[A-Za-z]:[\\/]|[\\/]", name)
    return path.parent / (re.split(r"[\\/]", name)[-1] if absolute else name)


def _after_lines(path: Path, start: int, lines: int, what: str) -> int:
    if lines == 0:
        return start
    try:
        with path.open("rb") as file:
            file.seek(start)
            for _ in range(lines):
                file.readline()
            return file.tell()
    except FileNotFoundError as error:
        raise InputError(f"{what} keeps its voxels in another file, {path.name}, which is not there; copy both files") from error
