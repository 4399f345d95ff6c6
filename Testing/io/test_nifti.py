"""NIfTI and its relatives: nibabel sees a result where it sees the source, and what a header contradicts is said."""

import gzip
import itertools
import re
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.io.images import write_array

RANDOM = np.random.default_rng(7)
VOXELS = RANDOM.integers(1, 900, (6, 5, 4)).astype(np.int16)
"""Axis order (x, y, z), as nibabel has it."""
CORNERS = np.array([[i, j, k, 1] for i in (0, 5) for j in (0, 4) for k in (0, 3)], float)

ORIENTATIONS = {"axial": (0, 1, 2), "sagittal": (1, 2, 0), "coronal": (0, 2, 1)}
CODES = ((1, 1), (0, 2), (1, 0), (3, 4), (0, 0))
UNITS = {"mm": 1.0, "meter": 1e-3, "micron": 1e3, "unknown": 1.0}


def affine(orientation: str = "axial", tilt: float = 0.2, determinant: int = 1, scale: float = 1.0) -> np.ndarray:
    """A voxel-to-RAS matrix of 0.7 x 0.9 x 4 mm, its axes tilted by some radians."""
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    axes = turn[:, ORIENTATIONS[orientation]]
    axes[:, 0] *= determinant * np.sign(np.linalg.det(axes))
    matrix = np.eye(4)
    matrix[:3, :3] = axes * [0.7, 0.9, 4.0]
    matrix[:3, 3] = [-30, 12, 55.5]
    matrix[:3] *= scale
    return matrix


def made(path: Path, matrix: np.ndarray, qcode: int = 1, scode: int = 1, units: str = "mm", voxels: np.ndarray = VOXELS, **form) -> Path:
    """A file written by nibabel; ``form`` may give another ``sform``, or a ``kind`` of image."""
    image = form.get("kind", nibabel.Nifti1Image)(voxels, matrix)
    image.header.set_xyzt_units(units, "sec")
    image.set_qform(matrix, qcode)
    image.set_sform(form.get("sform", matrix), scode)
    nibabel.save(image, path)
    return path


def patched(path: Path, offset: int, data: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)
    return path


def result_of(source: Path, **choice: int) -> Path:
    """What a command writes for a source when it changes no voxel."""
    target = source.with_name("result.nii.gz")
    io.write(io.read(source, **choice), target, overwrite=True)
    return target


def place(path: Path) -> np.ndarray:
    return CORNERS @ nibabel.load(path).affine.T


FORTY = list(itertools.product(ORIENTATIONS, (0.0, 0.2, 0.7), (1, -1), CODES))[::2]


@pytest.mark.parametrize("number", range(len(FORTY)))
def test_nibabel_sees_the_result_where_the_source_lay(number: int, tmp_path: Path) -> None:
    orientation, tilt, determinant, (qcode, scode) = FORTY[number]
    units = list(UNITS)[number % 4]
    source = made(tmp_path / "a.nii", affine(orientation, tilt, determinant, UNITS[units]), qcode, scode, units)
    read = io.read(source)
    before, after = nibabel.load(source), nibabel.load(result_of(source))
    assert np.abs(CORNERS @ (before.affine - after.affine).T).max() <= 0.01 * UNITS[units]
    for field in ("qform_code", "sform_code", "xyzt_units"):
        assert before.header[field] == after.header[field]
    for form in ("get_qform", "get_sform"):
        assert np.allclose(getattr(before, form)(), getattr(after, form)(), atol=1e-5 * UNITS[units])
    assert np.array_equal(before.get_fdata(), after.get_fdata()) and before.shape == after.shape
    # The volume itself is in mm, whatever the header's unit.
    assert np.allclose(CORNERS @ read.ijk_to_ras.T, CORNERS @ before.affine.T @ np.diag([*[1 / UNITS[units]] * 3, 1]), atol=1e-3)
    assert np.allclose(read.spacing, (4.0, 0.9, 0.7), atol=1e-5)
    assert bool(read.notes) == ((qcode, scode) == (0, 0))


