"""NIfTI, NRRD and MetaImage in and out: geometry, pixel type, values, and everything that has to be refused."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError, OutputError
from MRIDenoiseLib.volume import Volume

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")


def oblique(determinant: int = 1) -> np.ndarray:
    """A rotated, anisotropic IJK-to-RAS matrix; determinant -1 mirrors it (left-handed)."""
    axes, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    axes[:, 2] *= determinant * np.sign(np.linalg.det(axes))
    matrix = np.eye(4)
    matrix[:3, :3] = axes * [0.7, 0.9, 4.0]
    matrix[:3, 3] = [-30, 12, 55.5]
    return matrix


def volume(pixel_type: str = "int16", determinant: int = 1) -> Volume:
    voxels = np.random.default_rng(1).integers(0, 900, (4, 6, 5)).astype(np.float32)
    return Volume(voxels, oblique(determinant), pixel_type)


def patched(path: Path, offset: int, data: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("pixel_type", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_values_geometry_and_pixel_type_survive_the_round_trip(tmp_path: Path, ending: str, determinant: int, pixel_type: str) -> None:
    original = volume(pixel_type, determinant)
    if pixel_type == "uint8":
        original = original.with_voxels(original.voxels % 256)
    io.write(original, tmp_path / f"a{ending}")
    back = io.read(tmp_path / f"a{ending}")
    assert back.pixel_type == pixel_type
    assert back.name == "a"
    # Readers may choose another handedness, so corresponding points are compared in RAS, not by index.
    to_back = np.linalg.inv(back.ijk_to_ras) @ original.ijk_to_ras
    k, j, i = np.indices(original.voxels.shape).reshape(3, -1)
    at = np.rint(to_back @ np.stack([i, j, k, np.ones_like(i)])).astype(int)
    assert np.allclose(to_back @ np.stack([i, j, k, np.ones_like(i)]), at, atol=1e-3)
    assert np.array_equal(back.voxels[at[2], at[1], at[0]], original.voxels[k, j, i])


def test_nifti_affine_written_by_hand_is_read_as_ras(tmp_path: Path) -> None:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 2, 3, 4, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 2, 3, 4, 0, 0, 0, 0)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<hh", header, 252, 0, 1)
    # LAS: i runs to the left, so the matrix is left-handed.
    struct.pack_into("<12f", header, 280, -2, 0, 0, 10, 0, 3, 0, 20, 0, 0, 4, 30)
    header[344:348] = b"n+1\0"
    path = tmp_path / "las.nii"
    path.write_bytes(bytes(header) + np.arange(24, dtype="<i2").tobytes())
    read = io.read(path)
    value_of = {}
    for k, j, i in np.ndindex(read.voxels.shape):
        value_of[tuple(np.round((read.ijk_to_ras @ [i, j, k, 1])[:3], 3))] = read.voxels[k, j, i]
    assert value_of[(10, 20, 30)] == 0
    assert value_of[(8, 20, 30)] == 1
    assert value_of[(10, 23, 30)] == 2
    assert value_of[(10, 20, 34)] == 6


def test_nifti_slope_and_intercept_are_applied_and_the_values_then_stay_fractional(tmp_path: Path) -> None:
    io.write(volume(), tmp_path / "a.nii")
    patched(tmp_path / "a.nii", 112, struct.pack("<2f", 0.25, -3))
    scaled = io.read(tmp_path / "a.nii")
    assert np.allclose(scaled.voxels, volume().voxels * 0.25 - 3)
    io.write(scaled, tmp_path / "b.nii")
    assert np.allclose(io.read(tmp_path / "b.nii").voxels, scaled.voxels)


@pytest.mark.parametrize(("value", "expected"), [(40000.0, "int32"), (3e9, "float32"), (-40000.0, "int32")])
def test_a_voxel_beyond_the_pixel_type_widens_the_file_and_is_not_clipped(tmp_path: Path, value: float, expected: str) -> None:
    bright = volume()
    voxels = bright.voxels.copy()
    voxels[1, 2, 3] = value
    io.write(bright.with_voxels(voxels), tmp_path / "a.nii.gz")
    back = io.read(tmp_path / "a.nii.gz")
    assert back.voxels[1, 2, 3] == np.float32(value)
    assert back.pixel_type == expected


def test_a_residual_of_an_unsigned_source_keeps_its_sign(tmp_path: Path) -> None:
    residual = volume("uint16").with_voxels(volume().voxels - 450)
    io.write(residual, tmp_path / "a.nrrd")
    assert np.array_equal(io.read(tmp_path / "a.nrrd").voxels, residual.voxels)


def test_a_two_dimensional_image_becomes_one_slice(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(30, dtype=np.int16).reshape(5, 6))
    image.SetSpacing((0.5, 0.8))
    sitk.WriteImage(image, str(tmp_path / "flat.nrrd"))
    read = io.read(tmp_path / "flat.nrrd")
    assert read.voxels.shape == (1, 5, 6)
    assert read.spacing == (1.0, 0.8, 0.5)


def test_a_four_dimensional_image_asks_for_a_choice_and_takes_it(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (3, 4, 5, 6)).astype(np.int16)
    path = tmp_path / "bold.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(data, isVector=False), str(path))
    with pytest.raises(AmbiguousInputError, match=r"3 volumes.*volume=N"):
        io.read(path)
    assert np.array_equal(io.read(path, volume=2).voxels, data[1])
    with pytest.raises(InputError, match="no volume 4"):
        io.read(path, volume=4)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_a_list_of_volumes_in_a_nrrd_asks_for_a_choice_and_takes_it(tmp_path: Path, encoding: str) -> None:
    # As Slicer saves a time series: the times of one voxel lie beside each other, and are no colour.
    data = np.random.default_rng(0).integers(0, 99, (3, 4, 5, 6)).astype("<i2")
    fields = "type: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 3 6 5 4\nendian: little\n"
    fields += "space directions: none (2,0,0) (0,3,0) (0,0,4)\nkinds: list domain domain domain\nspace origin: (1,2,3)\n"
    content = np.ascontiguousarray(np.moveaxis(data, 0, -1)).tobytes()
    path = tmp_path / "series.nrrd"
    stored = content if encoding == "raw" else gzip.compress(content)
    path.write_bytes(f"NRRD0004\n{fields}encoding: {encoding}\n\n".encode() + stored)
    with pytest.raises(AmbiguousInputError, match=r"3 volumes.*volume=N"):
        io.read(path)
    for chosen in (1, 2, 3):
        read = io.read(path, volume=chosen)
        assert np.array_equal(read.voxels, data[chosen - 1])
        assert read.pixel_type == "int16" and read.spacing == (4.0, 3.0, 2.0)
    with pytest.raises(InputError, match="no volume 4"):
        io.read(path, volume=4)
    short = content[:-2] if encoding == "raw" else gzip.compress(content[:-2])
    path.write_bytes(f"NRRD0004\n{fields}encoding: {encoding}\n\n".encode() + short)
    with pytest.raises(InputError, match="cut short"):
        io.read(path, volume=1)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_truncation_is_noticed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    io.write(volume(), path)
    content = path.read_bytes()
    for length in [*range(0, len(content), max(len(content) // 40, 1)), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            io.read(path)


def test_a_short_payload_inside_a_sound_gzip_is_noticed(tmp_path: Path) -> None:
    io.write(volume(), tmp_path / "a.nii")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()[:-20]))
    with pytest.raises(InputError, match="cut short"):
        io.read(tmp_path / "b.nii.gz")


@pytest.mark.parametrize("bad", [-np.inf, np.inf])
def test_values_that_are_infinite_are_refused(tmp_path: Path, bad: float) -> None:
    voxels = volume().voxels.copy()
    voxels[0, 0, 0] = bad
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="not finite"):
        io.read(tmp_path / "a.nrrd")


def _image(array: np.ndarray, vector: bool = False) -> sitk.Image:
    return sitk.GetImageFromArray(array, isVector=vector)


NOT_GREY = {
    "constant.nii.gz": (_image(np.full((3, 4, 5), 7, np.int16)), "same value"),
    "rgb.nrrd": (_image(np.zeros((3, 4, 5, 3), np.uint8), vector=True), "RGB"),
    "rgb.nii": (_image(np.ones((3, 4, 5, 3), np.uint8), vector=True), "RGB|dimensions|values"),
    "complex.nrrd": (_image(np.ones((3, 4, 5), np.complex64)), "complex|values a voxel"),
    "complex.nii": (_image(np.ones((3, 4, 5), np.complex64)), "complex"),
}


@pytest.mark.parametrize("name", NOT_GREY)
def test_images_that_are_not_one_grey_picture_are_refused(name: str, tmp_path: Path) -> None:
    image, message = NOT_GREY[name]
    sitk.WriteImage(image, str(tmp_path / name))
    with pytest.raises(InputError, match=message):
        io.read(tmp_path / name)


def test_a_sheared_or_non_finite_grid_is_refused(tmp_path: Path) -> None:
    for name, numbers, message in (("sheared", (1, 0.4, 0, 0), "sheared"), ("nan", (float("nan"), 0, 0, 0), "not a finite number")):
        path = tmp_path / f"{name}.nii"
        io.write(Volume(volume().voxels, np.eye(4), "int16"), path)
        patched(path, 252, struct.pack("<hh", 0, 1))
        patched(path, 280, struct.pack("<4f", *numbers))
        with pytest.raises(InputError, match=message):
            io.read(path)


def test_files_that_are_not_images_are_refused_in_one_sentence(tmp_path: Path) -> None:
    for name in ("text.nii", "text.nii.gz", "text.nrrd", "text.mha", "text.dcm", "text"):
        (tmp_path / name).write_text("Dear colleague, please find attached\n" * 50)
    (tmp_path / "empty.nii.gz").touch()
    (tmp_path / "folder").mkdir()
    io.write(volume(), tmp_path / "a.nii")
    (tmp_path / "renamed.nrrd").write_bytes((tmp_path / "a.nii").read_bytes())
    for path in [p for p in tmp_path.iterdir() if p.name != "a.nii"] + [tmp_path / "missing.nii"]:
        with pytest.raises(InputError) as caught:
            io.read(path)
        assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_a_header_that_points_to_another_file_is_refused(tmp_path: Path) -> None:
    io.write(volume(), tmp_path / "a.mha")
    text = (tmp_path / "a.mha").read_bytes().replace(b"ElementDataFile = LOCAL", b"ElementDataFile = /etc/hosts")
    (tmp_path / "b.mha").write_bytes(text)
    (tmp_path / "b.nrrd").write_bytes(b"NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: a.raw\n\n")
    for name in ("b.mha", "b.nrrd"):
        with pytest.raises(InputError):
            io.read(tmp_path / name)


def test_flipped_bits_give_an_image_or_one_sentence_and_no_other_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(5)
    outcomes = set()
    for ending in ENDINGS:
        path = tmp_path / f"a{ending}"
        io.write(volume(), path, overwrite=True)
        content = path.read_bytes()
        for _ in range(30):
            damaged = bytearray(content)
            damaged[random.integers(min(len(content), 400))] ^= 1 << int(random.integers(8))
            path.write_bytes(damaged)
            try:
                assert np.isfinite(io.read(path).voxels).all()
                outcomes.add("read")
            except InputError as error:
                assert "\n" not in str(error)
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}
    assert capfd.readouterr().err == ""


def test_the_account_of_a_result_is_in_the_file(tmp_path: Path) -> None:
    settings = {"steps": 8, "prompt": "head T1w; " * 40, "version": "0.1.0"}
    derivation = io.Derivation("posterior-mean", "abcdef0123456789" * 4, 42, settings)
    for ending, field in ((".nii.gz", "descrip"), (".nrrd", "MRIDenoise"), (".mha", "MRIDenoise")):
        io.write(volume(), tmp_path / f"a{ending}", derivation=derivation)
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(tmp_path / f"a{ending}"))
        reader.ReadImageInformation()
        note = reader.GetMetaData(field)
        assert all(word in note for word in ("NOT FOR DIAGNOSTIC USE", "posterior-mean", "seed 42", "abcdef012345", "steps 8"))
        assert len(note) <= 79 if ending == ".nii.gz" else note == derivation.description and note.endswith("version 0.1.0")


def test_a_note_that_is_too_long_for_its_steps_leaves_them_out_whole() -> None:
    note = io.Derivation("fidelity-guided", "abcdef0123456789" * 4, 1234567, {"steps": 50}).note
    assert note.endswith("; seed 1234567") and len(note) <= 79


def test_where_nothing_can_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "there.nii.gz").touch()
    (tmp_path / "folder.nii").mkdir()
    for path in ("there.nii.gz", "picture.png", "folder.nii", "missing/out.nii.gz", "dicom_folder"):
        with pytest.raises(OutputError):
            io.check_writable(volume(), tmp_path / path)
        with pytest.raises(OutputError):
            io.write(volume(), tmp_path / path)
    io.check_writable(volume(), tmp_path / "there.nii.gz", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.nii", "there.nii.gz"]


def test_real_volumes_read_as_simpleitk_places_them(data_dir: Path) -> None:
    path = data_dir / "volumes" / "head_T1w_ms12_study1.nii.gz"
    read, image = io.read(path), sitk.ReadImage(str(path))
    point = np.array(image.TransformIndexToPhysicalPoint((10, 20, 30))) * [-1, -1, 1]
    assert np.allclose((read.ijk_to_ras @ [10, 20, 30, 1])[:3], point, atol=1e-3)
    assert np.array_equal(read.voxels, sitk.GetArrayFromImage(image).astype(np.float32))
