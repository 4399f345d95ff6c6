"""What a JSON file beside an image states reaches the prompt by the rules of DICOM headers; what a result's one states names nobody."""

import json
from pathlib import Path

import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.sidecar import read_sidecar, result_sidecar, sidecar_of
from MRIDenoiseLib.prompt.contrast import contrast_of_name
from MRIDenoiseLib.volume import Acquisition, Volume

VOXELS = np.random.default_rng(1).integers(1, 900, (4, 6, 5)).astype(np.float32)
GRADIENT_ECHO = {"ScanningSequence": "GR_IR", "RepetitionTime": 2.3, "EchoTime": 0.00298, "InversionTime": 0.9, "FlipAngle": 9}
SPIN_ECHO = {"ScanningSequence": "SE", "RepetitionTime": 4.5, "EchoTime": 0.095}


def image(folder: Path, name: str = "a.nii.gz", sidecar: object = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    io.write(Volume(VOXELS, np.diag([0.9, 0.9, 4.0, 1.0]), "int16"), folder / name)
    if sidecar is not None:
        text = sidecar if isinstance(sidecar, str) else json.dumps(sidecar)
        (folder / name.replace(".nii.gz", ".json").replace(".nrrd", ".json")).write_text(text, encoding="utf-8")
    return folder / name


def facts(path: Path) -> Acquisition:
    return io.read(path).acquisition


STATED = {
    "T1w": (GRADIENT_ECHO, "contrast", "T1w", "TR = 2300 ms, TE = 2.98 ms, TI = 900 ms"),
    "T2w": (SPIN_ECHO, "contrast", "T2w", "spin echo, TR = 4500 ms"),
    "T2-FLAIR": (SPIN_ECHO | {"InversionTime": 2.2, "RepetitionTime": 9.0}, "contrast", "T2-FLAIR", "TI = 2200 ms"),
    "BOLD": ({"ScanningSequence": "EP_GR", "EchoTime": [0.03], "RepetitionTime": 2}, "contrast", "BOLD", "TE = 30 ms"),
    "organ": ({"BodyPartExamined": "KNEE"}, "organ", "knee", "sidecar: BodyPartExamined = KNEE"),
    "vendor": ({"Manufacturer": "GE MEDICAL SYSTEMS"}, "vendor", "GE", "sidecar: Manufacturer = GE MEDICAL SYSTEMS"),
    "parallel": ({"ParallelReductionFactorInPlane": 2}, "parallel_imaging", 2.0, "sidecar: ParallelReductionFactorInPlane = 2"),
    "older key": ({"AccelFactPE": 3}, "parallel_imaging", 3.0, "sidecar: ParallelReductionFactorInPlane = 3"),
    "field": ({"MagneticFieldStrength": 1.5}, "field_strength", 1.5, "sidecar: MagneticFieldStrength = 1.5"),
    "averages": ({"NumberOfAverages": "2"}, "averages", 2.0, "sidecar: NumberOfAverages = 2"),
    "fat": ({"ScanOptions": ["FS", "PFP"]}, "fat_suppression", "fat-saturated", "sidecar: ScanOptions = FS"),
    "image type": ({"ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]}, "contrast", "DWI", "sidecar: ImageType = DIFFUSION"),
}


@pytest.mark.parametrize("name", STATED)
def test_a_sidecar_feeds_the_rules_of_dicom_headers(name: str, tmp_path: Path) -> None:
    fields, field, value, source = STATED[name]
    for ending in (".nii.gz", ".nrrd"):
        found = getattr(facts(image(tmp_path, f"a{ending}", fields)), field)
        assert found.value == value and found.source.startswith("sidecar: ") and source in found.source
    assert getattr(facts(image(tmp_path, "without.nii.gz")), field).source.startswith("sidecar") is False


def test_times_in_ms_are_seen_as_such(tmp_path: Path) -> None:
    read = io.read(image(tmp_path, sidecar={"ScanningSequence": "SE", "RepetitionTime": 4500, "EchoTime": 95}))
    assert "TR = 4500 ms, TE = 95 ms" in read.acquisition.contrast.source
    assert read.notes == ("The sidecar gives RepetitionTime and EchoTime in ms, not in seconds as it should; read as ms.",)


@pytest.mark.parametrize(
    ("times", "seen", "in_ms"),
    [
        ({"RepetitionTime": 0.5, "EchoTime": 12}, "TR = 500 ms, TE = 12 ms", "EchoTime"),
        ({"RepetitionTime": 2.8, "EchoTime": 95}, "TR = 2800 ms, TE = 95 ms", "EchoTime"),
        ({"RepetitionTime": 4000, "EchoTime": 0.095}, "TR = 4000 ms, TE = 95 ms", "RepetitionTime"),
    ],
)
def test_each_time_is_read_in_its_own_unit(times: dict, seen: str, in_ms: str, tmp_path: Path) -> None:
    read = io.read(image(tmp_path, sidecar={"ScanningSequence": "SE", **times}))
    assert seen in read.acquisition.contrast.source
    assert read.notes == (f"The sidecar gives {in_ms} in ms, not in seconds as it should; read as ms.",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_sidecar_in_any_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    path = image(tmp_path)
    text = json.dumps(SPIN_ECHO | {"InstitutionName": "Universit\u00e4t"}, ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode(encoding))
    assert facts(path).contrast.value == "T2w" and not io.read(path).notes


@pytest.mark.parametrize("modality", ["CT", "PT", "us"])
def test_what_a_sidecar_calls_another_modality_is_refused(modality: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{modality.upper()}, as the JSON file"):
        io.read(image(tmp_path, sidecar={"Modality": modality}))
    assert io.read(image(tmp_path, "b.nii.gz", sidecar={"Modality": "MR", "ImageType": ["M", "ND"]})).image_type == ("M", "ND")


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"RepetitionTime": ', "\0\0", '"words"', "[" * 100_000])
def test_a_damaged_sidecar_is_a_note(text: str, tmp_path: Path) -> None:
    read = io.read(image(tmp_path, "a_T1w.nii.gz", sidecar=text))
    assert len(read.notes) == 1 and "cannot be read" in read.notes[0]
    assert read.acquisition.contrast.value == "T1w"


@pytest.mark.parametrize(
    "fields", [{"colour": "red"}, {"RepetitionTime": "soon", "EchoTime": None, "x": 1}, {"EchoTime": {"ms": 1}, "FlipAngle": True}]
)
def test_a_foreign_sidecar_changes_nothing(fields: dict, tmp_path: Path) -> None:
    read = io.read(image(tmp_path, "a_T2w.nii.gz", sidecar=fields))
    assert read.acquisition == facts(image(tmp_path, "b_T2w.nii.gz"))
    assert len(read.notes) == ("colour" in fields)


def test_a_bids_image_inherits_from_the_sidecars_above_it(tmp_path: Path) -> None:
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    name = "sub-01_ses-2_acq-fast_T1w"
    path = image(tmp_path / "sub-01" / "ses-2" / "anat", f"{name}.nii.gz", {"FlipAngle": 7})
    above = {
        "T1w.json": {"FlipAngle": 1, "RepetitionTime": 2.0, "Manufacturer": "Siemens"},
        "acq-fast_T1w.json": {"RepetitionTime": 2.1},
        "acq-slow_T1w.json": {"RepetitionTime": 9.9},
        "T2w.json": {"EchoTime": 0.1},
        "sub-01/sub-01_T1w.json": {"EchoTime": 0.003},
        "sub-01/ses-2/sub-01_ses-3_T1w.json": {"EchoTime": 0.5},
    }
    for place, fields in above.items():
        (tmp_path / place).write_text(json.dumps(fields))
    found = read_sidecar(path)
    assert found.fields == {"FlipAngle": 7, "RepetitionTime": 2.1, "Manufacturer": "Siemens", "EchoTime": 0.003} and found.notes == ()
    (tmp_path / "dataset_description.json").unlink()
    assert read_sidecar(path).fields == {"FlipAngle": 7}


NAMES = {
    "sub-01_acq-t2_T1w": "T1w",
    "T1w_asl-t1": "T1w",
    "sub-01_task-rest_acq-T1w_bold": "BOLD",
    "sub-02_ses-dwi_FLAIR": "T2-FLAIR",
    "sub-02_desc-flair_T2w_denoised": "T2w",
    "sub-3_rec-PD_T2starw": "T2*w",
    "sub-3_acq-bold_inplaneT2": "T2w",
    "sub-3_acq-t1_dwi": "DWI",
    "head_T2-FLAIR": "T2-FLAIR",
    "knee_t2_fs": "T2w",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_suffix_of_a_bids_name_counts_and_no_entity(name: str) -> None:
    assert contrast_of_name(name).value == NAMES[name]


def test_a_curated_suffix_counts_more_than_a_series_name(tmp_path: Path) -> None:
    path = image(tmp_path, "sub-1_T1w.nii.gz", {"SeriesDescription": "planning t2", "Manufacturer": "Philips"})
    assert (facts(path).contrast.value, facts(path).contrast.source) == ("T1w", "file name, suffix T1w")
    assert facts(image(tmp_path, "x.nii.gz", {"SeriesDescription": "planning t2"})).contrast.source == "sidecar: series name"


def test_the_sidecar_of_a_result_says_what_was_done_and_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "dataset_description.json").write_text("{}")
    private = {"PatientName": "Tanaka^Taro", "PatientID": "77", "InstitutionName": "St. Elsewhere", "AcquisitionDateTime": "20200101"}
    private |= {"SeriesDescription": "Tanaka knee", "DeviceSerialNumber": "123", "Comment": "Taro", "SeriesInstanceUID": "1.2.3"}
    source = image(tmp_path / "sub-1", "sub-1_T1w.nii.gz", GRADIENT_ECHO | private | {"SliceTiming": [0, 0.5]})
    noisy = io.read(source)
    report = {"method": "regression", "version": "1", "noise_level": 3.5, "device": "cpu", "seconds": 9}
    derivation = io.Derivation("regression", "ab" * 32, 4, {"steps": 8})
    fields = result_sidecar(derivation, report, noisy, source)
    assert GRADIENT_ECHO.items() <= fields.items() and fields["SliceTiming"] == [0, 0.5]
    assert fields["Sources"] == ["bids::sub-1/sub-1_T1w.nii.gz"]
    assert fields["MRIDenoise"] == {"method": "regression", "version": "1", "noise_level": 3.5}
    assert "NOT FOR DIAGNOSTIC USE" in fields["Description"] and "seed 4" in fields["GeneratedBy"][0]["Description"]
    together = result_sidecar(derivation, {"version": "1", "volumes": [report, report]}, noisy, source)["MRIDenoise"]
    assert together == {"version": "1", "volumes": [fields["MRIDenoise"]] * 2}
    text = json.dumps(fields)
    assert not any(str(value) in text for value in private.values()) and "Taro" not in text
    assert "removed" in result_sidecar(io.Derivation("x", "none", 0, suffix="residual"), report, noisy, source)["Description"]
    assert sidecar_of(tmp_path / "out.nii.gz") == tmp_path / "out.json" and sidecar_of(tmp_path / "out.nrrd") is None
