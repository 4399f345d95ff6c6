"""Two hundred ways in which an image can be wrong, made from small good files with a seeded random generator."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

SHAPE = (5, 24, 28)
REFUSED = frozenset({2})
REFUSED_OR_DONE = frozenset({0, 2})

# Name, ending, compressed. The compressed .nii is .nii.gz.
FORMATS = {
    "nii": (".nii", False),
    "nii.gz": (".nii.gz", True),
    "nrrd": (".nrrd", False),
    "nrrd-gzip": (".nrrd", True),
    "mha": (".mha", False),
    "mha-zlib": (".mha", True),
}


@dataclass(frozen=True)
class Case:
    """One damaged input: ``make(folder, random)`` writes it and returns the path to hand to the program."""

    name: str
    make: Callable[[Path, np.random.Generator], Path]
    statuses: frozenset[int] = REFUSED


def phantom(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A noisy int16 ellipsoid with a structure inside, axis order (z, y, x)."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    body = (0.3 * z**2 + y**2 + x**2 < 0.7) * (700 + 250 * np.sin(6 * x) * np.cos(5 * y))
    return np.abs(body + np.random.default_rng(1).normal(0, 30, shape)).astype(np.int16)


def save(voxels: np.ndarray, path: Path, *, compress: bool = False, vector: bool = False) -> Path:
    """Write an array (z, y, x or t, z, y, x) with 1 x 1 x 4 mm voxels."""
    image = sitk.GetImageFromArray(voxels, isVector=vector)
    image.SetSpacing((1.0, 1.0, 4.0, 1.0)[: image.GetDimension()])
    sitk.WriteImage(image, str(path), useCompression=compress)
    return path


def good(kind: str, folder: Path) -> Path:
    """A good file of one of :data:`FORMATS`."""
    ending, compress = FORMATS[kind]
    return save(phantom(), folder / f"image{ending}", compress=compress)


def dicom_slice(index: int, pixels: np.ndarray, *, series: str = "1.2.826.0.1.3680043.8.498.1", number: int = 1) -> FileDataset:
    """One slice of a classic MR series with 4 mm between the slices."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series, str(index)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    slice_.SOPClassUID, slice_.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    slice_.Modality, slice_.BodyPartExamined, slice_.Manufacturer = "MR", "HEAD", "SIEMENS"
    slice_.PatientName, slice_.PatientID, slice_.StudyDate = "Nobody^Real", "phantom", "20200101"
    slice_.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    slice_.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.3"
    slice_.SeriesInstanceUID, slice_.SeriesNumber, slice_.InstanceNumber = series, number, index + 1
    slice_.ScanningSequence, slice_.SequenceVariant, slice_.MRAcquisitionType = "SE", "NONE", "2D"
    slice_.EchoTime, slice_.RepetitionTime, slice_.SliceThickness = 15.0, 500.0, 4.0
    slice_.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    slice_.ImageOrientationPatient, slice_.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 4.0 * index]
    slice_.PixelSpacing = [1, 1]
    slice_.Rows, slice_.Columns = pixels.shape[:2]
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 16, 15, 1
    slice_.PixelData = pixels.astype("<i2").tobytes()
    return slice_


Slices = list[FileDataset]


def dicom_folder(folder: Path, change: Callable[[Slices], Slices | None] | None = None) -> Path:
    """A folder with a classic series, after ``change`` was applied to (or returned another list of) its slices."""
    slices = [dicom_slice(index, image) for index, image in enumerate(phantom())]
    if change is not None:
        slices = change(slices) or slices
    folder = folder / "series"
    folder.mkdir()
    for number, slice_ in enumerate(slices):
        slice_.save_as(folder / f"IM{number:03d}")
    return folder


def cases() -> list[Case]:
    """All of them, in a fixed order."""
    return [*_truncated(), *_damaged_headers(), *_bit_flips(), *_wrong_voxels(), *_wrong_files(), *_wrong_series(), *_damaged_slices()]


