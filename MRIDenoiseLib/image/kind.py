"""What kind of image a volume is: a magnitude image, or one of the others that scanners and programs write into the same files.

Header, name and voxels are asked, in this order of trust. What cannot come out right is refused; what may, but was in no training,
gets a sentence. All commands ask here, so that all say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.headers import Header
from MRIDenoiseLib.prompt.names import normalised
from MRIDenoiseLib.volume import Volume

SLICES = 12
"""Slices that are looked at, spread over the volume."""
BRIGHT = 99.5
"""Percentile of the magnitude that stands for bright tissue."""
DARK, LEAST_DARK = 0.03, 0.003
"""Of bright tissue, and of the voxels: more places whose mean over 5 x 5 pixels lies so far below zero are negative tissue.
Ringing of an interpolation alternates within such a square, and so does noise."""
LEAST_PADDING = 0.01
"""The part of the image that has the lowest value of all, where that is padding."""
MOST_LABELS = 400
"""A label map has no more values."""
EVEN = 0.8
"""The part of the neighbours, both inside, that have the same value: 0.9 and more in label maps, little where there is noise."""
EVEN_BY_NAME = 0.6
"""The same part, where the name says that it is a label map; a masked image may have such a name, too."""
FEW_LABELS = 8
"""So few values need not follow each other, if they are stored in 8 bits. Where there are more, the highest is one of many labels in a
label map, but may be half of an image that was cut off at a narrow window."""
HOUNSFIELD_AIR, HOUNSFIELD_SOFT, LEAST_OF_BOTH = (-1100, -900), (-200, 200), 0.05
"""CT's air and soft tissue, and the part of the voxels that each has."""
LEAST_NEGATIVE, ALIKE = 0.005, 40
"""The part of CT's other voxels that lie below water, as fat does, and how far the middle half of them lies apart at most where none do.
An MR image that was resampled over -1000 has neither."""
CIRCLES = (2 * np.pi, 4096, 8192, 360, 6283)
"""Full turns in the units in which scanners store phase."""
OWN_MARK = "MRI Denoise"
"""Manufacturer (0008,0070) in Contributing Equipment Sequence (0018,A001) of our own series."""

_PHASE = {"P", "PHASE", "PHASE MAP", "PHASE_MAP", "PHASEMAP", "VELOCITY MAP", "VELOCITY"}
_REAL = {"R", "REAL", "I", "IMAGINARY", "R_IR", "R_SE", "R_FFE", "I_SE", "I_FFE", "PSIR"}
_PART = {1: "P", 2: "R", 3: "I"}
"""GE's private Image Type (0043,102F)."""
_MAP_WORD = re.compile(
    r"(E?ADC|EXP_?ADC|ADC_\w+|FA|FA[ _]?MAP|MD|T[12](\*|[ _]?STAR)?[ _]?MAP|R[12](\*|[ _]?STAR)?([ _]?MAP)?|B[01][ _]?MAP|FIELD[ _]?MAP"
    r"|R?(R|EL)?CB[VF]|MTT|TTP|TMAX|KTRANS|FAT[ _]?FRACTION|FF|PDFF)"
)
_SUBTRACTION = {"SUB", "SUBTRACTION", "SUBTRACT", "SUBTRACTED"}
_PROJECTION = {"MIP", "MINIP", "PROJECTION IMAGE", "PROJECTION"}
_NAMES = (
    ("map", r" (adc\w*|\w+adc|eadc|apparent diffusion coeff\w*|fractional aniso\w*|(fa|md|t1|t2|t2 ?star|t2\*|r1|r2|b0|b1) ?map\w*) "),
    ("map", r" (\w*(t1|t2|t2star|r1|r2|r2star|pd|mtr|m0|tb1|mtv)map|fieldmap\w*|field map|(r|rel)?cb[vf]|ktrans|fat fraction|pdff) "),
    ("map", r" (fa|md|mtsat) $"),
    # Not BIDS's word for a person.
    ("subtraction", r" (subtraction|subtracted) |\w sub (\d+ )?$"),
    ("projection", r" (mip|minip) "),
)
_BIDS_PHASE = r" sub .*( part phase |( phase| phase1| phase2| phasediff) $)"
_LABELS = r" (mask|dseg|seg|aseg|wmparc|aparc aseg|labels?|segmentation|roi) $"
_PROBABILITIES = r" (probseg|posteriors?) $"
_PHASE_IMAGE = "this is a phase image ({} says so); only magnitude images can be denoised: give the magnitude of the same scan"
_PHASE_NAME = r" (ph|pha|phase\w*) "
_CT_NAME, _PET_NAME = r" (\w*ct) $| ct ", r" sub .* pet $"


@dataclass(frozen=True)
class Kind:
    """What :func:`kind_of` finds.

    Args:
        refused: why the image cannot be used, a sentence without a full stop; empty where it can.
        warning: what the user should know before it is used; empty where there is nothing.
    """

    refused: str = ""
    warning: str = ""


