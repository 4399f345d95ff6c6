"""``mridenoise prompt`` on real and made files."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
import typer
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from typer.testing import CliRunner

from MRIDenoiseLib.cli.prompt import prompt
from MRIDenoiseLib.errors import InputError

application = typer.Typer()
application.command()(prompt)
EXTRACTS = Path(__file__).parents[1] / "data" / "headers"
FIELDS = ["organ", "contrast", "fat_suppression", "plane", "vendor", "acceleration", "parallel_imaging", "averages", "field_strength"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(application, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def header_file(tmp_path: Path) -> Path:
    """A DICOM file without pixels, with the tags of a real one."""
    made = pydicom.Dataset.from_json((EXTRACTS / "dcm_qa_pdt2__In__Siemens__VE11__0001.json").read_text(encoding="utf-8"))
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = MRImageStorage, generate_uid(), generate_uid()
    made.Rows, made.Columns = 64, 64
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(tmp_path / "case.dcm", enforce_file_format=True)
    return tmp_path / "case.dcm"


def test_json_holds_every_field_with_value_source_and_confidence_and_the_text(header_file: Path) -> None:
    told = json.loads(run(header_file, "--json"))
    assert list(told) == [*FIELDS, "text"]
    assert all(set(told[name]) == {"value", "source", "confidence"} for name in FIELDS)
    assert told["organ"] == {"value": "head", "source": "(0018,0015) BodyPartExamined = BRAIN", "confidence": "high"}
    assert told["text"] == "siemens head pd plain sag 2x"


def test_the_table_names_each_field_and_where_it_came_from(header_file: Path) -> None:
    shown = run(header_file)
    for word in ("organ", "head", "BodyPartExamined", "parallel imaging", "siemens head pd plain sag 2x", "NOT FOR DIAGNOSTIC USE"):
        assert word in shown


def test_an_image_file_without_headers_is_guessed_from_its_name(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.arange(4 * 8 * 8, dtype=np.float32).reshape(4, 8, 8))
    image.SetSpacing((1.0, 1.0, 4.0))
    SimpleITK.WriteImage(image, str(tmp_path / "knee_PDw.nii.gz"))
    told = json.loads(run(tmp_path / "knee_PDw.nii.gz", "--json"))
    assert told["text"] == "unknown knee pd unknown axial 2x"
    assert told["organ"]["confidence"] == "low"


def test_ct_and_missing_files_are_refused(header_file: Path, tmp_path: Path) -> None:
    ct = pydicom.dcmread(header_file)
    ct.Modality = "CT"
    ct.save_as(header_file)
    for path in (header_file, tmp_path / "nothing"):
        with pytest.raises(InputError):
            run(path)


def test_a_real_file_of_every_source_answers_mosaics_and_several_volumes_included(data_dir: Path) -> None:
    files = sorted(p for p in (data_dir / "dicom" / "headers").rglob("*") if p.is_file())
    mosaic = next(p for p in files if "MOSAIC" in pydicom.dcmread(p, specific_tags=["ImageType"], force=True).get("ImageType", ()))
    for path in {*{p.parent: p for p in reversed(files)}.values(), mosaic}:
        told = json.loads(run(path, "--json"))
        assert told["plane"]["value"] is not None
        assert path.name not in json.dumps(told)


def test_a_chosen_echo_of_the_knee_tells_its_own_contrast(data_dir: Path) -> None:
    folder = data_dir / "dicom" / "knee_GE_multiecho"
    first, last = (json.loads(run(folder, "--json", "--echo", echo)) for echo in (1, 4))
    assert (first["organ"]["value"], first["contrast"]["value"], last["contrast"]["value"]) == ("knee", "PDw", "T2w")
    assert json.loads(run(folder, "--json"))["contrast"] == first["contrast"]


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (["ORIGINAL", "PRIMARY", "P", "ND"], "cannot be denoised as it is: this is a phase image"),
        (["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"], "cannot be denoised as it is: this is a phase image"),
        (["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "This is a map"),
        (["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], ""),
    ],
)
def test_the_kind_that_a_header_states_is_said_without_pixels(
    types: list[str], said: str, header_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = pydicom.dcmread(header_file)
    made.ImageType = types
    made.save_as(header_file)
    result = CliRunner().invoke(application, [str(header_file)], catch_exceptions=False)
    assert result.exit_code == 0
    assert said in result.output if said else "phase image" not in result.output and "This is" not in result.output