MOVED = np.array([[1, 0, 0, 20], [0, 1, 0, -5], [0, 0, 1, 3], [0, 0, 0, 1.0]])
SHEARED = affine() @ np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
ZERO_FORM, NAN_FORM = struct.pack("<12f", *[0] * 12), struct.pack("<f", np.nan)

ODD_PLACES = {
    "two places": ({"sform": MOVED @ affine(), "scode": 4}, [], "two positions, sform .MNI. and qform .scanner.", MOVED @ affine()),
    "a sheared sform": ({"sform": SHEARED, "scode": 2}, [], "sform in the header cannot be used", affine()),
    "an empty sform": ({}, [(280, ZERO_FORM)], "sform in the header cannot be used", affine()),
    "an sform of NaN": ({}, [(280, NAN_FORM)], "sform in the header cannot be used", affine()),
    "a quaternion that is none": ({}, [(256, struct.pack("<f", 9))], "qform in the header cannot be used", affine()),
    "another voxel size": ({"qcode": 0}, [(80, struct.pack("<3f", 1, 1, 1))], "1 x 1 x 1 .pixdim. and 0.7 x 0.9 x 4", affine()),
    "an unknown code": ({}, [(252, struct.pack("<h", 77))], "unknown code", affine()),
    "metres that are mm": ({"units": "meter"}, [], "in metres, which no MR image can have", affine()),
}


@pytest.mark.parametrize("name", ODD_PLACES)
def test_what_a_header_contradicts_is_said_and_kept(name: str, tmp_path: Path) -> None:
    form, patches, note, expected = ODD_PLACES[name]
    source = made(tmp_path / "a.nii", affine(), **form)
    for offset, data in patches:
        patched(source, offset, data)
    read = io.read(source)
    assert any(re.search(note, said) for said in read.notes), read.notes
    assert np.allclose(read.ijk_to_ras, expected, atol=1e-4)
    # All 24 numbers of both forms, their codes and the voxel size stand in the result as they stood.
    result = gzip.decompress(result_of(source).read_bytes())
    for start, end in ((76, 92), (123, 124), (252, 328)):
        assert result[start:end] == source.read_bytes()[start:end]


