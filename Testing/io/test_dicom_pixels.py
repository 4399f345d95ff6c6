"""Pixels of every packing and bit depth: right to the last value, or one sentence that names what cannot be read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dicom_factory as factory
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from test_dicom_out import complaints

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.pixels import decode

PACKED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "packed_pixels.json").read_text())
TOLERANCE = {"JPEG-LS near-lossless, 12 bits": 2, "JPEG 2000 lossy, 16 bits": 600, "JPEG Extended, 12 bits": 40, "JPEG Baseline, 8 bits": 6}
LOSSLESS = [name for name in PACKED if name not in TOLERANCE]


def truth(bits: int, signed: bool) -> np.ndarray:
    """The picture that every packed stream holds: over the whole range of its bits."""
    y, x = np.mgrid[:16, :12].astype(int)
    return (-(1 << bits - 1) if signed else 0) + ((3 * x + 2 * y) * ((1 << bits) - 1)) // 80 + (x * y) % 3


def packed(name: str, path: Path, streams: list[bytes] | None = None, change: Callable[[Dataset], None] | None = None) -> Path:
    """A file whose pixels are packed: one frame a stream."""
    one = PACKED[name]
    streams = streams or [base64.b64decode(one["stream"])]
    bits, signed = one["bits"], one["signed"]
    ds = factory.slice_header(0, BitsAllocated=8 if bits == 8 else 16, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=int(signed))
    ds.Rows, ds.Columns = 16, 12
    if len(streams) > 1:
        ds.NumberOfFrames = len(streams)
    ds.add_new("PixelData", "OB", encapsulate(streams, has_bot=False))
    ds["PixelData"].is_undefined_length = True
    if change:
        change(ds)
    return factory.save(ds, path, one["syntax"])


@pytest.mark.parametrize("name", PACKED)
def test_every_packing_gives_the_pixels_that_were_packed(tmp_path: Path, name: str) -> None:
    one = PACKED[name]
    found = decode(packed(name, tmp_path / "a.dcm"))
    apart = np.abs(found.stored[0].astype(int) - truth(one["bits"], one["signed"])).max()
    assert apart <= TOLERANCE.get(name, 0) and found.stored.dtype.kind == ("i" if one["signed"] else "u")
    assert (found.lossy is not None) == (name in TOLERANCE) and found.notes == ()


@pytest.mark.parametrize("name", LOSSLESS)
def test_frames_are_told_apart_without_an_offset_table_and_in_several_fragments(tmp_path: Path, name: str) -> None:
    stream = base64.b64decode(PACKED[name]["stream"])
    frames = decode(packed(name, tmp_path / "a.dcm", [stream] * 3)).stored
    assert frames.shape == (3, 16, 12) and np.array_equal(frames[2], truth(PACKED[name]["bits"], PACKED[name]["signed"]))

    def in_pieces(ds: Dataset) -> None:
        ds.PixelData = encapsulate([stream], fragments_per_frame=3)

    if "RLE" not in name:
        assert np.array_equal(decode(packed(name, tmp_path / "b.dcm", change=in_pieces)).stored[0], frames[0])


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_image_that_lost_its_end_is_never_taken_for_an_image(tmp_path: Path, name: str) -> None:
    stream = base64.b64decode(PACKED[name]["stream"])
    for part in (0.3, 0.6, 0.9):
        cut = stream[: int(len(stream) * part)]
        for kept in (cut, cut + b"\xff\xd9"):
            with pytest.raises(InputError, match="cut short|no decoder|damaged"):
                decode(packed(name, tmp_path / "a.dcm", [kept]))


def test_a_header_that_names_another_packing_than_the_pixels_have_is_seen_through(tmp_path: Path) -> None:
    for name, wrong in (
        ("JPEG-LS lossless, signed 12", ".70"),
        ("JPEG Lossless SV1, signed 16", ".90"),
        ("JPEG 2000 lossless, signed 12", ".50"),
    ):
        path = packed(name, tmp_path / "a.dcm")
        right = PACKED[name]["syntax"]
        path.write_bytes(path.read_bytes().replace(right.encode(), (right[:-3] + wrong).encode()))
        found = decode(path)
        assert np.array_equal(found.stored[0], truth(PACKED[name]["bits"], True)) and "another compression" in found.notes[0]


@pytest.mark.parametrize(
    ("syntax", "said"), [("1.2.840.10008.1.2.4.100", "MPEG2"), ("1.2.840.10008.1.2.4.53", "Non-Hierarchical"), ("1.2.9.9", "1.2.9.9")]
)
def test_a_packing_without_decoder_is_named_and_not_called_damaged(tmp_path: Path, syntax: str, said: str) -> None:
    path = packed("RLE, signed 16", tmp_path / "a.dcm")
    ds = dcmread(path)
    factory.save(ds, path, syntax)
    with pytest.raises(InputError, match=f"{said}.*no decoder here") as caught:
        decode(path)
    assert "damaged" not in str(caught.value)


def test_a_lossy_source_is_told_and_its_result_says_so(tmp_path: Path) -> None:
    source = io.read(packed("JPEG 2000 lossy, 16 bits", tmp_path / "in" / "a.dcm"))
    assert "compressed with loss" in source.notes[0]
    io.write(source, tmp_path / "out")
    (written,) = map(dcmread, (tmp_path / "out").iterdir())
    assert written.LossyImageCompression == "01" and written.LossyImageCompressionMethod == "ISO_15444_1"
    assert 1.5 < float(written.LossyImageCompressionRatio) < 2.5 and written.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def _left_aligned(ds: Dataset, picture: np.ndarray) -> None:
    ds.BitsStored, ds.HighBit, ds.PixelData = 12, 15, (picture << 4).tobytes()


def _overlay_in_unused_bits(ds: Dataset, picture: np.ndarray) -> None:
    ds.PixelData = (picture | (np.indices(picture.shape).sum(axis=0) % 2 << 12).astype(np.uint16)).tobytes()
    for element, vr, value in (
        (0x10, "US", 12),
        (0x11, "US", 10),
        (0x40, "CS", "G"),
        (0x50, "SS", [1, 1]),
        (0x100, "US", 16),
        (0x102, "US", 12),
    ):
        ds.add_new((0x6000, element), vr, value)


def _twelve_packed(ds: Dataset, picture: np.ndarray) -> None:
    pairs = picture.reshape(-1, 2).astype(int)
    one, other = pairs.T
    ds.BitsAllocated = 12
    ds.PixelData = np.stack([one & 255, one >> 8 | (other & 15) << 4, other >> 4], axis=1).astype(np.uint8).tobytes()


def _thirty_two(ds: Dataset, picture: np.ndarray) -> None:
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelData = 32, 32, 31, picture.astype(np.uint32).tobytes()


def _sign_in_twelve_bits(ds: Dataset, picture: np.ndarray) -> None:
    ds.PixelRepresentation, ds.RescaleIntercept, ds.RescaleSlope = 1, 500, 1
    ds.PixelData = ((picture.astype(int) - 500) & 0xFFF).astype(np.uint16).tobytes()


def _double(ds: Dataset, picture: np.ndarray) -> None:
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        del ds[keyword]
    ds.BitsAllocated = 64
    ds.add_new("DoubleFloatPixelData", "OD", picture.astype(float).tobytes())


def _filled_up(ds: Dataset, picture: np.ndarray) -> None:
    ds.PixelData = picture.tobytes() + bytes(30)


def _negative_slope(ds: Dataset, picture: np.ndarray) -> None:
    ds.RescaleSlope, ds.RescaleIntercept, ds.PixelData = -1, 4095, (4095 - picture).tobytes()


FORMS = [
    *(_left_aligned, _overlay_in_unused_bits, _twelve_packed, _thirty_two),
    *(_sign_in_twelve_bits, _double, _filled_up, _negative_slope),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_stored_bits_is_read_and_its_result_holds_the_same(tmp_path: Path, form: Callable) -> None:
    for k in range(3):
        ds = factory.slice_header(k)
        form(ds, factory.picture(k))
        factory.save(ds, tmp_path / "in" / f"{k}.dcm")
    source = io.read(tmp_path / "in")
    assert np.array_equal(source.voxels, np.stack([factory.picture(k) for k in range(3)]))
    assert bool(source.notes) == (form is _filled_up)
    io.write(source, tmp_path / "out")
    assert np.array_equal(io.read(tmp_path / "out").voxels, source.voxels)
    written = dcmread(tmp_path / "out" / "IM00001.dcm")
    assert not [tag for tag in written.keys() if tag.group == 0x6000]  # noqa: SIM118
    assert complaints(tmp_path / "out" / "IM00001.dcm") - complaints(tmp_path / "in" / "0.dcm") == set()


def padded(
    folder: Path, pad: int, element: int, *, signed: bool = True, kind: str = "SS", bits: int = 16, mono: int = 2, lift: int = 0
) -> np.ndarray:
    """A series with a border of padding; returns what its files store (slice, row, column)."""
    stored = []
    for k in range(3):
        plane = factory.picture(k, 20, 16).astype(int) + lift
        plane = (1 << bits) - 1 - plane if mono == 1 else plane
        plane[:5], plane[:, :4] = pad, pad
        ds = factory.slice_header(
            k, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=int(signed), PhotometricInterpretation=f"MONOCHROME{mono}"
        )
        factory.put_pixels(ds, plane.astype(np.int16 if signed else np.uint16))
        ds.add_new("PixelPaddingValue", kind, element)
        factory.save(ds, folder / f"{k}.dcm")
        stored.append(plane)
    return np.stack(stored)


PADDING: dict[str, tuple[int, int, dict[str, Any]]] = {
    "negative, as unsigned element": (-2000, 63536, {"kind": "US"}),
    "large, as signed element": (63536, -2000, {"signed": False}),
    "top of twelve bits": (4095, 4095, {"signed": False, "kind": "US", "bits": 12}),
    "beyond the bits stored": (-32768, -32768, {"bits": 12}),
    "a value that tissue has too": (63, 63, {"signed": False, "kind": "US", "bits": 12}),
    "white of a negative picture": (0, 0, {"signed": False, "kind": "US", "bits": 12, "mono": 1}),
    "zero below a pedestal": (0, 0, {"signed": False, "kind": "US", "bits": 12, "lift": 2000, "mono": 1}),
}


@pytest.mark.parametrize("name", PADDING)
def test_padding_is_no_signal_and_keeps_its_value(tmp_path: Path, name: str) -> None:
    pad, element, how = PADDING[name]
    stored = padded(tmp_path / "in", pad, element, **how)
    border = np.zeros(stored.shape, bool)
    border[:, :5], border[:, :, :4] = True, True
    source = io.read(tmp_path / "in")
    assert source.unmeasured is not None and np.array_equal(source.unmeasured.mask, border)
    assert not source.voxels[border].any() and source.voxels[~border].min() >= 0 and "padding" in " ".join(source.notes)
    io.write(source.with_voxels(source.voxels * 0.5 + 7), tmp_path / "out")
    written = np.stack([dcmread(path).pixel_array for path in sorted((tmp_path / "out").iterdir())])
    assert (written[border] == pad).all() and (written[~border] != stored[~border]).any()
    assert complaints(tmp_path / "out" / "IM00001.dcm") - complaints(tmp_path / "in" / "0.dcm") == set()


def test_a_padding_value_of_zero_in_an_ordinary_image_changes_nothing(tmp_path: Path) -> None:
    stored = padded(tmp_path / "in", 0, 0, signed=False, kind="US", bits=12)
    source = io.read(tmp_path / "in")
    assert source.unmeasured is None and source.notes == () and np.array_equal(source.voxels, stored)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_a_negative_picture_is_read_as_signal_and_shown_as_before(tmp_path: Path, bits: int) -> None:
    top = (1 << bits) - 1
    pictures = np.stack([factory.picture(k) for k in range(3)]).astype(int)
    for k, plane in enumerate(top - pictures):
        ds = factory.slice_header(k, BitsStored=bits, HighBit=bits - 1, PhotometricInterpretation="MONOCHROME1")
        factory.save(factory.put_pixels(ds, plane.astype(np.uint16)), tmp_path / "in" / f"{k}.dcm")
    source = io.read(tmp_path / "in")
    assert np.array_equal(source.voxels, pictures - pictures.min()) and "MONOCHROME1" in source.notes[0]
    io.write(source.with_voxels(source.voxels * 0.5), tmp_path / "out")
    for path, plane in zip(sorted((tmp_path / "out").iterdir()), pictures, strict=True):
        ds = dcmread(path)
        assert ds.PhotometricInterpretation == "MONOCHROME1" and ds.WindowCenter == 400
        assert np.abs(ds.pixel_array - (top - pictures.min() - (plane - pictures.min()) * 0.5)).max() <= 0.5


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ("mask", {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": bytes(16)}),
        ("server", {"PixelData": None, "PixelDataProviderURL": "http://a.b/c"}),
        ("does not fit", {"PixelData": factory.picture(0).tobytes() + bytes(range(40))}),
    ],
)
def test_what_holds_no_picture_says_why(tmp_path: Path, said: str, changes: dict[str, Any]) -> None:
    path = factory.save(factory.slice_header(0, **changes), tmp_path / "a.dcm")
    with pytest.raises(InputError, match=said):
        io.read(path)
