"""The elements of a DICOM header as the bytes that lay in its file, so that what is not changed goes back as it came.

A name decoded by a character set that does not fit it and encoded again is another name, so nothing is: every data set
that was read carries the bytes of its elements (little endian, with explicit type), and writing takes those.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element, write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

_WORD_BYTES = {"OW": 2, "US": 2, "SS": 2, "AT": 2, "OF": 4, "OL": 4, "UL": 4, "SL": 4, "FL": 4, "OD": 8, "OV": 8, "FD": 8, "SV": 8, "UV": 8}
_AMBIGUOUS = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW", "US or SS": "US"}
_DESCRIBES_PIXELS = {0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103}
"""Elements without which no pixel can be read: a header in which one of them is no number is damaged."""

_TWO_BYTES_LOW = (b"\x1b$@", b"\x1b$B", b"\x1b$(D")
_TWO_BYTES_HIGH = (b"\x1b$)A", b"\x1b$)C")
_TO_ASCII = b"\x1b(B"
_ESCAPES = (*_TWO_BYTES_LOW, *_TWO_BYTES_HIGH)


@dataclass(frozen=True)
class StoredElement:
    """One element as it lay in its file.

    Args:
        vr: its value representation there (that of the dictionary where the file states none).
        value: its bytes, numbers in little-endian order.
        decoded: what pydicom made of it; as long as a data set holds this very object, the element is unchanged.
    """

    vr: str
    value: bytes
    decoded: Any


def remember(header: Dataset) -> None:
    """Decode every element of a data set that was just read, and keep its bytes in it.

    An element whose text is no value of its type (a number with letters) stays as text: it is nobody's fault here, and
    most often nothing needs it.

    Raises:
        Exception: whatever pydicom raises, where an element that describes the pixels cannot be decoded.
    """
    kept: dict[BaseTag, StoredElement] = {}
    for tag in sorted(header.keys()):
        raw = header.get_item(tag)
        try:
            element = header[tag]
        except (ValueError, TypeError, ArithmeticError, NotImplementedError, LookupError, AttributeError):
            if tag in _DESCRIBES_PIXELS or not isinstance(raw, RawDataElement):
                raise
            element = _as_text(raw)
            header[tag] = element
        if element.VR == "SQ":
            for item in element.value:
                remember(item)
        if isinstance(raw, RawDataElement) and (element.VR != "SQ" or raw.VR == "UN"):
            vr = raw.VR or _AMBIGUOUS.get(element.VR, element.VR)
            value = raw.value or b""
            kept[tag] = StoredElement(vr, value if raw.is_little_endian else _turned(value, vr), element.value)
    header.as_read = kept


def _as_text(raw: RawDataElement) -> DataElement:
    return DataElement(raw.tag, "LT", (raw.value or b"").decode("latin-1"), already_converted=True)


def _turned(value: bytes, vr: str) -> bytes:
    """Bytes of a big-endian file with every number in little-endian order."""
    size = _WORD_BYTES.get(vr)
    return np.frombuffer(value, f">u{size}").astype(f"<u{size}").tobytes() if size and len(value) % size == 0 else value


def as_read(header: Dataset, tag: int) -> StoredElement | None:
    """An element of a data set as it lay in its file, or None where it is not there or was changed since."""
    stored: StoredElement | None = getattr(header, "as_read", {}).get(tag)
    return stored if stored is not None and tag in header and header[tag].value is stored.decoded else None


def text_bytes(header: Dataset, keyword: str) -> bytes:
    """A text value as its bytes, without the blanks and nulls that fill it up; empty where it is absent."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    stored = as_read(header, tag)
    if stored is not None:
        return stored.value.strip(b" \0")
    value = header.get(keyword)
    joined = "\\".join(map(str, value)) if isinstance(value, list | tuple) or hasattr(value, "append") else str(value or "")
    return encode_string(joined.strip(), convert_encodings(header.get("SpecificCharacterSet", "iso8859")))


