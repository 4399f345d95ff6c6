"""A folder is listed in order, by headers and names, and what cannot be read says why without saying whose it is."""

from pathlib import Path

import numpy as np
import pytest
from pair_files import body, dicom, nifti, quiet

from MRIDenoiseLib.errors import Cancelled, InputError
from MRIDenoiseLib.training.preparation.cases import Dropped, anonymous
from MRIDenoiseLib.training.preparation.images import Image, Slab, list_images

AXIAL = (0.0, 0.0, 1.0)


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
    assert isinstance(found, Dropped) and "does not say whose it is" in found.reason


def test_a_manifest_beside_the_folder_tells_patient_organ_and_licence(tmp_path: Path) -> None:
    nifti(tmp_path / "fast" / "x.nii", body(3, 16))
    columns = "file,source,licence,organ,contrast,vendor,subject"
    (tmp_path / "MANIFEST.csv").write_text(f"{columns}\nfast/x.nii,Somewhere,CC0,knee,T1w,Siemens,ms77\n")
    (found,) = list_images(tmp_path / "fast", "fast", quiet)
    assert isinstance(found, Image)
    assert (found.subject, found.source, found.licence) == ("ms77", "Somewhere", "CC0")
    told = found.read(1).acquisition
    assert (told.organ.value, told.contrast.value, told.vendor.value, told.plane.value) == ("knee", "T1w", "Siemens", "axial")


def test_the_echoes_of_a_series_are_images_of_their_own(tmp_path: Path) -> None:
    for echo, scale in ((30, 1.0), (12, 2.0)):
        dicom(tmp_path, scale * body(4, 16), "1.2.3", EchoTime=echo)
    found = [image for image in list_images(tmp_path, "full", quiet) if isinstance(image, Image)]
    assert [(image.echo_time, image.volumes, image.matrix) for image in found] == [(12, 1, (16, 16)), (30, 1, (16, 16))]
    assert np.allclose(found[0].read(1).voxels, 2 * found[1].read(1).voxels, atol=1.5)
    assert found[0].subject == "12345" and found[0].slab is not None and found[0].slab.spacing == pytest.approx(4)


def test_volumes_that_image_every_place_again_are_counted_and_read_one_by_one(tmp_path: Path) -> None:
    for time in (1, 2, 3):
        dicom(tmp_path / str(time), time * body(4, 16), "1.2.3", AcquisitionNumber=time, TemporalPositionIdentifier=time)
    for folder in ("2", "3"):
        for path in (tmp_path / folder).iterdir():
            path.rename(tmp_path / "1" / f"{folder}-{path.name}")
    (found,) = (image for image in list_images(tmp_path, "image", quiet))
    assert isinstance(found, Image) and found.volumes == 3
    assert np.allclose(found.read(3).voxels, 3 * found.read(1).voxels, atol=2)
    nifti(tmp_path / "sub-1" / "four.nii", np.stack([body(3, 16)] * 5))
    assert [image.volumes for image in list_images(tmp_path, "image", quiet) if isinstance(image, Image)] == [3, 5]


def test_a_damaged_file_costs_its_own_folder_only_and_is_not_named(tmp_path: Path) -> None:
    dicom(tmp_path / "a", body(4, 16), "1.2.3")
    dicom(tmp_path / "Doe_Jane", body(4, 16), "1.2.4")
    victim = sorted((tmp_path / "Doe_Jane").iterdir())[2]
    victim.write_bytes(b"x" * 500)
    found = list_images(tmp_path, "fast", quiet)
    dropped = [one for one in found if isinstance(one, Dropped)]
    assert len(found) == 2 and len(dropped) == 1 and dropped[0].step == "reading"
    assert "Doe" not in dropped[0].reason and victim.stem not in dropped[0].reason and "a file" in dropped[0].reason


def test_the_index_of_a_disc_does_not_double_its_images(tmp_path: Path) -> None:
    dicom(tmp_path / "a", body(4, 16), "1.2.3")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert [image.label for image in list_images(tmp_path, "fast", quiet)] == ["fast 1"]


def test_names_are_taken_out_of_a_sentence_and_nothing_else() -> None:
    told = "Doe.dcm (image 12) in /data/Doe/12 is damaged; copy Doe.dcm again"
    assert anonymous(told, ["/data/Doe/12", "/data/Doe/12/Doe.dcm"]) == "a file (image a file) in a file is damaged; copy a file again"
    assert anonymous("too few slices", ["few.nii"]) == "too few slices"


def test_slabs_know_how_far_they_cover_each_other() -> None:
    slab = Slab(AXIAL, (0.0, 0.0, 0.0), 40.0, 4.0)
    assert slab.covered_by(slab) == 1
    assert slab.covered_by(Slab(AXIAL, (5.0, 9.0, 10.0), 40.0, 4.0)) == pytest.approx(0.75)
    assert slab.covered_by(Slab((0.0, 0.0, -1.0), (0.0, 0.0, 50.0), 40.0, 4.0)) == 0
    assert slab.parallel(Slab((0.0, 0.1, -0.995), (0.0, 0.0, 0.0), 40.0, 4.0)) and not slab.parallel(
        Slab((1.0, 0.0, 0.0), (0, 0, 0), 40, 4)
    )


def test_an_empty_folder_and_a_missing_one_are_refused_and_listing_can_be_stopped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        list_images(tmp_path, "fast", quiet)
    with pytest.raises(InputError, match="is not a folder"):
        list_images(tmp_path / "nowhere", "fast", quiet)

    def stop(what: str) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        list_images(tmp_path, "fast", stop)
