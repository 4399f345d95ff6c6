"""Which part of the body was imaged."""

from __future__ import annotations

import re
from collections.abc import Callable

from MRIDenoiseLib.prompt import names, vocabulary
from MRIDenoiseLib.prompt.headers import Header, tag_name
from MRIDenoiseLib.volume import AcquisitionField, Confidence

_BODY_PARTS: dict[str, str] = {
    **dict.fromkeys(("BRAIN", "HEAD", "SKULL"), "head"),
    "KNEE": "knee",
    **dict.fromkeys(("CSPINE", "CERVICALSPINE"), "cervical spine"),
    **dict.fromkeys(("TSPINE", "THORACICSPINE", "DSPINE"), "thoracic spine"),
    **dict.fromkeys(("LSPINE", "LUMBARSPINE", "LSSPINE", "LUMBOSACRALSPINE"), "lumbar spine"),
    "SHOULDER": "shoulder",
    **dict.fromkeys(("SSPINE", "SACRUM"), "sacrum"),
    **dict.fromkeys(("WHOLESPINE", "FULLSPINE"), "whole spine"),
    **dict.fromkeys(("THORAX", "CHEST", "LUNG"), "chest"),
    **dict.fromkeys(("HEART", "CARDIAC"), "heart"),
    **dict.fromkeys(("UTERUS",), "uterus"),
    **dict.fromkeys(("WHOLEBODY",), "whole body"),
    **{
        part: part.lower()
        for part in (
            *("PROSTATE", "ABDOMEN", "BREAST", "HIP", "ANKLE", "WRIST", "ELBOW", "FOOT", "HAND", "PELVIS", "LIVER", "KIDNEY"),
            *("PANCREAS", "BLADDER", "RECTUM", "NECK", "SPINE", "THIGH", "CALF", "ARM", "JAW", "ORBIT", "EAR", "FETUS", "PHANTOM"),
        )
    },
}
"""Body Part Examined, without signs and spaces (DICOM PS3.16 Annex L, and what scanners write instead)."""

_REGION_CODES: dict[str, str] = {
    **dict.fromkeys(("T-A0100", "12738006", "T-D1100", "69536005", "T-D1110"), "head"),
    **dict.fromkeys(("T-D9200", "72696002", "T-15720", "49076000"), "knee"),
    **dict.fromkeys(("T-11501", "122494005"), "cervical spine"),
    **dict.fromkeys(("T-11502", "122495006"), "thoracic spine"),
    **dict.fromkeys(("T-11503", "122496007"), "lumbar spine"),
    **dict.fromkeys(("T-D2220", "16982005"), "shoulder"),
    **dict.fromkeys(("T-92000", "41216001"), "prostate"),
    **dict.fromkeys(("T-D4000", "818983003", "818981001"), "abdomen"),
    **dict.fromkeys(("T-04000", "76752008"), "breast"),
    **dict.fromkeys(("T-15710", "24136001"), "hip"),
    **dict.fromkeys(("T-15750", "70258002"), "ankle"),
    **dict.fromkeys(("T-15460", "74670003"), "wrist"),
    **dict.fromkeys(("T-15430", "16953009"), "elbow"),
    **dict.fromkeys(("T-D9700", "56459004"), "foot"),
    **dict.fromkeys(("T-D8700", "85562004"), "hand"),
    **dict.fromkeys(("T-D6000", "12921003", "816092008"), "pelvis"),
    **dict.fromkeys(("T-32000", "80891009"), "heart"),
    **dict.fromkeys(("T-62000", "10200004"), "liver"),
    **dict.fromkeys(("T-D3000", "51185008"), "chest"),
    **dict.fromkeys(("T-D1600", "45048000"), "neck"),
    **dict.fromkeys(("T-D0146", "421060004"), "spine"),
}
"""SNOMED RT and SNOMED CT codes of Anatomic Region (DICOM PS3.16 CID 4030, 4031)."""

_COILS: names.Patterns = (
    ("knee", r"knee"),
    ("shoulder", r"shoulder| shl | shs |sh ?large|sh ?small"),
    ("wrist", r"wrist"),
    ("breast", r"breast|mamm"),
    ("ankle", r"ankle"),
    ("foot", r"foot"),
    ("head", r"head|brain| \d+ha | hea | hep |neurovas"),
)
"""Receive coils built for one organ."""

