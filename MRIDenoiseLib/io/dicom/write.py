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
from MRIDenoiseLib.io.dicom.mosaic import Mosaic, mosaic_of
from MRIDenoiseLib.io.dicom.pixels import overlay_groups
from MRIDenoiseLib.io.dicom.read import is_inverted, scaling
from MRIDenoiseLib.io.dicom.verbatim import joined_text, put_text_bytes, save, text_bytes
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
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
"""Attributes that describe the source's pixels or file and would be untrue of the result."""
_OVERLAY = {"rows": 0x0010, "columns": 0x0011, "frames": 0x0015, "position": 0x0102, "data": 0x3000}
"""Elements of an overlay group (60xx)."""


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
    slice order (several where the slices of two files alternate), and a mosaic gives a mosaic of the same layout. What is
    not changed has the bytes that the source's file has. Patient, study, frame of reference, position, orientation and
    window stay. Pixels are uncompressed (Explicit VR Little Endian) in the source's bit depth and rescale slope. Where a
    voxel would not fit: in all allocated bits, else signed, else with a new rescale slope for the whole series (and a
    matching Philips scale slope), so that no bright voxel is clipped.

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
    voxels = _as_shown(volume)
    padding = np.zeros(voxels.shape, bool) if volume.unmeasured is None else volume.unmeasured.mask
    encoding = choose_encoding(voxels, scalings, volume.headers[0], fine=derivation is not None and derivation.suffix != "denoised")
    folder.mkdir(exist_ok=first > 1)
    now = datetime.now().astimezone()
    done = 0
    for number, source in enumerate(volume.headers, first):
        header = _copy(source)
        _describe(header, derivation, series, number, now)
        here = range(done, done + _slices_of(source))
        done = here.stop
        pixels = np.stack([encoding.encode(voxels[k], k) for k in here])
        unmeasured = pixels[padding[here.start : here.stop]]
        if is_enhanced(source):
            describe_frames(header, source, replace(encoding, scalings=encoding.scalings[here.start : here.stop]), derivation)
        else:
            _describe_slice(header, source, encoding, here.start, derivation)
            mosaic = mosaic_of(source)
            pixels = _packed(pixels, mosaic) if mosaic else pixels[0]
        had_range = "SmallestImagePixelValue" in header and "LargestImagePixelValue" in header
        encoding.describe_pixels(header, unmeasured)
        if had_range and encoding.bits <= 16:
            kind = "SS" if encoding.signed else "US"
            header.add_new("SmallestImagePixelValue", kind, int(pixels.min()))
            header.add_new("LargestImagePixelValue", kind, int(pixels.max()))
        header.add_new(*encoding.element, _even(pixels.tobytes()))
        _save(header, folder / f"IM{number:05d}.dcm")


def _as_shown(volume: Volume) -> np.ndarray:
    """The voxels as the source's files have them: padding in its place, and what was read the other way round turned back."""
    voxels = volume.in_file()
    if volume.inverted_at is None:
        return voxels
    inverted = np.array([is_inverted(header) for header in volume.headers for _ in range(_slices_of(header))])
    return np.where(inverted[:, None, None], np.float32(volume.inverted_at) - voxels, voxels)


def _packed(slices: np.ndarray, mosaic: Mosaic) -> np.ndarray:
    """The picture of a mosaic, whose tiles may run against the order of the slices."""
    tiles = np.empty_like(slices)
    tiles[mosaic.order] = slices
    return mosaic.pack(tiles)


def _slice_count(volume: Volume) -> int:
    return sum(map(_slices_of, volume.headers))


def _slices_of(header: Dataset) -> int:
    """How many slices of a volume a header describes."""
    if is_enhanced(header):
        return whole_number(header, "NumberOfFrames") or 0
    mosaic = mosaic_of(header)
    return len(mosaic.tiles) if mosaic else 1


def _copy(source: Dataset) -> Dataset:
    """A header whose elements may be replaced without touching the source's, without what would be untrue of the result."""
    header = shallow(source)
    stale = {element.tag for element in header if element.keyword in _STALE}
    # All or none: a second plane without the first would be taken for an error.
    gone = set() if all(_overlay_stays(source, group) for group in overlay_groups(source)) else set(overlay_groups(source))
    for tag in [tag for tag in header.keys() if tag in stale or tag.group in gone]:  # noqa: SIM118
        del header[tag]
    return header


def _overlay_stays(source: Dataset, group: int) -> bool:
    """Whether an overlay plane has bits of its own, a picture's worth: one in unused bits of the pixels goes with those."""
    values = {name: source[group, element].value for name, element in _OVERLAY.items() if (group, element) in source}
    if "data" not in values or values.get("position", 0) != 0 or values.get("frames", 1) not in (1, None):
        return False
    size = whole_number(source, "Rows"), whole_number(source, "Columns")
    return (values.get("rows"), values.get("columns")) == size


def _describe(header: Dataset, derivation: Derivation | None, series: str, number: int, now: datetime) -> None:
    """Everything that makes a header a derived one, whatever its kind."""
    suffix = derivation.suffix if derivation else "derived"
    header.SOPInstanceUID = generate_uid(prefix=None)
    header.SeriesInstanceUID = series
    before = whole_number(header, "SeriesNumber") or 0
    header.SeriesNumber = before + _SERIES_OFFSET if abs(before) < 2**31 - _SERIES_OFFSET else _SERIES_OFFSET
    description = joined_text(header, text_bytes(header, "SeriesDescription"), after=suffix, limit=64)
    put_text_bytes(header, "SeriesDescription", "LO", description)
    header.InstanceNumber = number
    header.InstanceCreationDate = now.strftime("%Y%m%d")
    header.InstanceCreationTime = now.strftime("%H%M%S")
    kinds = text_bytes(header, "ImageType").split(b"\\")[2:]
    put_text_bytes(header, "ImageType", "CS", b"\\".join([b"DERIVED", b"SECONDARY", *kinds]))
    comments = joined_text(header, text_bytes(header, "ImageComments"), before=RESEARCH_USE_ONLY, limit=10240)
    put_text_bytes(header, "ImageComments", "LT", comments)
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
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    try:
        save(header, meta, path)
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
