"""From the slices of a series to one straight, evenly spaced, complete stack: by geometry, never by name or number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.io.dicom.files import text, whole_number
from MRIDenoiseLib.io.dicom.frames import Frame
from MRIDenoiseLib.io.geometry import ijk_to_ras

SAME_PLACE = 0.02
"""mm along the slice normal within which two slices lie at the same place (header rounding)."""

_PARALLEL_WITHIN = 2e-3
_UNEVEN = 0.03
"""Part of the slice spacing by which a step may differ from the others."""

_TELLS_VOLUMES_APART: tuple[tuple[str, ...], ...] = (
    ("FrameType", "ImageType"),
    ("DiffusionBValue",),
    ("DiffusionGradientOrientation",),
    ("TemporalPositionIndex", "TemporalPositionIdentifier"),
    ("InversionTimes", "InversionTime"),
    ("FlipAngle",),
    ("NominalCardiacTriggerDelayTime", "TriggerTime"),
    ("RepetitionTime",),
    ("AcquisitionNumber",),
    ("AcquisitionDateTime", "AcquisitionTime"),
)
"""Attributes by which images of the same place belong to different volumes (kinds, b-values, time points), tried in this order."""


@dataclass(frozen=True)
class Stack:
    """Slices in the order of axis 0 (ascending along the slice normal), and their grid."""

    frames: tuple[Frame, ...]
    ijk_to_ras: np.ndarray


def stack(frames: Sequence[Frame], what: str, echo: int | None = None, volume: int | None = None) -> Stack:
    """Choose one echo and one volume of a series, and put its slices in order.

    Args:
        frames: all slices of one series.
        what: how to name the series in front of the user.
        echo: which echo, from 1, in the order of echo times.
        volume: which volume, from 1, where a place was imaged more than once (b-values, time points, image kinds).

    Raises:
        AmbiguousInputError: several echoes or volumes, and none was chosen.
        InputError: slices of different directions, sizes or spacing; missing, duplicate, uneven or shifted slices.
    """
    chosen = _chosen_echo(echoes(frames, what), what, echo)
    chosen = _chosen_volume(volumes(chosen, what), what, volume)
    normal = _normal(chosen)
    ordered = sorted(chosen, key=lambda f: float(f.position @ normal))
    step = _check_complete(ordered, normal, what)
    axes = np.mean([f.axes for f in ordered], axis=0)
    rows, columns = (axes[i] / np.linalg.norm(axes[i]) for i in (0, 1))
    between_rows, between_columns = np.mean([f.pixel_spacing for f in ordered], axis=0)
    direction = np.stack([rows, columns, np.cross(rows, columns)], axis=1)
    matrix = ijk_to_ras(ordered[0].position, np.array([between_columns, between_rows, step]), direction)
    return Stack(tuple(ordered), matrix)


def echoes(frames: Sequence[Frame], what: str) -> list[list[Frame]]:
    """The slices of a series by echo, in the order of echo times; all of them where no place was imaged more than once.

    Args:
        frames: all slices of one series.
        what: how to name the series in front of the user.

    Raises:
        InputError: slices of different directions or sizes, or one of them twice.
    """
    _check_same(frames, what)
    times = sorted({time for frame in frames if (time := echo_time(frame)) is not None})
    if len(times) < 2 or len(set(_places(frames).tolist())) == len(frames):
        return [list(frames)]
    return [[frame for frame in frames if echo_time(frame) == time] for time in times]


def volumes(frames: Sequence[Frame], what: str) -> list[list[Frame]]:
    """The slices of one echo by volume: time points, b-values or kinds of image, each with every place at most once.

    Args:
        frames: all slices of the echo.
        what: how to name the series in front of the user.

    Raises:
        InputError: places were imaged several times and nothing distinguishes the volumes.
    """
    return _volumes(list(frames), _places(frames), what)


def echo_time(frame: Frame) -> float | None:
    """Echo time in ms, or the number of the echo where the header has no time."""
    value = frame.get("EffectiveEchoTime", "EchoTime")
    if not isinstance(value, float):
        value = frame.get("EchoNumbers")
    return round(value, 2) if isinstance(value, float) else None


def _check_same(frames: Sequence[Frame], what: str) -> None:
    first = frames[0]
    seen: dict[tuple[str, int | None], Frame] = {}
    for frame in frames:
        name = text(frame.file.header, "SOPInstanceUID"), frame.index
        if name in seen and name[0]:
            raise InputError(
                f"{what} holds {frame.label} twice ({seen[name].file.path.name} and {frame.file.path.name}); remove one of them"
            )
        seen[name] = frame
        if any(whole_number(frame.file.header, k) != whole_number(first.file.header, k) for k in ("Rows", "Columns")):
            raise InputError(f"{what} mixes images of different matrix size ({first.label} and {frame.label}); separate them first")
        if np.abs(frame.pixel_spacing / first.pixel_spacing - 1).max() > 1e-3:
            raise InputError(f"{what} mixes images of different pixel spacing ({first.label} and {frame.label}); separate them first")
        if np.abs(frame.axes - first.axes).max() > _PARALLEL_WITHIN:
            raise InputError(
                f"{what} holds slices that are not parallel ({first.label} and {frame.label}), such as a localiser; denoise one stack"
            )


def _normal(frames: Sequence[Frame]) -> np.ndarray:
    normal = np.cross(*np.mean([f.axes for f in frames], axis=0))
    return normal / np.linalg.norm(normal)


def _places(frames: Sequence[Frame]) -> np.ndarray:
    """For each frame the number of its place along the normal, ascending from 0."""
    normal = _normal(frames)
    along = np.array([float(f.position @ normal) for f in frames])
    order = np.argsort(along, kind="stable")
    places = np.zeros(len(frames), int)
    places[order[1:]] = np.cumsum(np.diff(along[order]) > SAME_PLACE)
    return places


def _chosen_echo(found: list[list[Frame]], what: str, echo: int | None) -> list[Frame]:
    if echo is None and len(found) > 1:
        times = ", ".join(f"{echo_time(frames[0]):g}" for frames in found[:12])
        raise AmbiguousInputError(f"{what} holds {len(found)} echoes ({times} ms); choose one with --echo N (1 to {len(found)})")
    chosen = 1 if echo is None else echo
    if not 1 <= chosen <= len(found):
        raise InputError(f"{what} holds {'one echo' if len(found) == 1 else f'{len(found)} echoes'}, so there is no echo {chosen}")
    return found[chosen - 1]


def _chosen_volume(found: list[list[Frame]], what: str, volume: int | None) -> list[Frame]:
    if volume is None and len(found) > 1:
        raise AmbiguousInputError(
            f"{what} images every place {len(found)} times (time points, b-values or kinds of image); "
            f"choose one with --volume N (1 to {len(found)})"
        )
    chosen = 1 if volume is None else volume
    if not 1 <= chosen <= len(found):
        raise InputError(f"{what} holds {len(found)} volume(s), so there is no volume {chosen}")
    return found[chosen - 1]


def _volumes(frames: list[Frame], places: np.ndarray, what: str) -> list[list[Frame]]:
    """Part the frames into volumes that hold every place at most once."""
    counts = Counter(places.tolist())
    most = max(counts.values())
    if most == 1:
        return [frames]
    values = [[_sortable(f.get(*keywords)) for f in frames] for keywords in _TELLS_VOLUMES_APART]
    if all(f.index is not None for f in frames):
        # Several multi-frame files may be a volume each. A classic file is one slice, and its identifier has no order.
        values.insert(-1, [_sortable((float(f.order[0]), f.get("SOPInstanceUID"))) for f in frames])
    varying = [column for column in values if len(set(column)) > 1]
    for size in (1, 2, 3):
        for columns in combinations(varying, size):
            keys = list(zip(*columns, strict=True))
            kinds = sorted(set(keys))
            once_a_place = len(set(zip(places.tolist(), keys, strict=True))) == len(frames)
            # A volume of a few slices next to a full one consists of copies of them, with a separate time.
            covers_most = 2 * min(Counter(keys).values()) > len(counts)
            if len(kinds) == most and once_a_place and covers_most:
                return [[f for f, key in zip(frames, keys, strict=True) if key == kind] for kind in kinds]
    ranked = len({f.order for f in frames}) == len(frames)
    if len(set(counts.values())) == 1 and ranked:
        # Nothing in the headers distinguishes the repetitions except the order in which the scanner numbered them.
        of_place = [sorted((f for f, p in zip(frames, places, strict=True) if p == place), key=lambda f: f.order) for place in counts]
        return [[group[k] for group in of_place] for k in range(most)]
    twice = next(place for place, count in counts.items() if count == most)
    names = " and ".join([f.label for f, p in zip(frames, places, strict=True) if p == twice][:3])
    raise InputError(f"{what} holds duplicate slices: {names} lie at the same place; remove the copies")


def _sortable(value: Any) -> tuple:
    """A value of any kind in a form that sorts and compares with any other."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (1, round(value, 4))
    if isinstance(value, tuple):
        return (3, tuple(_sortable(v) for v in value))
    return (2, value)


