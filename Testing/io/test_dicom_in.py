"""DICOM series in: order and grid by geometry, choices asked for, damage and foreign images refused by name."""

from pathlib import Path
from typing import Any

import dicom_factory as factory
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.io.dicom.folder import sift


def expected_point(i: float, j: float, k: float) -> np.ndarray:
    """RAS of a factory voxel, straight from the definition of the DICOM attributes."""
    lps = factory.ORIGIN + i * 0.7 * factory.ROWS + j * 0.9 * factory.COLUMNS + k * factory.SPACING * factory.NORMAL
    return lps * [-1, -1, 1]


def test_slices_are_ordered_by_position_whatever_their_names_and_numbers(tmp_path: Path) -> None:
    for k, (place, instance) in enumerate([(3, 1), (0, 9), (2, 2), (1, 30)]):
        factory.save(factory.slice_header(place, instance), tmp_path / f"{k}.dcm")
    volume = io.read(tmp_path)
    assert np.array_equal(volume.voxels, np.stack([factory.picture(place) for place in range(4)]))
    assert [h.InstanceNumber for h in volume.headers] == [9, 30, 2, 1]
    assert all("PixelData" not in h for h in volume.headers)
    assert volume.pixel_type == "uint16"
    for index in [(0, 0, 0), (3, 0, 0), (0, 5, 0), (2, 7, 3)]:
        assert np.allclose((volume.ijk_to_ras @ [*index, 1])[:3], expected_point(*index), atol=1e-4)


def test_known_slices_are_read_as_the_volume_that_a_choice_would_give(tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [0, 1, 2, 0, 1, 2], times=[1, 1, 1, 2, 2, 2])
    for volume, indices in ((1, (2, 0, 1)), (2, (5, 3, 4))):
        found, chosen = io.read_slices([(path, index) for index in indices]), io.read(path, volume=volume)
        assert np.array_equal(found.voxels, chosen.voxels) and np.array_equal(found.ijk_to_ras, chosen.ijk_to_ras)
        assert found.acquisition == chosen.acquisition and found.headers[0] == chosen.headers[0]
    folder = factory.series(tmp_path / "classic")
    files = [(path, None) for path in folder.iterdir()]
    assert np.array_equal(io.read_slices(files).voxels, io.read(folder).voxels)
    with pytest.raises(InputError, match="missing"):
        io.read_slices([file for file in files if dcmread(file[0]).InstanceNumber != 3])
    with pytest.raises(InputError, match="changed while it was being read"):
        io.read_slices([(path, 0), (path, 6)])


def test_sifting_sets_damaged_files_aside_and_keeps_the_series(tmp_path: Path) -> None:
    files = sorted(factory.series(tmp_path).iterdir())
    files[1].write_bytes(b"\1\2" * 150)
    files[3].write_bytes(files[3].read_bytes()[:150])
    (tmp_path / "notes.txt").write_text("of no concern")
    factory.save(factory.slice_header(9, Modality="SR"), tmp_path / "report.dcm")
    found = sift(tmp_path.iterdir())
    assert [len(series.files) for series in found.series] == [3] and found.others == 1
    assert sorted(path for path, _ in found.refused) == [files[1], files[3]] and found.foreign == 1
    assert [len(series.doubts) for series in io.list_series(tmp_path)] == [2]


def test_one_classic_file_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    volume = io.read(factory.save(factory.slice_header(2), tmp_path / "one"))
    assert np.array_equal(volume.voxels[0], factory.picture(2))
    assert volume.spacing == pytest.approx((3.0, 0.9, 0.7))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, ExplicitVRBigEndian])
def test_other_transfer_syntaxes_give_the_same_voxels(tmp_path: Path, syntax: str) -> None:
    for place in range(3):
        ds = factory.slice_header(place)
        path = factory.save(ds, tmp_path / f"{place}.dcm")
        if syntax == RLELossless:
            ds = dcmread(path)
            ds.compress(RLELossless)
            ds.save_as(path)
        elif syntax == ExplicitVRBigEndian:
            ds.PixelData = factory.picture(place).astype(">u2").tobytes()
            factory.save(ds, path, syntax)
        else:
            factory.save(ds, path, syntax)
    assert np.array_equal(io.read(tmp_path).voxels, np.stack([factory.picture(p) for p in range(3)]))