@pytest.mark.parametrize(("offset", "data"), [(280, struct.pack("<2f", 0.7, 0.9)), (280, NAN_FORM), (280, struct.pack("<f", np.inf))])
def test_a_position_that_cannot_be_used_is_refused_where_there_is_no_other(offset: int, data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sheared|finite"):
        io.read(patched(made(tmp_path / "a.nii", affine(), qcode=0), offset, data))


@pytest.mark.parametrize("degrees", [0.01, 0.05, 0.09])
@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_axes_off_by_rounding_are_read_alike_in_every_format(ending: str, degrees: float, tmp_path: Path) -> None:
    matrix = affine()
    matrix[:3, 1] += 0.9 * np.radians(degrees) * matrix[:3, 0] / 0.7
    first = io.read(made(tmp_path / "first.nii", matrix, qcode=0))
    io.write(first, tmp_path / f"again{ending}")
    assert np.allclose(io.read(tmp_path / f"again{ending}").ijk_to_ras, matrix, atol=1e-4)


@pytest.mark.parametrize(("slope", "intercept"), [(np.nan, np.nan), (0, 5), (np.inf, 1), (np.nan, 3)])
def test_a_slope_that_is_none_scales_nothing(slope: float, intercept: float, tmp_path: Path) -> None:
    source = patched(made(tmp_path / "a.nii", affine()), 112, struct.pack("<2f", slope, intercept))
    read = io.read(source)
    assert np.array_equal(read.voxels, VOXELS.T) and read.pixel_type == "int16"


FORMS = {
    "nifti2": lambda f: made(f / "a.nii.gz", affine(), kind=nibabel.Nifti2Image),
    "pair": lambda f: made(f / "a.img", affine(), kind=nibabel.Nifti1Pair),
    "packed pair": lambda f: made(f / "a.hdr.gz", affine(), kind=nibabel.Nifti1Pair),
    "one slice": lambda f: made(f / "a.nii", affine(), voxels=VOXELS[:, :, 0]),
    "one row": lambda f: made(f / "a.nii", affine(), voxels=VOXELS[:, :1, :1]),
    "five axes": lambda f: made(f / "a.nii", affine(), voxels=VOXELS[..., None, None]),
    "mgz": lambda f: (nibabel.save(nibabel.MGHImage(VOXELS, affine().astype("f4")), f / "a.mgz"), f / "a.mgz")[1],
    "uint64": lambda f: made(f / "a.nii", affine(), voxels=VOXELS.astype("u8"), kind=lambda v, m: nibabel.Nifti1Image(v, m, dtype="u8")),
    "float64": lambda f: made(f / "a.nii", affine(), voxels=VOXELS / 7),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_file_comes_out_as_it_lay(name: str, tmp_path: Path) -> None:
    source = FORMS[name](tmp_path)
    before, after = nibabel.load(source), nibabel.load(result_of(source))
    assert np.allclose(place(source), CORNERS @ after.affine.T, atol=0.01)
    assert before.shape == after.shape and before.get_data_dtype().name == after.get_data_dtype().name
    assert np.allclose(before.get_fdata(), after.get_fdata(), rtol=1e-6)
    assert (name == "nifti2") == isinstance(after.header, nibabel.Nifti2Header)


def test_bytes_in_the_other_order_are_read(tmp_path: Path) -> None:
    header = nibabel.load(made(tmp_path / "a.nii", affine())).header.as_byteswapped(">")
    nibabel.save(nibabel.Nifti1Image(VOXELS, affine(), header), tmp_path / "b.nii")
    assert (tmp_path / "b.nii").read_bytes()[:4] == struct.pack(">i", 348)
    assert np.array_equal(io.read(tmp_path / "b.nii").voxels, VOXELS.T)


@pytest.mark.parametrize("packing", ["plain in .gz", "gzip in .nii", "capitals", "three members", "zeros behind"])
def test_a_file_is_unpacked_by_its_content_not_by_its_name(packing: str, tmp_path: Path) -> None:
    plain = made(tmp_path / "a.nii", affine()).read_bytes()
    members = gzip.compress(plain[:100]) + gzip.compress(plain[100:400]) + gzip.compress(plain[400:])
    name, content = {
        "plain in .gz": ("b.nii.gz", plain),
        "gzip in .nii": ("b.nii", gzip.compress(plain)),
        "capitals": ("B.NII.GZ", gzip.compress(plain)),
        "three members": ("b.nii.gz", members),
        "zeros behind": ("b.nii.gz", gzip.compress(plain) + bytes(100)),
    }[packing]
    (tmp_path / name).write_bytes(content)
    assert np.array_equal(io.read(tmp_path / name).voxels, VOXELS.T)


@pytest.mark.parametrize(("behind", "said"), [(bytes(16), False), (bytes(5000), True), (b"checked by SPM\n", True)])
def test_what_follows_the_voxels_is_left_out(behind: bytes, said: bool, tmp_path: Path) -> None:
    source = made(tmp_path / "a.nii", affine())
    source.write_bytes(source.read_bytes() + behind)
    read = io.read(source)
    assert np.array_equal(read.voxels, VOXELS.T) and bool(read.notes) == said


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_size_that_leaves_voxels_behind_is_refused(axis: int, tmp_path: Path) -> None:
    source = made(tmp_path / "a.nii", affine())
    patched(source, 42 + 2 * axis, struct.pack("<h", VOXELS.shape[axis] - 1))
    with pytest.raises(InputError, match="does not fit its header"):
        io.read(source)


def test_volumes_are_chosen_along_the_fourth_and_fifth_axis_and_vectors_are_none(tmp_path: Path) -> None:
    five = np.stack([VOXELS, VOXELS * 2, VOXELS * 3], axis=-1)[..., None, :]
    source = made(tmp_path / "a.nii.gz", affine(), voxels=five)
    with pytest.raises(AmbiguousInputError, match="3 volumes"):
        io.read(source)
    assert np.array_equal(io.read(source, volume=3).voxels, VOXELS.T * 3)
    assert np.allclose(place(source), place(result_of(source, volume=2)))
    image = nibabel.Nifti1Image(five, affine())
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "b.nii")
    with pytest.raises(InputError, match="a vector at every voxel"):
        io.read(tmp_path / "b.nii")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_nan_outside_the_body_stays_and_inside_it_is_refused(ending: str, tmp_path: Path) -> None:
    voxels = RANDOM.uniform(100, 900, (40, 36, 3)).astype(np.float32)
    x, y = np.mgrid[:40, :36]
    voxels[np.hypot(x - 20, y - 18) > 14] = np.nan
    voxels[20, 18, 1] = np.nan  # a hole of one voxel, as a division leaves it
    first = io.read(made(tmp_path / "a.nii", affine(), voxels=voxels))
    assert np.isfinite(first.voxels).all() and "without a number" in first.notes[-1]
    io.write(first, tmp_path / f"b{ending}")
    again = io.read(tmp_path / f"b{ending}")
    assert np.array_equal(again.in_file(), voxels.T, equal_nan=True) and again.pixel_type == "float32"
    voxels[14:24, 12:22] = np.nan
    with pytest.raises(InputError, match="not finite numbers .NaN. in .*% of the voxels"):
        io.read(made(tmp_path / "c.nii", affine(), voxels=voxels))


def test_a_crop_and_a_map_of_a_nifti_volume_lie_right(tmp_path: Path) -> None:
    source = io.read(made(tmp_path / "a.nii", affine(), qcode=0, scode=4))
    write_array(np.stack([source.voxels, source.voxels]), source, tmp_path / "maps.nii.gz")
    assert np.allclose(place(tmp_path / "maps.nii.gz"), place(tmp_path / "a.nii"))
    assert nibabel.load(tmp_path / "maps.nii.gz").header["sform_code"] == 4
    part = source.with_stack(source.stack[1:3])
    io.write(part, tmp_path / "part.nii")
    assert np.allclose(nibabel.load(tmp_path / "part.nii").affine, source.ijk_to_ras, atol=1e-5)


def test_comments_stay_in_the_header_and_other_extensions_do_not(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS, affine())
    for code, content in ((6, b"scanned twice"), (4, b"<AFNI_attributes/>"), (40, b"\1\2")):
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(code, content))
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert "2 header extension" in io.read(tmp_path / "a.nii.gz").notes[-1]
    kept = nibabel.load(result_of(tmp_path / "a.nii.gz")).header.extensions
    assert [(e.get_code(), e.get_content()) for e in kept] == [(6, b"scanned twice")]