_RECEIVE_COIL = re.compile(r"(as|sCoilSelectMeas\.aRx)Coil(SelectMeas|SelectData)\[0\]\.asList\[\d+\]\.sCoilElementID\.tCoilID")
_SIEMENS_HEAD = re.compile(r"(C:)?H(EA|EP|E|C)?[\d,-]*")
_UIH_HEAD = re.compile(r"H[LU]?[\d,-]*")


def read_organ(header: Header, contrast: AcquisitionField) -> AcquisitionField:
    """Body part and coded region first, then the coil, then names, then what the contrast alone suggests."""
    found = _standard(header)
    if found.value == "spine" or found.value is None:
        named = _named(header, names.in_series, "series name") or _named(header, names.in_study, "study name")
        if found.value is None:
            return _from_coil(header) or named or _from_contrast(contrast)
        if named and str(named.value).endswith("spine"):
            return named
    return found


def organ_of_name(name: str) -> AcquisitionField:
    """A guess from a file name."""
    organ = names.match(name, names.ORGAN_WORDS)
    return _field(organ, "file name", "low") if organ else AcquisitionField()


def _field(organ: str, source: str, confidence: Confidence) -> AcquisitionField:
    return AcquisitionField(organ, source, confidence, vocabulary.ORGANS[organ].seen)


def _standard(header: Header) -> AcquisitionField:
    written = header.text("BodyPartExamined")
    organ = _BODY_PARTS.get(re.sub(r"[^A-Z]", "", written.upper()))
    if organ:
        # Quoted only where it is the known word and no more: what else a site writes there may be private.
        shown = written if re.fullmatch(r"[A-Za-z _-]+", written) else organ
        return _field(organ, f"{tag_name('BodyPartExamined')} = {shown}", "high")
    for region in header.items("AnatomicRegionSequence"):
        item = Header(region)
        organ = _REGION_CODES.get(item.text("CodeValue"))
        if organ:
            return _field(organ, f"{tag_name('AnatomicRegionSequence')} = {item.text('CodeValue')}", "high")
        organ = names.match(item.text("CodeMeaning"), names.ORGAN_WORDS)
        if organ:
            return _field(organ, f"{tag_name('AnatomicRegionSequence')} code meaning", "medium")
    return AcquisitionField()


def _from_coil(header: Header) -> AcquisitionField | None:
    for coil, source in (
        (header.text("ReceiveCoilName"), f"{tag_name('ReceiveCoilName')} of a {{}} coil"),
        (_selected_coils(header), "Siemens protocol, {} coil"),
    ):
        organ = names.match(coil, _COILS)
        if organ and not re.search(r"spine|body", coil, re.IGNORECASE):
            # a head-neck coil also serves the cervical spine
            return _field(organ, source.format(organ), "low" if re.search(r"neck|neurovas", coil, re.IGNORECASE) else "medium")
    for elements, pattern, source in (
        (header.private_text(0x0051, 0x100F), _SIEMENS_HEAD, "(0051,100F) Siemens"),
        (str(header.siemens_frame(0x114F) or ""), _SIEMENS_HEAD, "(0021,114F) Siemens"),
        (header.private_text(0x0065, 0x1003), _UIH_HEAD, "(0065,1003) UIH"),
    ):
        parts = [part for part in elements.split(";") if part]
        if parts and all(pattern.fullmatch(part) for part in parts):
            return _field("head", f"{source} coil elements of the head", "medium")
    return None


def _selected_coils(header: Header) -> str:
    return " ".join(sorted({value for entry, value in header.siemens_protocol().items() if _RECEIVE_COIL.fullmatch(entry)}))


def _named(header: Header, where: Callable[[Header, names.Patterns], str | None], source: str) -> AcquisitionField | None:
    organ = where(header, names.ORGAN_WORDS)
    return _field(organ, source, "low") if organ else None


def _from_contrast(contrast: AcquisitionField) -> AcquisitionField:
    if contrast.value in ("BOLD", "ASL", "T2-FLAIR"):
        return _field("head", f"usual for {contrast.value}", "low")
    return AcquisitionField()