def judged(volume: Volume, *, denoising: bool = False) -> Volume:
    """The volume with what is to be said about its kind among its notes.

    Args:
        volume: as it was read.
        denoising: whether it is to be denoised, so that an earlier time counts.

    Raises:
        InputError: an image of this kind cannot come out right.
    """
    kind = kind_of(volume)
    if kind.refused:
        raise InputError(kind.refused)
    found = [kind.warning, "This image was denoised by MRI Denoise before; a second time takes more than noise." if again(volume) else ""]
    notes = dict.fromkeys([*volume.notes, *(sentence for sentence in (found if denoising else found[:1]) if sentence)])
    return replace(volume, notes=tuple(notes))


def kind_of(volume: Volume) -> Kind:
    """What kind of image a volume is, by its first header, its name and its voxels."""
    types, described = _stated(volume)
    name = normalised(volume.name)
    sample = _Sample.of(volume)
    refused = (
        _refused_labels(name, sample)
        or _refused_phase(types, name, sample)
        or _refused_modality(name, sample)
        or _refused_sign(types, sample)
    )
    return Kind(refused) if refused else Kind(warning=_warning(types, [name, *described]))


def kind_of_header(header: Any) -> Kind:
    """What kind of image a DICOM header states, where its voxels are not read."""
    types, described = _stated_in(header)
    return Kind(_PHASE_IMAGE.format("its Image Type")) if types & _PHASE else Kind(warning=_warning(types, described))


def again(volume: Volume) -> bool:
    """Whether the volume's file says that we denoised it."""
    if volume.headers:
        equipment = Header(volume.headers[0]).items("ContributingEquipmentSequence")
        described = Header(volume.headers[0]).text("SeriesDescription").lower()
        ours = any(Header(item).text("Manufacturer") == OWN_MARK for item in equipment)
        return ours and not described.endswith(("simulated", "residual", "uncertainty", "noise map"))
    account = volume.account
    if not account and volume.nifti is not None:
        account = bytes(volume.nifti["descrip"]).split(b"\0")[0].decode("latin-1")
    ours = account.startswith("NOT FOR DIAGNOSTIC USE;") or "by MRI Denoise" in account
    return ours and not re.search(r"simulated|(residual|uncertainty|noise map|tissues) by|HMRF", account)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Some slices (slices, rows, columns), where they were measured, and what is found in them again and again."""

    slices: np.ndarray
    measured: np.ndarray
    values: np.ndarray
    bright: float
    eight_bits: bool

    @classmethod
    def of(cls, volume: Volume) -> _Sample:
        stack = volume.stack
        chosen = np.unique(np.linspace(0, len(stack) - 1, SLICES).round().astype(int))
        slices = stack[chosen]
        measured = np.isfinite(slices)
        if volume.unmeasured is not None:
            measured &= ~volume.stacked(volume.unmeasured.mask)[chosen]
        values = slices[measured]
        # Padding lies far below zero, so that brightness is sought above.
        bright = float(np.percentile(values, BRIGHT)) if values.size else 0.0
        bright = bright if bright > 0 else float(-values.min(initial=0))
        return cls(np.where(measured, slices, 0), measured, values, bright, volume.pixel_type in ("uint8", "int8"))

    @property
    def negative_tissue(self) -> bool:
        """Whether whole places, not single voxels, lie below zero."""
        if self.bright <= 0 or self.values.min() > -DARK * self.bright:
            return False
        # One lowest value over a good part of the image is not tissue but padding that no header mentions.
        padding = self.slices == self.values.min()
        padding &= padding.mean() > LEAST_PADDING
        means = np.stack([ndimage.uniform_filter(image, 5) for image in np.where(padding, np.float32(0), self.slices)])
        return bool((means[self.measured & ~padding] < -DARK * self.bright).mean() > LEAST_DARK)

    @property
    def labels(self) -> int:
        """How many values a label map has that this may be; 0 where it is none."""
        levels = self.levels
        if self.even < EVEN or not self.few_whole_numbers:
            return 0
        follow = np.diff(levels).min() == 1
        return int(levels.size) if levels.size == 2 or follow or (levels.size <= FEW_LABELS and self.eight_bits) else 0

    @cached_property
    def levels(self) -> np.ndarray:
        """The values that occur, in order; of a large image those of a part of its voxels."""
        return np.unique(self.values[:: max(1, self.values.size // 1_000_000)])

    @property
    def few_whole_numbers(self) -> bool:
        """Whether there are as few values as labels, all of them whole numbers.

        One value alone shows nothing, as in a mask of other slices; the readers refuse such images where they must.
        """
        return 2 <= self.levels.size <= MOST_LABELS and np.array_equal(self.levels, np.rint(self.levels))

    @cached_property
    def even(self) -> float:
        """The part of the neighbours, both inside, that have the same value."""
        outside = self.levels[:1] if self.levels.size <= FEW_LABELS else self.levels[[0, -1]]
        within = self.measured & ~np.isin(self.slices, outside)
        left, right = self.slices[..., :-1], self.slices[..., 1:]
        inside = within[..., :-1] & within[..., 1:]
        return float((left == right)[inside].mean()) if inside.any() else 0.0

    @property
    def circular(self) -> bool:
        """Whether the values fill a full turn evenly, as the phase of noise does."""
        if not self.values.size:
            return False
        low, high = float(self.values.min()), float(self.values.max())
        if not any(0.97 <= (high - low) / circle <= 1.01 for circle in CIRCLES):
            return False
        share = np.histogram(self.values, 8, (low, high))[0] / self.values.size
        return bool(share.min() > 0.02 and share.max() < 0.6)

    @property
    def hounsfield(self) -> bool:
        """Whether there are both CT's air and CT's soft tissue; air of one value alone may be padding."""
        both = [(self.values >= low) & (self.values <= high) for low, high in (HOUNSFIELD_AIR, HOUNSFIELD_SOFT)]
        if not all(found.mean() > LEAST_OF_BOTH for found in both):
            return False
        air, other = self.values[both[0]], self.values[~both[0]]
        if (air != self.values.min()).mean() > LEAST_OF_BOTH or (other < 0).mean() > LEAST_NEGATIVE:
            return True
        low, middle, high = np.percentile(other, (25, 50, 75))
        return bool(0 < middle < HOUNSFIELD_SOFT[1] / 2 and high - low < ALIKE)


def _stated(volume: Volume) -> tuple[set[str], list[str]]:
    """The words of a header's or sidecar's image types in capitals, and the series' descriptions as :func:`normalised` names."""
    if not volume.headers:
        return {word.strip().upper() for word in volume.image_type}, []
    return _stated_in(volume.headers[0])


