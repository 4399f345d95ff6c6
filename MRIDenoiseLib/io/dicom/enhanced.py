"""What an enhanced multi-frame header needs so that it describes a derived image (Enhanced MR Image IOD)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence

from MRIDenoiseLib.io.dicom.encoding import Encoding, account, derivation_code, derived_type, put_private_scale, put_rescale, source_image
from MRIDenoiseLib.io.dicom.files import shallow
from MRIDenoiseLib.io.images import Derivation

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
