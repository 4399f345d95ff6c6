"""Mosaics of Siemens and grids of UIH: slices where nibabel and dcm2niix put them, and written back as they were packed."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import dicom_factory as factory
import nibabel
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from test_dicom_out import complaints

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.io.dicom.files import quiet
from MRIDenoiseLib.io.dicom.mosaic import Mosaic

with quiet():
    from nibabel.nicom.dicomwrappers import wrapper_from_file

ROWS, COLUMNS = 12, 10
PLANES = {
    "transverse": ([1, 0, 0], [0, 1, 0]),
    "sagittal": ([0, 1, 0], [0, 0, -1]),
    "oblique": ([0.8, 0.6, 0], [0, 0, -1]),
}


def csa(**values: list) -> bytes:
    """A CSA header (SV10) of some tags, as Syngo writes it."""
    out = b"SV10\x04\x03\x02\x01" + struct.pack("<2I", len(values), 77)
    for name, items in values.items():
        kind = b"SH" if name.endswith("Text") else b"IS" if name.startswith("Number") else b"FD"
        out += struct.pack("<64si4s3i", name.encode(), len(items), kind, 3, len(items), 77)
        for item in items:
            text = f"{item}".encode() + b"\0"
            out += struct.pack("<4i", len(text), len(text), 77, len(text)) + text + bytes(-len(text) % 4)
    return out


def siemens(path: Path, count: int, plane: str = "transverse", sign: int | None = 1, number: int = 1, time: str = "120000") -> np.ndarray:
    """A mosaic of ``count`` tiles; returns the tiles. ``sign``: along or against the normal of rows and columns; None: no CSA."""
    across = int(np.ceil(np.sqrt(count)))
    tiles = np.stack([factory.picture(100 * number + k, ROWS, COLUMNS) for k in range(count)])
    full = np.zeros((across * across, ROWS, COLUMNS), np.uint16)
    full[:count] = tiles
    picture = np.block([[full[r * across + c] for c in range(across)] for r in range(across)])
    ds = factory.slice_header(0, number, Manufacturer="SIEMENS", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    ds.SpacingBetweenSlices, ds.AcquisitionNumber, ds.AcquisitionTime, ds.ContentTime = 4.4, number, time, time
    ds.ImageOrientationPatient = [*PLANES[plane][0], *PLANES[plane][1]]
    ds.ImagePositionPatient = [-30, -40, 12.5]
    factory.put_pixels(ds, picture)
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", count)
    if sign is not None:
        normal = np.cross(*PLANES[plane]) * sign
        block = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x08, "CS", "IMAGE NUM 4")
        block.add_new(
            0x10, "OB", csa(AcquisitionMatrixText=["10*12"], NumberOfImagesInMosaic=[count], SliceNormalVector=[f"{v:.8f}" for v in normal])
        )
    factory.save(ds, path)
    return tiles


def grid(path: Path, count: int, across: int, down: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """A grid of UIH; returns the tiles and the place (LPS mm) of each, which its private sequence states."""
    tiles = np.stack([factory.picture(k, ROWS, COLUMNS) for k in range(count)])
    ds = factory.slice_header(0, Manufacturer="UIH", ImageType=["ORIGINAL", "PRIMARY", "M", "VFRAME"])
    places = [factory.ORIGIN + (count - k) * factory.SPACING * factory.NORMAL for k in range(count)]
    items = []
    for place in places:
        item = Dataset()
        item.ImagePositionPatient = [round(float(v), 6) for v in place]
        items.append(item)
    ds.private_block(0x0065, "Image Private Header", create=True).add_new(0x51, "SQ", items)
    full = np.concatenate([tiles, np.zeros((across * down - count, ROWS, COLUMNS), np.uint16)])
    factory.put_pixels(ds, np.block([[full[r * across + c] for c in range(across)] for r in range(down)]))
    factory.save(ds, path)
    return tiles, places


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("count", "plane"), [(4, "transverse"), (7, "sagittal"), (13, "oblique")])
def test_a_siemens_mosaic_lies_where_nibabel_and_dcm2niix_put_it(tmp_path: Path, count: int, plane: str, sign: int) -> None:
    tiles = siemens(tmp_path / "in" / "a.dcm", count, plane, sign)
    volume = io.read(tmp_path / "in" / "a.dcm")
    assert np.array_equal(volume.voxels, tiles[::sign]) and volume.notes == () and volume.slice_axis == 0
    other = wrapper_from_file(tmp_path / "in" / "a.dcm")
    data, matrix = np.asarray(other.get_data()), np.diag([-1, -1, 1, 1]) @ other.affine
    check_places(volume, data, matrix)
    if shutil.which("dcm2niix"):
        subprocess.run(["dcm2niix", "-z", "n", "-f", "x", "-o", str(tmp_path), str(tmp_path / "in")], check=True, capture_output=True)
        (image,) = map(nibabel.load, tmp_path.glob("*.nii"))
        check_places(volume, np.asanyarray(image.dataobj), image.affine)


def check_places(volume: io.Volume, data: np.ndarray, matrix: np.ndarray) -> None:
    """Assert that another reader has the same voxel at the same point in space, for every corner and the middle."""
    z, y, x = volume.voxels.shape
    to_other = np.linalg.inv(matrix) @ volume.ijk_to_ras
    for k, j, i in ((0, 0, 0), (z - 1, 2, 3), (z // 2, y - 1, x - 1)):
        index = to_other @ [i, j, k, 1]
        assert np.abs(index - np.rint(index)).max() < 0.01
        assert data[tuple(np.rint(index[:3]).astype(int))] == volume.voxels[k, j, i]


@pytest.mark.parametrize(("count", "sign"), [(4, 1), (7, -1), (13, -1)])
def test_the_result_of_a_mosaic_is_a_mosaic_of_the_same_layout(tmp_path: Path, count: int, sign: int) -> None:
    siemens(tmp_path / "in" / "a.dcm", count, "sagittal", sign)
    source = io.read(tmp_path / "in" / "a.dcm")
    io.write(source, tmp_path / "out")
    (path,) = (tmp_path / "out").iterdir()
    before, after = dcmread(tmp_path / "in" / "a.dcm"), dcmread(path)
    assert np.array_equal(after.pixel_array, before.pixel_array) and after.ImageType[-1] == "MOSAIC" and after.ImageType[0] == "DERIVED"
    assert after[0x0029, 0x1010].value == before[0x0029, 0x1010].value
    back = io.read(tmp_path / "out")
    assert np.array_equal(back.voxels, source.voxels) and np.allclose(back.ijk_to_ras, source.ijk_to_ras)
    assert complaints(path) - complaints(tmp_path / "in" / "a.dcm") == set()


def test_mosaics_of_several_times_are_volumes(tmp_path: Path) -> None:
    tiles = [siemens(tmp_path / "in" / f"{n}.dcm", 5, number=n, time=f"12000{n}") for n in (1, 2, 3)]
    with pytest.raises(AmbiguousInputError, match="volume=N"):
        io.read(tmp_path / "in")
    assert [np.array_equal(io.read(tmp_path / "in", volume=n + 1).voxels, tiles[n]) for n in range(3)] == [True] * 3


def test_a_mosaic_without_its_direction_is_read_with_a_note_and_one_without_its_number_is_refused(tmp_path: Path) -> None:
    tiles = siemens(tmp_path / "a.dcm", 9, sign=None)
    volume = io.read(tmp_path / "a.dcm")
    assert np.array_equal(volume.voxels, tiles) and "direction" in volume.notes[0]
    ds = dcmread(tmp_path / "a.dcm")
    del ds[0x0019, 0x100A]
    ds.save_as(tmp_path / "b.dcm")
    with pytest.raises(InputError, match="how many"):
        io.read(tmp_path / "b.dcm")
    ds.private_block(0x0019, "SIEMENS MR HEADER").add_new(0x0A, "US", 23)
    ds.save_as(tmp_path / "c.dcm")
    with pytest.raises(InputError, match="cannot be parted"):
        io.read(tmp_path / "c.dcm")


@pytest.mark.parametrize(("count", "across", "down"), [(6, 3, 2), (20, 5, 4), (3, 2, 2)])
def test_a_grid_of_uih_has_its_tiles_where_each_of_them_says(tmp_path: Path, count: int, across: int, down: int) -> None:
    tiles, places = grid(tmp_path / "a.dcm", count, across, down)
    volume = io.read(tmp_path / "a.dcm")
    assert np.array_equal(volume.voxels, tiles[::-1]) and np.allclose(volume.ijk_to_ras[:3, 3], places[-1] * [-1, -1, 1])
    io.write(volume, tmp_path / "out")
    assert np.array_equal(dcmread(next((tmp_path / "out").iterdir())).pixel_array, dcmread(tmp_path / "a.dcm").pixel_array)


def test_packing_undoes_unpacking_for_any_number_of_tiles() -> None:
    for count, across, down in ((1, 1, 1), (5, 3, 2), (36, 6, 6), (37, 7, 7)):
        slices = np.random.default_rng(count).integers(0, 99, (count, 4, 3))
        mosaic = Mosaic((Dataset(),) * count, across, down)
        assert np.array_equal(mosaic.unpack(mosaic.pack(slices)), slices)


def test_the_real_mosaics_and_grids_lie_where_dcm2niix_puts_them(data_dir: Path, tmp_path: Path) -> None:
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed (Debian package dcm2niix)")
    found = [*(data_dir / "dicom" / "headers").rglob("*36747043"), *(data_dir / "dicom" / "headers").rglob("*SaveBySlc*")]
    for number, path in enumerate(found):
        folder = tmp_path / str(number)
        ds = dcmread(path)
        ds.PixelData = factory.picture(number, ds.Rows, ds.Columns).tobytes()
        folder.mkdir()
        ds.save_as(folder / "a.dcm")
        volume = io.read(folder / "a.dcm")
        subprocess.run(["dcm2niix", "-z", "n", "-f", "x", "-o", str(folder), str(folder)], check=True, capture_output=True)
        (image,) = map(nibabel.load, folder.glob("*.nii"))
        to_other = np.linalg.inv(image.affine) @ volume.ijk_to_ras
        assert np.abs(to_other - np.rint(to_other)).max() < 0.01
        index = tuple(np.rint(to_other @ [3, 5, 2, 1])[:3].astype(int))
        assert np.isclose(np.asanyarray(image.dataobj)[index], volume.voxels[2, 5, 3], rtol=1e-5)
    assert len(found) >= 5


def test_a_mosaic_among_other_images_is_listed_by_its_tiles(tmp_path: Path) -> None:
    siemens(tmp_path / "a.dcm", 4)
    factory.save(factory.slice_header(0, 9), tmp_path / "b.dcm")
    assert f"axial 4 x {ROWS}x{COLUMNS}, 4.4 mm apart, centre R 23 A 29 S 19 mm" in io.read(tmp_path).notes[0]
