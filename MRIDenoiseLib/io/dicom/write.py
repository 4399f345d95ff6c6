"""Write a Volume that came from DICOM as a derived DICOM series, to be stored next to its source in the same study.

The source is a file a slice, or enhanced multi-frame files (Enhanced MR Image IOD), whose headers describe every frame.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.io.dicom.encoding import (
    MANUFACTURER,
    Encoding,
    account,
    choose_encoding,
    code,
    derivation_code,
    derived_type,
    put_private_scale,
    put_rescale,
    source_image,
)
from MRIDenoiseLib.io.dicom.files import PARSING_FAULTS, is_dicom, quiet, shallow, text, whole_number
from MRIDenoiseLib.io.dicom.frames import is_enhanced, lookup_groups
from MRIDenoiseLib.io.dicom.read import scaling
from MRIDenoiseLib.io.images import Derivation
from MRIDenoiseLib.volume import Volume

_ORIGINAL_ONLY = (
    "PulseSequenceName",
    "MRAcquisitionType",
    "EchoPulseSequence",
    "MultipleSpinEcho",
    "MultiPlanarExcitation",
    "PhaseContrast",
    "TimeOfFlightContrast",
    "ArterialSpinLabelingContrast",
    "SteadyStatePulseSequence",
    "EchoPlanarPulseSequence",
    "SaturationRecovery",
    "SpectrallySelectedSuppression",
    "OversamplingPhase",
    "GeometryOfKSpaceTraversal",
    "RectilinearPhaseEncodeReordering",
    "SegmentedKSpaceTraversal",
    "CoverageOfKSpace",
    "NumberOfKSpaceTrajectories",
    "BulkMotionCompensationTechnique",
)
"""Attributes of the MR Pulse Sequence and motion modules that only images of type ORIGINAL or MIXED may carry."""


_SERIES_OFFSET = 1000
_STALE = (
    "IconImageSequence",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "DataSetTrailingPadding",
    "ConcatenationUID",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber",
    "SOPInstanceUIDOfConcatenationSource",
)
"""Attributes that describe the source's pixels or file and would be untrue of the result."""
_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def describe_frames(header: Dataset, source: Dataset, encoding: Encoding, derivation: Derivation | None) -> None:
    """Make the functional groups of an enhanced header those of a derived image.

    Args:
        header: the copy to change; its per-frame items are the source's, in the order of the slices.
        source: the source's header.
        encoding: how the pixels are stored.
        derivation: what was done.
    """
    header.ImageType = derived_type(source.get("ImageType"), "PRIMARY")
    header.SourceImageEvidenceSequence = Sequence([*(header.get("SourceImageEvidenceSequence") or []), _evidence(source)])
    for keyword in _ORIGINAL_ONLY:
        if keyword in header:
            del header[keyword]
    shared = [shallow(item) for item in header.get("SharedFunctionalGroupsSequence") or []]
    items = [shallow(item) for item in header.PerFrameFunctionalGroupsSequence]
    for item in (*shared, *items):
        if "MRImageFrameTypeSequence" in item:
            kinds = [shallow(kind) for kind in item.MRImageFrameTypeSequence]
            for kind in kinds:
                kind.FrameType = derived_type(kind.get("FrameType"), "PRIMARY")
            item.MRImageFrameTypeSequence = Sequence(kinds)
        if encoding.rescaled:
            for keyword in ("PixelValueTransformationSequence", "RealWorldValueMappingSequence"):
                if keyword in item:
                    del item[keyword]
    for k, item in enumerate(items):
        origin = item.ConversionSourceAttributesSequence[0]
        del item["ConversionSourceAttributesSequence"]
        step = Dataset()
        step.DerivationDescription = account(derivation)
        step.DerivationCodeSequence = derivation_code()
        step.SourceImageSequence = Sequence(
            [source_image(origin.ReferencedSOPClassUID, origin.ReferencedSOPInstanceUID, origin.ReferencedFrameNumber)]
        )
        item.DerivationImageSequence = Sequence([*(item.get("DerivationImageSequence") or []), step])
        if encoding.rescaled:
            transformation = Dataset()
            put_rescale(transformation, encoding.scalings[k])
            item.PixelValueTransformationSequence = Sequence([transformation])
            put_private_scale(item, encoding.scalings[k])
    _renumber_dimensions(items)
    if shared:
        header.SharedFunctionalGroupsSequence = Sequence(shared)
    header.PerFrameFunctionalGroupsSequence = Sequence(items)


