"""NIfTI-1 and NIfTI-2 (one file or a pair), ANALYZE 7.5 and FreeSurfer's MGH in; NIfTI out, with the codes and matrices of its source.

nibabel, which the field reads these headers with, decodes them; the voxels' bytes are counted and fetched by
:mod:`~MRIDenoiseLib.io.stored_bytes`. Loading nibabel takes a second, so this module is imported where a file needs it.
"""

from __future__ import annotations

import gzip
import logging
import re
import struct
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import nibabel
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.spatialimages import HeaderDataError

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.geometry import check_grid, is_straight, same_grid
from MRIDenoiseLib.io.stored_bytes import Piece, Stored, blocks

_REFUSED = {1: "one-bit", 32: "complex", 1792: "complex", 2048: "complex", 128: "RGB", 2304: "RGB", 1536: "128-bit"}
_VECTORS = {1005: "a tensor", 1006: "a displacement", 1007: "a vector", 1008: "a point", 1009: "a triangle", 1010: "a quaternion"}
_VECTORS |= {2003: "a colour", 2004: "a colour"}
"""Intent codes of images that hold several numbers a voxel (nifti1.h)."""

_UNITS = {1: 1000.0, 2: 1.0, 3: 1e-3}
"""mm in a metre, a millimetre and a micrometre, by the spatial part of ``xyzt_units``."""
_PLAUSIBLE = (2e-3, 60.0)
"""mm; no voxel of an MR image is smaller or larger, so that units which say so are wrong."""

_ROUNDING = 1e-6
"""Relative error of numbers stored as float32."""

_COMMENT = 6
"""Extension code of a plain comment. Others describe the voxels before they were denoised, or hold a DICOM header, and are left out."""
_SPACES = {1: "scanner", 2: "aligned", 3: "Talairach", 4: "MNI", 5: "template"}

_KNOWN_REMARKS = (
    ("qfac", ""),
    ("not SPM compatible", ""),
    ("sizeof_hdr", ""),
    ("non-zero", "The header gives a voxel size of 0, which counts as 1 mm where its position does not say better."),
    ("pixdim[1,2,3]", ""),
    ("too low for single file", ""),
    ("bitpix", "The header contradicts itself on how many bits a voxel has; its voxel type was followed."),
    ("form_code", "The header gives its position an unknown code, which counts as not given."),
)
"""What nibabel remarks about a header -> our sentence; an empty one where the reading below deals with it."""


def read_header(path: Path, what: str) -> Stored:
    """Read how a NIfTI, ANALYZE or MGH file stores its image, and where it lies.

    The sform is taken where its code is set, else the qform, else the voxel size alone, about the centre: the rules of
    the field. A form that cannot be used (not finite, singular, sheared) gives way to the other with a note.

    Args:
        path: a ``.nii``, ``.hdr``, ``.img``, ``.mgh`` or ``.mgz`` file, gzipped or not, whatever its ending says.
        what: how to name it in front of the user.

    Raises:
        InputError: another kind of file, a damaged header, voxels of several numbers, or a position that cannot be used.
    """
    if path.name.lower().endswith((".mgh", ".mgz")):
        return _read_mgh(path, what)
    head_path, data_path = _pair(path)
    head = _head(head_path, what, 544)
    header, kind = _decoded(head, what)
    if kind == "analyze" and head_path == data_path:
        raise InputError(f"{what} is not a NIfTI image; check the file or its ending")
    if kind == "single":
        data_path = head_path
    elif head_path == data_path:
        raise InputError(f"{what} keeps its voxels in a second file; name the .hdr or .img file of the pair")
    fixed, notes = _checked(header, what)
    shape, listed, flat = _shape(fixed, what)
    code = int(fixed["datatype"])
    if code in _REFUSED:
        raise InputError(f"{what} holds {_REFUSED[code]} voxels; only real-valued grey images can be denoised")
    start = float(fixed["vox_offset"])
    if not np.isfinite(start) or not 0 <= start < 2**40:
        raise InputError(f"{what} has a damaged NIfTI header; copy or export it again")
    skip = max(int(start), int(header.single_vox_offset)) if kind == "single" else int(start)
    slope, intercept, of_scaling = _scaling(fixed)
    if kind == "analyze":
        header, of_place = _nifti_of_analyze(fixed, path, what)
        matrix = header.get_best_affine()
    else:
        matrix, of_place = place(fixed, flat, what)
        header, of_extensions = _with_comments(header, head_path, skip, kind, what)
        of_place += of_extensions
    piece = Piece(data_path, packing="gzip" if _is_gzipped(data_path) else "", skip=skip)
    said = tuple(notes + of_scaling + of_place)
    return Stored((piece,), fixed.get_data_dtype(), shape, listed, np.array(matrix, float), slope, intercept, notes=said, nifti=header)


