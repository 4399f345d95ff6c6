"""Who made the scanner."""

from __future__ import annotations

import re

from MRIDenoiseLib.prompt import vocabulary
from MRIDenoiseLib.prompt.headers import Header, tag_name
from MRIDenoiseLib.volume import AcquisitionField

_STARTS = (
    ("siemens", "Siemens"),
    ("ge ", "GE"),
    ("general electric", "GE"),
    ("gems", "GE"),
    ("philips", "Philips"),
    ("uih", "UIH"),
    ("united imaging", "UIH"),
    ("shanghai united imaging", "UIH"),
    ("canon", "Canon"),
    ("toshiba", "Canon"),
    ("hitachi", "Fujifilm"),
    ("fujifilm", "Fujifilm"),
    ("hyperfine", "Hyperfine"),
    ("esaote", "Esaote"),
    ("bruker", "Bruker"),
    ("neusoft", "Neusoft"),
    ("time medical", "Time Medical"),
    ("paramed", "Paramed"),
)

_COMPANY_WORDS = frozenset(word for start, _ in _STARTS for word in start.split()) | {
    *("medical", "mec", "systems", "system", "healthcare", "healthineers", "imaging", "biospin", "mri", "technologies", "technology"),
    *("gmbh", "ag", "co", "company", "corp", "corporation", "inc", "ltd", "limited", "llc", "spa"),
}
"""The words of makers' names in their legal forms. A manufacturer that consists only of these is quoted; others may hold anything."""

_CREATORS = (
    ((0x0029, 0x0010), "SIEMENS", "Siemens"),
    ((0x0051, 0x0010), "SIEMENS", "Siemens"),
    ((0x0021, 0x0010), "SIEMENS", "Siemens"),
    ((0x0043, 0x0010), "GEMS", "GE"),
    ((0x0019, 0x0010), "GEMS", "GE"),
    ((0x2001, 0x0010), "Philips", "Philips"),
    ((0x2005, 0x0010), "Philips", "Philips"),
    ((0x0065, 0x0010), "Image Private Header", "UIH"),
)


def read_vendor(header: Header) -> AcquisitionField:
    """Manufacturer, whatever legal form the maker writes it in; else whose private elements the file holds."""
    written = header.text("Manufacturer")
    for start, vendor in _STARTS:
        if f"{written.lower()} ".startswith(start):
            words = re.split(r"[ _.,&-]+", written.lower())
            shown = written if _COMPANY_WORDS.issuperset(filter(None, words)) else vendor
            return AcquisitionField(vendor, f"{tag_name('Manufacturer')} = {shown}", "high", vocabulary.VENDORS[vendor].seen)
    for (group, element), creator, vendor in _CREATORS:
        if header.private_text(group, element).startswith(creator):
            return AcquisitionField(vendor, f"({group:04X},{element:04X}) private creator", "medium", vocabulary.VENDORS[vendor].seen)
    if written:
        return AcquisitionField(None, f"{tag_name('Manufacturer')}, none that is known here", "low", False)
    return AcquisitionField()
