"""The stored pixel values of a DICOM file, whatever transfer syntax packs them: several decoders are asked in turn.

What a decoder gives is checked by size and range before it is believed, and what cannot be unpacked is named as what
it is: cut short, damaged, or of a kind for which there is no decoder here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_fragments, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage, generate_uid

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import PARSING_FAULTS, quiet, text, whole_number
from MRIDenoiseLib.io.images import itk_printing_into

_JPEG = "1.2.840.10008.1.2.4."
_GDCM_READS = {_JPEG + ending for ending in ("50", "51", "57", "70", "80", "81", "90", "91")} | {"1.2.840.10008.1.2.5"}
_HIGH_THROUGHPUT = {_JPEG + ending for ending in ("201", "202", "203")}
_LOSSY = {"50": "ISO_10918_1", "51": "ISO_10918_1", "81": "ISO_14495_1", "91": "ISO_15444_1", "203": "ISO_15444_15"}
"""Last number of a lossy transfer syntax -> Lossy Image Compression Method (0028,2114)."""
_BIG_ENDIAN_PIXELS = ("1.2.840.10008.1.2.2", "1.2.840.113619.5.2")
"""Explicit VR Big Endian, and GE's private little-endian headers with big-endian pixels."""
_STREAMS = {b"\xff\xc0": "50", b"\xff\xc1": "51", b"\xff\xc3": "70", b"\xff\xf7": "80"}
"""Start-of-frame marker of a JPEG stream -> the last number of a transfer syntax that it can have."""
_SILENT = {_JPEG + "50", _JPEG + "51"}
"""Syntaxes of which Pillow fills up damaged pixels without a word, so that GDCM, which speaks, is asked first."""
_TRIES = "Unsupported JPEG data precision"
"""What GDCM's JPEG decoders for 8 and 12 bits say before the one for the stream's depth is asked."""
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, eq=False)
class Pixels:
    """What a file stores.

    Args:
        stored: (frame, row, column), whole numbers or floats.
        padding: bool, the same shape: where Pixel Padding Value (0028,0120) stands, or None where none is declared.
        notes: what the user should know about it, a sentence each without the file's name.
        lossy: Lossy Image Compression Method (0028,2114) and Ratio (0028,2112) of a packing that loses detail, or None.
    """

    stored: np.ndarray
    padding: np.ndarray | None
    notes: tuple[str, ...] = ()
    lossy: tuple[str, float] | None = None


@dataclass(frozen=True)
class _Layout:
    """The attributes of one file that describe its pixels."""

    what: str
    frames: int
    rows: int
    columns: int
    allocated: int
    bits: int
    high: int
    signed: bool

    @property
    def pixels(self) -> int:
        return self.frames * self.rows * self.columns


def decode(path: Path) -> Pixels:
    """The stored pixel values of a file.

    Raises:
        InputError: no pixels, fewer or more bytes than the header promises, or a packing that cannot be read here.
    """
    with quiet():
        try:
            header = dcmread(path, force=True)
            return _decode(header, _layout(header, path.name))
        except PARSING_FAULTS as error:
            raise InputError(f"{path.name}: its pixels are damaged and cannot be unpacked; copy or export it again") from error


def _layout(header: Dataset, what: str) -> _Layout:
    allocated = whole_number(header, "BitsAllocated") or 0
    if allocated == 1:
        raise InputError(f"{what} holds one bit a pixel, so it is a mask and no MR image; choose the series it was drawn on")
    if allocated not in (8, 12, 16, 32) and "PixelData" in header:
        raise InputError(f"{what} stores {allocated} bits a pixel, which is not read; export it with 16")
    bits = whole_number(header, "BitsStored") or 0
    bits = bits if 0 < bits <= allocated else allocated
    high = whole_number(header, "HighBit")
    return _Layout(
        what,
        max(whole_number(header, "NumberOfFrames") or 1, 1),
        whole_number(header, "Rows") or 0,
        whole_number(header, "Columns") or 0,
        allocated,
        bits,
        high if high is not None and bits - 1 <= high < allocated else bits - 1,
        whole_number(header, "PixelRepresentation") == 1,
    )


