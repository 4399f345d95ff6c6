"""Reading single facts out of DICOM headers that may be classic, enhanced, anonymised or malformed.

One :class:`Header` hides where an attribute lies: at the top level of a classic data set, or in the shared or per-frame
functional groups of an enhanced one. An absent, empty or unreadable value is None, never an exception.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.errors import BytesLengthException
from pydicom.tag import BaseTag, Tag

_UNREADABLE = (
    *(BytesLengthException, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError),
    *(RecursionError, OSError, struct.error),
)
"""What pydicom raises for a value that its value representation does not allow."""

_GROUPS: dict[str, str] = {
    **dict.fromkeys(("EffectiveEchoTime",), "MREchoSequence"),
    **dict.fromkeys(
        ("RepetitionTime", "FlipAngle", "EchoTrainLength", "RFEchoTrainLength", "GradientEchoTrainLength"),
        "MRTimingAndRelatedParametersSequence",
    ),
    **dict.fromkeys(
        (
            *("InversionRecovery", "InversionTimes", "InversionTime", "ParallelAcquisition", "ParallelAcquisitionTechnique"),
            *("ParallelReductionFactorInPlane", "SpectrallySelectedExcitation", "SpectrallySelectedSuppression", "Spoiling"),
        ),
        "MRModifierSequence",
    ),
    "NumberOfAverages": "MRAveragesSequence",
    "MagnetizationTransfer": "MRImagingModifierSequence",
    "ReceiveCoilName": "MRReceiveCoilSequence",
    **dict.fromkeys(("DiffusionBValue", "DiffusionDirectionality"), "MRDiffusionSequence"),
    **dict.fromkeys(("FrameType", "AcquisitionContrast", "ComplexImageComponent"), "MRImageFrameTypeSequence"),
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "AnatomicRegionSequence": "FrameAnatomySequence",
}
"""Attribute -> the functional group macro that holds it in an enhanced MR image (DICOM PS3.3 C.8.13.5)."""

_PHILIPS_NESTED = ((0x2005, 0x140F), (0x2005, 0x140E))
"""Where classic Philips images repeat the attributes of the enhanced image."""


class Header:
    """The facts of one data set. Values come back as plain Python: stripped strings, finite floats, or None."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def texts(self, keyword: str) -> list[str]:
        """All values of an attribute as stripped, non-empty strings."""
        return _strings(self._find(keyword))

    def text(self, keyword: str) -> str:
        """The first value as a string, or an empty one."""
        return next(iter(self.texts(keyword)), "")

    def number(self, keyword: str) -> float | None:
        """The first finite number among the values."""
        return number_of(self._find(keyword))

    def numbers(self, keyword: str) -> list[float]:
        """All finite numbers among the values."""
        return _numbers(self._find(keyword))

    def has(self, keyword: str) -> bool:
        """Whether the attribute is there at all, empty or not."""
        return self._find(keyword) is not None or keyword in self.dataset

    def in_every_frame(self, keyword: str) -> list[Any]:
        """The raw values of an attribute in all the functional groups, for what changes from frame to frame."""
        found = [self._in_group(group, keyword) for group in self._frames("PerFrameFunctionalGroupsSequence")]
        return [value for value in found if value is not None] or [value for value in [self._find(keyword)] if value is not None]

    def items(self, keyword: str) -> list[Dataset]:
        """The items of a sequence."""
        value = self._find(keyword)
        return [item for item in value if isinstance(item, Dataset)] if isinstance(value, Sequence) and not isinstance(value, str) else []

    def private(self, group: int, element: int) -> Any:
        """The raw value of a private element at its usual place ``(group, 10xx)``, also where its creator was removed."""
        return _value(self.dataset, Tag(group, element))

    def private_text(self, group: int, element: int) -> str:
        """A private value as one string, its parts joined with backslashes."""
        value = self.private(group, element)
        if isinstance(value, bytes):
            return value.decode("latin-1").strip("\0 ")
        return "\\".join(_strings(value))

    def private_numbers(self, group: int, element: int) -> list[float]:
        """The finite numbers of a private value; bytes of an unknown representation are read as text."""
        value = self.private(group, element)
        return _numbers(value.decode("latin-1").strip("\0 ").split("\\") if isinstance(value, bytes) else value)

    def siemens_frame(self, element: int) -> Any:
        """The raw value of Siemens XA's per-frame private element ``(0021,11xx)`` (creator SIEMENS MR SDI 02) in the first frame."""
        for group in self._frames("PerFrameFunctionalGroupsSequence")[:1]:
            for item in _items(_value(group, Tag(0x0021, 0x11FE)))[:1]:
                return _value(item, Tag(0x0021, element))
        return None

    def siemens_protocol(self) -> dict[str, str]:
        """The entries of the Siemens measurement protocol (the ASCCONV text in the CSA series header, or in XA its successor)."""
        for blob in self._siemens_blobs():
            start, end = blob.find(b"### ASCCONV BEGIN"), blob.find(b"### ASCCONV END")
            if start >= 0:
                text = blob[start : end if end > start else None].decode("latin-1")
                return {m[1]: m[2].strip().strip('"') for m in re.finditer(r"^\s*([\w.\[\]]+)\s*=\s*(.*)$", text, re.MULTILINE)}
        return {}

    def _siemens_blobs(self) -> Iterator[bytes]:
        for element in (0x1020, 0x1120):
            value = self.private(0x0029, element)
            if isinstance(value, bytes):
                yield value
        for group in self._frames("SharedFunctionalGroupsSequence"):
            for item in _items(_value(group, Tag(0x0021, 0x10FE))):
                value = _value(item, Tag(0x0021, 0x1019))
                if isinstance(value, bytes):
                    yield value

    def _find(self, keyword: str) -> Any:
        tag = Tag(tag_for_keyword(keyword) or 0)
        value = _value(self.dataset, tag)
        if not _empty(value):
            return value
        if keyword in _GROUPS:
            for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
                for group in self._frames(sequence)[:1]:
                    nested = self._in_group(group, keyword)
                    if nested is not None:
                        return nested
        for place in _PHILIPS_NESTED:
            for item in _items(_value(self.dataset, Tag(*place)))[:1]:
                nested = _value(item, tag)
                if not _empty(nested):
                    return nested
        return None

    def _frames(self, sequence: str) -> list[Dataset]:
        return _items(_value(self.dataset, Tag(tag_for_keyword(sequence) or 0)))

    def _in_group(self, group: Dataset, keyword: str) -> Any:
        macro = _GROUPS.get(keyword)
        for item in _items(_value(group, Tag(tag_for_keyword(macro) or 0)))[:1] if macro else []:
            value = _value(item, Tag(tag_for_keyword(keyword) or 0))
            if not _empty(value):
                return value
        return None