def _evidence(source: Dataset) -> Dataset:
    """An item of Source Image Evidence Sequence (0008,9154): the source by study, series and instance."""
    instance = Dataset()
    instance.ReferencedSOPClassUID = source.SOPClassUID
    instance.ReferencedSOPInstanceUID = source.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedSOPSequence = Sequence([instance])
    study = Dataset()
    study.StudyInstanceUID = source.StudyInstanceUID
    study.ReferencedSeriesSequence = Sequence([series])
    return study


def _renumber_dimensions(items: list[Dataset]) -> None:
    """Let Dimension Index Values (0020,9157) of the frames that were kept run from one without gaps again."""
    contents = [shallow(item.FrameContentSequence[0]) if item.get("FrameContentSequence") else Dataset() for item in items]
    values = [np.atleast_1d(np.array(content.get("DimensionIndexValues") or [], dtype=int)) for content in contents]
    if len({len(v) for v in values}) != 1 or values[0].size == 0:
        return
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in np.stack(values).T], axis=1) + 1
    for item, content, rank in zip(items, contents, ranks, strict=True):
        content.DimensionIndexValues = [int(n) for n in rank]
        item.FrameContentSequence = Sequence([content])


def check_source(volume: Volume) -> None:
    """Raise OutputError unless a derived series can be made: the volume came from DICOM and still has its slices."""
    if not volume.headers:
        raise OutputError("a folder of DICOM images can be written only when the input was DICOM; choose a .nii.gz, .nrrd or .mha file")
    slices = _slice_count(volume)
    if slices != volume.voxels.shape[0]:
        raise OutputError(
            f"the result has {volume.voxels.shape[0]} slices and its source {slices}, so no DICOM series can be derived from it"
        )
    identifiers = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    if not all(text(header, keyword) for header in volume.headers for keyword in identifiers):
        raise OutputError(
            "the source's DICOM headers lack an identifier, so no series can be derived; choose a .nii.gz, .nrrd or .mha file"
        )


def is_our_series(folder: Path) -> bool:
    """Whether everything in a folder is a derived series of ours, which ``--overwrite`` may replace."""
    return all(_is_ours(path) for path in folder.iterdir())


def new_series() -> str:
    """A Series Instance UID for a derived series."""
    return str(generate_uid(prefix=None))


def write_series(volume: Volume, folder: Path, derivation: Derivation | None = None, *, series: str = "", first: int = 1) -> int:
    """Write a derived series: the source's headers with new pixels, new UIDs and an account of what was done.

    A classic source gives one file a slice. Enhanced multi-frame files give one each that holds the chosen frames in
    slice order (several where the slices of two files alternate). Patient, study, frame of reference, position,
    orientation and window stay. Pixels are uncompressed (Explicit VR Little Endian) in the source's bit depth and
    rescale slope. Where a voxel would not fit: in all allocated bits, else signed, else with a new rescale slope for
    the whole series (and a matching Philips scale slope), so that no bright voxel is clipped.

    Args:
        volume: what to write; ``headers`` are its source's.
        folder: a folder that does not exist yet, or that of a series of several volumes.
        derivation: what was done.
        series: Series Instance UID, where several volumes are written as one series; by default a new one.
        first: Instance Number of the first file.

    Returns:
        How many files were written.

    Raises:
        OutputError: the volume did not come from DICOM, or its headers cannot be written.
    """
    check_source(volume)
    with quiet():
        _write_files(volume, folder, derivation, series or new_series(), first)
    return len(volume.headers)


