"""Derived DICOM series out: new identity, old patient and place, no voxel clipped, nothing for dciodvfy to add."""

import shutil
import subprocess
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.volume import Volume

DERIVATION = io.Derivation("posterior-mean", "abcdef0123456789" * 4, 42, {"steps": 1})


def files_of(folder: Path) -> list[Dataset]:
    return [dcmread(p) for p in sorted(folder.iterdir())]


def test_a_derived_series_is_new_but_stays_with_its_patient_study_and_place(tmp_path: Path) -> None:
    source = io.read(factory.series(tmp_path / "in", range(4)))
    io.write(source, tmp_path / "out", derivation=DERIVATION)
    written = files_of(tmp_path / "out")
    assert len(written) == 4
    assert len({ds.SeriesInstanceUID for ds in written}) == 1
    assert len({ds.SOPInstanceUID for ds in written}) == 4
    for ds, old in zip(written, source.headers, strict=True):
        assert ds.SeriesInstanceUID != old.SeriesInstanceUID and ds.SOPInstanceUID != old.SOPInstanceUID
        kept = ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "ImagePositionPatient", "ImageOrientationPatient")
        for keyword in (*kept, "PixelSpacing", "WindowCenter", "WindowWidth", "EchoTime", "SOPClassUID"):
            assert ds[keyword].value == old[keyword].value
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
        assert ds.SeriesDescription == "t2 sag denoised" and ds.SeriesNumber == 1007
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
        for words in (ds.DerivationDescription, ds.ContributingEquipmentSequence[-1].ContributionDescription):
            assert all(word in words for word in ("NOT FOR DIAGNOSTIC USE", "posterior-mean", "abcdef012345", "seed 42", "steps 1"))
        assert "NOT FOR DIAGNOSTIC USE" in ds.ImageComments
        assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert "RescaleSlope" not in ds
        assert source.headers[0].SeriesNumber == 7  # the source's own headers stay untouched
    back = io.read(tmp_path / "out")
    assert np.array_equal(back.voxels, source.voxels) and np.allclose(back.ijk_to_ras, source.ijk_to_ras)


def test_a_long_description_is_cut_and_keeps_its_suffix(tmp_path: Path) -> None:
    source = io.read(factory.series(tmp_path / "in", range(2), SeriesDescription="x" * 64))
    io.write(source, tmp_path / "out", derivation=io.Derivation("m", "b", 0, suffix="residual"))
    description = files_of(tmp_path / "out")[0].SeriesDescription
    assert len(description) == 64 and description.endswith(" residual")


def check_values(source: Volume, factor: float, shift: float, out: Path) -> list[Dataset]:
    """Write voxels a factor brighter, read them back, and compare within half a storage step."""
    changed = source.with_voxels(source.voxels * factor + shift)
    io.write(changed, out, overwrite=True, derivation=DERIVATION)
    written = files_of(out)
    back = io.read(out)
    step = np.abs(changed.voxels).max() / 32767
    assert np.abs(back.voxels - changed.voxels).max() <= max(0.5 * step, 0.501 * float(written[0].get("RescaleSlope", 1)))
    assert back.voxels.max() > 0.999 * changed.voxels.max()
    return written


@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (4.3, 0), (60, 0), (1000, 0), (1, -500), (500, -250000)])
def test_no_voxel_is_clipped_however_bright_or_negative(tmp_path: Path, factor: float, shift: float) -> None:
    check_values(io.read(factory.series(tmp_path / "in", range(3))), factor, shift, tmp_path / "out")


def test_a_source_slope_is_kept_while_the_values_fit(tmp_path: Path) -> None:
    source = io.read(factory.series(tmp_path / "in", range(3), RescaleSlope=0.01, RescaleIntercept=-3))
    written = check_values(source, 1, 0, tmp_path / "out")
    assert float(written[0].RescaleSlope) == 0.01 and float(written[0].RescaleIntercept) == -3
    assert np.array_equal(written[0].pixel_array, factory.picture(0))


def philips(folder: Path) -> Path:
    for place, slope, scale in ((0, 3.0, 0.25), (1, 5.0, 0.5), (2, 4.0, 0.125)):
        ds = factory.slice_header(place, Manufacturer="Philips", RescaleSlope=slope, RescaleIntercept=0)
        block = ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", scale)
        factory.save(ds, folder / f"{place}.dcm")
    return folder


@pytest.mark.parametrize("factor", [1.0, 0.5, 900.0])
def test_philips_values_come_back_by_both_scales(tmp_path: Path, factor: float) -> None:
    source = io.read(philips(tmp_path / "in"))
    result = source.with_voxels(source.voxels * factor)
    io.write(result, tmp_path / "out", derivation=DERIVATION)
    # A reader that follows the private scale, and one that follows only Rescale Slope (in which the window is given).
    # One stored unit of the source is 1 / 0.125 = 8, so half of it may be lost in rounding.
    assert np.allclose(io.read(tmp_path / "out").voxels, result.voxels, rtol=0, atol=max(4.01, float(result.voxels.max()) * 1e-3))
    for ds, old, slope, scale in zip(files_of(tmp_path / "out"), result.voxels, (3.0, 5.0, 4.0), (0.25, 0.5, 0.125), strict=True):
        shown = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        assert np.allclose(shown, old * slope * scale, rtol=0, atol=max(0.51 * slope, float(np.abs(shown).max()) * 1e-3))