def test_an_analyze_image_says_that_its_sides_are_not_known(tmp_path: Path) -> None:
    image = nibabel.AnalyzeImage(VOXELS, None)
    image.header.set_zooms((0.7, 0.9, 4))
    nibabel.save(image, tmp_path / "a.img")
    read = io.read(tmp_path / "a.hdr")
    assert np.array_equal(read.voxels, VOXELS.T) and "which side is left" in read.notes[-1]
    assert nibabel.load(result_of(tmp_path / "a.img")).header["sform_code"] == 0
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match=r"a\.img is not there"):
        io.read(tmp_path / "a.hdr")


@pytest.mark.parametrize("length", [1.0004, 1.0008, 1.004])
def test_a_result_can_be_opened_where_the_source_s_quaternion_was_too_long(length: float, tmp_path: Path) -> None:
    right = made(tmp_path / "right.nii", affine(tilt=1.5), 1, 0)
    quaternion = np.array([0.6, -0.5, 0.624499])
    placed = patched(right, 256, struct.pack("<3f", *quaternion / np.linalg.norm(quaternion)))
    source = tmp_path / "source.nii"
    source.write_bytes(placed.read_bytes())
    patched(source, 256, struct.pack("<3f", *quaternion / np.linalg.norm(quaternion) * length))
    with pytest.raises(ValueError, match="w2 should be positive"):
        nibabel.load(source)
    result = nibabel.load(result_of(source))
    assert np.abs(place(tmp_path / "result.nii.gz") - place(placed)).max() < 0.01
    assert (int(result.header["qform_code"]), int(result.header["sform_code"])) == (1, 0)
