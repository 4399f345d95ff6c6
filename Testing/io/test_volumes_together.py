"""Every volume of an input, read one by one and written as one: named, in order, at its place, and only where it is computed."""

from pathlib import Path
from typing import Any

import dicom_factory as factory
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError, OutputError
from MRIDenoiseLib.io.dicom.files import DicomFile
from MRIDenoiseLib.io.dicom.frames import Frame, frames_in
from MRIDenoiseLib.io.dicom.stack import b_value, component

DONE = io.Derivation("regression", "abcdef012345", 0)


def series(folder: Path, *changes: dict[str, Any]) -> Path:
    """A volume of three slices for each set of changes, the volumes one after the other."""
    for time, change in enumerate(changes):
        for place in range(3):
            ds = factory.slice_header(place, time * 10 + place + 1, **change)
            factory.save(factory.put_pixels(ds, factory.picture(time * 10 + place)), folder / f"{time}-{place}.dcm")
    return folder


def kind(word: str) -> dict[str, Any]:
    return {"ImageType": ["ORIGINAL", "PRIMARY", word, "NONE"]}


NAMED = {
    ("b = 0 s/mm2", "b = 1000 s/mm2"): ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}),
    ("time 1", "time 2", "time 3"): tuple({"TemporalPositionIdentifier": time} for time in (1, 2, 3)),
    ("magnitude", "phase"): (kind("M"), kind("P")),
    ("magnitude", "real", "imaginary"): (kind("M_FFE"), kind("R_FFE"), kind("I_FFE")),
    ("FAT", "WATER"): (kind("FAT"), kind("WATER")),
    ("inversion time 100 ms", "inversion time 2500 ms"): ({"InversionTime": 100}, {"InversionTime": 2500}),
    ("flip angle 5", "flip angle 20"): ({"FlipAngle": 5}, {"FlipAngle": 20}),
}


@pytest.mark.parametrize("names", NAMED)
def test_a_volume_is_named_by_what_tells_it_apart(names: tuple[str, ...], tmp_path: Path) -> None:
    series(tmp_path, *NAMED[names])
    with pytest.raises(AmbiguousInputError) as error:
        io.read(tmp_path)
    assert str(error.value).split("N: ")[1] == (", ".join(f"{k} ({name})" for k, name in enumerate(names, 1)))
    for number in range(1, len(names) + 1):
        assert np.array_equal(io.read(tmp_path, volume=number).voxels[1], factory.picture(number * 10 - 9))


def frame_of(**changes: Any) -> Frame:
    ds = factory.slice_header(0)
    private = changes.pop("private", ())
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    for group, element, creator, kind_of_value, value in private:
        ds.private_block(group, creator, create=True).add_new(element, kind_of_value, value)
    return frames_in([DicomFile(Path("x"), ds)])[0]


def test_b_values_and_components_are_found_where_manufacturers_keep_them() -> None:
    siemens = frame_of(Manufacturer="SIEMENS", private=[(0x0019, 0x0C, "SIEMENS MR HEADER", "IS", 800)])
    ge = frame_of(Manufacturer="GE MEDICAL SYSTEMS", private=[(0x0043, 0x39, "GEMS_PARM_01", "IS", [1000000600, 8, 0, 0])])
    philips = frame_of(Manufacturer="Philips", private=[(0x2001, 0x03, "Philips Imaging DD 001", "FL", 500.0)])
    assert [b_value(frame) for frame in (siemens, ge, philips, frame_of())] == [800, 600, 500, None]
    phase = frame_of(Manufacturer="GE MEDICAL SYSTEMS", private=[(0x0043, 0x2F, "GEMS_PARM_01", "SS", 1)])
    assert [component(frame) for frame in (phase, frame_of(ComplexImageComponent="REAL"), frame_of(**kind("IN_PHASE")))] == [
        "phase",
        "real",
        "",
    ]