def _truncated() -> Iterator[Case]:
    for kind in FORMATS:
        for attempt in range(12):

            def make(folder: Path, random: np.random.Generator, kind: str = kind) -> Path:
                path = good(kind, folder)
                whole = path.read_bytes()
                path.write_bytes(whole[: random.integers(0, len(whole))])
                return path

            yield Case(f"{kind} cut short, {attempt}", make)


def _header_length(path: Path) -> int:
    """Bytes before the voxels (NIfTI: 352 unpacked, of which .nii.gz starts with its own 10)."""
    if path.name.endswith(".nii"):
        return 352
    if path.name.endswith(".gz"):
        return 10
    return path.read_bytes().index(b"\n\n" if path.suffix == ".nrrd" else b"LOCAL")


def _damaged_headers() -> Iterator[Case]:
    for kind in FORMATS:
        for attempt in range(7):

            def make(folder: Path, random: np.random.Generator, kind: str = kind) -> Path:
                path = good(kind, folder)
                content = bytearray(path.read_bytes())
                for _ in range(8):
                    content[random.integers(0, _header_length(path))] = random.integers(0, 256)
                path.write_bytes(content)
                return path

            yield Case(f"{kind} with random bytes in its header, {attempt}", make, REFUSED_OR_DONE)
    for attempt in range(6):

        def make_inside(folder: Path, random: np.random.Generator) -> Path:
            path = good("nii.gz", folder)
            content = bytearray(gzip.decompress(path.read_bytes()))
            for _ in range(4):
                content[random.integers(0, 352)] = random.integers(0, 256)
            path.write_bytes(gzip.compress(bytes(content)))
            return path

        yield Case(f"nii.gz with random bytes in the header inside, {attempt}", make_inside, REFUSED_OR_DONE)


def _bit_flips() -> Iterator[Case]:
    for kind in FORMATS:
        for attempt in range(4):

            def make(folder: Path, random: np.random.Generator, kind: str = kind) -> Path:
                path = good(kind, folder)
                content = bytearray(path.read_bytes())
                content[random.integers(0, len(content))] ^= 1 << int(random.integers(0, 8))
                path.write_bytes(content)
                return path

            yield Case(f"{kind} with one bit flipped, {attempt}", make, REFUSED_OR_DONE)


def _wrong_voxels() -> Iterator[Case]:
    many_nan, all_infinite = phantom().astype(np.float32), phantom().astype(np.float32)
    many_nan[:, 4:20:2, 4:24:2] = np.nan
    all_infinite[2] = np.inf
    images: dict[str, np.ndarray] = {
        "NaN all over": many_nan,
        "an infinite slice": all_infinite,
        "one value everywhere": np.full(SHAPE, 7, np.int16),
        "only zeros": np.zeros(SHAPE, np.float32),
    }
    for what, voxels in images.items():
        for ending in (".nii.gz", ".nrrd", ".mha"):
            yield Case(f"{ending} with {what}", lambda folder, _, v=voxels, e=ending: save(v, folder / f"image{e}"))
    colour = np.stack([phantom().clip(0, 255).astype(np.uint8)] * 3, axis=-1)
    for ending in (".nii", ".nrrd", ".mha"):
        yield Case(f"{ending} in colour", lambda folder, _, e=ending: save(colour, folder / f"image{e}", vector=True))
        yield Case(f"{ending} with four volumes", lambda folder, _, e=ending: save(np.stack([phantom()] * 4), folder / f"image{e}"))
        yield Case(f"{ending} with complex voxels", lambda folder, _, e=ending: save(phantom().astype(np.complex64), folder / f"image{e}"))


def _rewritten(kind: str, old: bytes, new: bytes) -> Callable[[Path, np.random.Generator], Path]:
    def make(folder: Path, _: np.random.Generator) -> Path:
        path = good(kind, folder)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
        return path

    return make


def _nifti_field(offset: int, value: bytes) -> Callable[[Path, np.random.Generator], Path]:
    def make(folder: Path, _: np.random.Generator) -> Path:
        path = good("nii", folder)
        content = bytearray(path.read_bytes())
        content[offset : offset + len(value)] = value
        path.write_bytes(content)
        return path

    return make


