"""Every header file we know, against a table written by reading the headers."""

import base64
import csv
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pydicom
import pytest

from MRIDenoiseLib.prompt import describe, read_acquisition
from MRIDenoiseLib.prompt.vocabulary import WORDS

HERE = Path(__file__).parent
EXTRACTS = HERE.parent / "data" / "headers"
with (HERE / "expected_headers.csv").open(newline="", encoding="utf-8") as table:
    EXPECTED = {row.pop("extract"): row for row in csv.DictReader(table)}


def extraction() -> ModuleType:
    spec = importlib.util.spec_from_file_location("extract_header_tags", HERE.parents[1] / "scripts" / "extract_header_tags.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_written(header: pydicom.Dataset) -> dict[str, str]:
    acquisition = read_acquisition([header])
    values = {name: getattr(acquisition, name).value for name in acquisition.names()}
    return {name: "" if value is None else f"{value:g}" if isinstance(value, float) else str(value) for name, value in values.items()}


def expected(name: str) -> dict[str, str]:
    return {field: value for field, value in EXPECTED[name].items() if field != "why"}


def test_the_table_has_a_row_for_each_of_the_38_files_and_no_other() -> None:
    assert set(EXPECTED) == {path.name for path in EXTRACTS.glob("*.json")}
    assert len(EXPECTED) == 38


@pytest.mark.parametrize("name", EXPECTED)
def test_an_extract_reads_as_the_table_says(name: str) -> None:
    header = pydicom.Dataset.from_json((EXTRACTS / name).read_text(encoding="utf-8"))
    assert as_written(header) == expected(name)


def test_the_real_files_read_as_the_table_says(data_dir: Path) -> None:
    source = data_dir / "dicom" / "headers"
    extract_name = extraction().extract_name
    read = {}
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        read[extract_name(path.relative_to(source))] = as_written(header)
    assert read == {name: expected(name) for name in EXPECTED}


def test_the_shipped_extracts_are_what_the_script_makes_of_the_real_files(data_dir: Path) -> None:
    module = extraction()
    source = data_dir / "dicom" / "headers"
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        made = module.extracted(pydicom.dcmread(path, stop_before_pixels=True, force=True)).to_json_dict()
        shipped = json.loads((EXTRACTS / module.extract_name(path.relative_to(source))).read_text(encoding="utf-8"))
        assert json.loads(json.dumps(made)) == shipped


def test_the_knee_series_tells_organ_and_vendor_and_each_echo_its_contrast(data_dir: Path) -> None:
    contrasts = {}
    for path in (data_dir / "dicom" / "knee_GE_multiecho").glob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        acquisition = read_acquisition([header])
        assert (acquisition.organ.value, acquisition.vendor.value, acquisition.plane.value) == ("knee", "GE", "sagittal")
        assert acquisition.organ.source.startswith("(0018,1250) ReceiveCoilName")
        contrasts[float(header.EchoTime)] = acquisition.contrast.value
    assert len(contrasts) == 4
    assert contrasts[min(contrasts)] == "PDw"
    assert contrasts[max(contrasts)] == "T2w"


def test_extracts_hold_no_identity() -> None:
    """No person, institution, device, date, time or unique identifier by its value representation or its attribute."""
    forbidden_groups = {"0010", "0032", "0038"}
    allowed_lo = {"00080070", "0008103E", "00181030", "00510010", "0051100F", "00511011", "00430010", "00650010", "00651003", "20010010"}
    allowed_lo |= {"00080104", "0021114F", "00211156", "0019109C"}

    def like_identity(text: str) -> bool:
        return bool(re.search(r"\b(19|20)\d{6}|\d+\.\d+\.\d+\.\d+|\bTA \d|mgh|cmrr", text))

    def check(item: dict) -> None:
        for tag, element in item.items():
            assert tag[:4] not in forbidden_groups, tag
            assert element["vr"] not in {"PN", "UI", "DA", "TM", "DT", "AS", "UN", "UR"}, tag
            if element["vr"] == "LO":
                assert tag in allowed_lo, tag
            for value in element.get("Value", []):
                if isinstance(value, dict):
                    check(value)
                elif isinstance(value, str):
                    assert not like_identity(value), (tag, value)
            assert not like_identity(base64.b64decode(element.get("InlineBinary", "")).decode("latin-1")), tag

    files = list(EXTRACTS.glob("*.json"))
    assert len(files) >= len(EXPECTED)
    for path in files:
        check(json.loads(path.read_text(encoding="utf-8")))
        assert not re.search(r"\d{8}", path.name), path.name


@pytest.mark.parametrize("name", EXPECTED)
def test_every_prompt_holds_only_vocabulary_words_and_no_source_quotes_a_name(name: str) -> None:
    header = pydicom.Dataset.from_json((EXTRACTS / name).read_text(encoding="utf-8"))
    header.SeriesDescription = f"SECRETNAME {header.get('SeriesDescription', '')}"
    header.ProtocolName = f"SECRETNAME {header.get('ProtocolName', '')}"
    for keyword in ("BodyPartExamined", "Manufacturer"):
        if header.get(keyword):
            setattr(header, keyword, f"{header.get(keyword)} 19700101 SECRETNAME")
    acquisition = read_acquisition([header])
    assert set(describe(acquisition).split()) <= set(WORDS)
    assert not any("SECRETNAME" in getattr(acquisition, field).source for field in acquisition.names())
