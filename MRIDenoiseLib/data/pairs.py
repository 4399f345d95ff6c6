"""Which accelerated image belongs to which full one: two folders in, cases out, and a reason for all that stays alone.

Files without headers belong together when they have the same name in both folders. DICOM series belong together when they
show the same patient, organ, contrast, fat suppression and slices with about the same timing; where several full series fit,
the words of their descriptions and their matrix decide, and a draw is left to the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from MRIDenoiseLib.data.cases import LEAST_RATIO, Acceleration, Case, Check, Dropped, Pair, Say
from MRIDenoiseLib.data.images import Image, Slab
from MRIDenoiseLib.data.listing import list_images
from MRIDenoiseLib.data.manifest import folded
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.prompt.acquisition import MAX_ACCELERATION

SAME_ECHO = 0.15
"""Part by which the echo times of a pair may differ: an accelerated turbo spin echo may have another train."""
SAME_SLICES = 0.1
"""Part by which the slice spacings of a pair may differ."""
COVERED = 0.5
"""Part of the accelerated stack that the full one has to cover."""
SAME_TIMING = 0.25
"""Part by which repetition times and flip angles may differ: the fast protocol of a contrast seldom keeps them to the millisecond."""
SAME_INVERSION = 0.05
"""Part by which inversion times may differ, which decide what is dark."""
NOT_MAGNITUDE = frozenset(("phase", "real", "imaginary", "adc", "projection", "mpr", "mip"))
"""Words of Image Type (0008,0008) and descriptions that mark another kind of image; a pair must share them."""
NOT_MAGNITUDE_TYPES = NOT_MAGNITUDE | {"p", "r", "i", "fa"}
"""The same in Image Type alone: in a description these letters may be a side or a direction."""


def find_pairs(fast: Path, full: Path, acceleration: float | None, inclusive: int | None, say: Say) -> list[Case | Dropped]:
    """Match the accelerated images of one folder with the full ones of another.

    Args:
        fast: folder of the accelerated images.
        full: folder of the full ones.
        acceleration: T_full / T_fast as the user knows it; by default it is worked out of the DICOM headers.
        inclusive: over how many acquisitions the full images are averages, where the accelerated one is among them.
        say: called with what is being done.

    Raises:
        InputError: one of the folders holds no images.
        SettingsError: files without headers and no acceleration given, or numbers that make no sense.
        Cancelled: from ``say``.
    """
    if acceleration is not None and not LEAST_RATIO <= acceleration <= MAX_ACCELERATION:
        raise SettingsError(f"--acceleration lies between {LEAST_RATIO:g} and {MAX_ACCELERATION:g}, not {acceleration:g}")
    if inclusive is not None and inclusive < 2:
        raise SettingsError(f"--inclusive is a number of acquisitions, at least 2, not {inclusive}")
    noisy, clean = list_images(fast, "fast", say), list_images(full, "full", say)
    candidates = [image for image in clean if isinstance(image, Image)]
    cases: list[Case | Dropped] = []
    used: set[int] = set()
    for image in noisy:
        say("Matching series")
        if isinstance(image, Dropped):
            cases.append(image)
            continue
        partner = _partner(image, candidates)
        if isinstance(partner, str):
            cases.append(Dropped(image.label, "matching", partner))
            continue
        used.add(id(partner))
        try:
            cases.append(_case(image, partner, _acceleration(image, partner, acceleration), inclusive))
        except InputError as error:
            cases.append(Dropped(image.label, "acceleration", str(error)))
    for image in clean:
        if isinstance(image, Dropped):
            cases.append(image)
        elif id(image) not in used:
            cases.append(Dropped(image.label, "matching", "no accelerated image belongs to it"))
    return cases


def _case(noisy: Image, clean: Image, acceleration: Acceleration, inclusive: int | None) -> Case:
    def read(check: Check) -> Iterator[Pair]:
        check()
        fast = noisy.read(1)
        check()
        yield Pair(fast, clean.read(1), "inclusive" if inclusive else "independent", inclusive or 1, acceleration)

    return Case(
        label=noisy.label,
        subject=noisy.subject,
        study=noisy.study,
        series=noisy.series,
        read=read,
        names=noisy.names + clean.names,
        model=noisy.model,
        slice_thickness=noisy.slice_thickness,
        source=noisy.source,
        licence=noisy.licence,
        held_out=noisy.held_out or clean.held_out,
    )


def _acceleration(noisy: Image, clean: Image, given: float | None) -> Acceleration:
    if given is None and noisy.name:
        raise SettingsError("image files do not say how much faster one scan is than the other; give --acceleration, for example 2")
    return Acceleration.between(noisy.acquisition, clean.acquisition, durations=(noisy.duration, clean.duration), given=given)


def _partner(noisy: Image, candidates: Sequence[Image]) -> Image | str:
    """The one full image that belongs to an accelerated one, or why there is none."""
    if noisy.volumes > 1:
        return "it images every place several times; export one volume, or take mridenoise prepare repeats"
    if noisy.name:
        same = [image for image in candidates if image.name == noisy.name]
        if len(same) != 1:
            return f"{len(same) or 'no'} file(s) of the full scan have its name"
        return same[0] if same[0].volumes == 1 else f"the full file of its name holds {same[0].volumes} volumes; export one volume"
    left = [image for image in candidates if not image.name]
    for fits, otherwise in _rules(noisy):
        left = [image for image in left if fits(image)]
        if not left:
            return f"no full series of {otherwise}"
    ranked = sorted(left, key=partial(_likeness, noisy), reverse=True)
    if len(ranked) > 1 and _likeness(noisy, ranked[0]) == _likeness(noisy, ranked[1]):
        return f"{len(ranked)} full series fit it equally well; remove all but one"
    return ranked[0]


def _rules(noisy: Image) -> list[tuple[Callable[[Image], bool], str]]:
    """What a full image must fulfil, one after the other, and what to call those that do not."""

    def alike(*names: str) -> Callable[[Image], bool]:
        def fits(image: Image) -> bool:
            values = [(getattr(noisy.acquisition, name).value, getattr(image.acquisition, name).value) for name in names]
            return all(one is None or other is None or one == other for one, other in values)

        return fits

    def near(one: float | None, other: float | None, tolerance: float) -> bool:
        return one is None or other is None or abs(one - other) <= tolerance * max(one, other)

    def timed(image: Image) -> bool:
        one, other = noisy.weighting, image.weighting
        pairs = (one.repetition_time, other.repetition_time), (one.flip_angle, other.flip_angle)
        return all(near(*values, SAME_TIMING) for values in pairs)

    def inverted(image: Image) -> bool:
        one, other = noisy.weighting.inversion_time, image.weighting.inversion_time
        return (one is None) == (other is None) and near(one, other, SAME_INVERSION)

    def kind(image: Image) -> frozenset[str]:
        return image.words & NOT_MAGNITUDE | image.kinds & NOT_MAGNITUDE_TYPES

    def slabs(image: Image) -> tuple[Slab, Slab]:
        assert noisy.slab is not None and image.slab is not None, "both are DICOM"
        return noisy.slab, image.slab

    def placed(image: Image) -> bool:
        one, other = slabs(image)
        return one.parallel(other) and one.covered_by(other) >= COVERED

    def spaced(image: Image) -> bool:
        one, other = slabs(image)
        return near(one.spacing, other.spacing, SAME_SLICES)

    return [
        (lambda image: folded(image.subject) == folded(noisy.subject), "this patient"),
        (lambda image: image.series != noisy.series, "this patient but itself"),
        (lambda image: image.volumes == 1, "this patient with a single volume"),
        (alike("organ"), "this patient shows this organ"),
        (alike("contrast", "fat_suppression"), "this patient has this contrast and fat suppression"),
        (lambda image: kind(image) == kind(noisy), "this contrast is of the same kind of image"),
        (lambda image: near(image.weighting.echo_time, noisy.weighting.echo_time, SAME_ECHO), "this contrast has about this echo time"),
        (
            lambda image: image.weighting.contrast_agent == noisy.weighting.contrast_agent,
            f"this contrast was taken {'after' if noisy.weighting.contrast_agent else 'without'} a contrast agent",
        ),
        (inverted, "this contrast has this inversion time"),
        (timed, "this contrast has about this repetition time and flip angle"),
        (placed, "this contrast covers these slices"),
        (spaced, "this contrast has this slice spacing"),
    ]


def _likeness(noisy: Image, clean: Image) -> tuple[bool, float, bool, float]:
    """How well a full image fits, for choosing among several that may: more is better."""
    one, other = noisy.words | noisy.kinds, clean.words | clean.kinds
    shared = len(one & other) / max(len(one | other), 1)
    apart = abs((noisy.weighting.echo_time or 0) - (clean.weighting.echo_time or 0))
    return noisy.study == clean.study, shared, noisy.matrix == clean.matrix, -apart
