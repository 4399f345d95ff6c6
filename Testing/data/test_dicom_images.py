"""Every echo of a DICOM series is an image, of which the headers tell what decides its brightness."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_files import body, dicom, nifti, quiet

from MRIDenoiseLib.data.images import Image, Weighting
from MRIDenoiseLib.data.listing import list_images
from MRIDenoiseLib.errors import InputError


def test_the_echoes_of_a_series_are_images_of_their_own(tmp_path: Path) -> None:
    for echo, scale in ((30, 1.0), (12, 2.0)):
        dicom(tmp_path, scale * body(4, 16), "1.2.3", EchoTime=echo)
    found = [image for image in list_images(tmp_path, "full", quiet) if isinstance(image, Image)]
    assert [(image.weighting.echo_time, image.volumes, image.matrix) for image in found] == [(12, 1, (16, 16)), (30, 1, (16, 16))]
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


def test_voxels_are_read_from_their_own_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from MRIDenoiseLib.io.dicom import folder as dicom_files
    from MRIDenoiseLib.io.dicom import read as dicom_read

    for number in range(3):
        dicom(tmp_path, (number + 1) * body(4, 16), f"1.2.{number}", SeriesNumber=number)
    loaded: list[Path] = []

    def noting(reads: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def read(path: Path) -> Any:
            loaded.append(path)
            return reads(path)

        return read

    monkeypatch.setattr(dicom_files, "load", noting(dicom_files.load))
    monkeypatch.setattr(dicom_read, "load", noting(dicom_read.load))
    monkeypatch.setattr(dicom_read, "decode", noting(dicom_read.decode))
    found = [image for image in list_images(tmp_path, "fast", quiet) if isinstance(image, Image)]
    assert len(loaded) == 12
    assert np.allclose(found[1].read(1).voxels, 2 * body(4, 16), atol=1)
    # Each of the four once for its header and once for its pixels.
    assert Counter(loaded[12:]) == dict.fromkeys(loaded[12:16], 2) and {path.name[:5] for path in loaded[12:]} == {"1.2.1"}
    assert found[1].read(1).acquisition.organ.value == "knee"
    loaded[-1].unlink()
    with pytest.raises(InputError):
        found[1].read(1)


def test_what_decides_the_weighting_is_read_and_zero_is_no_inversion(tmp_path: Path) -> None:
    dicom(tmp_path / "a", body(4, 16), "1.2.3", InversionTime=0, FlipAngle=150, ContrastBolusAgent="NONE")
    dicom(tmp_path / "b", body(4, 16), "1.2.4", InversionTime=2500, FlipAngle=None, ContrastBolusAgent="Gadovist")
    found = [image.weighting for image in list_images(tmp_path, "fast", quiet) if isinstance(image, Image)]
    assert found == [Weighting(30, 3000, None, 150, False), Weighting(30, 3000, 2500, None, True)]


def test_the_duration_of_a_frame_is_not_that_of_the_scan(tmp_path: Path) -> None:
    dicom(tmp_path / "a", body(4, 16), "1.2.3", FrameAcquisitionDuration=150000.0)
    dicom(tmp_path / "b", body(4, 16), "1.2.4", FrameAcquisitionDuration=150000.0, AcquisitionDuration=150.0)
    assert [image.duration for image in list_images(tmp_path, "fast", quiet) if isinstance(image, Image)] == [None, 150]
