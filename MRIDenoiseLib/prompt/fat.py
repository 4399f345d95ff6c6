"""Whether and how the signal of fat was removed."""

from __future__ import annotations

from MRIDenoiseLib.prompt import names, vocabulary
from MRIDenoiseLib.prompt.contrast import STIR_TI, read_timing
from MRIDenoiseLib.prompt.headers import Header, tag_name
from MRIDenoiseLib.volume import AcquisitionField, Confidence

_SUPPRESSION = {"FAT": "fat-saturated", "FAT_AND_WATER": "fat-saturated", "WATER": "fat-only"}
_EXCITATION = {"WATER": "water-only", "FAT": "fat-only"}
_DIXON_PARTS = (
    ({"WATER", "W"}, "water-only"),
    ({"FAT", "F"}, "fat-only"),
    ({"IN_PHASE", "IP", "IN", "OPP_PHASE", "OUT_PHASE", "OP", "OPP"}, "none"),
)
_SIEMENS_FAT_SAT = {1: "fat-saturated", 2: "water-only", 4: "none"}
"""sPrepPulses.ucFatSat of VB to VE software."""
_SIEMENS_FAT_WATER = {1: "none", 2: "water-only", 4: "fat-saturated"}
"""sPrepPulses.lFatWaterContrast of XA software."""


def read_fat_suppression(header: Header, contrast: AcquisitionField) -> AcquisitionField:
    """Dixon parts, inversion nulling, spectral suppression or excitation, Scan Options, vendors' elements, names."""
    for found in (_dixon(header, contrast), _inversion(header), _spectral(header), _scan_options(header)):
        if found is not None:
            return found
    return _vendor(header) or _name(header) or _no_option(header) or AcquisitionField()


def fat_suppression_of_name(name: str) -> AcquisitionField:
    """A guess from a file name."""
    found = names.match(name, names.FAT_WORDS)
    return _field(found, "file name", "low") if found else AcquisitionField()


def _field(value: str, source: str, confidence: Confidence) -> AcquisitionField:
    return AcquisitionField(value, source, confidence, vocabulary.FAT_SUPPRESSION[value].seen)


def _dixon(header: Header, contrast: AcquisitionField) -> AcquisitionField | None:
    if contrast.value == "DIXON":
        types = set(header.texts("ImageType")[2:])
        for words, value in _DIXON_PARTS:
            if words & types:
                return _field(value, f"{tag_name('ImageType')} = {min(words & types)}", "high")
    return None


def _inversion(header: Header) -> AcquisitionField | None:
    if header.text("AcquisitionContrast") == "STIR":
        return _field("STIR", f"{tag_name('AcquisitionContrast')} = STIR", "high")
    timing = read_timing(header)
    if timing.spin and timing.inversion is not None and STIR_TI[0] <= timing.inversion <= STIR_TI[1]:
        return _field("STIR", f"{tag_name('InversionTime')} = {timing.inversion:g}", "medium")
    return None


def _spectral(header: Header) -> AcquisitionField | None:
    suppression, excitation = header.text("SpectrallySelectedSuppression"), header.text("SpectrallySelectedExcitation")
    if suppression in _SUPPRESSION:
        return _field(_SUPPRESSION[suppression], f"{tag_name('SpectrallySelectedSuppression')} = {suppression}", "high")
    if excitation in _EXCITATION:
        return _field(_EXCITATION[excitation], f"{tag_name('SpectrallySelectedExcitation')} = {excitation}", "high")
    if suppression == "NONE":
        return _field("none", f"{tag_name('SpectrallySelectedSuppression')} = NONE", "high")
    if excitation == "NONE":
        return _field("none", f"{tag_name('SpectrallySelectedExcitation')} = NONE", "medium")
    return None


def _scan_options(header: Header) -> AcquisitionField | None:
    if "FS" in header.texts("ScanOptions"):
        return _field("fat-saturated", f"{tag_name('ScanOptions')} = FS", "high")
    return None


def _vendor(header: Header) -> AcquisitionField | None:
    protocol = header.siemens_protocol()
    for entry, meaning in (("sPrepPulses.lFatWaterContrast", _SIEMENS_FAT_WATER), ("sPrepPulses.ucFatSat", _SIEMENS_FAT_SAT)):
        try:
            value = meaning.get(int(protocol.get(entry, ""), 0))
        except ValueError:
            continue
        if value:
            return _field(value, f"Siemens protocol {entry} = {protocol[entry]}", "medium")
    spir = header.private_text(0x2001, 0x1021)
    if spir in ("Y", "N"):
        return _field("fat-saturated" if spir == "Y" else "none", f"(2001,1021) Philips SPIR = {spir}", "medium")
    return None


def _name(header: Header) -> AcquisitionField | None:
    found = names.in_series(header, names.FAT_WORDS)
    return _field(found, "series name", "low") if found else None


def _no_option(header: Header) -> AcquisitionField | None:
    # Siemens, GE and UIH list FS among Scan Options when they use it, so a list without it is informative, an empty one less so
    if header.has("ScanOptions"):
        return _field("none", f"{tag_name('ScanOptions')} without FS", "medium" if header.texts("ScanOptions") else "low")
    return None