def _stated_in(dataset: Any) -> tuple[set[str], list[str]]:
    header = Header(dataset)
    words = [word for keyword in ("ImageType", "FrameType", "ComplexImageComponent") for word in header.texts(keyword)]
    part = header.private_numbers(0x0043, 0x102F)
    if part and "GE" in header.text("Manufacturer").upper():
        words.append(_PART.get(int(part[0]), "M"))
    return {word.strip().upper() for word in words}, [normalised(header.text(name)) for name in ("SeriesDescription", "ProtocolName")]


def _refused_labels(name: str, sample: _Sample) -> str:
    if sample.labels:
        return f"this is a mask or a label map (it holds {sample.labels} different whole numbers), not an MR image; give the image itself"
    if re.search(_LABELS, name) and sample.few_whole_numbers and (sample.even > EVEN_BY_NAME or sample.levels.size <= FEW_LABELS):
        return "this is a mask or a label map (its name says so, and it holds few values), not an MR image; give the image itself"
    if re.search(_PROBABILITIES, name) and sample.values.size and sample.values.min() >= 0 and sample.values.max() <= 1:
        return "this is a map of probabilities (its name says so), not an MR image; give the image itself"
    return ""


def _refused_phase(types: set[str], name: str, sample: _Sample) -> str:
    source = "its Image Type" if types & _PHASE else "its name" if re.search(_BIDS_PHASE, name) else ""
    if not source and sample.circular and (re.search(_PHASE_NAME, name) or sample.values.min() < 0):
        source = "its values, which fill a full turn,"
    if not source:
        return ""
    return _PHASE_IMAGE.format(source)


def _refused_modality(name: str, sample: _Sample) -> str:
    if re.search(_PET_NAME, name):
        return "this is a PET image (its name says so), not MR; only MR images can be denoised"
    ct_by_name = re.search(_CT_NAME, name) and sample.values.size and sample.values.min() < -500
    if sample.hounsfield or ct_by_name:
        return "this is a CT image (its values are Hounsfield units), not MR; only MR images can be denoised"
    return ""


def _refused_sign(types: set[str], sample: _Sample) -> str:
    if not sample.negative_tissue:
        return ""
    if types & _SUBTRACTION:
        what = "a subtraction"
    elif types & _REAL:
        what = "a real or phase-sensitive image"
    else:
        what = "a phase-sensitive, real, subtraction or normalised image"
    return f"whole parts of this image lie below zero ({what}); only magnitude images can be denoised: give the magnitude of the same scan"


def _warning(types: set[str], names: Iterable[str]) -> str:
    found = next((kind for kind, pattern in _NAMES if any(re.search(pattern, name) for name in names)), "")
    if any(_MAP_WORD.fullmatch(word) for word in types) or found == "map":
        return "This is a map computed from other images; nothing here was made for maps, so check the result with care."
    if types & _SUBTRACTION or found == "subtraction":
        return "This is a difference of two images; nothing here was made for those, so check the result with care."
    if types & _PROJECTION or found == "projection":
        return "This is a projection of other images; nothing here was made for those, so check the result with care."
    if types & _REAL:
        return "This is not a magnitude image but a real or imaginary part; nothing here was made for those, so check the result with care."
    return ""