def _written(name: str, content: bytes) -> Callable[[Path, np.random.Generator], Path]:
    def make(folder: Path, _: np.random.Generator) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return make


def _renamed(kind: str, ending: str) -> Callable[[Path, np.random.Generator], Path]:
    def make(folder: Path, _: np.random.Generator) -> Path:
        path = folder / f"wrong{ending}"
        shutil.copy(good(kind, folder), path)
        return path

    return make


def _folder(name: str, content: bytes | None) -> Callable[[Path, np.random.Generator], Path]:
    def make(folder: Path, _: np.random.Generator) -> Path:
        (folder / "folder").mkdir()
        if content is not None:
            (folder / "folder" / name).write_bytes(content)
        return folder / "folder"

    return make


def _wrong_files() -> Iterator[Case]:
    text = b"Dear colleague,\nthis is not an image.\n" * 20
    for ending in (".nii", ".nii.gz", ".nrrd", ".mha", ".dcm", ".txt"):
        yield Case(f"a text file called {ending}", _written(f"letter{ending}", text))
        yield Case(f"an empty file called {ending}", _written(f"empty{ending}", b""))
    for kind, ending in (("nii", ".nrrd"), ("nrrd", ".mha"), ("mha", ".nii"), ("mha", ".nii.gz"), ("nii.gz", ".mha"), ("nrrd", ".dcm")):
        yield Case(f"a {kind} called {ending}", _renamed(kind, ending))
    yield Case("nii with zero slices", _nifti_field(46, (0).to_bytes(2, "little")))
    yield Case("nii with a negative size", _nifti_field(44, (-5).to_bytes(2, "little", signed=True)))
    yield Case("nii of an unknown voxel type", _nifti_field(70, (77).to_bytes(2, "little")))
    yield Case("nrrd with zero slices", _rewritten("nrrd", b"sizes: 28 24 5", b"sizes: 28 24 0"))
    yield Case("nrrd promising more slices than it has", _rewritten("nrrd", b"sizes: 28 24 5", b"sizes: 28 24 9"))
    yield Case("nrrd of an unknown type", _rewritten("nrrd", b"type: short", b"type: shirt"))
    yield Case(
        "nrrd with voxels in another file that is missing", _rewritten("nrrd", b"encoding: raw", b"encoding: raw\ndata file: gone.raw")
    )
    yield Case("mha with zero slices", _rewritten("mha", b"DimSize = 28 24 5", b"DimSize = 28 24 0"))
    yield Case("mha promising more slices than it has", _rewritten("mha", b"DimSize = 28 24 5", b"DimSize = 28 24 9"))
    yield Case(
        "mha with voxels in another file that is missing", _rewritten("mha", b"ElementDataFile = LOCAL", b"ElementDataFile = gone.raw")
    )
    yield Case("a name where nothing is", lambda folder, _: folder / "nothing.nii.gz")
    yield Case("a folder name where nothing is", lambda folder, _: folder / "nothing")
    yield Case("an empty folder", _folder("", None))
    yield Case("a folder with a letter in it", _folder("letter.txt", text))
    yield Case("a folder with a picture in it", _folder("picture.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 200))


def _set(slices: Slices, **values: object) -> None:
    for slice_ in slices:
        for name, value in values.items():
            setattr(slice_, name, value)


def _as_ct(slices: Slices) -> None:
    _set(slices, Modality="CT", SOPClassUID=CTImageStorage)
    for slice_ in slices:
        slice_.file_meta.MediaStorageSOPClassUID = CTImageStorage


def _in_colour(slices: Slices) -> None:
    _set(slices, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7)
    _set(slices, PixelRepresentation=0, PixelData=bytes(3 * SHAPE[1] * SHAPE[2]))


def _two_series(slices: Slices) -> Slices:
    other = [dicom_slice(index, image, series="1.2.826.0.1.3680043.8.498.9", number=2) for index, image in enumerate(phantom())]
    return slices + other


def _doubled(slices: Slices) -> Slices:
    again = dicom_slice(2, phantom()[2])
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["again"])
    return [*slices, again]


def _smaller(slices: Slices) -> None:
    _set(slices[2:3], Rows=12, Columns=28, PixelData=slices[2].PixelData[: 12 * 28 * 2])


def _without(*names: str) -> Callable[[Slices], None]:
    def change(slices: Slices) -> None:
        for slice_ in slices:
            for name in names:
                delattr(slice_, name)

    return change


def _unknown_syntax(folder: Path, _: np.random.Generator) -> Path:
    series = dicom_folder(folder)
    for path in series.iterdir():
        # Explicit VR Little Endian's number, exchanged for one of the same length that DICOM never gave out.
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1))
    return series