def _read_mgh(path: Path, what: str) -> Stored:
    head = _head(path, what, 284)
    try:
        header, _ = _checked(MGHHeader(head, check=False), what)
        dtype, shape, matrix = header.get_data_dtype(), tuple(int(n) for n in header["dims"]), header.get_affine()
        oriented = int.from_bytes(head[28:30], "big") > 0
    except (HeaderDataError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{what} is not a FreeSurfer image, or its header is damaged; copy or export it again") from error
    if min(shape) < 1:
        raise InputError(f"{what} holds no voxels; export the image again")
    if not oriented:
        check_grid(matrix, what)
    notes = () if oriented else ("The header states no orientation; FreeSurfer's usual one (coronal) was taken.",)
    piece = Piece(path, packing="gzip" if _is_gzipped(path) else "", skip=284)
    return Stored((piece,), dtype.newbyteorder(">"), shape, (3,), np.array(matrix, float), notes=notes)


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _pair(path: Path) -> tuple[Path, Path]:
    """Where header and voxels lie; the same file but for the two endings of a pair."""
    match = re.fullmatch(r"(.*\.)(hdr|img)((?:\.gz)?)", path.name, re.IGNORECASE)
    if match is None:
        return path, path
    other = "img" if match[2].lower() == "hdr" else "hdr"
    other = other.upper() if match[2].isupper() else other
    names = [f"{match[1]}{other}{packed}" for packed in (match[3], "", ".gz")]
    mate = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if mate is None:
        raise InputError(f"{path.name} is one of a pair of files, and {names[0]} is not there; copy both")
    return (path, mate) if other.lower() == "img" else (mate, path)


def _head(path: Path, what: str, size: int) -> bytes:
    """The first bytes of a file, unpacked; fewer where it has no more."""
    head = b""
    for block in blocks(Piece(path, packing="gzip" if _is_gzipped(path) else ""), np.dtype("u1"), what):
        head += block
        if len(head) >= size:
            break
    return head[:size]


def _decoded(head: bytes, what: str) -> tuple[Any, str]:
    """nibabel's header as the file has it, and whether it is ``single``, a ``pair`` or ``analyze``."""
    not_nifti = InputError(f"{what} is not a NIfTI image; check the file or its ending")
    if len(head) < 348:
        raise not_nifti
    sizes = [int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")]
    try:
        if 540 in sizes and head[4:7] in (b"n+2", b"ni2"):
            if len(head) < 540:
                raise not_nifti
            kind = "single" if head[5:6] == b"+" else "pair"
            return (nibabel.Nifti2Header if kind == "single" else nibabel.nifti2.Nifti2PairHeader)(head[:540], check=False), kind
        if 348 in sizes and head[344:347] in (b"n+1", b"ni1"):
            kind = "single" if head[345:346] == b"+" else "pair"
            return (nibabel.Nifti1Header if kind == "single" else nibabel.nifti1.Nifti1PairHeader)(head[:348], check=False), kind
        if 348 in sizes:
            return nibabel.Spm99AnalyzeImage.header_class(head[:348], check=False), "analyze"
    except (HeaderDataError, ValueError, KeyError) as error:
        raise InputError(f"{what} has a damaged NIfTI header; copy or export it again") from error
    raise not_nifti


def _checked(header: Any, what: str) -> tuple[Any, list[str]]:
    """A copy with the faults mended that nibabel knows, and what is to be said of them."""
    fixed = header.copy()
    remarks: list[str] = []
    listener = logging.Logger("nifti")
    handler = logging.Handler()
    handler.emit = lambda record: remarks.append(record.getMessage())  # type: ignore[method-assign]
    listener.addHandler(handler)
    try:
        fixed.check_fix(logger=listener, error_level=40)
    except (HeaderDataError, ValueError) as error:
        raise InputError(f"{what} has a damaged NIfTI header; copy or export it again") from error
    return fixed, [sentence for sentence in map(_sentence, remarks) if sentence]


def _sentence(remark: str) -> str:
    for part, sentence in _KNOWN_REMARKS:
        if part in remark:
            return sentence
    # Only plain words: a header may hold anything.
    return f"The reader of this format reported a problem: {' '.join(re.findall(r'[a-z]{2,}', remark))[:80]}."


def _shape(header: Any, what: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Samples along the stored axes (fastest first), the axes that count volumes, and the samples along i, j and k."""
    damaged = InputError(f"{what} has a damaged NIfTI header; copy or export it again")
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        raise damaged
    try:
        shape = [int(size) for size in header.get_data_shape()]
    except (HeaderDataError, ValueError) as error:
        raise damaged from error
    # Some writers leave the sizes of axes that they do not use at 0.
    shape = [*shape[:3], *(size or 1 for size in shape[3:])]
    if any(size < 0 for size in shape):
        raise damaged
    if 0 in shape:
        raise InputError(f"{what} holds no voxels; export the image again")
    shape += [1] * (3 - len(shape))
    intent = int(header["intent_code"]) if "intent_code" in header else 0
    if intent in _VECTORS and int(np.prod(shape[3:], dtype=object)) > 1:
        raise InputError(f"{what} holds {_VECTORS[intent]} at every voxel, several values each; only grey images can be denoised")
    return tuple(shape), tuple(range(3, len(shape))), tuple(shape[:3])


def _scaling(header: Any) -> tuple[float, float, list[str]]:
    """Slope and intercept; a slope of 0, NaN or infinity is none, as the field has it."""
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError:
        slope, intercept = float(header["scl_slope"]), 0.0
        return slope, intercept, ["The intercept in the header is not a finite number and was taken as 0."]
    return (1.0, 0.0, []) if slope is None else (float(slope), float(intercept or 0.0), [])


def place(header: Any, shape: tuple[int, ...], what: str) -> tuple[np.ndarray, list[str]]:
    """The matrix from voxel index to RAS mm that a NIfTI header gives, and what was chosen or is odd.

    Args:
        header: nibabel's, checked.
        shape: samples along i, j and k.
        what: how to name the file in front of the user.

    Raises:
        InputError: the only position given is sheared, not finite, or impossible.
    """
    matrix, notes = _chosen_form(header, shape, what)
    size = np.linalg.norm(matrix[:3, :3], axis=0)
    written = np.abs(np.array(header["pixdim"][1:4], float))
    used = [axis for axis in range(3) if shape[axis] > 1 and np.isfinite(written[axis])]
    if any(abs(written[axis] - size[axis]) > 1e-3 * size[axis] for axis in used):
        said = [" x ".join(f"{value:.4g}" for value in sizes) for sizes in (written, size)]
        notes.append(f"The header gives two voxel sizes, {said[0]} (pixdim) and {said[1]} (its position); the latter was taken.")
    # A form's float32 entries round the voxel size once more; pixdim holds it as it was meant.
    meant = [written[axis] / size[axis] if abs(written[axis] - size[axis]) <= _ROUNDING * size[axis] else 1.0 for axis in range(3)]
    matrix = matrix @ np.diag([*meant, 1.0])
    scale, of_units = _mm_per_unit(header, size)
    return np.diag([scale, scale, scale, 1.0]) @ matrix, notes + of_units


def _chosen_form(header: Any, shape: tuple[int, ...], what: str) -> tuple[np.ndarray, list[str]]:
    forms = {"sform": _sform(header, shape), "qform": _qform(header)}
    codes = {name: int(header[f"{name}_code"]) for name in forms}
    given = [name for name in forms if codes[name] > 0]
    usable = [name for name in given if _is_usable(forms[name])]
    if usable:
        chosen = usable[0]
        notes = []
        if len(usable) == 2 and not same_grid(forms["sform"], forms["qform"], shape[::-1]):
            spaces = [f"{name} ({_SPACES.get(codes[name], 'other')})" for name in forms]
            notes.append(f"The header gives two positions, {' and '.join(spaces)}; the sform was taken, and a NIfTI result keeps both.")
        elif len(usable) < len(given):
            other = next(name for name in given if name != chosen)
            notes.append(
                f"The {other} in the header cannot be used (damaged or sheared); the {chosen} was taken, and a NIfTI result keeps both."
            )
        return forms[chosen], notes
    if not given:
        said = "The header states no orientation (both its codes are 0), so which side is left is not known."
        return np.array(header.get_base_affine(), float), [said]
    for name in given:
        if not _is_singular(forms[name]):
            check_grid(forms[name], what)  # says what is wrong with it
    said = "The position in the header cannot be used (it is singular); only the voxel size was read, so which side is left is not known."
    return np.array(header.get_base_affine(), float), [said]


def _sform(header: Any, shape: tuple[int, ...]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3] = [np.array(header[name], float) for name in ("srow_x", "srow_y", "srow_z")]
    empty = [axis for axis in range(3) if shape[axis] == 1 and not matrix[:3, axis].any()]
    if len(empty) == 1 and np.isfinite(matrix).all():
        # A flat image: some writers give no direction across it.
        first, second = (matrix[:3, axis] for axis in range(3) if axis != empty[0])
        normal = np.cross(first, second)
        length = np.linalg.norm(normal)
        if length > 0:
            thickness = abs(float(header["pixdim"][1 + empty[0]])) or 1.0
            matrix[:3, empty[0]] = normal / length * thickness
    return matrix


def _qform(header: Any) -> np.ndarray:
    """NaN where the quaternion is none."""
    try:
        return np.array(_of_unit_length(header).get_qform(), float)
    except (HeaderDataError, ValueError):
        return np.full((4, 4), np.nan)


def _of_unit_length(header: Any) -> Any:
    """A copy whose quaternion is not longer than 1, as it is in headers of writers that gave few digits; nibabel opens no such file."""
    rounded = header.copy()
    length = float(np.square([float(rounded[name]) for name in ("quatern_b", "quatern_c", "quatern_d")]).sum())
    if 1 < length < 1.01:
        for name in ("quatern_b", "quatern_c", "quatern_d"):
            rounded[name] = float(rounded[name]) / np.sqrt(length)
    return rounded


def _is_singular(matrix: np.ndarray) -> bool:
    size = np.linalg.norm(matrix[:3, :3], axis=0)
    return bool(np.isfinite(matrix).all() and (size.min() <= 1e-12 or abs(np.linalg.det(matrix[:3, :3] / size)) < 1e-6))


def _is_usable(matrix: np.ndarray) -> bool:
    return bool(np.isfinite(matrix).all()) and not _is_singular(matrix) and is_straight(matrix)


def _mm_per_unit(header: Any, size: np.ndarray) -> tuple[float, list[str]]:
    """mm in the header's unit of length, unless no MR image can have voxels of that size."""
    code = int(header["xyzt_units"]) & 7
    scale = _UNITS.get(code, 1.0)
    unit = {1: "metres", 3: "micrometres"}.get(code)
    if unit is None:
        return 1.0, []
    if not _PLAUSIBLE[0] <= float(np.median(size)) * scale <= _PLAUSIBLE[1] and _PLAUSIBLE[0] <= float(np.median(size)) <= _PLAUSIBLE[1]:
        return 1.0, [f"The header gives its lengths in {unit}, which no MR image can have; they were read as mm."]
    return scale, []


def _with_comments(header: Any, path: Path, end: int, kind: str, what: str) -> tuple[Any, list[str]]:
    """The header with those of its extensions that stay true of a denoised image: comments."""
    kept = header.copy()
    start = int(header.single_vox_offset) if kind == "single" else int(header.sizeof_hdr) + 4
    content = _head(path, what, min(end, 1 << 24) if kind == "single" else 1 << 24)
    at, left_out = start, 0
    if len(content) < start or content[start - 4] == 0:
        return kept, []
    order = "<" if header.endianness == "<" else ">"
    while at + 8 <= len(content):
        size, code = struct.unpack_from(order + "ii", content, at)
        if size < 16 or at + size > len(content):
            return kept, ["A header extension is damaged and was left out."]
        if code == _COMMENT:
            kept.extensions.append(nibabel.nifti1.Nifti1Extension(_COMMENT, content[at + 8 : at + size].rstrip(b"\0")))
        else:
            left_out += 1
        at += size
    said = f"{left_out} header extension(s) describe the image before it was denoised; a result does not keep them."
    return kept, [said] if left_out else []


def _nifti_of_analyze(header: Any, path: Path, what: str) -> tuple[Any, list[str]]:
    """A NIfTI header with what is known of an ANALYZE image's place: SPM's matrix beside it, or else nothing but the voxel size."""
    converted = nibabel.Nifti1Header()
    converted.set_data_shape(header.get_data_shape())
    converted["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
    converted.set_xyzt_units("mm")
    if not path.with_suffix(".mat").is_file():
        return converted, ["ANALYZE files do not say which side is left; compare with another image of the patient."]
    try:
        matrix = nibabel.Spm99AnalyzeImage.from_filename(path).affine
    except (HeaderDataError, ValueError, TypeError, KeyError, OSError) as error:
        raise InputError(f"{what} has a .mat file beside it that cannot be read; copy both again, or take the .mat file away") from error
    return _placed(converted, np.array(matrix, float), 2), []


def write_nifti(
    voxels: np.ndarray, ijk_to_ras: np.ndarray, path: Path, *, like: Any = None, note: str = "", same_kind: bool = True
) -> None:
    """Write an image as one NIfTI file, gzipped where its name ends so.

    Args:
        voxels: (z, y, x), or several of one grid (n, z, y, x), of the type to be stored.
        ijk_to_ras: 4x4 matrix to RAS mm.
        path: a file that does not exist yet.
        like: the header of the source. Where the grid is still its own, both matrices, their codes, the units and
            whatever else it holds are written as they were. Without one both forms are written with code 1 (scanner).
        note: what was done, at most 79 characters, for ``descrip``.
        same_kind: whether the values mean what the source's mean, so that its display range still fits.

    Raises:
        OSError: the system refused.
    """
    header = _header_for(voxels, ijk_to_ras, like)
    header.set_data_dtype(voxels.dtype)
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    if not same_kind:
        header["cal_min"] = header["cal_max"] = 0
    if note:
        header["descrip"] = note.encode("ascii", "replace")[:79]
    header["vox_offset"] = -(-(header.single_vox_offset + header.extensions.get_sizeondisk()) // 16) * 16
    with path.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            # Neither name nor time in it: the same result is the same file.
            with gzip.GzipFile("", "wb", 4, file, mtime=0) as packed:
                _write_to(packed, header, voxels)
        else:
            _write_to(file, header, voxels)


def _write_to(file: IO[bytes] | gzip.GzipFile, header: Any, voxels: np.ndarray) -> None:
    head = BytesIO()
    header.write_to(head)
    file.write(head.getvalue().ljust(int(header["vox_offset"]), b"\0"))
    for part in voxels:
        file.write(np.ascontiguousarray(part, voxels.dtype.newbyteorder("<")).tobytes())


def _header_for(voxels: np.ndarray, ijk_to_ras: np.ndarray, like: Any) -> Any:
    sizes = voxels.shape[::-1]
    if like is None:
        header = nibabel.Nifti1Header() if max(sizes) < 2**15 else nibabel.Nifti2Header()
        header.set_data_shape(sizes)
        header.set_xyzt_units("mm")
        return _placed(header, ijk_to_ras, 1)
    header = _of_unit_length(_single(like))
    stored = tuple(int(size) for size in header["dim"][1 : int(header["dim"][0]) + 1])
    pixdim = header["pixdim"].copy()
    flat = (*stored, 1, 1, 1)[:3]
    if flat != sizes[:3] or not _lies_at(header, flat, ijk_to_ras):
        header.set_data_shape(sizes)
        header.set_xyzt_units("mm", header.get_xyzt_units()[1])
        return _placed(header, ijk_to_ras, max(int(like["sform_code"]) or int(like["qform_code"]), 1))
    # A source of one volume keeps its number of axes, such as two of a flat image.
    header.set_data_shape(stored if int(np.prod(stored, dtype=object)) == voxels.size else sizes)
    header["pixdim"] = pixdim
    return header


def _single(like: Any) -> Any:
    """A copy of a header, little-endian, as a file of its own has it; of a pair, too."""
    kind = nibabel.Nifti2Header if like.sizeof_hdr == 540 else nibabel.Nifti1Header
    header = kind(like.binaryblock, like.endianness, check=False).as_byteswapped("<")
    header.extensions.extend(like.extensions)
    header["magic"] = header.single_magic
    return header


def _lies_at(header: Any, flat: tuple[int, ...], ijk_to_ras: np.ndarray) -> bool:
    try:
        own, _ = place(_checked(header, "")[0], flat, "")
    except InputError:
        return False
    return same_grid(own, ijk_to_ras, flat[::-1])


def _placed(header: Any, ijk_to_ras: np.ndarray, code: int) -> Any:
    header.set_qform(ijk_to_ras, code, strip_shears=True)
    header.set_sform(ijk_to_ras, code)
    return header
