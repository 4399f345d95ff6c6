"""Averages, parallel imaging, field strength, and the acceleration that one header can only suggest."""

from __future__ import annotations

import re

from MRIDenoiseLib.prompt.headers import Header, tag_name
from MRIDenoiseLib.volume import AcquisitionField

ASSUMED_AVERAGES = 2.0
LEAST, MOST = 1.5, 3.0
DEFAULT_RATIO = 2.0
DEFAULT_ACCELERATION = AcquisitionField(DEFAULT_RATIO, "default", "low")

_NOMINAL_TESLA = (0.064, 0.2, 0.23, 0.25, 0.3, 0.35, 0.4, 0.5, 0.55, 0.6, 0.7, 1.0, 1.2, 1.5, 3.0, 4.0, 4.7, 5.0, 7.0, 9.4, 10.5, 11.7)
_PROTON_MHZ_PER_TESLA = 42.577


def read_averages(header: Header) -> AcquisitionField:
    """NEX / NSA: how often each line was measured. GE's own element keeps the fraction that the standard one rounds."""
    value = header.number("NumberOfAverages")
    fraction = _ge_excitations(header)
    if value is not None and fraction is not None and _is_rounding_of(value, fraction):
        source = f"(0027,1062) GE number of excitations = {fraction:g}, which {tag_name('NumberOfAverages')} = {value:g} rounds"
        return AcquisitionField(fraction, source, "high")
    if value is not None and value > 0:
        return AcquisitionField(value, f"{tag_name('NumberOfAverages')} = {value:g}", "high")
    for group, element, what in ((0x0027, 0x1062, "GE number of excitations"), (0x2001, 0x1088, "Philips number of averages")):
        number = next(iter(header.private_numbers(group, element)), None)
        if number is not None and number > 0:
            return AcquisitionField(number, f"({group:04X},{element:04X}) {what} = {number:g}", "medium")
    number = _protocol_number(header, "lAverages")
    if number is not None and number > 0:
        return AcquisitionField(number, f"Siemens protocol lAverages = {number:g}", "medium")
    return AcquisitionField()


def _ge_excitations(header: Header) -> float | None:
    creator = header.private_text(0x0027, 0x0010)
    # An anonymised file may have lost the creator; another maker's element of that number is not an excitation count.
    return next(iter(header.private_numbers(0x0027, 0x1062)), None) if not creator or creator.startswith("GEMS") else None


def _is_rounding_of(whole: float, fraction: float) -> bool:
    """Whether a whole number of averages, at least one, is the rounding of this fractional one (0.5 is written as 1)."""
    return fraction > 0 and not fraction.is_integer() and whole.is_integer() and whole >= 1 and abs(whole - fraction) < 1


def read_parallel_imaging(header: Header) -> AcquisitionField:
    """The in-plane parallel reduction factor; 1 where the header says that there was none."""
    value = header.number("ParallelReductionFactorInPlane")
    if value is not None and value >= 1:
        return AcquisitionField(value, f"{tag_name('ParallelReductionFactorInPlane')} = {value:g}", "high")
    if header.text("ParallelAcquisition") == "NO":
        return AcquisitionField(1.0, f"{tag_name('ParallelAcquisition')} = NO", "high")
    return _vendor_parallel_imaging(header)


def _vendor_parallel_imaging(header: Header) -> AcquisitionField:
    for mode, place in ((header.private_text(0x0051, 0x1011), "(0051,1011)"), (header.siemens_frame(0x1156), "(0021,1156)")):
        pat = re.search(r"\bp(\d+(?:\.\d+)?)\b", str(mode or ""))
        if pat:
            return AcquisitionField(float(pat[1]), f"{place} Siemens PAT mode = {pat[0]}", "medium")
    factor = _protocol_number(header, "sPat.lAccelFactPE")
    if factor is not None and factor >= 1:
        return AcquisitionField(factor, f"Siemens protocol sPat.lAccelFactPE = {factor:g}", "medium")
    asset = header.private_numbers(0x0043, 0x1083)[:1]
    if asset and 0 < asset[0] <= 1:  # GE stores the fraction of lines that was measured
        factor = round(1 / asset[0], 3)
        return AcquisitionField(factor, f"(0043,1083) GE ASSET R factors, 1 / {asset[0]:g}", "medium")
    uih = re.match(r"F:(\d+(?:\.\d+)?)", header.private_text(0x0065, 0x100D))
    if uih and float(uih[1]) >= 1:
        return AcquisitionField(float(uih[1]), f"(0065,100D) UIH parallel information = {uih[0]}", "medium")
    return AcquisitionField()


def read_field_strength(header: Header) -> AcquisitionField:
    """Tesla. Old files give gauss; without the attribute, it follows from the imaging frequency of hydrogen."""
    value = header.number("MagneticFieldStrength")
    if value is not None and value > 0:
        tesla = value / 10_000 if value > 100 else value
        return AcquisitionField(tesla, f"{tag_name('MagneticFieldStrength')} = {value:g}", "high")
    nominal = _protocol_number(header, "sProtConsistencyInfo.flNominalB0")
    if nominal is not None and (known := _nearest_field(nominal)):
        return AcquisitionField(known, f"Siemens protocol flNominalB0 = {nominal:g}", "medium")
    frequency = header.number("ImagingFrequency")
    for hertz_per_unit in (1e6, 1.0, 0.1):  # MHz by the standard; UIH writes Hz, old GE tenths of Hz
        if frequency is not None and (known := _nearest_field(frequency * hertz_per_unit / 1e6 / _PROTON_MHZ_PER_TESLA)):
            return AcquisitionField(known, tag_name("ImagingFrequency"), "medium")
    return AcquisitionField()


def guess_acceleration(averages: AcquisitionField) -> AcquisitionField:
    """2 / NEX within 1.5 to 3, since the full scan's time is in no header; 2 where NEX is not known either.

    The parallel-imaging factor is a field of its own and takes no part.
    """
    if not isinstance(averages.value, float):
        return DEFAULT_ACCELERATION
    ratio = clamped_acceleration(ASSUMED_AVERAGES / averages.value)
    return AcquisitionField(ratio, f"NEX = {averages.value:g} against an assumed {ASSUMED_AVERAGES:g} averages", "low")


def _protocol_number(header: Header, entry: str) -> float | None:
    try:
        return float(header.siemens_protocol().get(entry, ""))
    except ValueError:
        return None


def _nearest_field(tesla: float) -> float | None:
    nearest = min(_NOMINAL_TESLA, key=lambda nominal: abs(nominal - tesla))
    return nearest if abs(nearest - tesla) <= 0.05 * nearest else None


def clamped_acceleration(ratio: float) -> float:
    """T_full / T_fast as the networks are given it: within the range they were trained on."""
    return min(max(ratio, LEAST), MOST)
