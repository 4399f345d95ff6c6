"""What a result does not change has the very bytes of its source, whatever character set, type or byte order they are in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import dicom_factory as factory
import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from test_dicom_out import complaints

from MRIDenoiseLib import io
from MRIDenoiseLib.io.images import Derivation

OURS = {
    *("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "InstanceNumber", "InstanceCreationDate"),
    *("InstanceCreationTime", "ImageType", "ImageComments", "ContributingEquipmentSequence", "DerivationDescription"),
    *("DerivationCodeSequence", "SourceImageSequence", "PixelData"),
}
OUR_TAGS = {tag_for_keyword(keyword) for keyword in OURS}
NAME, TEXT = "PatientName", "SeriesDescription"


def put_bytes(path: Path, values: dict[str, bytes]) -> None:
    """Replace placeholders of some elements in a file by bytes that pydicom would not write."""
    data = path.read_bytes()
    for number, value in enumerate(values.values()):
        place = bytes([ord("a") + number]) * len(value)
        assert data.count(place) == 1
        data = data.replace(place, value)
    path.write_bytes(data)


def series(folder: Path, charset: Any, values: dict[str, bytes], syntax: str = "1.2.840.10008.1.2.1") -> Path:
    """A series of three slices some of whose elements hold given bytes (an even number each)."""
    for k in range(3):
        ds = factory.slice_header(k)
        if charset is not None:
            ds.SpecificCharacterSet = charset
        private = ds.private_block(0x0043, "ACME PARAMETERS", create=True)
        private.add_new(0x01, "UN", b"\x01\xff\x00\x07")
        private.add_new(0x02, "OW", b"\x01\x02\x03\x04")
        private.add_new(0x03, "SL", [-5, 70000])
        inner = Dataset()
        inner.PatientID, inner.PatientBirthDate = "nested ", "19700101"
        private.add_new(0x04, "SQ", [inner, Dataset()])
        ds["PatientID"].value = "12345\0"
        for number, (keyword, value) in enumerate(values.items()):
            setattr(ds, keyword, chr(ord("a") + number) * len(value) if keyword == NAME else "")
            if keyword != NAME:
                ds[keyword]._value = chr(ord("a") + number) * len(value)
        path = factory.save(ds, folder / f"{k}.dcm", syntax)
        put_bytes(path, values)
    return folder


def raw(ds: Dataset) -> dict[int, Any]:
    """Every element's bytes, and of sequences every item's."""
    elements = {tag: ds.get_item(tag) for tag in sorted(ds.keys())}
    found: dict[int, Any] = {}
    for tag, element in elements.items():
        if ds[tag].VR == "SQ":
            found[tag] = [raw(item) for item in ds[tag].value]
        else:
            found[tag] = element.value if isinstance(element, RawDataElement) else str(element.value)
    return found


def check_untouched(before: Path, after: Path) -> Dataset:
    source, result = dcmread(before), dcmread(after)
    old, new = raw(source), raw(result)
    assert {tag: new.get(tag) for tag in old if tag not in OUR_TAGS} == {tag: old[tag] for tag in old if tag not in OUR_TAGS}
    assert complaints(after) - complaints(before) == set()
    return result


KOREAN = b"\x1b$)C" + "\ub1cc".encode("euc_kr") + b" T2"
JAPANESE = "\u8133 T2".encode("iso2022_jp")
SETS: dict[str, tuple[Any, bytes, bytes]] = {
    "Cyrillic under the name of Latin 1": (
        "ISO_IR 100",
        "\u0418\u0432\u0430\u043d".encode("iso8859-5"),
        "\u0422\u0415".encode("iso8859-5"),
    ),
    "UTF-8 without a name": (None, "M\u00fcller^J\u00f6rg".encode(), "sch\u00e4del".encode()),
    "Thai": ("ISO_IR 166", "\u0e01\u0e32".encode("tis-620"), "\u0e2b\u0e31\u0e27".encode("tis-620")),
    "an unknown set": ("ISO_IR 999", b"\xc3\x28^\xff\xfe", b"\xff\xfe\xfd\xfc"),
    "Korean": (["", "ISO 2022 IR 149"], b"Hong^Gildong=\x1b$)C" + "\ud64d".encode("euc_kr"), KOREAN),
    "Japanese": (["ISO 2022 IR 6", "ISO 2022 IR 87"], b"Yamada=" + "\u5c71\u7530".encode("iso2022_jp"), JAPANESE),
    "Chinese": ("GB18030", "\u738b^\u5c0f\u4e1c".encode("gb18030"), "\u8111\u90e8".encode("gb18030")),
    "half-width katakana": (["ISO_IR 13"], "\uff94\uff8f\uff80\uff9e".encode("shift_jis"), "\uff80\uff9b".encode("shift_jis")),
}


@pytest.mark.parametrize("name", SETS)
def test_names_and_texts_keep_their_bytes_in_every_character_set(tmp_path: Path, name: str) -> None:
    charset, patient, text = SETS[name]
    values = {NAME: patient + b" " * (len(patient) % 2), TEXT: text + b" " * (len(text) % 2)}
    series(tmp_path / "in", charset, values)
    io.write(io.read(tmp_path / "in"), tmp_path / "out")
    for k in range(3):
        data = (tmp_path / "out" / f"IM{k + 1:05d}.dcm").read_bytes()
        assert values[NAME] in data and text + b" derived" in data
    source, result = dcmread(tmp_path / "in" / "0.dcm"), dcmread(tmp_path / "out" / "IM00001.dcm")
    old, new = raw(source), raw(result)
    assert {tag: new.get(tag) for tag in old if tag not in OUR_TAGS} == {tag: old[tag] for tag in old if tag not in OUR_TAGS}


LONG: dict[str, tuple[Any, bytes, str]] = {
    "plain": (None, b"x" * 64, "ascii"),
    "UTF-8": ("ISO_IR 192", "\u0416\u00fc".encode() * 16, "utf-8"),
    "Chinese": ("GB18030", "\u8111".encode("gb18030") * 32, "gb18030"),
    "Japanese": (["", "ISO 2022 IR 87"], ("\u8133" * 29).encode("iso2022_jp"), "iso2022_jp"),
}


@pytest.mark.parametrize("name", LONG)
def test_a_description_that_is_too_long_is_cut_between_characters(tmp_path: Path, name: str) -> None:
    charset, text, encoding = LONG[name]
    series(tmp_path / "in", charset, {TEXT: text})
    io.write(io.read(tmp_path / "in"), tmp_path / "out", derivation=Derivation("none", "none", 0, suffix="denoised"))
    result = raw(dcmread(tmp_path / "out" / "IM00001.dcm"))[0x0008103E].rstrip(b" ")
    shown = result.decode(encoding)
    assert len(result) <= 64 and shown.endswith(" denoised") and text.decode(encoding).startswith(shown[: -len(" denoised")])
    assert len(result) >= 60 and complaints(tmp_path / "out" / "IM00001.dcm") - complaints(tmp_path / "in" / "0.dcm") == set()


INVALID = {
    "letters in a number": {"SliceLocation": b"left", "AcquisitionNumber": b"1st "},
    "a date with points": {"PatientBirthDate": b"1970.1.1"},
    "text beyond its limit": {"PatientID": b"P" * 70, "StudyID": b"longer than sixteen characters"},
    "nulls and blanks at the end": {"AccessionNumber": b"A1\0 \0 ", "StationName": b"MR1 \0\0"},
    "a decimal comma": {"PatientWeight": b"70,5"},
    "an impossible identifier": {"FrameOfReferenceUID": b"1.2.x.03"},
    "small letters in a code": {"BodyPartExamined": b"brain "},
}


@pytest.mark.parametrize("name", INVALID)
def test_values_that_break_the_rules_go_back_as_they_came(tmp_path: Path, name: str) -> None:
    series(tmp_path / "in", None, INVALID[name])
    io.write(io.read(tmp_path / "in"), tmp_path / "out")
    check_untouched(tmp_path / "in" / "0.dcm", tmp_path / "out" / "IM00001.dcm")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_other_encodings_of_the_header_keep_every_value(tmp_path: Path, syntax: str) -> None:
    values = {} if syntax == DeflatedExplicitVRLittleEndian else {NAME: b"M\xfcller^J\xf6rg ", "PatientBirthDate": b"1970.1.1"}
    series(tmp_path / "in", "ISO_IR 192", values, syntax)
    series(tmp_path / "plain", "ISO_IR 192", values)
    for name in ("in", "plain"):
        io.write(io.read(tmp_path / name), tmp_path / f"{name} out")
    found, plain = (raw(dcmread(tmp_path / f"{name} out" / "IM00001.dcm")) for name in ("in", "plain"))
    if syntax == ImplicitVRLittleEndian:
        # Without types nobody knows that this private element is a sequence, so it goes on as bytes.
        assert b"nested" in found.pop(0x00431004) and plain.pop(0x00431004)
    if syntax == ExplicitVRBigEndian:
        plain[0x00431002] = b"\x02\x01\x04\x03"
    assert {tag: value for tag, value in found.items() if tag not in OUR_TAGS} == {t: v for t, v in plain.items() if t not in OUR_TAGS}


def test_sequences_of_undefined_length_stay_as_they_are(tmp_path: Path) -> None:
    if shutil.which("dcmconv") is None:
        pytest.skip("dcmconv is not installed (Debian package dcmtk)")
    folder = series(tmp_path / "in", "ISO_IR 100", {NAME: b"\xc4\xd6^\xdc"})
    for path in folder.iterdir():
        subprocess.run(["dcmconv", "+te", "-e", str(path), str(path)], check=True)
    io.write(io.read(folder), tmp_path / "out")
    result = check_untouched(folder / "0.dcm", tmp_path / "out" / "IM00001.dcm")
    assert result[0x0043, 0x1004].is_undefined_length


def test_a_header_that_was_changed_after_reading_is_written_as_changed(tmp_path: Path) -> None:
    series(tmp_path / "in", "ISO_IR 192", {NAME: b"M\xfcller"})
    source = io.read(tmp_path / "in")
    for header in source.headers:
        header.PatientName, header.PatientID = "Other", "9"
        header[0x0043, 0x1004].value[0].PatientID = "inner"
    io.write(source, tmp_path / "out")
    result = dcmread(tmp_path / "out" / "IM00001.dcm")
    assert (result.PatientName, result.PatientID, result[0x0043, 0x1004].value[0].PatientID) == ("Other", "9", "inner")
    assert b"M\xfcller" not in (tmp_path / "out" / "IM00001.dcm").read_bytes()
