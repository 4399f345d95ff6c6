"""The words and codes by which a derived DICOM image tells what it is and where it came from."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sequence import Sequence

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.io.derivation import Derivation

MANUFACTURER = "MRI Denoise"
"""Manufacturer (0008,0070) in Contributing Equipment Sequence: the mark by which our own series are known again."""


def derived_type(kind: object, second: str = "SECONDARY") -> list[str]:
    """Image Type or Frame Type of a derived image: the source's with its first two values replaced."""
    values = [kind] if isinstance(kind, str) else list(kind or [])  # type: ignore[call-overload]
    return ["DERIVED", second, *(str(v) for v in values[2:])]


def account(derivation: Derivation | None) -> str:
    """Derivation Description (0008,2111)."""
    return derivation.description if derivation else f"{RESEARCH_USE_ONLY} Written by MRI Denoise"


def source_image(sop_class: str, sop_instance: str, frame: int | None = None) -> Dataset:
    """An item of Source Image Sequence (0008,2112)."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    if frame is not None:
        item.ReferencedFrameNumber = int(frame)
    item.PurposeOfReferenceCodeSequence = code("121322", "DCM", "Source image for image processing operation")
    return item


def derivation_code() -> Sequence:
    """Derivation Code Sequence (0008,9215)."""
    # The standard's own list (CID 7203) has smoothing, which this is not; a local code may extend the list.
    return code("NOISEREDUCTION", "99MRIDENOISE", "Learned noise reduction")


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])
