"""A folder is listed in order, by headers and names, and what cannot be read says why without saying whose it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pair_files import body, dicom, nifti, quiet

from MRIDenoiseLib.data.cases import Dropped, anonymous
from MRIDenoiseLib.data.images import Image
from MRIDenoiseLib.data.listing import list_images
from MRIDenoiseLib.errors import Cancelled, InputError


def test_images_are_numbered_in_the_order_of_folders_and_files(tmp_path: Path) -> None:
    for name in ("p2/b.nii", "p1/c.nii", "p2/a.nii"):
        nifti(tmp_path / name, body(3, 16))
    found = list_images(tmp_path, "fast", quiet)
    assert [(image.label, image.name) for image in found] == [("fast 1", "p1/c"), ("fast 2", "p2/a"), ("fast 3", "p2/b")]


def test_a_file_belongs_to_the_patient_of_its_folder_or_of_its_bids_name(tmp_path: Path) -> None:
    names = {"anna/visit2/t1.nii": "anna", "study/sub-07/anat/sub-07_T2w.nii": "07", "sub-A1_T1w.nii": "A1"}
    for name in names:
        nifti(tmp_path / name, body(3, 16))
    found = {image.series: image.subject for image in list_images(tmp_path, "fast", quiet) if isinstance(image, Image)}
    assert found == names


def test_a_file_that_does_not_say_whose_it_is_is_dropped(tmp_path: Path) -> None:
    nifti(tmp_path / "T1_head.nii", body(3, 16))
    (found,) = list_images(tmp_path, "fast", quiet)
    assert isinstance(found, Dropped) and "does not name its patient" in found.reason


def test_a_manifest_beside_the_folder_tells_patient_organ_and_licence(tmp_path: Path) -> None:
    nifti(tmp_path / "fast" / "x.nii", body(3, 16))
    columns = "file,source,licence,organ,contrast,vendor,subject,split,own_noise"
    (tmp_path / "MANIFEST.csv").write_text(f"{columns}\nfast/x.nii,Somewhere,CC0,knee,T1w,Siemens,ms77,repeats,\n")
    (found,) = list_images(tmp_path / "fast", "fast", quiet)
    assert isinstance(found, Image)
    assert (found.subject, found.source, found.licence) == ("ms77", "Somewhere", "CC0")
    told = found.read(1).acquisition
    assert (told.organ.value, told.contrast.value, told.vendor.value, told.plane.value) == ("knee", "T1w", "Siemens", "axial")


@pytest.mark.parametrize("damage", [b"\1\2" * 250, b"\0" * 128 + b"DICM" + b"\x08\x00\x05\x00CS\xff\xff"], ids=["not DICOM", "cut short"])
def test_a_damaged_file_costs_nothing_but_itself_and_is_told_by_its_place(tmp_path: Path, damage: bytes) -> None:
    dicom(tmp_path / "a", body(4, 16), "1.2.3")
    dicom(tmp_path / "Doe_Jane", body(4, 16), "1.2.4")
    victim = sorted((tmp_path / "Doe_Jane").iterdir())[2]
    victim.write_bytes(damage)
    found = list_images(tmp_path, "fast", quiet)
    gap, dropped = (one for one in found if isinstance(one, Dropped))
    assert len(found) == 3 and dropped.step == "listing" and "1 slice(s) missing" in gap.reason
    assert "Doe" not in dropped.reason and victim.stem not in dropped.reason and dropped.reason.startswith("file 3 of folder 2 ")


def test_an_odd_file_leaves_the_series_of_a_flat_heap_as_they_are(tmp_path: Path) -> None:
    for number in range(3):
        dicom(tmp_path, body(4, 16), f"1.2.{number}", SeriesNumber=number)
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        path.rename(tmp_path / f"IM{number:03d}")
    (tmp_path / "README").write_text("from the scanner")
    (tmp_path / "IM999").write_bytes(b"\1\2" * 200)
    found = list_images(tmp_path, "fast", quiet)
    assert [type(one) for one in found] == [Image, Image, Image, Dropped]
    assert isinstance(found[3], Dropped) and found[3].reason.startswith("file 13 of folder 1 lies among DICOM files")
    assert all(image.read(1).voxels.shape == (4, 16, 16) for image in found if isinstance(image, Image))


def test_objects_that_are_no_images_are_told_of(tmp_path: Path) -> None:
    dicom(tmp_path / "a", body(4, 16), "1.2.3")
    dicom(tmp_path / "b", body(2, 16), "1.2.4", Modality="SEG")
    assert [getattr(one, "reason", "") for one in list_images(tmp_path, "fast", quiet)] == ["", "folder 3 holds DICOM objects but no image"]


def test_a_series_that_lies_there_twice_is_listed_once(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        dicom(tmp_path / folder, body(4, 16), "1.2.3")
    first, copy = list_images(tmp_path, "image", quiet)
    assert isinstance(first, Image) and isinstance(copy, Dropped) and "it is the same as image 1" in copy.reason


def test_a_folder_or_file_that_the_system_refuses_is_dropped_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, series in (("a", "1.2.3"), ("b", "1.2.4")):
        dicom(tmp_path / name, body(4, 16), series)
    lists, opens = Path.iterdir, Path.open

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return lists(path)

    def open_(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name.endswith("003.dcm"):
            raise OSError(5, "Input/output error", str(path))
        return opens(path, *arguments, **named)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Path, "open", open_)
    found = list_images(tmp_path, "fast", quiet)
    assert [one.reason for one in found if isinstance(one, Dropped)] == [
        "folder 2 cannot be read: Permission denied",
        "file 4 of folder 3 cannot be read (Input/output error)",
    ]
    assert [image.series.split()[0] for image in found if isinstance(image, Image)] == ["1.2.4"]


def test_the_index_of_a_disc_does_not_double_its_images(tmp_path: Path) -> None:
    dicom(tmp_path / "a", body(4, 16), "1.2.3")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert [image.label for image in list_images(tmp_path, "fast", quiet)] == ["fast 1"]


def test_names_are_taken_out_of_a_sentence_and_nothing_else() -> None:
    told = "Doe.dcm (image 12) in /data/Doe/12 is damaged; copy Doe.dcm again"
    assert anonymous(told, ["/data/Doe/12", "/data/Doe/12/Doe.dcm"]) == "a file (image a file) in a file is damaged; copy a file again"
    assert anonymous("too few slices", ["few.nii"]) == "too few slices"


def test_an_empty_folder_and_a_missing_one_are_refused_and_listing_can_be_stopped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        list_images(tmp_path, "fast", quiet)
    with pytest.raises(InputError, match="is not a folder"):
        list_images(tmp_path / "nowhere", "fast", quiet)

    def stop(what: str) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        list_images(tmp_path, "fast", stop)


def test_an_image_of_a_patient_whom_the_manifest_keeps_for_tests_is_held_out(tmp_path: Path) -> None:
    for name in "abcd":
        nifti(tmp_path / "repeats" / f"{name}.nii", body(3, 16))
    said = [("repeats/a.nii", "p1", "repeats"), ("repeats/b.nii", "p2", "repeats"), ("repeats/c.nii", "p3", "as-scanned")]
    said += [("repeats/d.nii", "p1", "train"), ("volumes/e.nii", "P1 ", "test")]
    lines = [f"{file},Somewhere,CC0,knee,T1w,Siemens,{subject},{split},\n" for file, subject, split in said]
    (tmp_path / "MANIFEST.csv").write_text("file,source,licence,organ,contrast,vendor,subject,split,own_noise\n" + "".join(lines))
    found = [image for image in list_images(tmp_path / "repeats", "fast", quiet) if isinstance(image, Image)]
    assert [image.held_out for image in found] == [True, False, True, False]