def _decode(header: Dataset, layout: _Layout) -> Pixels:
    keyword = next((name for name in _PIXELS if name in header), None)
    if "PixelDataProviderURL" in header:
        raise InputError(f"{layout.what} only names a server that has its pixels (JPIP); export it with its pixels")
    if keyword is None or not header[keyword].value:
        raise InputError(f"{layout.what} is cut short or holds no pixels; copy or export it again")
    data = bytes(header[keyword].value)
    if keyword != "PixelData":
        return _floats(data, keyword, header, layout)
    syntax = _syntax(header)
    packed = data[:4] == b"\xfe\xff\x00\xe0" and (header[keyword].is_undefined_length or _is_packing(syntax))
    notes: list[str] = []
    if packed:
        raw, syntax = _unpacked(header, data, syntax, layout, notes)
    elif not syntax.is_transfer_syntax and str(syntax) not in _BIG_ENDIAN_PIXELS:
        _refuse_syntax(syntax, layout.what)
    else:
        if _is_packing(syntax):
            if len(data) != layout.pixels * layout.allocated // 8:
                _refuse_syntax(syntax, layout.what)
            notes.append(f"its header names a compression ({syntax.name}) that its pixels do not have")
        raw = _plain(data, header[keyword].VR, str(syntax), layout, notes)
    padding = _padding(raw, header, layout)
    stored = _settled(raw if padding is None else np.where(padding, raw.dtype.type(0), raw), header, layout, notes)
    if padding is not None:
        stored = np.where(padding, raw, stored)
    lossy = None
    ending = str(syntax).removeprefix(_JPEG)
    # Some lossy syntaxes may hold a stream that lost nothing; a header that says so is believed.
    if packed and ending in _LOSSY and (ending in ("50", "51") or text(header, "LossyImageCompression") != "00"):
        lossy = _LOSSY[ending], round(layout.pixels * layout.allocated / 8 / max(len(data), 1), 2)
    return Pixels(stored, padding, tuple(dict.fromkeys(notes)), lossy)


def _is_packing(syntax: UID) -> bool:
    return syntax.is_transfer_syntax and syntax.is_encapsulated


def _syntax(header: Dataset) -> UID:
    meta = getattr(header, "file_meta", Dataset())
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if syntax:
        return syntax
    # Old files without a file header carry plain pixels; pydicom found out their byte order while reading.
    return UID("1.2.840.10008.1.2.2" if header.original_encoding[1] is False else str(ExplicitVRLittleEndian))


def _expect(data: bytes, promised: int, layout: _Layout, notes: list[str]) -> bytes:
    """As many bytes as the header promises; padding behind them is left out, and more than that is refused."""
    what, there = layout.what, len(data)
    if there < promised:
        raise InputError(f"{what} is cut short: {promised} bytes of pixels are promised and {there} are there; copy or export it again")
    extra = data[promised:]
    if len(extra) > 1:
        # Filling is one value over and over, and less than what a slice would take.
        if len(set(extra)) > 1 or len(extra) * layout.frames >= promised:
            raise InputError(
                f"{what} does not fit its header: {promised} bytes of pixels are promised and {there} are there; export it again"
            )
        notes.append(f"{len(extra)} bytes of filling follow the pixels that the header promises; they were left out")
    return data[:promised]


def _floats(data: bytes, keyword: str, header: Dataset, layout: _Layout) -> Pixels:
    notes: list[str] = []
    size = 4 if keyword == "FloatPixelData" else 8
    order = ">" if str(_syntax(header)) in _BIG_ENDIAN_PIXELS else "<"
    values = np.frombuffer(_expect(data, layout.pixels * size, layout, notes), f"{order}f{size}").astype(f"f{size}")
    values = values.reshape(layout.frames, layout.rows, layout.columns)
    padding = ~np.isfinite(values)
    name = keyword.removesuffix("PixelData")
    value, limit = (header.get(f"{name}PixelPadding{kind}") for kind in ("Value", "RangeLimit"))
    if isinstance(value, float):
        ends = sorted((value, limit if isinstance(limit, float) else value))
        padding |= (values >= ends[0]) & (values <= ends[1])
    return Pixels(values, padding if padding.any() else None, tuple(notes))