def _write_files(volume: Volume, folder: Path, derivation: Derivation | None, series: str, first: int) -> None:
    slices = [groups for header in volume.headers for groups in lookup_groups(header)]
    scalings = [scaling(groups, "the source") for groups in slices]
    encoding = choose_encoding(volume.voxels, scalings, volume.headers[0])
    folder.mkdir(exist_ok=first > 1)
    now = datetime.now().astimezone()
    done = 0
    for number, source in enumerate(volume.headers, first):
        header = _copy(source)
        _describe(header, derivation, series, number, now)
        if is_enhanced(source):
            frames = range(done, done + (whole_number(source, "NumberOfFrames") or 0))
            describe_frames(header, source, replace(encoding, scalings=encoding.scalings[frames.start : frames.stop]), derivation)
            pixels = np.stack([encoding.encode(volume.voxels[k], k) for k in frames])
        else:
            frames = range(done, done + 1)
            _describe_slice(header, source, encoding, done, derivation)
            pixels = encoding.encode(volume.voxels[done], done)
        done = frames.stop
        had_range = "SmallestImagePixelValue" in header and "LargestImagePixelValue" in header
        encoding.describe_pixels(header)
        if had_range and encoding.bits <= 16:
            kind = "SS" if encoding.signed else "US"
            header.add_new("SmallestImagePixelValue", kind, int(pixels.min()))
            header.add_new("LargestImagePixelValue", kind, int(pixels.max()))
        header.add_new("PixelData", "OW", _even(pixels.tobytes()))
        _save(header, folder / f"IM{number:05d}.dcm")


def _slice_count(volume: Volume) -> int:
    return sum((whole_number(header, "NumberOfFrames") or 0) if is_enhanced(header) else 1 for header in volume.headers)


def _copy(source: Dataset) -> Dataset:
    """A header whose elements may be replaced without touching the source's, words in little-endian order."""
    big = source.original_encoding[1] is False
    header = shallow(source)
    for element in list(header):
        if element.keyword in _STALE:
            del header[element.tag]
            continue
        size = _WORD_BYTES.get(element.VR)
        if big and size and isinstance(element.value, bytes) and len(element.value) % size == 0:
            header.add_new(element.tag, element.VR, np.frombuffer(element.value, f">u{size}").astype(f"<u{size}").tobytes())
    return header


def _describe(header: Dataset, derivation: Derivation | None, series: str, number: int, now: datetime) -> None:
    """Everything that makes a header a derived one, whatever its kind."""
    suffix = derivation.suffix if derivation else "derived"
    header.SOPInstanceUID = generate_uid(prefix=None)
    header.SeriesInstanceUID = series
    header.SeriesNumber = (whole_number(header, "SeriesNumber") or 0) + _SERIES_OFFSET
    header.SeriesDescription = f"{text(header, 'SeriesDescription')[: 63 - len(suffix)]} {suffix}".strip()
    header.InstanceNumber = number
    header.InstanceCreationDate = now.strftime("%Y%m%d")
    header.InstanceCreationTime = now.strftime("%H%M%S")
    header.ImageType = derived_type(header.get("ImageType"))
    header.ImageComments = " ".join(filter(None, (RESEARCH_USE_ONLY, text(header, "ImageComments"))))[:10240]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = code("109102", "DCM", "Processing Equipment")
    equipment.Manufacturer = MANUFACTURER
    equipment.ManufacturerModelName = "MRIDenoiseLib"
    equipment.SoftwareVersions = __version__
    equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S%z")
    equipment.ContributionDescription = account(derivation)
    header.ContributingEquipmentSequence = Sequence([*(header.get("ContributingEquipmentSequence") or []), equipment])


def _describe_slice(header: Dataset, source: Dataset, encoding: Encoding, index: int, derivation: Derivation | None) -> None:
    header.DerivationDescription = account(derivation)
    header.DerivationCodeSequence = derivation_code()
    header.SourceImageSequence = Sequence([source_image(source.SOPClassUID, source.SOPInstanceUID)])
    if encoding.rescaled:
        put_rescale(header, encoding.scalings[index])
        put_private_scale(header, encoding.scalings[index])


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _save(header: Dataset, path: Path) -> None:
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    try:
        header.save_as(path, enforce_file_format=True)
    except OSError:
        raise  # a full disk, not a bad header: the caller reports it
    except PARSING_FAULTS as error:
        raise OutputError("the source's DICOM header cannot be written again; choose a .nii.gz, .nrrd or .mha file instead") from error


def _is_ours(path: Path) -> bool:
    if not path.is_file() or not is_dicom(path):
        return False
    with quiet():
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=["ContributingEquipmentSequence"])
            equipment = header.get("ContributingEquipmentSequence") or []
            return any(text(item, "Manufacturer") == MANUFACTURER for item in equipment)
        except PARSING_FAULTS:
            return False
