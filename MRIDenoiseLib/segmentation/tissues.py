"""A volume in, its tissues out: mask, classes, and names where names mean something. And how much two segmentations agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.errors import Cancelled, InputError
from MRIDenoiseLib.image.kind import judged
from MRIDenoiseLib.progress import ShouldStop
from MRIDenoiseLib.segmentation.hmrf import TissueSettings, segment_tissues
from MRIDenoiseLib.segmentation.masks import brain_mask, whole_body_mask
from MRIDenoiseLib.volume import Volume

Colour = tuple[int, int, int]

_FLUID = ("cerebrospinal fluid", (85, 188, 255))
_GREY = ("grey matter", (200, 200, 235))
_WHITE = ("white matter", (250, 250, 225))
BRAIN_TISSUES: dict[str, tuple[tuple[str, Colour], ...]] = {
    "T1w": (_FLUID, _GREY, _WHITE),
    "T1-FLAIR": (_FLUID, _GREY, _WHITE),
    "T2w": (_WHITE, _GREY, _FLUID),
    "T2-FLAIR": (_FLUID, _WHITE, _GREY),
}
"""Contrast -> the three tissues of the brain from dark to bright, with the colours of Slicer's anatomy table."""
RAMP: tuple[Colour, ...] = ((68, 1, 84), (65, 68, 135), (42, 120, 142), (34, 168, 132), (122, 209, 81), (253, 231, 37))
"""Colours of intensity classes, dark to bright."""
ORGAN_WITH_TISSUES = "head"


class TissueClass(NamedTuple):
    """One label.

    Args:
        value: in the label map, from 1, in the order of brightness.
        name: a tissue, or ``intensity class N``.
        colour: red, green, blue, 0 to 255.
        mean: typical intensity (geometric mean without the bias field), in the volume's units.
        millilitres: of the voxels with this label.
    """

    value: int
    name: str
    colour: Colour
    mean: float
    millilitres: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The tissues of a volume; arrays have its axes (z, y, x).

    Args:
        labels: uint8, 0 outside the mask.
        posteriors: float32 (K, z, y, x), probabilities of the classes.
        partial_volumes: float32 (K, z, y, x), parts of each voxel.
        bias: float32, the field the image was divided by; 1 outside.
        classes: K, in the order of brightness.
        anatomical: whether the classes are tissues; otherwise they are classes of intensity and nothing more.
        mask: what it was found in: ``brain``, ``body`` or ``given``.
        settings: with which it was found.
    """

    labels: np.ndarray
    posteriors: np.ndarray
    partial_volumes: np.ndarray
    bias: np.ndarray
    classes: tuple[TissueClass, ...]
    anatomical: bool
    mask: str
    settings: TissueSettings = field(default_factory=TissueSettings)

    def report(self) -> dict[str, Any]:
        """A JSON-ready account, free of names, identifiers, dates and paths."""
        return {
            "classes": [kind._asdict() for kind in self.classes],
            "kind": "tissues" if self.anatomical else "intensity classes",
            "mask": self.mask,
            "settings": asdict(self.settings),
            "version": __version__,
            "note": RESEARCH_USE_ONLY,
        }


def make_mask(volume: Volume) -> tuple[np.ndarray, str]:
    """Where to segment a volume, bool (z, y, x), and which it is: the ``brain`` of a head, else the ``body``.

    Raises:
        InputError: see :mod:`.masks`.
    """
    stack, spacing = volume.stack, volume.stack_spacing
    head = volume.acquisition.organ.value == ORGAN_WITH_TISSUES
    mask = volume.unstacked((brain_mask if head else whole_body_mask)(stack, spacing))
    return measured_in(volume, mask), "brain" if head else "body"


def measured_in(volume: Volume, mask: np.ndarray) -> np.ndarray:
    """The part of a mask, bool (z, y, x), in which something was measured."""
    return mask if volume.unmeasured is None else mask & ~volume.unmeasured.mask


def segment(
    volume: Volume,
    settings: TissueSettings | None = None,
    mask: np.ndarray | None = None,
    progress: Callable[[float], None] | None = None,
    should_stop: ShouldStop | None = None,
    *,
    mask_kind: str = "given",
) -> Segmentation:
    """Segment a volume into classes of brightness, which in a brain of three classes are tissues.

    Args:
        volume: magnitudes; its organ and contrast name the classes.
        settings: FSL's defaults when not given.
        mask: bool (z, y, x); made from the volume when not given, see :func:`make_mask`.
        progress: called with the part done.
        should_stop: called after every step.
        mask_kind: what the given mask holds, where that is known: ``brain`` or ``body``.

    Raises:
        InputError: see :func:`.hmrf.segment_tissues`, :func:`make_mask` and :func:`MRIDenoiseLib.image.kind.judged`.
        Cancelled: when a stop is requested.
    """
    volume = judged(volume)
    settings = settings or TissueSettings()
    where, kind = (mask, mask_kind) if mask is not None else make_mask(volume)
    if where.shape != volume.voxels.shape:
        raise InputError("the mask and the image have different shapes; give a mask of this image")
    where = measured_in(volume, where)
    axis = volume.slice_axis

    def checkpoint(done: float) -> None:
        if should_stop is not None and should_stop():
            raise Cancelled("stopped")
        if progress is not None:
            progress(done)

    found = segment_tissues(volume.stack.astype(np.float64), volume.stacked(where), volume.stack_spacing, settings, checkpoint)
    names = _names(volume, settings.classes, kind)
    millilitres = np.bincount(found.labels.ravel(), minlength=settings.classes + 1)[1:] * np.prod(volume.spacing) / 1000
    means = np.exp(found.mixture.means) * found.unit
    classes = tuple(
        TissueClass(k + 1, name, colour, float(means[k]), float(millilitres[k]))
        for k, (name, colour) in enumerate(names or _intensity_classes(settings.classes))
    )
    return Segmentation(
        labels=volume.unstacked(found.labels),
        posteriors=np.moveaxis(found.posteriors, 1, axis + 1),
        partial_volumes=np.moveaxis(found.partial_volumes, 1, axis + 1),
        bias=volume.unstacked(found.bias),
        classes=classes,
        anatomical=bool(names),
        mask=kind,
        settings=settings,
    )


def _names(volume: Volume, classes: int, mask: str) -> tuple[tuple[str, Colour], ...]:
    """The tissues' names, or nothing where the classes are not tissues: only three classes inside a brain are."""
    facts = volume.acquisition
    if classes != 3 or facts.organ.value != ORGAN_WITH_TISSUES or mask == "body":
        return ()
    return BRAIN_TISSUES.get(str(facts.contrast.value), ())


def _intensity_classes(classes: int) -> list[tuple[str, Colour]]:
    chosen = np.linspace(0, len(RAMP) - 1, classes).round().astype(int)
    return [(f"intensity class {k + 1}", RAMP[place]) for k, place in enumerate(chosen)]
