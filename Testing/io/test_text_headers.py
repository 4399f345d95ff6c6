"""NRRD and MetaImage: read as SimpleITK reads them, and right where it refuses them or hands out what nobody wrote."""

import bz2
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.volume import Volume

RANDOM = np.random.default_rng(3)
VOXELS = RANDOM.integers(1, 900, (4, 6, 5)).astype("<i2")
RAW = VOXELS.tobytes()
NRRD = ["NRRD0005", "type: short", "dimension: 3", "sizes: 5 6 4", "space: left-posterior-superior", "space origin: (1,2,3)"]
NRRD += ["space directions: (0.7,0,0) (0,0.9,0) (0,0,4)"]
RAW_NRRD = ["endian: little", "encoding: raw"]
META = [
    "ObjectType = Image",
    "NDims = 3",
    "BinaryData = True",
    "BinaryDataByteOrderMSB = False",
    "Offset = 1 2 3",
    "ElementSpacing = 0.7 0.9 4",
]
META += ["DimSize = 5 6 4", "ElementType = MET_SHORT"]
LOCAL = "ElementDataFile = LOCAL"


def nrrd(path: Path, fields: list[str], content: bytes = b"") -> Path:
    path.write_bytes(("\n".join(fields) + "\n\n").encode() + content)
    return path


def meta(path: Path, fields: list[str], content: bytes = b"") -> Path:
    path.write_bytes(("\n".join(fields) + "\n").encode() + content)
    return path


