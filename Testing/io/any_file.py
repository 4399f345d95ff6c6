"""Image files of every kind that is written somewhere, whole or damaged, drawn by Hypothesis, with what they hold.

The bytes are put together here by each format's definition and not by a library that also reads them, so that a reader is
never compared with itself.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

TYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Made:
    """A file, and what a right reader finds in it.

    Args:
        content: its bytes.
        ending: how its name ends.
        voxels: physical values (z, y, x).
        ijk_to_ras: 4x4, mm.
        payload: where the bytes of the voxels begin in ``content``, before the file is compressed as a whole.
        compressed: whether the voxels are stored with a checksum, so that any damage to them has to be noticed.
    """

    content: bytes
    ending: str
    voxels: np.ndarray
    ijk_to_ras: np.ndarray
    payload: int
    compressed: bool


@dataclass(frozen=True)
class Grid:
    """A voxel array with its place in space."""

    stored: np.ndarray
    ijk_to_ras: np.ndarray


def rotation(axis: tuple[float, ...], angle: float) -> np.ndarray:
    """The 3x3 rotation about an axis by an angle in radians (Rodrigues)."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Small arrays (z, y, x) of any usual type, anywhere in space: oblique, flipped, thick, left- and right-handed."""
    shape = draw(st.permutations([draw(st.integers(2, 5)), draw(st.integers(6, 9)), draw(st.integers(6, 9))]))
    kind = np.dtype(draw(st.sampled_from(TYPES)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    most = 250 if kind.itemsize == 1 else 4000
    stored = random.integers(1, most, shape).astype(kind)
    axes = rotation(draw(st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 2, 3)])), draw(st.sampled_from([0, 0.3, np.pi / 2, 2.2])))
    order = draw(st.permutations(range(3)))
    signs = draw(st.tuples(*[st.sampled_from([1.0, -1.0])] * 3))
    spacing = draw(st.tuples(*[st.sampled_from([0.5, 0.9, 1.0, 3.3])] * 3))
    matrix = np.eye(4)
    matrix[:3, :3] = axes[:, order] * signs * np.array(spacing)
    matrix[:3, 3] = draw(st.tuples(*[st.integers(-90, 90)] * 3))
    return Grid(stored, matrix)


_NIFTI1 = [
    ("sizeof_hdr", "i4"), ("unused", "S35"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent", "f4", 3), ("intent_code", "i2"),
    ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8), ("vox_offset", "f4"), ("slope", "f4"),
    ("intercept", "f4"), ("slice_end", "i2"), ("slice_code", "u1"), ("units", "u1"), ("display", "f4", 4), ("old", "i4", 2),
    ("texts", "S104"), ("qform_code", "i2"), ("sform_code", "i2"), ("quaternion", "f4", 6), ("srow", "f4", (3, 4)),
    ("intent_name", "S16"), ("magic", "S4"),
]  # fmt: skip
_NIFTI2 = [
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8), ("intent", "f8", 3),
    ("pixdim", "f8", 8), ("vox_offset", "i8"), ("slope", "f8"), ("intercept", "f8"), ("display", "f8", 4), ("slices", "i8", 2),
    ("texts", "S104"), ("qform_code", "i4"), ("sform_code", "i4"), ("quaternion", "f8", 6), ("srow", "f8", (3, 4)),
    ("slice_code", "i4"), ("units", "i4"), ("intent_code", "i4"), ("intent_name", "S16"), ("dim_info", "u1"), ("unused", "S15"),
]  # fmt: skip
_NIFTI_CODE = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64, "uint16": 512}
_MM = {0: 1.0, 1: 1e-3, 2: 1.0, 3: 1e3}
"""A millimetre in each of NIfTI's units of length: unknown, metre, millimetre, micrometre."""


def _quaternion(directions: np.ndarray) -> tuple[np.ndarray, float]:
    """NIfTI's b, c, d of a 3x3 matrix of unit columns, and its qfac."""
    qfac = 1.0 if np.linalg.det(directions) > 0 else -1.0
    proper = directions * (1, 1, qfac)
    # The quaternion is the eigenvector of the largest eigenvalue of this matrix (Bar-Itzhack 2000), right at half turns as well.
    m = proper
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[2, 0] + m[0, 2], m[2, 1] - m[1, 2]],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    return np.array([x, y, z]) * (1 if w >= 0 else -1), qfac