def test_a_compressed_source_comes_out_uncompressed(tmp_path: Path) -> None:
    folder = factory.series(tmp_path / "in", range(3))
    for path in folder.iterdir():
        ds = dcmread(path)
        ds.compress(RLELossless)
        ds.save_as(path)
    check_values(io.read(folder), 1, 0, tmp_path / "out")


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_enhanced_in_gives_enhanced_out_with_the_chosen_frames(tmp_path: Path, factor: float) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [2, 2, 0, 0, 1, 1], times=[1, 2] * 3, slopes=[2.0] * 6)
    source = io.read(path, volume=2)
    result = source.with_voxels(source.voxels * factor)
    io.write(result, tmp_path / "out", derivation=DERIVATION)
    (written,) = files_of(tmp_path / "out")
    back = io.read(tmp_path / "out")
    assert np.allclose(back.voxels, result.voxels, atol=float(result.voxels.max()) / 32767)
    assert np.allclose(back.ijk_to_ras, source.ijk_to_ras)
    assert written.NumberOfFrames == 3 and list(written.ImageType)[:2] == ["DERIVED", "PRIMARY"]
    frames = written.PerFrameFunctionalGroupsSequence
    assert [f.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber for f in frames] == [4, 6, 2]
    assert [list(f.FrameContentSequence[0].DimensionIndexValues) for f in frames] == [[1, 1], [1, 2], [1, 3]]
    assert "NOT FOR DIAGNOSTIC USE" in frames[0].DerivationImageSequence[0].DerivationDescription
    assert source.headers[0].ImageType[0] == "ORIGINAL"


def test_a_folder_is_replaced_only_if_all_in_it_is_ours(tmp_path: Path) -> None:
    source = io.read(factory.series(tmp_path / "in", range(3)))
    io.write(source, tmp_path / "out", derivation=DERIVATION)
    with pytest.raises(OutputError, match="overwrite=True"):
        io.write(source, tmp_path / "out", derivation=DERIVATION)
    before = dcmread(tmp_path / "out" / "IM00001.dcm").SOPInstanceUID
    io.write(source, tmp_path / "out", overwrite=True, derivation=DERIVATION)
    assert dcmread(tmp_path / "out" / "IM00001.dcm").SOPInstanceUID != before
    (tmp_path / "out" / "letter.txt").write_text("mine")
    for folder in (tmp_path / "out", tmp_path / "in"):
        with pytest.raises(OutputError, match="not replaced"):
            io.write(source, folder, overwrite=True, derivation=DERIVATION)
        with pytest.raises(OutputError):
            io.check_writable(source, folder, overwrite=True)
    assert len(list((tmp_path / "in").iterdir())) == 3 and (tmp_path / "out" / "letter.txt").exists()


def test_dicom_out_needs_dicom_in_and_its_identifiers(tmp_path: Path) -> None:
    no_dicom = Volume(np.random.default_rng(0).random((2, 3, 4), dtype=np.float32), np.eye(4))
    nameless = io.read(factory.series(tmp_path / "in", range(2), StudyInstanceUID=None))
    for volume in (no_dicom, nameless):
        with pytest.raises(OutputError):
            io.write(volume, tmp_path / "out")
        with pytest.raises(OutputError):
            io.check_writable(volume, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_simpleitk_reads_the_series_at_the_same_positions(tmp_path: Path) -> None:
    source = io.read(factory.series(tmp_path / "in", range(4)))
    io.write(source.with_voxels(source.voxels * 300), tmp_path / "out", derivation=DERIVATION)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "out")))
    point = np.array(image.TransformIndexToPhysicalPoint((3, 4, 2))) * [-1, -1, 1]
    assert np.allclose(point, (source.ijk_to_ras @ [3, 4, 2, 1])[:3], atol=1e-3)
    assert np.allclose(sitk.GetArrayFromImage(image), source.voxels * 300, atol=300)


def complaints(path: Path) -> set[str]:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    return {line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")}


@pytest.mark.parametrize("factor", [1.0, 500.0])
@pytest.mark.parametrize("kind", ["classic", "philips", "enhanced"])
def test_dciodvfy_finds_no_error_that_the_source_did_not_have(tmp_path: Path, kind: str, factor: float) -> None:
    if kind == "enhanced":
        source_path = factory.enhanced(tmp_path / "e.dcm", [0, 1, 2])
        source = io.read(source_path)
    else:
        folder = factory.series(tmp_path / "in", range(3)) if kind == "classic" else philips(tmp_path / "in")
        source_path, source = sorted(folder.iterdir())[0], io.read(folder)
    io.write(source.with_voxels(source.voxels * factor - 3), tmp_path / "out", derivation=DERIVATION)
    assert complaints(tmp_path / "out" / "IM00001.dcm") - complaints(source_path) == set()


def test_the_real_knee_series_goes_out_at_the_same_positions_without_new_errors(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "dicom" / "knee_GE_multiecho"
    source = io.read(folder, echo=2)
    io.write(source, tmp_path / "out", derivation=DERIVATION)
    back = io.read(tmp_path / "out")
    assert np.array_equal(back.voxels, source.voxels) and np.allclose(back.ijk_to_ras, source.ijk_to_ras)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "out")))
    assert np.allclose(np.array(image.GetOrigin()) * [-1, -1, 1], source.ijk_to_ras[:3, 3], atol=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(image), source.voxels)
    known = complaints(folder / "E3655S8I003.MR.dcm")
    for path in (tmp_path / "out").iterdir():
        assert complaints(path) - known == set()


def test_the_real_enhanced_headers_go_out_without_new_errors(data_dir: Path, tmp_path: Path) -> None:
    source_path = data_dir / "dicom" / "headers" / "dcm_qa_enh" / "In__Siemens__XA10__6_1.dcm"
    source = io.read(source_path)
    io.write(source.with_voxels(source.voxels * 1.1), tmp_path / "out", derivation=DERIVATION)
    assert complaints(tmp_path / "out" / "IM00001.dcm") - complaints(source_path) == set()