def _wrong_series() -> Iterator[Case]:
    changes: dict[str, Callable[[Slices], Slices | None]] = {
        "is CT": _as_ct,
        "is in colour": _in_colour,
        "shares its folder with another": _two_series,
        "lacks a slice": lambda slices: slices[:2] + slices[3:],
        "lacks two slices": lambda slices: slices[:1] + slices[3:],
        "has a slice twice": _doubled,
        "has every slice twice": lambda slices: [copy for s in slices for copy in _doubled([s])[:1] + _again(s)],
        "has one smaller slice": _smaller,
        "has one tilted slice": lambda slices: _set(slices[2:3], ImageOrientationPatient=[1, 0, 0, 0, 0.8, 0.6]),
        "has no pixels": _without("PixelData"),
        "has no positions": _without("ImagePositionPatient"),
        "has no orientation": _without("ImageOrientationPatient"),
        "has no matrix": _without("Rows", "Columns"),
        "has no pixel spacing": _without("PixelSpacing"),
        "has pixel spacing zero": lambda slices: _set(slices, PixelSpacing=[0, 0]),
        "has a zero orientation": lambda slices: _set(slices, ImageOrientationPatient=[0, 0, 0, 0, 0, 0]),
        "has too few pixels": lambda slices: _set(slices, PixelData=slices[0].PixelData[:100]),
        "is of one value": lambda slices: _set(slices, PixelData=b"\x05\x00" * (SHAPE[1] * SHAPE[2])),
        "has two images at each position": lambda slices: [copy for s in slices for copy in (s, *_again(s, EchoTime=90.0, EchoNumbers=2))],
    }
    for what, change in changes.items():
        # What lies there twice, pixel by pixel, counts once.
        statuses = frozenset({0}) if what in ("has a slice twice", "has every slice twice") else REFUSED
        yield Case(f"a series that {what}", lambda folder, _, c=change: dicom_folder(folder, c), statuses)
    yield Case("a series in a transfer syntax nobody knows", _unknown_syntax)


def _again(slice_: FileDataset, **values: object) -> Slices:
    copy = dicom_slice(slice_.InstanceNumber - 1, phantom()[slice_.InstanceNumber - 1])
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["copy", str(slice_.InstanceNumber)])
    _set([copy], **values)
    return [copy]


def _damaged_slices() -> Iterator[Case]:
    for attempt in range(8):

        def cut(folder: Path, random: np.random.Generator, victim_at: int = (0, SHAPE[0] // 2, SHAPE[0] - 1)[attempt % 3]) -> Path:
            series = dicom_folder(folder)
            victim = series / f"IM{victim_at:03d}"
            whole = victim.read_bytes()
            victim.write_bytes(whole[: random.integers(0, len(whole))])
            return series

        yield Case(f"a series with one file cut short, {attempt}", cut)
    for attempt in range(8):

        def scribble(folder: Path, random: np.random.Generator) -> Path:
            series = dicom_folder(folder)
            victim = series / f"IM{random.integers(0, SHAPE[0]):03d}"
            content = bytearray(victim.read_bytes())
            for _ in range(6):
                content[random.integers(0, 1200)] = random.integers(0, 256)
            victim.write_bytes(content)
            return series

        yield Case(f"a series with random bytes in one header, {attempt}", scribble, REFUSED_OR_DONE)