def tag_name(keyword: str) -> str:
    """``(0018,0015) BodyPartExamined`` for ``BodyPartExamined``: how a source names an attribute."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    return f"({tag.group:04X},{tag.element:04X}) {keyword_for_tag(tag)}"


def _value(dataset: Dataset, tag: BaseTag) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a malformed value is treated as absent, so pydicom's warning does not help
        try:
            return dataset[tag].value if tag in dataset else None
        except _UNREADABLE:
            return None


def _empty(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        return [value]
    return list(value)


def _items(value: Any) -> list[Dataset]:
    return [item for item in _many(value) if isinstance(item, Dataset)]


def _strings(value: Any) -> list[str]:
    return [text for text in (str(part).strip("\0 ") for part in _many(value) if part is not None) if text]


def _numbers(value: Any) -> list[float]:
    found = []
    for part in _many(value):
        try:
            number = float(part)
        except _UNREADABLE:
            continue
        if math.isfinite(number):
            found.append(number)
    return found


def number_of(value: Any) -> float | None:
    """The first finite number of a raw value."""
    return next(iter(_numbers(value)), None)


def positive(value: Any) -> float | None:
    """The same where it is above zero, else None: durations, factors and counts that are zero carry no information."""
    number = number_of(value)
    return number if number is not None and number > 0 else None