@st.composite
def nifti(draw: st.DrawFn) -> Made:
    """NIfTI-1 and NIfTI-2 in one file: either byte order, any codes and units, scaled or not, with singletons or a tail."""
    grid = draw(grids())
    second, order = draw(st.booleans()), draw(st.sampled_from("<>"))
    qform, sform = draw(st.sampled_from([(1, 0), (0, 1), (1, 1), (2, 4), (0, 4), (3, 2)]))
    slope, intercept = draw(st.sampled_from([(1.0, 0.0), (0.0, 0.0), (np.nan, np.nan), (0.5, 0.0), (2.0, 10.0)]))
    unit = draw(st.sampled_from(sorted(_MM)))
    singletons = draw(st.sampled_from([(), (1,), (1, 1)]))
    matrix = np.diag([_MM[unit]] * 3 + [1.0]) @ grid.ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    quaternion, qfac = _quaternion(matrix[:3, :3] / spacing)
    kind = grid.stored.dtype

    header = np.zeros((), np.dtype(_NIFTI2 if second else _NIFTI1).newbyteorder(order))
    header["sizeof_hdr"], header["magic"] = (540, b"n+2\0\r\n\x1a\n") if second else (348, b"n+1\0")
    header["datatype"], header["bitpix"] = _NIFTI_CODE[kind.name], kind.itemsize * 8
    header["dim"][:] = 1
    header["dim"][:4] = 3 + len(singletons), *grid.stored.shape[::-1]
    header["pixdim"][:] = 1
    header["pixdim"][:4] = qfac, *spacing
    header["vox_offset"] = offset = 544 if second else 352
    header["slope"], header["intercept"], header["units"] = slope, intercept, unit
    header["qform_code"], header["sform_code"] = qform, sform
    # A transform whose code is 0 is not to be looked at, so it holds something else.
    header["quaternion"] = [*quaternion, *matrix[:3, 3]] if qform else [0, 0, 0, 5, 5, 5]
    header["srow"] = matrix[:3] if sform else [[7, 0, 0, 1], [0, 7, 0, 2], [0, 0, 7, 3]]

    content = header.tobytes() + bytes(4) + grid.stored.astype(kind.newbyteorder(order)).tobytes()
    content += bytes(draw(st.sampled_from([0, 0, 3, 512])))
    zipped = draw(st.booleans())
    scaled = bool(np.isfinite(slope) and slope != 0)
    voxels = grid.stored * slope + intercept if scaled else grid.stored
    return Made(gzip.compress(content, 1) if zipped else content, ".nii.gz" if zipped else ".nii", voxels, grid.ijk_to_ras, offset, zipped)


_NRRD_TYPE = {"uint8": "uchar", "int16": "short", "uint16": "unsigned short", "int32": "int", "float32": "float", "float64": "double"}
_SPACES = {
    "left-posterior-superior": (-1, -1, 1), "LPS": (-1, -1, 1), "right-anterior-superior": (1, 1, 1), "RAS": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "LAS": (-1, 1, 1),
}  # fmt: skip
"""NRRD's spaces: the sign by which each of their axes is RAS."""


