"""JSON files beside images, as dcm2niix writes them and BIDS lays them out: what they state about the acquisition, and our own.

The keys are DICOM's keywords, times are in seconds (BIDS specification, "Magnetic resonance imaging").
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.io.images import Derivation, ending, stem_of
from MRIDenoiseLib.prompt.headers import Header
from MRIDenoiseLib.prompt.names import bids_entities
from MRIDenoiseLib.volume import Volume

_ROOT = "dataset_description.json"
_LEVELS = 6
"""Folders above an image that may be its data set's root: subject, session, kind of data, and those of a derivative."""
_LARGEST = 1 << 24

_TIMES = {"RepetitionTime": 60.0, "EchoTime": 1.0, "InversionTime": 20.0}
"""In seconds in a sidecar, in ms in DICOM -> from which number on it cannot be seconds."""
_LEAST_MS = {"RepetitionTime": 1.0, "EchoTime": 1.0, "InversionTime": 10.0}
"""Below these numbers a time beside others in ms is hardly one in ms."""
_NUMBERS = (
    "FlipAngle",
    "MagneticFieldStrength",
    "ImagingFrequency",
    "NumberOfAverages",
    "EchoTrainLength",
    "ParallelReductionFactorInPlane",
)
_TEXTS = (
    *("Manufacturer", "BodyPartExamined", "SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "ReceiveCoilName"),
    *("AcquisitionContrast", "MRAcquisitionType"),
)
_MODALITIES = ("MR", "CT", "PT", "NM", "US", "CR", "DX", "XA", "MG")
_LISTS = ("ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions")
_SAME = {
    "RepetitionTime": ("RepetitionTimeExcitation", "RepetitionTimePreparation"),
    "ParallelReductionFactorInPlane": ("AccelFactPE",),
    "ReceiveCoilName": ("CoilString",),
}
"""Keyword -> other keys that say the same, where it is absent."""

_KEPT = {
    *(*_TIMES, *_NUMBERS, *_LISTS, "Manufacturer", "BodyPartExamined", "SequenceName", "PulseSequenceName", "AcquisitionContrast"),
    *("ManufacturersModelName", "SoftwareVersions", "MRAcquisitionType", "ReceiveCoilName", "CoilString", "AccelFactPE", "Modality"),
    *("RepetitionTimeExcitation", "RepetitionTimePreparation", "SliceThickness", "SpacingBetweenSlices", "SliceTiming", "PixelBandwidth"),
    *("PhaseEncodingDirection", "PhaseEncodingAxis", "EffectiveEchoSpacing", "TotalReadoutTime", "DwellTime", "PartialFourier"),
    *("ParallelAcquisitionTechnique", "ParallelReductionFactorOutOfPlane", "MultibandAccelerationFactor", "PulseSequenceType"),
    *("PulseSequenceDetails", "SpoilingState", "SpoilingType", "MTState", "NonlinearGradientCorrection", "MatrixCoilMode", "EchoNumber"),
    *(
        "EchoTime1",
        "EchoTime2",
        "NumberShots",
        "WaterFatShift",
        "PercentSampling",
        "PercentPhaseFOV",
        "AcquisitionMatrixPE",
        "BaseResolution",
    ),
    *("ReconMatrixPE", "PhaseResolution", "SAR", "ImagedNucleus", "ImagingFrequency", "Units", "SkullStripped", "TaskName", "CogAtlasID"),
    *("NumberOfVolumesDiscardedByScanner", "DelayTime", "AcquisitionDuration", "VolumeTiming", "ArterialSpinLabelingType", "M0Type"),
    *("PostLabelingDelay", "LabelingDuration", "BackgroundSuppression", "DiffusionScheme", "ContrastBolusIngredient", "PatientPosition"),
    *("ImageOrientationPatientDICOM", "InPlanePhaseEncodingDirectionDICOM", "ConversionSoftware", "ConversionSoftwareVersion"),
}
"""What a result's sidecar takes over: how the image was acquired. Everything else may hold names, places, dates or free text."""

_OF_THE_MACHINE = ("device", "precision", "seconds")
"""What a report says of the machine, and the image's own file need not."""


@dataclass(frozen=True)
class Sidecar:
    """What the JSON files of an image state.

    Args:
        fields: key -> value; those of a file closer to the image come before those of a file above it.
        notes: what is odd about them, a sentence each.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def image_type(self) -> tuple[str, ...]:
        """The words of Image Type (0008,0008), where they are a list; in a line of text it is not known where one ends."""
        value = self.fields.get("ImageType")
        return tuple(_words(value)) if isinstance(value, list) else ()

    @property
    def modality(self) -> str:
        """Modality (0008,0060) in capitals, of those that make grey images; empty where it is none of them."""
        found = _text(self.fields.get("Modality")).upper()
        return found if found in _MODALITIES else ""


def read_sidecar(image: Path) -> Sidecar:
    """The sidecar of an image file: the JSON file of its name, and in a BIDS data set those that it inherits from.

    A damaged or foreign file is a note, never a failure.
    """
    own = image.with_name(stem_of(image) + ".json")
    notes = []
    fields: dict[str, Any] = {}
    for path in [*_inherited(image, own), own]:
        found = _object(path) if path.is_file() else {}
        if found is None:
            notes.append("A JSON file beside the image cannot be read and was left out.")
        elif path == own and found and not (_KEPT | {*_TEXTS, "GeneratedBy", "research_use"}) & found.keys():
            notes.append("The JSON file beside the image says nothing about how it was acquired.")
        fields |= found or {}
    return Sidecar(fields, tuple(dict.fromkeys(notes)))


def _object(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        content = _parsed(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _parsed(content: bytes) -> Any:
    """JSON in any form of Unicode; what is in none, such as a name of Latin letters in one byte each, is not what is asked for."""
    try:
        return json.loads(content)
    except UnicodeDecodeError:
        return json.loads(content.decode("utf-8", "replace"))


def _root_of(image: Path) -> Path | None:
    """The folder of the BIDS data set that an image lies in."""
    return next((folder for folder in list(image.absolute().parents)[:_LEVELS] if (folder / _ROOT).is_file()), None)


def _inherited(image: Path, own: Path) -> list[Path]:
    """The sidecars above an image that hold for it too, the farthest first: those of its suffix that have no other entity.

    BIDS calls this the inheritance principle.
    """
    root = _root_of(image)
    if root is None:
        return []
    folder = image.absolute().parent
    wanted, suffix = bids_entities(stem_of(image))
    found = []
    for level in [*reversed(folder.parents), folder]:
        if level != root and root not in level.parents:
            continue
        here = []
        for path in level.glob("*.json"):
            entities, its_suffix = bids_entities(path.stem)
            if its_suffix == suffix and entities.items() <= wanted.items() and path != own.absolute():
                here.append((len(entities), path))
        found += [path for _, path in sorted(here)]
    return found


def dataset_of(sidecar: Sidecar) -> tuple[Dataset | None, list[str]]:
    """A sidecar as the DICOM header that the rules of the prompt read, and notes; None where it states nothing they know."""
    fields = {**sidecar.fields}
    for keyword, others in _SAME.items():
        fields.setdefault(keyword, next((fields[name] for name in others if name in fields), None))
    numbers = {key: found for key in (*_TIMES, *_NUMBERS) if (found := _number(fields.get(key))) is not None}
    in_ms = _times_in_ms(numbers)
    notes = [f"The sidecar gives {' and '.join(in_ms)} in ms, not in seconds as it should; read as ms."] if in_ms else []
    for key in _TIMES.keys() & numbers.keys() - {*in_ms}:
        numbers[key] = round(numbers[key] * 1000, 6)
    values: dict[str, Any] = dict(numbers)
    values |= {key: text for key in _TEXTS if (text := _text(fields.get(key)))}
    values |= {key: words for key in _LISTS if (words := _words(fields.get(key)))}
    dataset = Dataset()
    for key, value in values.items():
        try:
            dataset.add(DataElement(key, dictionary_VR(key), value, validation_mode=0))
        except (ValueError, TypeError, OverflowError):
            continue  # an unreadable value is an absent one, as in DICOM
    return (dataset if len(dataset) else None), notes


def _times_in_ms(numbers: Mapping[str, float]) -> list[str]:
    """Which times a sidecar gives in ms: those that cannot be seconds, and with them those that can be ms."""
    if not any(numbers.get(key, 0) >= most for key, most in _TIMES.items()):
        return []
    found = [key for key in _TIMES if key in numbers and numbers[key] >= _LEAST_MS[key]]
    # A repetition lasts longer than its echo.
    too_short = numbers.get("RepetitionTime", 0) <= numbers.get("EchoTime", 0) and "EchoTime" in found
    return [key for key in found if key != "RepetitionTime" or not too_short]


def _number(value: Any) -> float | None:
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, bool) or not isinstance(first, int | float | str):
        return None
    try:
        number = float(first)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    return value.strip()[:64] if isinstance(value, str) else ""


def _words(value: Any) -> list[str]:
    """The values of an attribute of several; dcm2niix joins those of some with underscores."""
    if isinstance(value, list):
        return [str(word).strip() for word in value if isinstance(word, str) and word.strip()]
    return [word for word in re.split(r"[\\_/,\s]+", value) if word] if isinstance(value, str) else []


_WHAT = {
    "denoised": "An MR image denoised by MRI Denoise.",
    "residual": "What MRI Denoise removed from an MR image (noisy minus denoised).",
    "noise map": "The standard deviation of the noise of an MR image, as MRI Denoise took it to be.",
    "uncertainty": "How far an MR image denoised by MRI Denoise may be off: the half-width of the 90 % interval, in the image's units.",
}
"""What each of a result's images is."""


def sidecar_of(image: Path) -> Path | None:
    """Where the sidecar of a result lies; only NIfTI has one."""
    return image.with_name(stem_of(image) + ".json") if ending(image).startswith(".nii") else None


def result_sidecar(derivation: Derivation, report: Mapping[str, Any], noisy: Volume, source: Path) -> dict[str, Any]:
    """What goes beside a result: what was done, to which image, and how that one was acquired.

    Args:
        derivation: what was done; its suffix says which of a result's images this is.
        report: of the run, see :func:`MRIDenoiseLib.inference.report.build_report`.
        noisy: the source; a DICOM one states how it was acquired by its first header.
        source: where it was read.

    Returns:
        JSON-ready fields in BIDS' words. Nothing in them names the patient but, where its owner put it there, the
        source file's own name; a DICOM source is not named.
    """
    made = {"Name": "MRI Denoise", "Version": report.get("version"), "Description": derivation.description}
    fields: dict[str, Any] = {"Description": f"{_WHAT[derivation.suffix]} {RESEARCH_USE_ONLY}"}
    if not noisy.headers:
        root = _root_of(source)
        fields["Sources"] = [source.name if root is None else f"bids::{source.absolute().relative_to(root).as_posix()}"]
    fields |= {"GeneratedBy": [made], "MRIDenoise": _without_machine(report)}
    acquired = _of_header(Header(noisy.headers[0])) if noisy.headers else read_sidecar(source).fields
    return {**{key: value for key, value in acquired.items() if key in _KEPT and _is_plain(value)}, **fields}


def _without_machine(report: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in report.items() if key not in _OF_THE_MACHINE}
    return kept | ({"volumes": [_without_machine(one) for one in kept["volumes"]]} if "volumes" in kept else {})


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 128)


def _of_header(header: Header) -> dict[str, Any]:
    """What a DICOM header states of an acquisition's physics, in a sidecar's units."""
    seconds = {key: round(number / 1000, 9) for key in _TIMES if (number := header.number(key)) is not None}
    numbers = {key: number for key in (*_NUMBERS, "SliceThickness") if (number := header.number(key)) is not None}
    return {**seconds, **numbers, **{key: header.text(key) for key in ("Manufacturer", "MRAcquisitionType") if header.text(key)}}
