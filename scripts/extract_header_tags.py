"""Make the de-identified tag extracts in Testing/data/headers from real DICOM headers that may not be shipped.

    python scripts/extract_header_tags.py --data DIR

reads every file under DIR/dicom/headers (DIR is MRIDENOISE_DATA by default) and writes one DICOM JSON file for each.
An extract holds nothing but an allow-list of acquisition attributes, the technical words of series names, and a dozen
entries of the Siemens protocol: no person, institution, date, identifier or free text. Enhanced images keep one frame for
each kind of frame.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.sequence import Sequence

_KEYWORDS = """
    Modality Manufacturer ImageType FrameType MagneticFieldStrength BodyPartExamined
    SequenceName PulseSequenceName ScanningSequence SequenceVariant ScanOptions MRAcquisitionType AngioFlag
    EchoTime EffectiveEchoTime RepetitionTime InversionTime InversionTimes InversionRecovery FlipAngle
    EchoTrainLength RFEchoTrainLength GradientEchoTrainLength EchoPulseSequence EchoPlanarPulseSequence
    NumberOfAverages ParallelReductionFactorInPlane ParallelAcquisition ParallelAcquisitionTechnique
    SpectrallySelectedSuppression SpectrallySelectedExcitation MagnetizationTransfer Spoiling
    AcquisitionContrast ComplexImageComponent DiffusionBValue DiffusionDirectionality
    ReceiveCoilName ImageOrientationPatient CodeValue CodingSchemeDesignator CodeMeaning
    AnatomicRegionSequence FrameAnatomySequence MREchoSequence MRTimingAndRelatedParametersSequence MRModifierSequence
    MRAveragesSequence MRImagingModifierSequence MRReceiveCoilSequence MRDiffusionSequence MRImageFrameTypeSequence
    PlaneOrientationSequence SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
"""
KEYWORDS = frozenset(_KEYWORDS.split())
"""Everything the rules read that cannot name anyone."""

PRIVATE = {
    *((0x0051, e) for e in (0x0010, 0x100F, 0x1011)),
    *((0x0019, e) for e in (0x100C, 0x109C)),
    *((0x0043, e) for e in (0x0010, 0x1039, 0x1083)),
    (0x0027, 0x1062),
    *((0x0065, e) for e in (0x0010, 0x1003, 0x1009, 0x100D, 0x102D)),
    *((0x2001, e) for e in (0x0010, 0x1003, 0x1021, 0x1088)),
    *((0x0021, e) for e in (0x10FE, 0x11FE, 0x114F, 0x1156, 0x1189)),
}
"""Private elements that hold numbers, coil elements or sequence names."""

PROTOCOL = re.compile(
    r"(lAverages|sPat\.lAccelFactPE|sPat\.lAccelFact3D|sPrepPulses\.(ucFatSat|lFatWaterContrast)"
    r"|sProtConsistencyInfo\.flNominalB0|tSequenceFileName"
    r"|(asCoilSelectMeas|sCoilSelectMeas\.aRxCoilSelectData)\[0\]\.asList\[0\]\.sCoilElementID\.tCoilID)"
)
"""Entries of the Siemens protocol that the rules read."""

SEQUENCE_WORDS = {"ep2d", "mbep2d", "diff", "bold", "pace", "pasl", "gre", "field", "mapping", "tfl", "tse", "vfl", "multiecho"}

PROTOCOL_PLACES = {(0x0029, 0x1020), (0x0021, 0x1019)}
"""Where the protocol lies: the CSA series header, or its successor in XA's shared functional groups."""

NAMES = ("SeriesDescription", "ProtocolName")
_NAME_WORDS = """
    t1 t2 pd t1w t2w pdw flair dwi dti dki tensor asl pasl bold fmri func rest swi b0 fmap field mapping localizer
    tse fse se gre tfl epi fsp mprage memprage mocomemprage perfusion weighted relcbf cbf anat acq moco rms
    ax axial sag sagittal cor coronal tra transversal 3d 2d iso fs sat sms brain head knee spine shoulder advanced sequences
"""
NAME_WORDS = frozenset(_NAME_WORDS.split())
"""The technical words of a series name; every other word is dropped."""


def main() -> None:
    """Write one JSON file for each header file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("MRIDENOISE_DATA"), help="folder that holds dicom/headers")
    arguments = parser.parse_args()
    if not arguments.data or not (source := Path(arguments.data) / "dicom" / "headers").is_dir():
        parser.error("--data (or MRIDENOISE_DATA) must name a folder that holds dicom/headers")
    target = Path(__file__).parent.parent / "Testing" / "data" / "headers"
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        extract = extracted(pydicom.dcmread(path, stop_before_pixels=True, force=True))
        name = extract_name(path.relative_to(source))
        (target / name).write_text(json.dumps(extract.to_json_dict(), indent=1) + "\n", encoding="utf-8")
        print(name)


def extract_name(relative: Path) -> str:
    """The extract's file name: the source's, without its long runs of digits (parts of identifiers and clock times)."""
    return (
        re.sub(r"[._]?\d{5,}(\.\d+)*", lambda run: f"-{run[0].strip('._')[-2:]}", "__".join(relative.parts).removesuffix(".dcm")) + ".json"
    )


def extracted(header: Dataset) -> Dataset:
    """A new data set of the allowed elements only."""
    kept = _allowed(header)
    for keyword in NAMES:
        words = re.findall(r"[a-z0-9]+", str(header.get(keyword) or "").lower())
        technical = " ".join(word for word in words if word in NAME_WORDS)
        if technical:
            setattr(kept, keyword, technical)
    return kept


def _allowed(header: Dataset) -> Dataset:
    kept = Dataset()
    for element in header:
        place = (element.tag.group, element.tag.element)
        if place in PROTOCOL_PLACES and isinstance(element.value, bytes):
            kept.add_new(element.tag, "OB", _protocol(element.value))
        if element.keyword not in KEYWORDS and place not in PRIVATE:
            continue
        if element.VR == "SQ":
            items = [_allowed(item) for item in element.value]
            if element.keyword == "PerFrameFunctionalGroupsSequence":
                items = _kinds(items)
            kept.add_new(element.tag, "SQ", Sequence(items))
        elif element.VR != "UN":
            kept.add_new(element.tag, element.VR, element.value)
    return kept


def _kinds(frames: list[Dataset]) -> list[Dataset]:
    """One frame of each kind, so that an extract stays small."""
    return list({json.dumps(frame.to_json_dict(), sort_keys=True): frame for frame in frames}.values())[:6]


def _protocol(blob: bytes) -> bytes:
    """The allowed entries of a Siemens protocol, in its own form."""
    text = blob.decode("latin-1")
    begin, end = text.find("### ASCCONV BEGIN"), text.find("### ASCCONV END")
    if not 0 <= begin < end:
        return b""
    entries = re.findall(r"^\s*([\w.\[\]]+)\s*=\s*(.*)$", text[begin:end], re.MULTILINE)
    lines = [f"{name} = {_short(value)}" for name, value in entries if PROTOCOL.fullmatch(name)]
    return "\n".join(["### ASCCONV BEGIN ###", *lines, "### ASCCONV END ###\n"]).encode()


def _short(value: str) -> str:
    """A value without quotes; a path of the scanner reduced to the known words of the sequence's name (customers put theirs in)."""
    value = value.strip().strip('"')
    if "\\" not in value:
        return value
    return "_".join(word for word in value.rsplit("\\", 1)[-1].split("_") if word in SEQUENCE_WORDS)


if __name__ == "__main__":
    main()
