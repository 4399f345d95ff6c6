"""The two ways an Acquisition comes about: read from headers or a name, then corrected by the user.

Fields with rules of their own have a file each; who made the scanner is read here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pydicom

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.prompt import vocabulary
from MRIDenoiseLib.prompt.acceleration import (
    DEFAULT_ACCELERATION,
    guess_acceleration,
    read_averages,
    read_field_strength,
    read_parallel_imaging,
)
from MRIDenoiseLib.prompt.contrast import contrast_of_name, read_contrast
from MRIDenoiseLib.prompt.fat import fat_suppression_of_name, read_fat_suppression
from MRIDenoiseLib.prompt.headers import Header, tag_name
from MRIDenoiseLib.prompt.organ import organ_of_name, read_organ
from MRIDenoiseLib.prompt.vocabulary import Term
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

USER = "user"
MAX_ACCELERATION = 16.0

_PLANES = ("sagittal", "coronal", "axial")
"""By the patient axis the slice normal is nearest to: left-right, front-back, head-foot."""

CLEAR = 0.9
"""Cosine of the tilt (26 degrees) up to which a slice is plainly in its nearest plane."""

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


def read_acquisition(
    headers: Sequence[pydicom.Dataset],
    *,
    name: str = "",
    ijk_to_ras: np.ndarray | None = None,
    slice_axis: int = 0,
    sidecar: pydicom.Dataset | None = None,
) -> Acquisition:
    """What headers state about how a volume was acquired; without headers, what a sidecar, a file name and the geometry suggest.

    Args:
        headers: the DICOM data sets of the volume's slices (one for an enhanced multi-frame source), or empty.
        name: the file's stem, read for words such as ``T2w`` only where no header is given; never quoted.
        ijk_to_ras: 4x4 matrix of the volume, for the plane where no header is given.
        slice_axis: axis of the voxels (z, y, x) across which slices lie, as :attr:`Volume.slice_axis`.
        sidecar: what a JSON file beside the image states, as DICOM has it; read where no header is given.
    """
    if not headers:
        named = Acquisition(
            organ=organ_of_name(name),
            contrast=contrast_of_name(name),
            fat_suppression=fat_suppression_of_name(name),
            plane=AcquisitionField() if ijk_to_ras is None else plane_of_geometry(ijk_to_ras, slice_axis),
            acceleration=DEFAULT_ACCELERATION,
        )
        return named if sidecar is None else _of_sidecar(_of_header(Header(sidecar)), named)
    return _of_header(Header(headers[0]))


def _of_sidecar(stated: Acquisition, named: Acquisition) -> Acquisition:
    """A sidecar's account, and the name's where the sidecar says nothing, or no more than a name does."""
    fields = {}
    for name in stated.names():
        one, other = getattr(stated, name), getattr(named, name)
        if one.value is None or one == DEFAULT_ACCELERATION or (one.confidence == "low" and other.confidence != "low"):
            fields[name] = other
        else:
            fields[name] = replace(one, source=f"sidecar: {re.sub(r'[(][0-9A-F]{4},[0-9A-F]{4}[)] ', '', one.source)}")
    return Acquisition(**fields)


def _of_header(header: Header) -> Acquisition:
    contrast = read_contrast(header)
    averages = read_averages(header)
    return Acquisition(
        organ=read_organ(header, contrast),
        contrast=contrast,
        fat_suppression=read_fat_suppression(header, contrast),
        plane=read_plane(header),
        vendor=read_vendor(header),
        acceleration=guess_acceleration(averages),
        parallel_imaging=read_parallel_imaging(header),
        averages=averages,
        field_strength=read_field_strength(header),
    )


def override(
    acquisition: Acquisition,
    *,
    organ: str | None = None,
    contrast: str | None = None,
    vendor: str | None = None,
    acceleration: float | None = None,
) -> Acquisition:
    """The acquisition with what the user states in place of what was read; None leaves a field as it is.

    A word outside the vocabulary is kept for display, marked unseen, and becomes ``unknown`` in a prompt.

    Raises:
        SettingsError: an empty word, or an acceleration outside 1 to 16.
    """
    changes: dict[str, AcquisitionField] = {}
    for field, text, terms in (
        ("organ", organ, vocabulary.ORGANS),
        ("contrast", contrast, vocabulary.CONTRASTS),
        ("vendor", vendor, vocabulary.VENDORS),
    ):
        if text is not None:
            changes[field] = _said(field, text, terms)
    if acceleration is not None:
        if not math.isfinite(acceleration) or not 1.0 <= acceleration <= MAX_ACCELERATION:
            raise SettingsError(f"The acceleration must be a number from 1 to {MAX_ACCELERATION:g}, not {acceleration:g}.")
        changes["acceleration"] = AcquisitionField(float(acceleration), USER, "high")
    return replace(acquisition, **changes)


def _said(field: str, text: str, terms: Mapping[str, Term]) -> AcquisitionField:
    word = " ".join(text.split())
    if not word:
        raise SettingsError(f"The {field} given is empty: name one, such as {next(iter(terms))}.")
    value = vocabulary.canonical(word, terms)
    return AcquisitionField(value or word, USER, "high", seen_in_training=value is not None and terms[value].seen)


def read_plane(header: Header) -> AcquisitionField:
    """From Image Orientation (Patient): the direction cosines of rows and columns, whose cross product is the normal."""
    cosines = header.numbers("ImageOrientationPatient")
    if len(cosines) != 6:
        return AcquisitionField()
    return _nearest(np.cross(cosines[:3], cosines[3:]), tag_name("ImageOrientationPatient"))


def plane_of_geometry(ijk_to_ras: np.ndarray, slice_axis: int) -> AcquisitionField:
    """The same from a volume's 4x4 matrix; ``slice_axis`` counts the axes of voxels in the order (z, y, x)."""
    across = 2 - slice_axis
    first, second = (ijk_to_ras[:3, axis] for axis in range(3) if axis != across)
    return _nearest(np.cross(first, second), "geometry")


def _nearest(normal: np.ndarray, source: str) -> AcquisitionField:
    length = float(np.linalg.norm(normal))
    if not length > 1e-6:  # false for NaN too
        return AcquisitionField()
    cosines = np.abs(normal) / length
    axis = int(np.argmax(cosines))
    return AcquisitionField(_PLANES[axis], source, "high" if cosines[axis] >= CLEAR else "medium")
