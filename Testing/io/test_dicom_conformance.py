"""Every form of DICOM goes out without a new error for dciodvfy, with its identity byte for byte, where independent readers find it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.uid import RLELossless
from test_dicom_out import DERIVATION, complaints, philips
from test_dicom_pixels import packed, padded
from test_dicom_verbatim import series as with_private_sequences
from test_mosaic import grid, siemens
from test_stacks import split

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.volume import Volume

IDENTITY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "AccessionNumber", "StudyDate")


def negative(folder: Path) -> None:
    for k in range(3):
        ds = factory.slice_header(k, PhotometricInterpretation="MONOCHROME1")
        factory.save(factory.put_pixels(ds, 4095 - factory.picture(k)), folder / f"{k}.dcm")


def compressed(folder: Path) -> None:
    for path in factory.series(folder, range(3)).iterdir():
        ds = dcmread(path)
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(path)


def concatenation(folder: Path) -> None:
    numbers = {"ConcatenationUID": "1.2.3.8", "InConcatenationNumber": lambda number: number, "InConcatenationTotalNumber": 3}
    split(folder, [[0, 1], [2, 3], [4, 5]], **numbers)


def echoes(folder: Path) -> None:
    for time in (10.0, 30.0, 60.0):
        factory.series(folder, range(3), EchoTime=time)


FORMS: dict[str, Callable[[Path], object]] = {
    "classic": lambda folder: factory.series(folder, range(3)),
    "classic with a slope": lambda folder: factory.series(folder, range(3), RescaleSlope=0.5, RescaleIntercept=-3, RescaleType="US"),
    "Philips scales": philips,
    "packed without loss": compressed,
    "packed with loss": lambda folder: packed("JPEG Baseline, 8 bits", folder / "a.dcm"),
    "JPEG 2000 with loss": lambda folder: packed("JPEG 2000 lossy, 16 bits", folder / "a.dcm"),
    "MONOCHROME1": negative,
    "padding": lambda folder: padded(folder, -2000, 63536, kind="US"),
    "padding in MONOCHROME1": lambda folder: padded(folder, 0, 0, signed=False, kind="US", bits=12, mono=1),
    "mosaic": lambda folder: siemens(folder / "a.dcm", 7, "oblique"),
    "mosaics of three times": lambda folder: [siemens(folder / f"{n}.dcm", 5, number=n, time=f"12000{n}") for n in (1, 2, 3)],
    "grid": lambda folder: grid(folder / "a.dcm", 6, 3, 2),
    "enhanced": lambda folder: factory.enhanced(folder / "e.dcm", [2, 0, 1], slopes=[2.0] * 3),
    "enhanced, three times": lambda folder: factory.enhanced(folder / "e.dcm", [0, 1, 2] * 3, times=[1, 1, 1, 2, 2, 2, 3, 3, 3]),
    "enhanced, one frame a file": lambda folder: split(folder, [[k] for k in (3, 0, 5, 1, 4, 2)]),
    "concatenation": concatenation,
    "private sequences": lambda folder: with_private_sequences(folder, "ISO_IR 192", {"PatientName": "Müller^Jörg ".encode()}),
    "three echoes": echoes,
}


def sources(path: Path) -> list[tuple[str, int]]:
    """The images that a derived file names as its sources, and of each the frame (from 0), in the order of its own frames."""
    ds = dcmread(path, stop_before_pixels=True)
    items = ds.get("PerFrameFunctionalGroupsSequence")
    of_frames = [item.DerivationImageSequence[-1].SourceImageSequence[0] for item in items] if items else ds.SourceImageSequence
    return [(one.ReferencedSOPInstanceUID, int(one.get("ReferencedFrameNumber", 1)) - 1) for one in of_frames]


def frames(path: Path) -> np.ndarray:
    """What a file stores (frame, row, column), as pydicom unpacks it."""
    ds = dcmread(path)
    return ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)


def send_out(folder: Path, out: Path, factor: float) -> None:
    """Every volume of an input, brighter by a factor, as one derived series."""
    several = io.read_all(folder)
    with io.writing_together(out) as together:
        for one in several.members:
            volume = one.read()
            together.add(volume.with_voxels(volume.voxels * np.float32(factor)), DERIVATION)


def check(folder: Path, out: Path, *, same_pixels: bool) -> int:
    """Assert of a derived series: no image stands for two, no new error, identity byte for byte, and the same pixels if unchanged.

    Returns:
        How many images it has.
    """
    before = {dcmread(path, stop_before_pixels=True).SOPInstanceUID: path for path in folder.iterdir()}
    seen = []
    for path in sorted(out.iterdir()):
        named = sources(path)
        source = before[named[0][0]]
        assert complaints(path) - complaints(source) == set()
        old, new = dcmread(source, stop_before_pixels=True), dcmread(path, stop_before_pixels=True)
        for tag in (tag_for_keyword(keyword) for keyword in IDENTITY):
            assert (tag in new) == (tag in old) and (tag not in old or new.get_item(tag).value == old.get_item(tag).value)
        if same_pixels:
            for stored, (uid, number) in zip(frames(path), named, strict=True):
                assert np.array_equal(stored, frames(before[uid])[number])
        seen += named
    assert len(seen) == len(set(seen))
    return len(seen)


@pytest.mark.parametrize("factor", [1.0, 300.0])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_goes_out_without_new_errors(tmp_path: Path, form: str, factor: float) -> None:
    (tmp_path / "in").mkdir()
    FORMS[form](tmp_path / "in")
    send_out(tmp_path / "in", tmp_path / "out", factor)
    images = check(tmp_path / "in", tmp_path / "out", same_pixels=factor == 1)
    assert images == sum(len(frames(path)) for path in (tmp_path / "in").iterdir())
    for before, after in zip(volumes(tmp_path / "in"), volumes(tmp_path / "out"), strict=True):
        step = factor * float(np.abs(before.voxels).max()) / 32767
        assert np.abs(after.voxels - factor * before.voxels).max() <= max(step, 0.51) * (factor > 1)
        assert np.allclose(after.ijk_to_ras, before.ijk_to_ras, atol=1e-5)


def volumes(folder: Path) -> Iterator[Volume]:
    """Every volume of an input."""
    return (one.read() for one in io.read_all(folder).members)


def test_every_real_header_goes_out_without_new_errors(data_dir: Path, tmp_path: Path) -> None:
    """Headers of seven manufacturers' scanners, a file a series; those that came without pixels are given some."""
    refused = []
    files = sorted(path for path in (data_dir / "dicom" / "headers").rglob("*") if path.is_file())
    for number, path in enumerate(files):
        folder, out = tmp_path / f"in{number}", tmp_path / f"out{number}"
        folder.mkdir()
        ds = dcmread(path)
        if "PixelData" not in ds:
            pixels = [factory.picture(k, ds.Rows, ds.Columns) for k in range(int(ds.get("NumberOfFrames", 1)))]
            ds.add_new("PixelData", "OW", np.stack(pixels).tobytes())
            ds.save_as(folder / "a.dcm")
        else:
            shutil.copy(path, folder / "a.dcm")
        try:
            send_out(folder, out, 1.0)
        except InputError as error:
            refused.append(str(error))
        else:
            assert check(folder, out, same_pixels=True) > 0
    # Anonymised mosaics, whose count of slices was removed with the private elements.
    assert len(files) >= 38 and len(refused) == 2 and all("does not say how many" in reason for reason in refused)