def test_all_volumes_of_a_series_become_one_series_without_what_is_no_magnitude(tmp_path: Path) -> None:
    echoes = [kind("M") | {"EchoTime": 10}, kind("P") | {"EchoTime": 10}, kind("M") | {"EchoTime": 40}]
    several = io.read_all(series(tmp_path / "in", *echoes))
    assert [(one.echo, one.volume) for one in several.members] == [(1, 1), (2, 1)]
    assert "echo 1, volume 2 (echo time 10 ms, phase)" in several.notes[0]
    with io.writing_together(tmp_path / "out") as together:
        for one in several.members:
            together.add(one.read(), DONE)
    written = [dcmread(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [ds.InstanceNumber for ds in written] == [1, 2, 3, 4, 5, 6]
    assert len({ds.SeriesInstanceUID for ds in written}) == 1 and len({ds.SOPInstanceUID for ds in written}) == 6
    assert [float(ds.EchoTime) for ds in written] == [10, 10, 10, 40, 40, 40]
    for echo, time in ((1, 0), (2, 2)):
        assert np.array_equal(io.read(tmp_path / "out", echo=echo).voxels[2], factory.picture(time * 10 + 2))


def test_all_times_of_an_enhanced_file_become_one_series(tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [0, 1, 2] * 2, times=[1, 1, 1, 2, 2, 2])
    several = io.read_all(path)
    with io.writing_together(tmp_path / "out") as together:
        for one in several.members:
            together.add(one.read(), DONE)
    for time in (1, 2):
        assert np.array_equal(io.read(tmp_path / "out", volume=time).voxels, io.read(path, volume=time).voxels)


AFFINE = np.array([[-0.72, 0.324, 2.112, 30], [0, 0.72, -2.64, -20], [0.54, 0.432, 2.816, -10], [0, 0, 0, 1.0]])
HEADERS = {
    "seconds": ("mm", "sec", 1, 0, 2.5, np.int16),
    "milliseconds, qform alone": ("mm", "msec", 0, 1, 1500.0, np.uint8),
    "no units, both": (None, None, 1, 1, 0.0, np.float32),
    "template space": ("mm", "sec", 4, 0, 0.72, np.int32),
}


@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
def test_a_four_dimensional_nifti_keeps_place_codes_units_and_time(what: str, name: str, tmp_path: Path) -> None:
    space, time, sform, qform, step, pixel = HEADERS[what]
    voxels = np.random.default_rng(0).integers(1, 200, (6, 5, 4, 3)).astype(pixel)
    affine = np.diag([-0.9, 0.9, 4.4, 1]) if qform else AFFINE
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    image.header.set_xyzt_units(space, time)
    image.header["pixdim"][4] = step
    nibabel.save(image, tmp_path / "in.nii.gz")
    source = nibabel.load(tmp_path / "in.nii.gz")
    several = io.read_all(tmp_path / "in.nii.gz")
    with io.writing_together(tmp_path / name) as together:
        for number, one in enumerate(several.members):
            volume = one.read()
            together.add(volume.with_voxels(volume.voxels + number), DONE)
    back = nibabel.load(tmp_path / name)
    assert np.array_equal(np.asarray(back.dataobj), voxels + np.arange(3)) and back.get_data_dtype() == pixel
    assert np.allclose(back.affine, source.affine, atol=1e-6)
    for field in ("sform_code", "qform_code", "xyzt_units"):
        assert back.header[field] == source.header[field]
    assert back.header["pixdim"][4] == source.header["pixdim"][4]
    assert b"NOT FOR DIAGNOSTIC USE" in bytes(back.header["descrip"].item())


def test_one_type_holds_what_a_single_volume_needs_more_room_for(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.arange(1, 241, dtype=np.uint8).reshape(4, 5, 4, 3), np.diag([1, 1, 3, 1])), tmp_path / "in.nii")
    several = io.read_all(tmp_path / "in.nii")
    with io.writing_together(tmp_path / "out.nii") as together:
        for number, one in enumerate(several.members):
            volume = one.read()
            together.add(volume.with_voxels(volume.voxels - 100 * number), DONE)
    found = np.asarray(nibabel.load(tmp_path / "out.nii").dataobj).astype(int)
    expected = np.arange(1, 241).reshape(4, 5, 4, 3) - np.array([0, 100, 200])
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nrrd", "out.mha"])
def test_times_of_a_series_become_one_image_file_at_their_place(name: str, tmp_path: Path) -> None:
    several = io.read_all(series(tmp_path / "in", *({"TemporalPositionIdentifier": time} for time in (1, 2))))
    with io.writing_together(tmp_path / name) as together:
        for one in several.members:
            together.add(one.read(), DONE)
    image = sitk.ReadImage(str(tmp_path / name))
    assert image.GetSize() == (10, 12, 3, 2)
    first = io.read(tmp_path / "in", volume=1)
    point = np.array(image.TransformIndexToPhysicalPoint((3, 4, 2, 0))[:3]) * [-1, -1, 1]
    assert np.allclose(point, (first.ijk_to_ras @ [3, 4, 2, 1])[:3], atol=1e-3)
    for number in (1, 2):
        assert np.array_equal(sitk.GetArrayFromImage(image)[number - 1], io.read(tmp_path / "in", volume=number).voxels)
        assert np.array_equal(io.read(tmp_path / name, volume=number).voxels, io.read(tmp_path / "in", volume=number).voxels)


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    several = io.read_all(series(tmp_path / "in", *({"TemporalPositionIdentifier": time} for time in (1, 2))))
    for name in ("a.nii.gz", "b.nrrd", "c"):
        with pytest.raises(KeyboardInterrupt), io.writing_together(tmp_path / "out" / name) as together:
            together.add(several.members[0].read(), DONE)
            raise KeyboardInterrupt
    with pytest.raises(OutputError, match="different grids"), io.writing_together(tmp_path / "out" / "d.nii") as together:
        together.add(several.members[0].read(), DONE)
        together.add(several.members[1].read().with_stack(np.ones((2, 12, 10))), DONE)
    assert list((tmp_path / "out").iterdir()) == []


def test_gradient_files_name_the_volumes_and_are_known_to_lie_beside(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random((4, 5, 4, 3)), np.eye(4)), tmp_path / "x.nii.gz")
    (tmp_path / "x.bval").write_text("0 500 1000\n")
    (tmp_path / "x.bvec").write_text("0 1 0\n0 0 1\n0 0 0\n")
    with pytest.raises(AmbiguousInputError, match=r"volume.N: 1 \(b = 0 s/mm2\), 2 \(b = 500 s/mm2\), 3"):
        io.read(tmp_path / "x.nii.gz")
    several = io.read_all(tmp_path / "x.nii.gz")
    assert [one.name for one in several.members][2] == "volume 3 (b = 1000 s/mm2)"
    assert [(ending, path.name) for ending, path in several.beside] == [(".bval", "x.bval"), (".bvec", "x.bvec")]
    (tmp_path / "x.bval").write_text("0 500\n")
    assert [one.name for one in io.read_all(tmp_path / "x.nii.gz").members] == ["volume 1", "volume 2", "volume 3"]