def test_each_slice_gets_its_own_rescale_slope_and_intercept(tmp_path: Path) -> None:
    for place, slope, intercept in ((0, 2, 0), (1, 0.5, -10), (2, 1, 7)):
        factory.save(factory.slice_header(place, RescaleSlope=slope, RescaleIntercept=intercept), tmp_path / f"{place}.dcm")
    volume = io.read(tmp_path)
    for place, slope, intercept in ((0, 2, 0), (1, 0.5, -10), (2, 1, 7)):
        assert np.allclose(volume.voxels[place], factory.picture(place) * slope + intercept)
    assert volume.pixel_type == "float32"


def philips_slice(place: int, slope: float, scale_slope: float) -> Dataset:
    ds = factory.slice_header(place, Manufacturer="Philips Medical Systems", RescaleSlope=slope, RescaleIntercept=0)
    ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", scale_slope)
    ds[0x2005100E].value = scale_slope
    return ds


def test_philips_private_scale_makes_slices_comparable(tmp_path: Path) -> None:
    # The scanner stored the same floating-point picture F in two slices with different slopes: stored = F SS.
    for place, slope, scale in ((0, 3.0, 0.25), (1, 5.0, 0.5)):
        ds = philips_slice(place, slope, scale)
        factory.put_pixels(ds, (factory.picture(9).astype(float) * scale * 4).astype(np.uint16))
        factory.save(ds, tmp_path / f"{place}.dcm")
    volume = io.read(tmp_path)
    assert np.allclose(volume.voxels[0], factory.picture(9) * 4.0)
    assert np.allclose(volume.voxels[1], volume.voxels[0])


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    factory.series(tmp_path, range(3), SeriesInstanceUID="1.2.3.4", SeriesNumber=7, SeriesDescription="t1 tra")
    for k, place in enumerate((10, 11)):
        factory.save(factory.slice_header(place, SeriesInstanceUID="1.2.3.5", SeriesNumber=4), tmp_path / f"x{k}.dcm")
    with pytest.raises(AmbiguousInputError, match=r"2 series.*series=N.*t2 sag.*t1 tra"):
        io.read(tmp_path)
    assert [(s.number, s.series_number, s.images) for s in io.list_series(tmp_path)] == [(1, 4, 2), (2, 7, 3)]
    assert io.read(tmp_path, series=1).voxels.shape[0] == 2
    assert io.read(tmp_path, series=2).voxels.shape[0] == 3
    with pytest.raises(InputError, match="no series 3"):
        io.read(tmp_path, series=3)


def test_echoes_are_numbered_by_echo_time(tmp_path: Path) -> None:
    for echo in (40, 10, 25):
        factory.series(tmp_path, range(3), EchoTime=echo)
    with pytest.raises(AmbiguousInputError, match=r"3 echoes \(10, 25, 40 ms\).*echo=N"):
        io.read(tmp_path)
    assert np.array_equal(io.read(tmp_path, echo=3).voxels[1], factory.picture(1 + 40000))
    with pytest.raises(InputError, match="no echo 4"):
        io.read(tmp_path, echo=4)


