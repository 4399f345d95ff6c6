"""Small synthetic DICOM series of every kind the reader meets, made with pydicom: no patient, no scanner, no file needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CLASSIC = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"

# An oblique, right-handed, exactly orthonormal orientation: rows and columns as DICOM stores them.
ROWS = np.array([0.6, 0.8, 0.0])
COLUMNS = np.array([0.0, 0.0, -1.0])
NORMAL = np.cross(ROWS, COLUMNS)
ORIGIN = np.array([-20.0, 15.0, 40.0])
SPACING = 4.0


def picture(seed: int, rows: int = 12, columns: int = 10) -> np.ndarray:
    """A different uint16 picture for every seed."""
    return np.random.default_rng(seed).integers(1, 1000, (rows, columns), dtype=np.uint16)


def header(sop_class: str = CLASSIC, series: str = "1.2.3.4", number: int = 7) -> Dataset:
    """What a classic and an enhanced MR header have in common."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid(prefix=None)
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3.1", series, "1.2.3.9"
    ds.Modality, ds.Manufacturer, ds.SeriesNumber, ds.SeriesDescription = "MR", "ACME", number, "t2 sag"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", "12345", "", "O"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "20200101", "120000", "1", "", ""
    ds.PositionReferenceIndicator, ds.Laterality, ds.PatientPosition = "", "L", "HFS"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "SE", "NONE", "", "2D"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength, ds.SliceThickness = 2000, 90, 1, 3
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = 400, 800
    return ds


def put_pixels(ds: Dataset, pixels: np.ndarray) -> Dataset:
    """Give a header its pixels (rows, columns) or (frames, rows, columns)."""
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.add_new("PixelData", "OW", pixels.tobytes())
    return ds


def save(ds: Dataset, path: Path, syntax: str = str(ExplicitVRLittleEndian)) -> Path:
    """Write a data set as a DICOM file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def slice_header(place: int, instance: int | None = None, **changes: Any) -> Dataset:
    """The header and pixels of one classic slice at a place (multiple of the spacing along the normal).

    Args:
        place: which place; the picture depends on it and on ``EchoTime``.
        instance: Instance Number, ``place + 1`` by default.
        changes: attributes that are to be other than usual, by keyword; None removes one.
    """
    ds = header()
    ds.InstanceNumber, ds.AcquisitionNumber = instance if instance is not None else place + 1, 1
    ds.ImageOrientationPatient = [*ROWS, *COLUMNS]
    ds.ImagePositionPatient = [round(float(x), 6) for x in ORIGIN + place * SPACING * NORMAL]
    ds.PixelSpacing = [0.9, 0.7]
    put_pixels(ds, picture(place + 1000 * int(float(changes.get("EchoTime", 0)))))
    for keyword, value in changes.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return ds


def series(folder: Path, places: Iterable[int] = range(5), **changes: Any) -> Path:
    """A classic series, its file names in an order that has nothing to do with the slices' places."""
    for k, place in enumerate(places):
        save(slice_header(place, **changes), folder / f"{(k * 7919) % 1009:04d}-{changes.get('EchoTime', '')}.dcm")
    return folder


def _item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def enhanced(path: Path, places: list[int], times: list[int] | None = None, slopes: list[float] | None = None) -> Path:
    """An enhanced multi-frame file: frame k lies at ``places[k]``, at time point ``times[k]``, with Rescale Slope ``slopes[k]``."""
    times = times or [1] * len(places)
    slopes = slopes or [1.0] * len(places)
    ds = header(ENHANCED)
    ds.InstanceNumber, ds.NumberOfFrames = 1, len(places)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "T2", "NONE"]
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[*ROWS, *COLUMNS])]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[0.9, 0.7], SliceThickness=3)]
    ds.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for place, time, slope in zip(places, times, slopes, strict=True):
        item = Dataset()
        item.FrameContentSequence = [_item(StackID="1", TemporalPositionIndex=time, DimensionIndexValues=[time, place + 1])]
        position = [round(float(x), 6) for x in ORIGIN + place * SPACING * NORMAL]
        item.PlanePositionSequence = [_item(ImagePositionPatient=position)]
        item.PixelValueTransformationSequence = [_item(RescaleIntercept=0, RescaleSlope=slope, RescaleType="US")]
        item.MREchoSequence = [_item(EffectiveEchoTime=90.0)]
        item.MRImageFrameTypeSequence = [_item(FrameType=["ORIGINAL", "PRIMARY", "T2", "NONE"])]
        frames.append(item)
    ds.PerFrameFunctionalGroupsSequence = frames
    put_pixels(ds, np.stack([picture(p + 1000 * t) for p, t in zip(places, times, strict=True)]))
    return save(ds, path)