def _check_complete(ordered: Sequence[Frame], normal: np.ndarray, what: str) -> float:
    """Check that steps are even and slices not shifted; return the slice spacing in mm."""
    if len(ordered) == 1:
        for keyword in ("SpacingBetweenSlices", "SliceThickness"):
            value = ordered[0].get(keyword)
            if isinstance(value, float) and value > 0:
                return value
        return 1.0
    along = np.array([float(f.position @ normal) for f in ordered])
    steps = np.diff(along)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    for k, step in enumerate(steps):
        here = f"between {ordered[k].label} and {ordered[k + 1].label} ({along[k]:.1f} and {along[k + 1]:.1f} mm along the slice direction)"
        if step > 1.5 * usual:
            missing = max(round(float(step / usual)) - 1, 1)
            raise InputError(f"{what}: {missing} slice(s) missing {here}; export the whole series")
        if abs(step - usual) > _UNEVEN * usual + SAME_PLACE:
            raise InputError(f"{what}: uneven slice spacing {here}; only evenly spaced slices can be denoised as a volume")
    positions = np.array([f.position for f in ordered])
    sideways = positions - positions[0] - np.outer(along - along[0], normal)
    if np.linalg.norm(sideways, axis=1).max() > 0.25 * min(ordered[0].pixel_spacing) + SAME_PLACE:
        raise InputError(f"{what}: its slices are shifted sideways against each other; only straight stacks can be denoised as a volume")
    return float((along[-1] - along[0]) / (len(ordered) - 1))