@pytest.mark.parametrize("keyword", ["TemporalPositionIdentifier", "AcquisitionNumber", "DiffusionBValue", "InstanceNumber", "ImageType"])
def test_repetitions_of_every_place_ask_for_a_volume(tmp_path: Path, keyword: str) -> None:
    pictures = {}
    for time in (1, 2):
        for place in range(3):
            value = [["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]][time - 1] if keyword == "ImageType" else time * 100 + place
            ds = factory.slice_header(place, time * 10 + place)
            setattr(ds, keyword, value if keyword in ("InstanceNumber", "ImageType") else time * 100)
            pictures[time, place] = factory.picture(time * 10 + place)
            factory.save(factory.put_pixels(ds, pictures[time, place]), tmp_path / f"{place}-{time}.dcm")
    with pytest.raises(AmbiguousInputError, match=r"2 times.*volume=N"):
        io.read(tmp_path)
    for time in (1, 2):
        assert np.array_equal(io.read(tmp_path, volume=time).voxels, np.stack([pictures[time, p] for p in range(3)]))


def test_a_time_point_with_a_lost_slice_is_refused_and_the_others_read(tmp_path: Path) -> None:
    for time in (1, 2):
        for place in range(4):
            if (time, place) != (2, 1):
                ds = factory.slice_header(place, time * 10 + place, TemporalPositionIdentifier=time)
                factory.save(ds, tmp_path / f"{time}{place}.dcm")
    assert io.read(tmp_path, volume=1).voxels.shape[0] == 4
    with pytest.raises(InputError, match="missing between image 20 and image 22"):
        io.read(tmp_path, volume=2)


@pytest.mark.parametrize("lost", [[1], [2], [2, 3]])
def test_missing_slices_are_named(tmp_path: Path, lost: list[int]) -> None:
    factory.series(tmp_path, [p for p in range(6) if p not in lost])
    named = rf"{len(lost)} slice\(s\) missing between image {lost[0]} and image {lost[-1] + 2}"
    with pytest.raises(InputError, match=named):
        io.read(tmp_path)


def test_a_repeated_slice_of_other_pixels_is_named(tmp_path: Path) -> None:
    factory.series(tmp_path, range(5))
    factory.save(factory.put_pixels(factory.slice_header(3, 77), factory.picture(99)), tmp_path / "copy.dcm")
    with pytest.raises(InputError, match="duplicate slices: image (4 and image 77|77 and image 4)"):
        io.read(tmp_path)


def test_a_changed_slice_with_a_time_of_its_own_is_a_duplicate_and_no_second_volume(tmp_path: Path) -> None:
    for place in range(5):
        factory.save(factory.slice_header(place, AcquisitionTime="120000"), tmp_path / f"{place}.dcm")
    copy = factory.slice_header(3, 77, AcquisitionTime="120500")
    factory.save(factory.put_pixels(copy, factory.picture(99)), tmp_path / "copy.dcm")
    for choice in (None, 1, 2):
        with pytest.raises(InputError, match="duplicate slices: image (4 and image 77|77 and image 4)"):
            io.read(tmp_path, volume=choice)


def test_repetitions_of_a_single_place_are_numbered_as_the_scanner_numbered_them(tmp_path: Path) -> None:
    # Identifiers that sort otherwise than the instances: they have no order that means anything.
    for repetition in range(1, 7):
        ds = factory.slice_header(0, repetition, SOPInstanceUID=f"1.2.3.{(repetition * 5) % 7}")
        factory.save(factory.put_pixels(ds, factory.picture(repetition)), tmp_path / f"{repetition * 3 % 7}.dcm")
    with pytest.raises(AmbiguousInputError, match=r"6 times.*volume=N"):
        io.read(tmp_path)
    for repetition in range(1, 7):
        assert np.array_equal(io.read(tmp_path, volume=repetition).voxels[0], factory.picture(repetition))


ODD_SLICES: dict[str, dict[str, Any]] = {
    "uneven": {"ImagePositionPatient": [float(x) for x in factory.ORIGIN + 3.2 * factory.SPACING * factory.NORMAL]},
    "sideways": {"ImagePositionPatient": [float(x) for x in factory.ORIGIN + 3 * factory.SPACING * factory.NORMAL + 2 * factory.ROWS]},
    "where its slice lies": {"ImagePositionPatient": None},
    "pixel spacing (?=.*0028,0030)": {"PixelSpacing": [0, 0]},
}
"""What is said -> what a fourth slice has that makes it not fit the others."""


@pytest.mark.parametrize(("message", "changes"), ODD_SLICES.items(), ids=range(len(ODD_SLICES)))
def test_stacks_that_are_no_straight_grid_are_refused(message: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = factory.series(tmp_path / "series", range(3))
    factory.save(factory.slice_header(3, **changes), folder / "odd.dcm")
    with pytest.raises(InputError, match=message):
        io.read(folder)


NOT_GREY_MR: dict[str, dict[str, Any]] = {
    "is CT, not MR": {"Modality": "CT"},
    "of no stated modality": {"Modality": ""},
    "colour": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
    "colour image .PALETTE": {"PhotometricInterpretation": "PALETTE COLOR"},
    "mosaic": {"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]},
    "several frames": {"NumberOfFrames": 2},
    "no pixels": {"PixelData": None},
    "slope": {"RescaleSlope": 0, "RescaleIntercept": 0},
    "same value": {"PixelData": bytes(12 * 10 * 2)},
    "cut short": {"PixelData": bytes(range(100))},
    "does not fit": {"PixelData": bytes(500)},
    "bits": {"BitsAllocated": 64},
}
"""What is said -> what an image has for which it is refused."""


@pytest.mark.parametrize(("message", "changes"), NOT_GREY_MR.items(), ids=range(len(NOT_GREY_MR)))
def test_images_that_are_not_grey_mr_are_refused(message: str, changes: dict[str, Any], tmp_path: Path) -> None:
    path = factory.save(factory.slice_header(0, **changes), tmp_path / "image.dcm")
    with pytest.raises(InputError, match=message):
        io.read(path)


def test_a_compression_that_cannot_be_unpacked_is_named(tmp_path: Path) -> None:
    ds = factory.slice_header(0, PixelData=encapsulate([b"\1\2\3\4"]))
    jpeg_ls = factory.save(ds, tmp_path / "a.dcm", JPEGLSLossless)
    unknown = factory.save(factory.slice_header(0), tmp_path / "b.dcm")
    unknown.write_bytes(unknown.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.4.5.6.7.8.9.10"))
    for path, name in ((jpeg_ls, "JPEG-LS"), (unknown, "1.2.3.4.5.6.7.8.9.10")):
        with pytest.raises(InputError, match=name):
            io.read(path)


def test_other_files_in_the_folder_are_passed_over_but_something_must_be_dicom(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no DICOM files"):
        io.read(tmp_path / "empty")
    folder = factory.series(tmp_path / "study" / "deep", range(3))
    (folder / "notes.txt").write_text("hello")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    report = factory.header("1.2.840.10008.5.1.4.1.1.88.11", series="1.2.3.77")
    report.Modality = "SR"
    factory.save(report, folder / "report.dcm")
    assert io.read(folder).voxels.shape[0] == 3
    assert io.read(tmp_path / "study").voxels.shape[0] == 3


def test_every_truncation_of_a_dicom_file_is_noticed(tmp_path: Path) -> None:
    for path in (factory.save(factory.slice_header(0), tmp_path / "c.dcm"), factory.enhanced(tmp_path / "e.dcm", [0, 1, 2])):
        content = path.read_bytes()
        for length in [*range(0, len(content), len(content) // 40), len(content) - 1]:
            path.write_bytes(content[:length])
            with pytest.raises(InputError):
                io.read(path)


def test_flipped_bits_in_dicom_give_an_image_or_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(11)
    outcomes = set()
    for path in (factory.save(factory.slice_header(0), tmp_path / "c.dcm"), factory.enhanced(tmp_path / "e.dcm", [0, 1, 2])):
        content = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(content)
            damaged[random.integers(len(content))] ^= 1 << int(random.integers(8))
            path.write_bytes(damaged)
            try:
                assert np.isfinite(io.read(path).voxels).all()
                outcomes.add("read")
            except InputError as error:
                assert "\n" not in str(error)
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}
    assert capfd.readouterr().err == ""


def test_enhanced_frames_are_ordered_by_position_and_rescaled_each(tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [2, 0, 1], slopes=[3.0, 1.0, 2.0])
    volume = io.read(path)
    assert np.allclose(volume.voxels, np.stack([factory.picture(1000 + p) * (p + 1.0) for p in range(3)]))
    assert np.allclose((volume.ijk_to_ras @ [2, 3, 1, 1])[:3], expected_point(2, 3, 1), atol=1e-4)
    assert len(volume.headers) == 1
    places = [f.PlanePositionSequence[0].ImagePositionPatient[0] for f in volume.headers[0].PerFrameFunctionalGroupsSequence]
    assert places == sorted(places, key=lambda x: x * float(np.sign(factory.NORMAL[0])))


def test_enhanced_time_points_ask_for_a_volume_and_its_header_describes_only_those_frames(tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [0, 0, 1, 1, 2, 2], times=[1, 2, 1, 2, 1, 2])
    with pytest.raises(AmbiguousInputError, match="volume=N"):
        io.read(path)
    second = io.read(path, volume=2)
    assert np.array_equal(second.voxels, np.stack([factory.picture(2000 + p) for p in range(3)]))
    assert second.headers[0].NumberOfFrames == 3
    assert {f.FrameContentSequence[0].TemporalPositionIndex for f in second.headers[0].PerFrameFunctionalGroupsSequence} == {2}


def test_an_enhanced_header_without_its_frames_is_refused(tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [0, 1, 2])
    ds = dcmread(path)
    del ds.PerFrameFunctionalGroupsSequence[1]
    ds.save_as(path)
    with pytest.raises(InputError, match="promises 3 frames and describes 2"):
        io.read(path)


def test_the_real_knee_series_gives_four_echoes_at_the_same_positions(data_dir: Path) -> None:
    folder = data_dir / "dicom" / "knee_GE_multiecho"
    with pytest.raises(AmbiguousInputError, match=r"4 echoes \(6.31, 18.94, 31.56, 50.5 ms\)"):
        io.read(folder)
    first, last = io.read(folder, echo=1), io.read(folder, echo=4)
    assert first.voxels.shape == (14, 256, 256)
    assert np.allclose(first.ijk_to_ras, last.ijk_to_ras)
    assert first.spacing == pytest.approx((4.0, 0.625, 0.625), abs=1e-3)
    assert last.voxels.mean() < first.voxels.mean()  # T2 decay
    assert [float(h.EchoTime) for h in first.headers] == [6.312] * 14