def _plain(data: bytes, vr: str, syntax: str, layout: _Layout, notes: list[str]) -> np.ndarray:
    """Uncompressed pixels in all their allocated bits."""
    big = syntax in _BIG_ENDIAN_PIXELS
    data = _expect(data, (layout.pixels * layout.allocated + 7) // 8, layout, notes)
    if big and layout.allocated in (8, 12) and vr == "OW":
        even = data + b"\0" * (len(data) % 2)
        data = np.frombuffer(even, ">u2").astype("<u2").tobytes()
    if layout.allocated == 12:
        values = _from_twelve(data, layout.pixels).view("i2" if layout.signed else "u2")
    else:
        kind = f"{'>' if big else '<'}{'i' if layout.signed else 'u'}{layout.allocated // 8}"
        values = np.frombuffer(data, kind, layout.pixels)
        values = values.astype(values.dtype.newbyteorder("="))
    return values.reshape(layout.frames, layout.rows, layout.columns)


def _from_twelve(data: bytes, count: int) -> np.ndarray:
    """Two pixels in three bytes, the lower bits first (PS3.5 Annex D of the editions that had this form)."""
    triples = np.frombuffer(data + b"\0" * (-len(data) % 3), np.uint8).reshape(-1, 3).astype("u2")
    first, second = triples[:, 0] | (triples[:, 1] & 15) << 8, triples[:, 1] >> 4 | triples[:, 2] << 4
    return np.stack([first, second], axis=1).reshape(-1)[:count].astype("u2")


def _padding(raw: np.ndarray, header: Dataset, layout: _Layout) -> np.ndarray | None:
    """Where Pixel Padding Value (0028,0120), or the range up to its Limit (0028,0121), stands."""
    ends = [_as_stored(header.get(keyword), layout) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None:
        return None
    low, high = sorted((ends[0], ends[0] if ends[1] is None else ends[1]))
    return (raw >= low) & (raw <= high)


def _as_stored(value: object, layout: _Layout) -> int | None:
    """A padding value as the pixels have it: many files write a negative one as US, or a large one as SS."""
    if isinstance(value, bytes) and len(value) in (2, 4):
        value = int.from_bytes(value, "little")
    if not isinstance(value, int):
        return None
    size = max(layout.allocated, 8) if layout.allocated != 12 else 16
    if size == 32 and value < 0 and not layout.signed:
        return value & 0xFFFF
    value &= (1 << min(size, 16)) - 1
    if layout.signed and value >> (min(size, 16) - 1):
        value -= 1 << min(size, 16)
    return value


def _settled(raw: np.ndarray, header: Dataset, layout: _Layout, notes: list[str]) -> np.ndarray:
    """Only the Bits Stored of every value, sign and all: overlay planes may lie in the others."""
    width = raw.dtype.itemsize * 8
    if layout.bits >= width:
        return raw
    shift = layout.high + 1 - layout.bits
    low, high = (-(1 << layout.bits - 1), 1 << layout.bits) if layout.signed else (0, 1 << layout.bits)
    within = int(raw.min()) >= low and int(raw.max()) < high
    if shift and within:
        notes.append("its High Bit (0028,0102) does not fit its pixels and was not followed")
        shift = 0
    if not shift and not within and not overlay_groups(header):
        notes.append(f"some pixels use more than its {layout.bits} Bits Stored (0028,0101); only those bits were read")
    up = width - layout.bits - shift
    return np.right_shift(np.left_shift(raw, up), width - layout.bits)


def overlay_groups(header: Dataset) -> list[int]:
    """The groups (60xx) of overlay planes in a header."""
    return sorted({tag.group for tag in header.keys() if 0x6000 <= tag.group <= 0x60FF and tag.group % 2 == 0})  # noqa: SIM118


def _unpacked(header: Dataset, data: bytes, syntax: UID, layout: _Layout, notes: list[str]) -> tuple[np.ndarray, UID]:
    """Compressed pixels in all their allocated bits, and the transfer syntax that they really have."""
    streams = _streams(data, layout)
    found = _of_stream(streams[0], syntax)
    if found != syntax:
        notes.append(f"its header names another compression ({syntax.name}) than its pixels have ({found.name})")
    ways = list(_decoders(found))
    if not ways:
        _refuse_syntax(found, layout.what)
    if found != RLELossless and any(stream.rstrip(b"\0")[-2:] != b"\xff\xd9" for stream in streams):
        raise InputError(f"{layout.what} is cut short: its pixels ({found.name}) have no end; copy or export it again")
    pictures = [_picture(stream, found, ways, layout) for stream in streams]
    return np.stack(pictures), found


def _streams(data: bytes, layout: _Layout) -> list[bytes]:
    """The packed frames. Offset tables are often empty or wrong, so that a fragment a frame is told by their number."""
    _, *fragments = generate_fragments(data)
    if layout.frames == 1 and fragments:
        return [b"".join(fragments)]
    found = list(fragments) if len(fragments) == layout.frames else list(generate_frames(data, number_of_frames=layout.frames))
    if len(found) != layout.frames or not all(found):
        raise InputError(f"{layout.what} promises {layout.frames} packed frames and holds {len(found)}; copy or export it again")
    return found


def _of_stream(stream: bytes, syntax: UID) -> UID:
    """The transfer syntax of a packed frame by its own beginning, where that contradicts the header's."""
    kind = ""
    if stream[:4] == b"\xff\x4f\xff\x51":
        # A codestream with a CAP segment is of the high-throughput kind.
        kind = "201" if b"\xff\x50" in stream[:256] else "90"
    elif stream[:2] == b"\xff\xd8":
        at = 2
        while at + 4 <= len(stream) and stream[at] == 0xFF and not kind:
            kind = _STREAMS.get(stream[at : at + 2], "")
            at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    elif syntax.is_transfer_syntax and not _is_packing(syntax) and 0 < int.from_bytes(stream[:4], "little") < 16:
        return RLELossless  # a stream that begins with its number of segments
    alike = {"50": ("50", "51"), "51": ("50", "51"), "70": ("57", "70"), "80": ("80", "81"), "90": ("90", "91", "92", "93")}
    if not kind or str(syntax).removeprefix(_JPEG) in alike.get(kind, ("201", "202", "203")):
        return syntax
    return UID(_JPEG + kind)


_Decoder = Callable[[Dataset], np.ndarray]


def _decoders(syntax: UID) -> Iterator[_Decoder]:
    """The ways to unpack one frame that this installation has, the first to be asked first."""
    if str(syntax) in _SILENT:
        yield _by_gdcm
    # OpenJPEG, which Pillow carries, reads the high-throughput streams too, but pydicom does not ask it for them.
    for name in (syntax, UID(_JPEG + "90")) if syntax in _HIGH_THROUGHPUT else (syntax,):
        try:
            decoder = get_decoder(name)
        except (NotImplementedError, ValueError):
            continue
        for plugin in decoder.available_plugins:

            def by_pydicom(frame: Dataset, decoder=decoder, plugin=plugin) -> np.ndarray:
                frame.file_meta.TransferSyntaxUID = decoder.UID
                return decoder.as_array(frame, decoding_plugin=plugin, correct_unused_bits=False)[0]

            yield by_pydicom
    if str(syntax) in _GDCM_READS - _SILENT:
        yield _by_gdcm


def _picture(stream: bytes, syntax: UID, ways: list[_Decoder], layout: _Layout) -> np.ndarray:
    """One packed frame (rows, columns), from the first decoder whose answer is plausible."""
    frame = _alone(stream, syntax, layout)
    second_best: np.ndarray | None = None
    for way in ways:
        try:
            picture = np.asarray(way(frame))
        except _Damaged:
            break
        except PARSING_FAULTS:
            continue
        if picture.shape != (layout.rows, layout.columns) or picture.dtype.kind not in "iu":
            continue
        kind = np.dtype(f"{'i' if layout.signed else 'u'}{layout.allocated // 8}")
        if picture.dtype.itemsize > kind.itemsize and (picture.min() < np.iinfo(kind).min or picture.max() > np.iinfo(kind).max):
            continue
        picture = picture.astype(kind)
        if picture.min() != picture.max():
            return picture
        # An empty slice, or a decoder that gave up: another one may know better.
        second_best = picture if second_best is None else second_best
    if second_best is None:
        raise InputError(
            f"{layout.what}: no decoder here can unpack its pixels ({syntax.name}); they are damaged or packed in an unusual way. "
            "Export it again, uncompressed"
        )
    return second_best


def _alone(stream: bytes, syntax: UID, layout: _Layout) -> Dataset:
    """One packed frame as a data set of its own, with nothing that changes its values."""
    frame = Dataset()
    frame.file_meta = FileMetaDataset()
    frame.file_meta.TransferSyntaxUID = syntax
    frame.file_meta.MediaStorageSOPClassUID = frame.SOPClassUID = SecondaryCaptureImageStorage
    frame.file_meta.MediaStorageSOPInstanceUID = frame.SOPInstanceUID = generate_uid(prefix=None)
    frame.SamplesPerPixel, frame.PhotometricInterpretation = 1, "MONOCHROME2"
    frame.Rows, frame.Columns = layout.rows, layout.columns
    frame.BitsAllocated, frame.BitsStored, frame.HighBit = layout.allocated, layout.bits, layout.bits - 1
    frame.PixelRepresentation = int(layout.signed)
    frame.add_new("PixelData", "OB", encapsulate([stream]))
    frame["PixelData"].is_undefined_length = True
    return frame


class _Damaged(ValueError):
    """A decoder went on after it had complained."""


def _by_gdcm(frame: Dataset) -> np.ndarray:
    """One frame through SimpleITK's GDCM, which reads files only. What it complains of is an error, as it goes on after it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.dcm"
        frame.save_as(path, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        with itk_printing_into(Path(folder) / "said", warnings=True):
            image = reader.Execute()
        said = (Path(folder) / "said").read_text(errors="replace").splitlines()
        if any(line.strip() and not line.startswith(_TRIES) for line in said):
            raise _Damaged
    return sitk.GetArrayFromImage(image).reshape(frame.Rows, frame.Columns)


def _refuse_syntax(syntax: UID, what: str) -> None:
    name = syntax.name if syntax.is_transfer_syntax else f"unknown transfer syntax {syntax[:40]}"
    raise InputError(f"{what} is compressed ({name}), for which there is no decoder here; export it uncompressed")
