"""How a derived series stores its pixels (as its source did, unless a voxel would not fit) and how it names its source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.io.dicom.files import shallow, whole_number
from MRIDenoiseLib.io.dicom.read import SCALE_INTERCEPT, SCALE_SLOPE, Scaling
from MRIDenoiseLib.io.images import Derivation

MANUFACTURER = "MRI Denoise"
"""Manufacturer (0008,0070) in Contributing Equipment Sequence: the mark by which our own series are known again."""


FEWEST_STEPS = 1000
"""Steps that the largest value of a map must be stored in, so that rounding is not seen."""


@dataclass(frozen=True)
class Encoding:
    """The stored form of a whole series.

    Args:
        scalings: one a slice.
        allocated: Bits Allocated (0028,0100).
        bits: Bits Stored (0028,0101).
        signed: Pixel Representation (0028,0103).
        rescaled: whether the scalings are other than the source's.
        floating: whether values are floats of ``allocated`` bits, as in Float Pixel Data (7FE0,0008).
    """

    scalings: tuple[Scaling, ...]
    allocated: int
    bits: int
    signed: bool
    rescaled: bool = False
    floating: bool = False

    @property
    def element(self) -> tuple[str, str]:
        """Keyword and value representation of the element that takes the pixels."""
        if self.floating:
            return ("FloatPixelData", "OF") if self.allocated == 32 else ("DoubleFloatPixelData", "OD")
        return "PixelData", "OW"

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value that can be stored."""
        return (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1) if self.signed else (0, (1 << self.bits) - 1)

    def encode(self, voxels: np.ndarray, index: int) -> np.ndarray:
        """Slice ``index`` of physical voxels (rows, columns) in stored values."""
        if self.floating:
            return self.scalings[index].stored(voxels).astype(f"<f{self.allocated // 8}")
        kind = np.dtype(f"{'i' if self.signed else 'u'}{self.allocated // 8}").newbyteorder("<")
        return np.rint(self.scalings[index].stored(voxels)).clip(*self.limits).astype(kind)

    def describe_pixels(self, header: Dataset, padding: np.ndarray) -> None:
        """Put the bit depth into a header, and take out what no longer holds.

        Args:
            header: to be changed.
            padding: what this form stores in the image's padding, any shape; empty where it has none.
        """
        if self.floating:
            return
        sign_changed = whole_number(header, "PixelRepresentation") != int(self.signed)
        header.BitsAllocated, header.BitsStored, header.HighBit = self.allocated, self.bits, self.bits - 1
        header.PixelRepresentation = int(self.signed)
        header.SamplesPerPixel = 1
        stale = ["SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries"]
        # The numbers that mark padding are the same under another sign, and other ones under another slope.
        marks = {keyword: whole_number(header, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")}
        if self.rescaled:
            ends = sorted({int(padding.min()), int(padding.max())}) if padding.size else []
            marks = dict(zip(marks, ends, strict=False))
        if sign_changed or self.rescaled:
            stale += ["PixelPaddingValue", "PixelPaddingRangeLimit", "RealWorldValueMappingSequence", "ModalityLUTSequence"]
        for keyword in stale:
            if keyword in header:
                del header[keyword]
        for keyword, value in marks.items():
            if value is not None and keyword not in header:
                header.add_new(keyword, "SS" if self.signed else "US", value)


def choose_encoding(voxels: np.ndarray, scalings: Sequence[Scaling], header: Dataset, *, fine: bool = False) -> Encoding:
    """The first form that loses no voxel: the source's; all allocated bits; signed; a new slope for the whole series.

    Args:
        voxels: physical values (slice, row, column).
        scalings: the source's, one a slice.
        header: gives the source's bit depth.
        fine: whether the values are not those of pixels, so that the source's steps may be too coarse for them.
    """
    allocated = max(whole_number(header, "BitsAllocated") or 16, 16)
    if "PixelRepresentation" not in header and allocated in (32, 64):
        return Encoding(tuple(scalings), allocated, allocated, signed=True, floating=True)
    bits = min(whole_number(header, "BitsStored") or allocated, allocated)
    source = Encoding(tuple(scalings), allocated, bits, bool(whole_number(header, "PixelRepresentation")))
    stored = [np.rint(s.stored(v)) for s, v in zip(scalings, voxels, strict=True)]
    low, high = min(float(v.min()) for v in stored), max(float(v.max()) for v in stored)
    forms = (source, replace(source, bits=allocated), replace(source, bits=allocated, signed=True))
    for form in () if fine and 0 < max(high, -low) < FEWEST_STEPS else forms:
        if form.limits[0] <= low and high <= form.limits[1]:
            return form
    # The rescaled value (which the window applies to) stays what it was; only the steps in which it is stored change.
    top = max(float(np.abs(s.stored(v) * s.slope + s.intercept).max()) for s, v in zip(scalings, voxels, strict=True))
    slope = _round_up(top / 32767)
    wide = tuple(
        Scaling(slope, 0.0, None if s.private_slope is None else float(np.float32(s.slope * s.private_slope / slope))) for s in scalings
    )
    return Encoding(wide, 16, 16, True, rescaled=True)


def _round_up(value: float, digits: int = 6) -> float:
    """The next number of six significant digits, so that it survives as a decimal string (VR DS, 16 characters)."""
    unit = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return float(f"{math.ceil(value / unit + 1e-6) * unit:.6g}")


def put_rescale(target: Dataset, scale: Scaling) -> None:
    """Write a new slope and intercept into a header or a Pixel Value Transformation item."""
    target.RescaleSlope = f"{scale.slope:.8g}"
    target.RescaleIntercept = f"{scale.intercept:.8g}"
    if "RescaleType" not in target:
        target.RescaleType = "US"


def put_private_scale(target: Dataset, scale: Scaling) -> None:
    """Write a new Philips scale slope and intercept wherever the old ones are in a header, private items included."""
    if scale.private_slope is None:
        return
    for tag, value in ((SCALE_SLOPE, scale.private_slope), (SCALE_INTERCEPT, 0.0)):
        if tag in target:
            element = target[tag]
            as_bytes = isinstance(element.value, bytes)
            target.add_new(tag, element.VR, np.float32(value).tobytes() if as_bytes else value)
    for element in list(target):
        if element.VR == "SQ" and element.tag.is_private:
            copies = []
            for item in element.value:
                copy = shallow(item)
                put_private_scale(copy, scale)
                copies.append(copy)
            target.add_new(element.tag, "SQ", copies)


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


def derivation_code() -> Items:
    """Derivation Code Sequence (0008,9215)."""
    # The standard's own list (CID 7203) has smoothing, which this is not; a local code may extend the list.
    return code("NOISEREDUCTION", "99MRIDENOISE", "Learned noise reduction")


def code(value: str, scheme: str, meaning: str) -> Items:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Items([item])