def put_text_bytes(header: Dataset, keyword: str, vr: str, value: bytes) -> None:
    """Give a header (a copy made by ``shallow``) a text value as bytes of its own character set."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    decoded = value.decode("latin-1").split("\\") if vr == "CS" else value.decode("latin-1")
    header[tag] = DataElement(tag, vr, decoded, already_converted=True)
    stored = StoredElement(vr, value + b" " * (len(value) % 2), header[tag].value)
    header.as_read = {**getattr(header, "as_read", {}), BaseTag(tag): stored}


def joined_text(header: Dataset, value: bytes, *, before: str = "", after: str = "", limit: int) -> bytes:
    """Text of a header with ASCII text before or behind it, in at most ``limit`` bytes.

    The header's own text is shortened where both do not fit, never within a character, and ASCII is switched back to
    before ours follows. DICOM counts characters, but programs that count bytes are common.
    """
    room = limit - len(before) - len(after) - 1
    kept, low = b"", b""
    for character in _characters(value, header.get("SpecificCharacterSet", "")):
        low = character if character[:1] == b"\x1b" and character not in _TWO_BYTES_HIGH else low
        end = _TO_ASCII if low in _TWO_BYTES_LOW else b""
        if len(kept + character + end) > room:
            break
        kept += character
    if _open_escape(kept):
        kept += _TO_ASCII
    parts = (before.encode("ascii", "replace"), kept.rstrip(b" \0") if after else kept, after.encode("ascii", "replace"))
    return b" ".join(part for part in parts if part)


def _open_escape(value: bytes) -> bool:
    """Whether a text ends in one of the sets of two bytes that stand in ASCII's place."""
    return max(value.rfind(e) for e in _TWO_BYTES_LOW) > max(value.rfind(e) for e in (_TO_ASCII, b"\x1b(J", b"\x1b(I"))


def _characters(value: bytes, charset: Any) -> Iterator[bytes]:
    """The characters and escape sequences of a text."""
    named = [charset] if isinstance(charset, str) else list(charset or [])
    # Bytes of UTF-8 under the name of another set are not cut apart either.
    unicode = _decodes(value, "utf-8") and not value.isascii()
    chinese = "GB18030" in named or "GBK" in named
    low, high = b"", b""
    at = 0
    while at < len(value):
        escape = next((e for e in _ESCAPES if value.startswith(e, at)), value[at : at + 3] if value[at] == 0x1B else b"")
        size = 1
        if escape:
            low, high = (low, escape) if escape in _TWO_BYTES_HIGH else (escape, high)
            size = len(escape)
        elif low in _TWO_BYTES_LOW or (high and value[at] >= 0xA1):
            size = 2
        elif unicode and value[at] >= 0xC0:
            size = 2 if value[at] < 0xE0 else 3 if value[at] < 0xF0 else 4
        elif chinese and value[at] >= 0x81:
            size = 4 if value[at + 1 : at + 2].isdigit() else 2
        yield value[at : at + size]
        at += size


def _decodes(value: bytes, encoding: str) -> bool:
    try:
        codecs.decode(value, encoding)
    except UnicodeDecodeError:
        return False
    return True


def save(header: Dataset, meta: FileMetaDataset, path: Path) -> None:
    """Write a DICOM file (Explicit VR Little Endian), unchanged elements as the bytes that were read.

    Raises:
        Exception: whatever pydicom raises for a value that it cannot encode; OSError from the system.
    """
    front = DicomBytesIO()
    front.is_implicit_VR, front.is_little_endian = False, True
    write_file_meta_info(front, meta, enforce_standard=True)
    path.write_bytes(b"\0" * 128 + b"DICM" + front.getvalue() + _encoded(header, "iso8859"))


def _encoded(header: Dataset, above: Any) -> bytes:
    charset = header.get("SpecificCharacterSet") or above
    # Group lengths (retired) would no longer be true; groups up to 6 belong to the file's own header.
    tags = [tag for tag in sorted(header.keys()) if tag.group > 6 and tag.element != 0]
    return b"".join(_element(header, header[tag], charset) for tag in tags)


def _element(header: Dataset, element: DataElement, charset: Any) -> bytes:
    stored = as_read(header, element.tag)
    if stored is not None:
        return _framed(element.tag, stored.vr, stored.value)
    if element.VR == "SQ":
        items = b"".join(_item(item, charset) for item in element.value or [])
        return _framed(element.tag, "SQ", items, undefined=element.is_undefined_length)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_data_element(buffer, correct_ambiguous_vr_element(element, header, True), convert_encodings(charset))
    return buffer.getvalue()


def _item(item: Dataset, charset: Any) -> bytes:
    value = _encoded(item, charset)
    if getattr(item, "is_undefined_length_sequence_item", False):
        return struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + value + struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value


def _framed(tag: BaseTag, vr: str, value: bytes, *, undefined: bool = False) -> bytes:
    """An element of the explicit little-endian form; a text too long for the two bytes of its length becomes UN."""
    if vr not in EXPLICIT_VR_LENGTH_32 and len(value) > 0xFFFF:
        vr = "UN"
    start = struct.pack("<HH", tag.group, tag.element) + vr.encode("latin-1")
    if vr not in EXPLICIT_VR_LENGTH_32:
        return start + struct.pack("<H", len(value)) + value
    if undefined:
        return start + struct.pack("<HL", 0, 0xFFFFFFFF) + value + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return start + struct.pack("<HL", 0, len(value)) + value
