"""What belongs on one grid is one stack; what does not is left out with a note, or listed so that one can be chosen."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dicom_factory as factory
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import RLELossless, generate_uid

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError

COUNTER = iter(range(1, 10**6))
AXIAL, SAGITTAL, CORONAL = ((1, 0, 0), (0, 1, 0)), ((0, 1, 0), (0, 0, -1)), ((1, 0, 0), (0, 0, -1))
Axes = Sequence[Sequence[float]]


def stack(folder: Path, count: int, axes: Axes = AXIAL, start: Sequence[float] = (0, 0, 0), step: float = 4.0, **changes: Any) -> Path:
    """``count`` slices ``step`` mm apart from ``start`` on, numbered one after the other."""
    normal = np.cross(*np.array(axes, float))
    for k in range(count):
        number = next(COUNTER)
        position = [round(float(x), 5) for x in np.array(start) + k * step * normal]
        ds = factory.slice_header(k, number, ImageOrientationPatient=[*axes[0], *axes[1]], ImagePositionPatient=position)
        factory.put_pixels(ds, factory.picture(number))
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        if "Rows" in changes:
            factory.put_pixels(ds, factory.picture(number, changes["Rows"], changes["Columns"]))
        factory.save(ds, folder / f"{number * 7919 % 100003:06d}.dcm")
    return folder


def tilted(degrees: float) -> Axes:
    angle = np.radians(degrees)
    return (1, 0, 0), (0, round(float(np.cos(angle)), 8), round(float(np.sin(angle)), 8))


BESIDE: dict[str, Callable[[Path], object]] = {
    "a scout of one coronal slice": lambda folder: stack(folder, 1, CORONAL),
    "a localiser of three planes": lambda folder: [stack(folder, 1, axes) for axes in (tilted(40), SAGITTAL, CORONAL)],
    "the same slice in another matrix": lambda folder: stack(folder, 1, Rows=24, Columns=20, PixelSpacing=[0.45, 0.35]),
    "a slice far away": lambda folder: stack(folder, 1, start=(0, 0, 150)),
    "a slice of another station": lambda folder: stack(folder, 1, start=(60, 0, 8)),
    "a screenshot": lambda folder: stack(folder, 1, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]),
    "a page of another modality": lambda folder: stack(folder, 1, Modality="OT"),
    "a secondary capture": lambda folder: stack(folder, 1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
    "a localiser in its own direction": lambda folder: stack(folder, 1, start=(0, 0, 4), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
}


@pytest.mark.parametrize("what", BESIDE)
def test_the_stack_that_is_plainly_meant_is_taken_and_the_rest_is_said(what: str, tmp_path: Path) -> None:
    stack(tmp_path, 5)
    alone = io.read(tmp_path)
    BESIDE[what](tmp_path)
    found = io.read(tmp_path)
    assert np.array_equal(found.voxels, alone.voxels) and np.allclose(found.ijk_to_ras, alone.ijk_to_ras)
    assert len(found.headers) == 5 and "eft out" in " ".join(found.notes) and alone.notes == ()


def test_a_colour_map_and_a_picture_without_a_place_are_no_slices(tmp_path: Path) -> None:
    stack(tmp_path, 4)
    colour = factory.slice_header(0, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    factory.save(colour, tmp_path / "colour.dcm")
    factory.save(factory.slice_header(0, ImagePositionPatient=None, ImageType=["DERIVED", "SECONDARY"]), tmp_path / "nowhere.dcm")
    found = io.read(tmp_path)
    assert found.voxels.shape[0] == 4 and any("2 pictures that are no slices" in note for note in found.notes)


def test_a_series_of_nothing_but_screenshots_says_so(tmp_path: Path) -> None:
    stack(tmp_path, 3, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])
    assert "screenshots" in io.read(tmp_path).notes[0]


SEVERAL: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "discs": (
        lambda folder: [stack(folder, 3, tilted(angle), (0, 0, -40 * k)) for k, angle in enumerate((-30, 0, 15))],
        ["oblique axial 3 x 12x10, 4 mm apart", "axial 3", "oblique axial 3"],
    ),
    "two joints": (lambda folder: [stack(folder, 4, SAGITTAL, (x, 0, 0)) for x in (-40, 40)], ["sagittal 4", "sagittal 4"]),
    "two joints side by side in the image": (lambda folder: [stack(folder, 4, CORONAL, (x, 0, 0)) for x in (-40, 40)], ["coronal 4"] * 2),
    "three planes": (
        lambda folder: [stack(folder, 3, axes) for axes in (AXIAL, SAGITTAL, CORONAL)],
        ["axial 3", "sagittal 3", "coronal 3"],
    ),
    "two matrices": (lambda folder: [stack(folder, 3, **rows) for rows in ({}, {"Rows": 24, "Columns": 10})], ["3 x 12x10", "3 x 24x10"]),
    "single slices": (lambda folder: [stack(folder, 1, tilted(20 * k)) for k in range(1, 6)], ["oblique"] * 5),
    "two spacings": (lambda folder: [stack(folder, 4), stack(folder, 4, start=(0, 0, 80), step=6)], ["4 mm apart", "6 mm apart"]),
}


@pytest.mark.parametrize("what", SEVERAL)
def test_stacks_of_equal_size_are_listed_and_each_can_be_chosen(what: str, tmp_path: Path) -> None:
    make, words = SEVERAL[what]
    make(tmp_path)
    with pytest.raises(AmbiguousInputError, match=rf"{len(words)} stacks; choose one with .*stack.N") as error:
        io.read(tmp_path)
    listed = str(error.value).split("(", 1)[1].split("; ")
    for number, word in enumerate(words, 1):
        assert listed[number - 1].startswith(f"{number} = ") and word in listed[number - 1]
        found = io.read(tmp_path, stack=number)
        numbers = [header.InstanceNumber for header in found.headers]
        assert max(numbers) - min(numbers) == len(numbers) - 1  # imaged one after the other
        shape = found.voxels.shape[1:]
        assert np.array_equal(found.voxels[0], factory.picture(int(found.headers[0].InstanceNumber), *shape))
    with pytest.raises(InputError, match=f"no stack {len(words) + 1}"):
        io.read(tmp_path, stack=len(words) + 1)


def test_echoes_and_times_of_a_stack_stay_with_it(tmp_path: Path) -> None:
    for echo in (10.0, 30.0):
        stack(tmp_path, 4, EchoTime=echo)
    stack(tmp_path, 1, SAGITTAL, EchoTime=10.0)
    with pytest.raises(AmbiguousInputError, match="2 echoes"):
        io.read(tmp_path)
    assert io.read(tmp_path, echo=2).headers[0].EchoTime == 30 and io.read(tmp_path, stack=2).voxels.shape[0] == 1


@pytest.mark.parametrize("numbered", [True, False])
def test_over_a_gap_of_lost_slices_nothing_is_read_unless_a_part_is_chosen(numbered: bool, tmp_path: Path) -> None:
    for place in (0, 1, 2, 5, 6, 7, 8, 9):
        factory.save(factory.slice_header(place, place + 1 if numbered else 1), tmp_path / f"{place}.dcm")
    doubt = "" if numbered else "unless these are two stacks; "
    with pytest.raises(InputError, match=rf"2 slice\(s\) missing between .*{doubt}.*stack.N \(1 = .* [35] x 12x10.*; 2 = .* [35] x 12x10"):
        io.read(tmp_path)
    found = max((io.read(tmp_path, stack=number) for number in (1, 2)), key=lambda part: len(part.voxels))
    assert np.array_equal(found.voxels, np.stack([factory.picture(place) for place in (5, 6, 7, 8, 9)]))
    assert any("may be missing" in note for note in found.notes)


def test_numbers_that_run_on_over_a_gap_show_two_stacks_and_jumping_ones_lost_slices(tmp_path: Path) -> None:
    stack(tmp_path / "two", 4)
    stack(tmp_path / "two", 4, start=(0, 0, 24))
    with pytest.raises(AmbiguousInputError, match="2 stacks"):
        io.read(tmp_path / "two")
    for place in (0, 1, 2, 3, 20, 21, 22, 23):
        factory.save(factory.slice_header(place), tmp_path / "lost" / f"{place}.dcm")
    with pytest.raises(InputError, match="16 slice"):
        io.read(tmp_path / "lost")


@pytest.mark.parametrize(("off", "outcome"), [(0.02, "read"), (0.08, "evenly spaced"), (0.2, "uneven")])
def test_slightly_uneven_slices_are_read_with_a_note(off: float, outcome: str, tmp_path: Path) -> None:
    for place in range(5):
        at = factory.ORIGIN + (place + (off if place == 2 else 0)) * factory.SPACING * factory.NORMAL
        factory.save(factory.slice_header(place, ImagePositionPatient=[float(x) for x in at]), tmp_path / f"{place}.dcm")
    if outcome == "uneven":
        with pytest.raises(InputError, match=outcome):
            io.read(tmp_path)
    else:
        notes = io.read(tmp_path).notes
        assert (outcome in " ".join(notes)) if outcome != "read" else notes == ()


def compressed(path: Path, copy: Path) -> None:
    ds = dcmread(path)
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(copy)


def other_way(path: Path, copy: Path) -> None:
    ds = dcmread(path)
    ds.InstanceCreationDate = "20240101"
    ds.private_block(0x0011, "ACME PACS", create=True).add_new(1, "LO", "received twice")
    ds.save_as(copy)


def new_name(path: Path, copy: Path) -> None:
    ds = dcmread(path)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.AcquisitionTime = "235959"
    ds.save_as(copy)


@pytest.mark.parametrize("make", [shutil.copy, compressed, other_way, new_name])
@pytest.mark.parametrize("some", [1, 5])
def test_an_image_that_lies_there_twice_counts_once(make: Callable[[Path, Path], object], some: int, tmp_path: Path) -> None:
    folder = factory.series(tmp_path / "study" / "a")
    alone = io.read(folder)
    (tmp_path / "study" / "b").mkdir()
    for path in sorted(folder.iterdir())[:some]:
        make(path, tmp_path / "study" / "b" / path.name)
    found = io.read(tmp_path / "study")
    assert np.array_equal(found.voxels, alone.voxels) and len(found.headers) == 5
    assert f"Left out {some} " in " ".join(found.notes)


@pytest.mark.parametrize("changes", [{"PatientName": "Roe^John"}, {"EchoTime": 12}, {"PixelData": factory.picture(77).tobytes()}])
def test_two_different_files_of_one_name_are_told_apart_by_their_folders(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = factory.series(tmp_path / "study" / "a", range(3))
    path = sorted(folder.iterdir())[1]
    ds = dcmread(path)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    factory.save(ds, tmp_path / "study" / "b" / path.name)
    word = "pixels" if "PixelData" in changes else next(iter(changes))
    with pytest.raises(InputError, match=rf"a.{path.name} and study.b.{path.name} claim to be the same image .* differ in .*{word}"):
        io.read(tmp_path / "study")


def test_repeated_measurements_are_no_copies(tmp_path: Path) -> None:
    for place in range(3):
        for time in (1, 2):
            ds = factory.slice_header(place, time * 10 + place, AcquisitionNumber=time)
            # The last slice shows nothing both times.
            pixels = factory.picture(place + 100 * time) if place < 2 else np.zeros((12, 10), np.uint16)
            factory.save(factory.put_pixels(ds, pixels), tmp_path / f"{place}{time}.dcm")
    with pytest.raises(AmbiguousInputError, match=r"volume.N: 1 \(acquisition 1\), 2 \(acquisition 2\)"):
        io.read(tmp_path)
    assert io.read(tmp_path, volume=2).voxels.shape[0] == 3


FOREIGN = {
    ".DS_Store": b"\0\0\0\1Bud1" + bytes(100),
    "._IM1.dcm": b"\0\5\x16\7" + bytes(500),
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
    "key image.dcm": b"\xff\xd8\xff\xe0" + bytes(200),
    "letter.dcm": b"%PDF-1.4" + bytes(200),
    "all.dcm": b"PK\3\4" + bytes(200),
    "readme.dcm": b"Dear colleague,\r\nplease find the images here.\n",
    "page.dcm": b"<!DOCTYPE html><html><body>404</body></html>",
    "converted.nii": bytes(344) + b"n+1\0" + bytes(100),
    "DICOMDIR": bytes(128) + b"DICM",
    "empty.txt": b"",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_passed_over_whatever_their_name(name: str, tmp_path: Path) -> None:
    stack(tmp_path, 3)
    (tmp_path / name).write_bytes(FOREIGN[name])
    found = io.read(tmp_path)
    assert found.voxels.shape[0] == 3 and found.notes == ("Passed over 1 file that is no DICOM image.",)


@pytest.mark.parametrize("modality", ["SR", "PR", "KO", "SEG"])
def test_objects_that_are_no_images_are_counted(modality: str, tmp_path: Path) -> None:
    stack(tmp_path, 3)
    report = factory.header("1.2.840.10008.5.1.4.1.1.88.11")
    report.Modality = modality
    factory.save(report, tmp_path / "object.dcm")
    assert io.read(tmp_path).notes == ("Passed over 1 file that is no DICOM image.",)


@pytest.mark.parametrize("left", [b"", b"\0" * 100, b"\1\2" * 300, bytes(128) + b"DICM\x08\0\5\0CS\xff\xff"])
def test_what_may_be_a_lost_slice_is_named_and_can_be_passed_over(left: bytes, tmp_path: Path) -> None:
    stack(tmp_path, 4)
    (tmp_path / "last.dcm").write_bytes(left)
    with pytest.raises(InputError, match=r"^last\.dcm .*stack.1"):
        io.read(tmp_path)
    found = io.read(tmp_path, stack=1)
    assert found.voxels.shape[0] == 4 and "may be missing" in " ".join(found.notes)


def test_a_damaged_file_of_another_series_is_of_no_concern(tmp_path: Path) -> None:
    stack(tmp_path, 3)
    stack(tmp_path, 3, SeriesInstanceUID="1.2.3.99", SeriesNumber=9)
    victim = next(path for path in tmp_path.iterdir() if dcmread(path).SeriesInstanceUID == "1.2.3.99")
    whole = victim.read_bytes()
    victim.write_bytes(whole[: whole.index(b"1.2.3.99") + 40])
    assert io.read(tmp_path, series=1).voxels.shape[0] == 3
    with pytest.raises(InputError, match=victim.name):
        io.read(tmp_path, series=2)


def test_slices_in_subfolders_belong_to_the_series_above_them(tmp_path: Path) -> None:
    for place in range(6):
        factory.save(factory.slice_header(place), tmp_path / ("deep/er" if place % 2 else "") / f"{place}.dcm")
    stack(tmp_path / "other", 2, SeriesInstanceUID="1.2.3.99")
    assert io.read(tmp_path).voxels.shape[0] == 6


def test_the_only_series_of_slices_among_screenshots_is_taken(tmp_path: Path) -> None:
    stack(tmp_path, 3, SeriesNumber=5)
    for number, changes in enumerate(({"Modality": "OT"}, {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}), 1):
        stack(tmp_path, 2, SeriesInstanceUID=f"1.2.3.{number + 50}", SeriesNumber=number, **changes)
    found = io.read(tmp_path)
    assert found.voxels.shape[0] == 3 and "Took series 3" in " ".join(found.notes)


def test_parts_of_a_series_under_two_identifiers_are_not_put_together_but_said(tmp_path: Path) -> None:
    for uid in ("1.2.3.4", "1.2.3.5"):
        stack(tmp_path, 3, start=(0, 0, 12 * int(uid[-1])), SeriesInstanceUID=uid)
    found = io.read(tmp_path, series=1)
    assert found.voxels.shape[0] == 3 and "Series 2 of the folder may be another part" in " ".join(found.notes)


def split(path: Path, groups: Sequence[Sequence[int]], **changes: Any) -> list[Path]:
    """An enhanced file of six slices as one file for each group of its frames."""
    factory.enhanced(path / "whole.dcm", list(range(6)))
    whole = dcmread(path / "whole.dcm")
    (path / "whole.dcm").unlink()
    pixels, items, files = whole.pixel_array, list(whole.PerFrameFunctionalGroupsSequence), []
    for number, group in enumerate(groups, 1):
        part: Dataset = dcmread(factory.save(whole, path / f"{number}.dcm"))
        part.SOPInstanceUID = part.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        part.InstanceNumber, part.NumberOfFrames = number, len(group)
        part.PerFrameFunctionalGroupsSequence = [items[k] for k in group]
        for keyword, value in changes.items():
            setattr(part, keyword, value(number) if callable(value) else value)
        files.append(factory.save(factory.put_pixels(part, pixels[list(group)]), path / f"{number}.dcm"))
    return files


@pytest.mark.parametrize("groups", [[[k] for k in (3, 0, 5, 1, 4, 2)], [[0, 1, 2], [3, 4, 5]], [[0, 2, 4], [1, 3, 5]]])
def test_one_volume_in_several_enhanced_files_comes_out_as_it_lay(groups: list[list[int]], tmp_path: Path) -> None:
    split(tmp_path / "in", groups)
    source = io.read(tmp_path / "in")
    assert np.array_equal(source.voxels, np.stack([factory.picture(1000 + place) for place in range(6)]))
    changed = source.with_voxels(source.voxels + np.arange(6, dtype=np.float32)[:, None, None])
    io.write(changed, tmp_path / "out")
    back = io.read(tmp_path / "out")
    assert np.array_equal(back.voxels, changed.voxels) and np.allclose(back.ijk_to_ras, source.ijk_to_ras)
    for path in (tmp_path / "out").iterdir():
        ds = dcmread(path)
        for k, item in enumerate(ds.PerFrameFunctionalGroupsSequence):
            place = np.dot(np.array(item.PlanePositionSequence[0].ImagePositionPatient) - factory.ORIGIN, factory.NORMAL) / factory.SPACING
            assert np.array_equal(ds.pixel_array.reshape(-1, 12, 10)[k], changed.voxels[round(place)])


def test_parts_of_a_concatenation_are_one_volume_and_a_lost_part_is_noticed(tmp_path: Path) -> None:
    concatenation = {"ConcatenationUID": "1.2.3.8", "InConcatenationNumber": lambda number: number, "InConcatenationTotalNumber": 3}
    files = split(tmp_path, [[0, 1], [2, 3], [4, 5]], **concatenation)
    assert io.read(tmp_path).voxels.shape[0] == 6
    files[2].unlink()
    with pytest.raises(InputError, match="cut into 3 files only 2 are there.*stack.1"):
        io.read(tmp_path)
    assert io.read(tmp_path, stack=1).voxels.shape[0] == 4


def test_stacks_of_one_enhanced_file_are_parted_by_their_identifier(tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", list(range(8)))
    ds = dcmread(path)
    for k, item in enumerate(ds.PerFrameFunctionalGroupsSequence):
        item.FrameContentSequence[0].StackID = "1" if k < 4 else "2"
        item.FrameContentSequence[0].InStackPositionNumber = k % 4 + 1
    factory.save(ds, path)
    with pytest.raises(AmbiguousInputError, match="2 stacks"):
        io.read(path)
    second = io.read(path, stack=2)
    assert np.array_equal(second.voxels, np.stack([factory.picture(1000 + place) for place in range(4, 8)]))
    io.write(second, tmp_path / "out")
    assert np.array_equal(io.read(tmp_path / "out").voxels, second.voxels)


def test_identifiers_of_stacks_that_name_slices_or_times_part_nothing(tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [0, 1, 2, 0, 1, 2], times=[1, 1, 1, 2, 2, 2])
    for of_frame in ("123123", "111222"):
        ds = dcmread(path)
        for name, item in zip(of_frame, ds.PerFrameFunctionalGroupsSequence, strict=True):
            item.FrameContentSequence[0].StackID = name
        factory.save(ds, path)
        with pytest.raises(AmbiguousInputError, match=r"volume.N: 1 \(time 1\), 2 \(time 2\)"):
            io.read(path)


def test_equal_or_absent_numbers_and_arbitrary_names_change_nothing(tmp_path: Path) -> None:
    for folder, number in (("equal", 1), ("absent", None)):
        for place in range(4):
            ds = factory.slice_header(place, number or 1)
            if number is None:
                del ds.InstanceNumber
            factory.save(ds, tmp_path / folder / f"{place * 3 % 4}")
        assert np.array_equal(io.read(tmp_path / folder).voxels, np.stack([factory.picture(place) for place in range(4)]))


def test_known_slices_of_several_stacks_are_refused_rather_than_parted(tmp_path: Path) -> None:
    stack(tmp_path, 4)
    stack(tmp_path, 1, SAGITTAL)
    with pytest.raises(InputError, match="not parallel"):
        io.read_slices((path, None) for path in tmp_path.iterdir())