def rotation(seed: int) -> np.ndarray:
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return axes


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.float32])
def test_what_simpleitk_wrote_is_read_where_simpleitk_places_it(ending: str, compressed: bool, kind: type, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray((VOXELS % 200).astype(kind))
    image.SetDirection(rotation(compressed).ravel().tolist())
    image.SetSpacing((0.7, 0.9, 4.0))
    image.SetOrigin((1.0, 2.0, 3.0))
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(image, str(path), useCompression=compressed)
    read = io.read(path)
    assert np.array_equal(read.voxels, VOXELS % 200) and read.pixel_type == np.dtype(kind).name and read.notes == ()
    for point in ((0, 0, 0), (4, 5, 3), (1, 3, 2)):
        there = np.array(image.TransformIndexToPhysicalPoint(point)) * [-1, -1, 1]
        assert np.allclose((read.ijk_to_ras @ [*point, 1])[:3], there, atol=1e-6)


NRRDS = {
    "bzip2": (["endian: little", "encoding: bzip2"], bz2.compress(RAW)),
    "two gzip members": (["endian: little", "encoding: gzip"], gzip.compress(RAW[:50]) + gzip.compress(RAW[50:])),
    "text": (["encoding: ascii"], " ".join(map(str, VOXELS.ravel())).encode()),
    "hex": (["endian: little", "encoding: hex"], RAW.hex().encode()),
    "big endian": (["endian: big", "encoding: raw"], VOXELS.astype(">i2").tobytes()),
    "bytes to skip in the packed stream": (["endian: little", "encoding: gzip", "byte skip: 7"], gzip.compress(b"before." + RAW)),
    "bytes to skip from the end": ([*RAW_NRRD, "byte skip: -1"], b"before." + RAW),
    "lines to skip": ([*RAW_NRRD, "line skip: 2"], b"one\ntwo\n" + RAW),
    "other keys": ([*RAW_NRRD, "type:=float", "patient:=a: b", "# sizes: 9 9 9"], RAW),
}


@pytest.mark.parametrize("name", NRRDS)
def test_every_packing_of_nrrd_is_read(name: str, tmp_path: Path) -> None:
    fields, content = NRRDS[name]
    read = io.read(nrrd(tmp_path / "a.nrrd", [*NRRD, *fields], content))
    assert np.array_equal(read.voxels, VOXELS) and read.spacing == (4.0, 0.9, 0.7)
    assert np.allclose(read.ijk_to_ras[:3, 3], [-1, -2, 3])


@pytest.mark.parametrize("space", ["right-anterior-superior", "LAS", "left-posterior-superior-time", "scanner-xyz"])
def test_every_space_of_nrrd_is_placed_as_simpleitk_places_it(space: str, tmp_path: Path) -> None:
    fields = [f"space: {space}" if line.startswith("space:") else line for line in NRRD]
    path = nrrd(tmp_path / "a.nrrd", [*(line.replace("-time", "") for line in fields), *RAW_NRRD], RAW)
    there = np.array(sitk.ReadImage(str(path)).TransformIndexToPhysicalPoint((4, 5, 3))) * [-1, -1, 1]
    read = io.read(nrrd(path, [*fields, *RAW_NRRD], RAW))
    assert np.allclose((read.ijk_to_ras @ [4, 5, 3, 1])[:3], there)
    assert bool(read.notes) == (space == "scanner-xyz")


DIRECTIONS = ["(0.7,0,0)", "(0,0.9,0)", "(0,0,4)"]


@pytest.mark.parametrize("kind", ["list", "time", "vector", "???"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_volumes_are_found_on_whatever_axis_they_are(kind: str, place: int, tmp_path: Path) -> None:
    series = np.stack([VOXELS, VOXELS * 2, VOXELS * 3])  # (volume, z, y, x); NRRD counts axes from the fastest
    sizes, kinds, directions = ["5", "6", "4"], ["space"] * 3, [*DIRECTIONS]
    for words, word in ((sizes, "3"), (kinds, kind), (directions, "none")):
        words.insert(place, word)
    fields = ["NRRD0005", "type: short", "dimension: 4", f"sizes: {' '.join(sizes)}", "space: LPS", "space origin: (1,2,3)"]
    fields += [f"space directions: {' '.join(directions)}", f"kinds: {' '.join(kinds)}", *RAW_NRRD]
    path = nrrd(tmp_path / "a.nrrd", fields, np.ascontiguousarray(np.moveaxis(series, 0, 3 - place)).tobytes())
    with pytest.raises(AmbiguousInputError, match="3 volumes"):
        io.read(path)
    for volume in (1, 3):
        read = io.read(path, volume=volume)
        assert np.array_equal(read.voxels, series[volume - 1]) and read.spacing == (4.0, 0.9, 0.7)


@pytest.mark.parametrize("kind", ["RGB-color", "3D-symmetric-matrix", "3-vector", "covariant-vector"])
def test_several_values_at_a_voxel_are_refused(kind: str, tmp_path: Path) -> None:
    size = 6 if "matrix" in kind else 3
    fields = ["NRRD0005", "type: short", "dimension: 4", f"sizes: {size} 5 6 4", "space: LPS", f"kinds: {kind} space space space"]
    fields += [f"space directions: none {' '.join(DIRECTIONS)}", *RAW_NRRD]
    with pytest.raises(InputError, match="values a voxel"):
        io.read(nrrd(tmp_path / "a.nrrd", fields, RAW * size))


def test_four_axes_in_space_and_time_are_three_and_a_list(tmp_path: Path) -> None:
    fields = ["NRRD0005", "type: short", "dimension: 4", "sizes: 5 6 4 2", "space: left-posterior-superior-time"]
    fields += ["space directions: (0.7,0,0,0) (0,0.9,0,0) (0,0,4,0) (0,0,0,2.5)", "kinds: space space space time", *RAW_NRRD]
    path = nrrd(tmp_path / "a.nrrd", [*fields, "space origin: (1,2,3,0)"], RAW + RAW)
    read = io.read(path, volume=2)
    assert np.array_equal(read.voxels, VOXELS) and np.allclose(read.ijk_to_ras[:3, 3], [-1, -2, 3])


METAS = {
    "packed, its size not stated": (["CompressedData = True", LOCAL], zlib.compress(RAW)),
    "packed, its size wrong": (["CompressedData = True", "CompressedDataSize = 12", LOCAL], zlib.compress(RAW)),
    "packed as gzip": (["CompressedData = True", LOCAL], gzip.compress(RAW)),
    "numbers as text": (["BinaryData = False", LOCAL], " ".join(map(str, VOXELS.ravel())).encode()),
    "an axis matrix": (["TransformMatrix = 0.6 0.8 0 -0.8 0.6 0 0 0 1", LOCAL], RAW),
}


@pytest.mark.parametrize("colon", ["=", " = ", " : ", ": "])
def test_a_metaimage_that_states_no_orientation_says_so_whatever_parts_its_names_and_values(colon: str, tmp_path: Path) -> None:
    plain = [line.replace(" = ", colon, 1) for line in [*META, LOCAL]]
    read = io.read(meta(tmp_path / "a.mha", plain, RAW))
    assert np.array_equal(read.voxels, VOXELS) and [note for note in read.notes if "no orientation" in note]
    turned = io.read(meta(tmp_path / "b.mha", [*META, "TransformMatrix = 1 0 0 0 1 0 0 0 1", "Comment = a: b = c", LOCAL], RAW))
    assert not turned.notes and np.allclose(turned.ijk_to_ras, read.ijk_to_ras)


@pytest.mark.parametrize("name", METAS)
def test_every_packing_of_metaimage_is_read(name: str, tmp_path: Path) -> None:
    fields, content = METAS[name]
    read = io.read(meta(tmp_path / "a.mha", [*META, *fields], content))
    assert np.array_equal(read.voxels, VOXELS) and np.allclose(read.spacing, (4.0, 0.9, 0.7))
    assert np.allclose(read.ijk_to_ras[:3, 3], [-1, -2, 3])
    if name == "an axis matrix":
        assert np.allclose(read.ijk_to_ras[:3, 0] / 0.7, [-0.6, -0.8, 0])


@pytest.mark.parametrize("break_it", [lambda packed: packed[:-9], lambda packed: packed[:60] + b"\0\0\0" + packed[63:], lambda _: b""])
def test_a_packed_stream_that_is_damaged_is_refused(break_it, tmp_path: Path) -> None:
    meta(tmp_path / "a.mha", [*META, "CompressedData = True", LOCAL], break_it(zlib.compress(RAW)))
    nrrd(tmp_path / "a.nrrd", [*NRRD, "endian: little", "encoding: gzip"], break_it(gzip.compress(RAW)))
    nrrd(tmp_path / "b.nrrd", [*NRRD, "endian: little", "encoding: bzip2"], break_it(bz2.compress(RAW)))
    for name in ("a.mha", "a.nrrd", "b.nrrd"):
        with pytest.raises(InputError, match="cut short"):
            io.read(tmp_path / name)


def test_voxels_in_other_files_are_found_or_missed_by_name(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "all.raw").write_bytes(b"0123456789" + RAW)
    (tmp_path / "100% my scan 2.raw").write_bytes(RAW)
    for number, one in enumerate(VOXELS):
        (tmp_path / "parts" / f"s{number + 1:02d}.raw").write_bytes(one.tobytes())
    names = [f"parts/s{number:02d}.raw" for number in range(1, 5)]
    files = [
        meta(tmp_path / "one.mhd", [*META, "HeaderSize = 10", "ElementDataFile = all.raw"]),
        meta(tmp_path / "end.mhd", [*META, "HeaderSize = -1", "ElementDataFile = all.raw"]),
        meta(tmp_path / "list.mhd", [*META, "ElementDataFile = LIST", *names]),
        meta(tmp_path / "percent.mhd", [*META, "ElementDataFile = 100% my scan 2.raw"]),
        meta(tmp_path / "pattern.mhd", [*META, "ElementDataFile = parts/s%02d.raw 1 4 1"]),
        nrrd(tmp_path / "one.nhdr", [*NRRD, *RAW_NRRD, "byte skip: 10", "data file: all.raw"]),
        nrrd(tmp_path / "moved.nhdr", [*NRRD, *RAW_NRRD, "byte skip: -1", "data file: C:\\scans\\all.raw"]),
        nrrd(tmp_path / "list.nhdr", [*NRRD, *RAW_NRRD, "data file: LIST", *names]),
        nrrd(tmp_path / "pattern.nhdr", [*NRRD, *RAW_NRRD, "datafile: parts/s%02d.raw 1 4 1"]),
    ]
    for path in files:
        assert np.array_equal(io.read(path).voxels, VOXELS), path.name
    (tmp_path / "parts" / "s03.raw").unlink()
    for path in (files[2], files[-1]):
        with pytest.raises(InputError, match=r"s03\.raw, which is not there"):
            io.read(path)


@pytest.mark.parametrize("name", ["A.NII.GZ", "A.Nrrd", "A.MHA", "A.NII"])
def test_an_ending_in_capitals_is_written_and_read(name: str, tmp_path: Path) -> None:
    io.write(Volume(VOXELS.astype(np.float32), np.diag([0.7, 0.9, 4.0, 1.0]), "int16"), tmp_path / name)
    assert np.array_equal(io.read(tmp_path / name).voxels, VOXELS) and [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("place", ["", "a\0b", "sub", "LIST", "%d 1 2", "a.mhd", "letter.txt"])
def test_a_metaimage_that_names_no_file_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "letter.txt").write_text("Dear colleague, please find attached\n" * 50)
    with pytest.raises(InputError):
        io.read(meta(tmp_path / "a.mhd", [*META, f"ElementDataFile = {place}"]))