def test_a_volume_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).random((4, 5, 4, 3))
    voxels[..., 1] = 0
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "x.nii")
    with pytest.raises(InputError, match=r"^volume 2: "):
        io.read_all(tmp_path / "x.nii").members[1].read()


PARTLY = io.Derivation("regression", "abcdef012345", 0, {"slices": [1, 3]})


@pytest.mark.parametrize("make", ["classic", "enhanced", "several enhanced"])
def test_a_derived_series_holds_the_computed_slices_alone(make: str, tmp_path: Path) -> None:
    if make == "classic":
        source = io.read(factory.series(tmp_path / "in", range(5)))
    elif make == "enhanced":
        source = io.read(factory.enhanced(tmp_path / "e.dcm", [4, 2, 0, 1, 3]))
    else:
        for number, place in enumerate(range(5)):
            ds = dcmread(factory.enhanced(tmp_path / "in" / f"{number}.dcm", [place]))
            ds.SOPInstanceUID, ds.InstanceNumber = f"1.2.3.{number}", number
            factory.save(ds, tmp_path / "in" / f"{number}.dcm")
        source = io.read(tmp_path / "in")
    io.write(source.with_voxels(source.voxels + 1), tmp_path / "out", derivation=PARTLY)
    back = io.read(tmp_path / "out")
    assert np.array_equal(back.voxels, source.voxels[1:3] + 1)
    assert np.allclose(back.ijk_to_ras[:3, 3], (source.ijk_to_ras @ [0, 0, 1, 1])[:3])
    io.write(source, tmp_path / "whole.nii.gz", derivation=PARTLY)
    assert io.read(tmp_path / "whole.nii.gz").voxels.shape == source.voxels.shape