@st.composite
def nrrd(draw: st.DrawFn) -> Made:
    """NRRD with attached data: raw, gzip or text, either byte order, any of the spaces that are named after patients."""
    grid = draw(grids())
    space = draw(st.sampled_from(sorted(_SPACES)))
    encoding = draw(st.sampled_from(["raw", "gzip", "gz", "ascii"]))
    order = draw(st.sampled_from("<>"))
    matrix = np.diag([*map(float, _SPACES[space]), 1.0]) @ grid.ijk_to_ras
    vectors = [f"({','.join(repr(float(x)) for x in matrix[:3, k])})" for k in range(4)]
    # The number of dimensions stands before what is given for each of them, the space before what is given in it.
    first = ["dimension: 3", f"type: {_NRRD_TYPE[grid.stored.dtype.name]}", f"space: {space}"]
    others = [
        f"sizes: {' '.join(map(str, grid.stored.shape[::-1]))}",
        f"space directions: {' '.join(vectors[:3])}",
        "kinds: domain domain domain",
        f"endian: {'little' if order == '<' else 'big'}",
        f"encoding: {encoding}",
        f"space origin: {vectors[3]}",
    ]
    ends = draw(st.sampled_from(["\n", "\n", "\n", "\r\n"]))
    head = ends.join(["NRRD0004", "# made for a test", *first, *draw(st.permutations(others)), "", ""]).encode()
    raw = grid.stored.astype(grid.stored.dtype.newbyteorder(order)).tobytes()
    if encoding == "ascii":
        body = "\n".join(" ".join(repr(x) for x in row) for row in grid.stored.reshape(-1, grid.stored.shape[2]).tolist()).encode() + b"\n"
    else:
        body = raw if encoding == "raw" else gzip.compress(raw, 1)
    return Made(head + body, ".nrrd", grid.stored, grid.ijk_to_ras, len(head), encoding in ("gzip", "gz"))


_META_TYPE = {"uint8": "UCHAR", "int16": "SHORT", "uint16": "USHORT", "int32": "INT", "float32": "FLOAT", "float64": "DOUBLE"}


def _words(numbers: np.ndarray) -> str:
    return " ".join(repr(float(x)) for x in numbers.ravel())


@st.composite
def meta(draw: st.DrawFn, *, sized: bool = False) -> Made:
    """MetaImage in one file, under the several names its fields have, compressed with or without the size said.

    ``sized`` leaves out those without it, of which ITK reads rubbish.
    """
    grid = draw(grids())
    lps = RAS_TO_LPS @ grid.ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    order = draw(st.sampled_from("<>"))
    packing = draw(st.sampled_from(["no", "with its size"] + ["without its size"] * (not sized)))
    raw = grid.stored.astype(grid.stored.dtype.newbyteorder(order)).tobytes()
    body = raw if packing == "no" else zlib.compress(raw)
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        draw(st.sampled_from(["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])): str(order == ">"),
        "CompressedData": str(packing != "no"),
    }
    if packing == "with its size":
        fields["CompressedDataSize"] = str(len(body))
    fields |= {
        draw(st.sampled_from(["TransformMatrix", "Rotation", "Orientation"])): _words((lps[:3, :3] / spacing).T),
        draw(st.sampled_from(["Offset", "Position", "Origin"])): _words(lps[:3, 3]),
        "ElementSpacing": _words(spacing),
        "DimSize": " ".join(map(str, grid.stored.shape[::-1])),
        "ElementType": f"MET_{_META_TYPE[grid.stored.dtype.name]}",
        "ElementDataFile": "LOCAL",
    }
    head = "".join(f"{name} = {value}\n" for name, value in fields.items()).encode()
    return Made(head + body, ".mha", grid.stored, grid.ijk_to_ras, len(head), packing != "no")


@dataclass(frozen=True)
class Damage:
    """What happens to a file on its way: ``kind`` at a part ``where`` (0 to 1) of its bytes."""

    kind: str
    where: float
    amount: int

    def of(self, content: bytes) -> bytes:
        """The damaged bytes."""
        at = min(int(self.where * len(content)), len(content) - 1)
        if self.kind == "cut short":
            return content[:at]
        if self.kind == "a byte changed":
            return content[:at] + bytes([content[at] ^ (1 + self.amount % 255)]) + content[at + 1 :]
        if self.kind == "zeros":
            return content[:at] + bytes(min(self.amount, len(content) - at)) + content[at + self.amount :]
        if self.kind == "a piece lost":
            return content[:at] + content[at + 1 + self.amount :]
        assert self.kind == "something behind"
        return content + bytes(range(self.amount % 256)) * 3


DAMAGES = st.builds(
    Damage,
    st.sampled_from(["cut short", "a byte changed", "zeros", "a piece lost", "something behind"]),
    # Half of it hits the header of these small files.
    st.one_of(st.floats(0, 1), st.floats(0, 0.3)),
    st.integers(1, 300),
)
"""Any one damage."""


def put(made: bytes, ending: str, folder: Path) -> Path:
    """Write a file under a name that says nothing."""
    path = folder / f"image{ending}"
    path.write_bytes(made)
    return path
