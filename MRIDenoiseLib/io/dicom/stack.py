"""From the slices of one stack to one straight, evenly spaced, complete volume: by geometry, never by name or number.

Which echo and which volume (time point, b-value, kind of image) is the user's choice; each is named by what tells it apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.io.dicom.files import text, whole_number
from MRIDenoiseLib.io.dicom.frames import Frame
from MRIDenoiseLib.io.dicom.parting import PARALLEL_WITHIN, SAME_PLACE, normal_of, places_of
from MRIDenoiseLib.io.geometry import ijk_to_ras
from MRIDenoiseLib.prompt.headers import Header

_UNEVEN = (0.03, 0.1)
"""Part of the slice spacing by which a step may differ from the others: without a word, and with a note."""
_SHIFTED = (0.25, 1.0)
"""Pixels by which a slice may lie aside of the others: without a word, and with a note."""

_ONE_ECHO = 1.1
"""Times the shortest echo time that the longest may be where slices of one echo state their own."""

_LISTED = 12
_COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}
_RAW_TYPE = (0x0043, 0x102F)
"""GE: 0 magnitude, 1 phase, 2 real, 3 imaginary."""
_PRIVATE_B_VALUES = {"SIEMENS": (0x0019, 0x100C), "PHILIPS": (0x2001, 0x1003), "UIH": (0x0065, 0x1009), "GE": (0x0043, 0x1039)}
"""Where manufacturers keep the b-value; GE the first of several numbers, to which some releases add 10^9."""


def component(frame: Frame) -> str:
    """``magnitude``, ``phase``, ``real`` or ``imaginary`` where the header says so, else an empty string."""
    for value in (frame.get("ComplexImageComponent"), frame.get("FrameType", "ImageType")):
        words = value[2:] if isinstance(value, tuple) else (value,)
        for word in (str(word).upper() for word in words if word):
            first = word[:1] if word in _COMPONENTS or word[1:2] == "_" else ""
            found = _COMPONENTS.get(first) or next((name for name in _COMPONENTS.values() if word == name.upper()), "")
            if found or word == "PHASE MAP":
                return found or "phase"
    raw = _private_number(frame, *_RAW_TYPE) if str(frame.get("Manufacturer")).upper().startswith("GE") else None
    return tuple(_COMPONENTS.values())[int(raw)] if raw in (0, 1, 2, 3) else ""


def b_value(frame: Frame) -> float | None:
    """Diffusion b-value (0018,9087) in s/mm2, or the manufacturer's own."""
    value = frame.get("DiffusionBValue")
    if isinstance(value, float):
        return value
    maker = str(frame.get("Manufacturer")).upper()
    tag = next((tag for name, tag in _PRIVATE_B_VALUES.items() if maker.startswith(name)), None)
    found = None if tag is None else _private_number(frame, *tag)
    return None if found is None else found % 100_000


def _private_number(frame: Frame, group: int, element: int) -> float | None:
    return next((number for data in frame.groups for number in Header(data).private_numbers(group, element)), None)


def _attribute(*keywords: str) -> Callable[[Frame], Any]:
    return lambda frame: frame.get(*keywords)


def _number(form: str) -> Callable[[Any], str]:
    return lambda value: form.format(value) if isinstance(value, float) else ""


def _component_rank(frame: Frame) -> float | None:
    """Magnitude before phase, real and imaginary."""
    found = component(frame)
    return float(list(_COMPONENTS.values()).index(found)) if found else None


def _kinds(words: Any) -> str:
    """What Image Type (0008,0008) tells beside the component, such as a water image."""
    told = [str(word) for word in words if isinstance(words, tuple) and word not in (*_COMPONENTS, "OTHER", "NONE", "PHASE MAP")]
    return "/".join(word for word in told if word[:1] not in _COMPONENTS or word[1:2] != "_")


_TELLS_VOLUMES_APART: tuple[tuple[Callable[[Frame], Any], Callable[[Any], str]], ...] = (
    (_component_rank, lambda rank: "" if rank is None else list(_COMPONENTS.values())[int(rank)]),
    (_attribute("FrameType", "ImageType"), _kinds),
    (b_value, _number("b = {:g} s/mm2")),
    (
        _attribute("DiffusionGradientOrientation"),
        lambda xyz: "direction " + " ".join(f"{v:.2f}" for v in xyz) if isinstance(xyz, tuple) else "",
    ),
    (_attribute("TemporalPositionIndex", "TemporalPositionIdentifier"), _number("time {:g}")),
    (_attribute("InversionTimes", "InversionTime"), _number("inversion time {:g} ms")),
    (_attribute("FlipAngle"), _number("flip angle {:g}")),
    (_attribute("NominalCardiacTriggerDelayTime", "TriggerTime"), _number("trigger time {:g} ms")),
    (_attribute("RepetitionTime"), _number("repetition time {:g} ms")),
    (_attribute("AcquisitionNumber"), _number("acquisition {:g}")),
    (_attribute("AcquisitionDateTime", "AcquisitionTime"), lambda _: ""),
)
"""By what images of the same place belong to different volumes, tried in this order, and how that is said (never a time of day)."""

_REPEATS_KEEP = 9
"""So many of these are the same in two copies of an image; number and time of the acquisition need not be."""


@dataclass(frozen=True)
class Stack:
    """Slices in the order of axis 0 (ascending along the slice normal), their grid, and what is odd about it."""

    frames: tuple[Frame, ...]
    ijk_to_ras: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class StackVolume:
    """One of the volumes of a stack.

    Args:
        echo: its echo, from 1.
        volume: its number among those of the echo, from 1.
        name: what tells it apart, such as ``echo time 20 ms, b = 1000 s/mm2``, or empty.
        frames: its slices.
    """

    echo: int
    volume: int
    name: str
    frames: tuple[Frame, ...]


def choices(frames: Sequence[Frame], what: str) -> list[StackVolume]:
    """Every volume of every echo, in the order of their numbers; errors are those of :func:`echoes` and :func:`volumes`."""
    found = []
    by_echo = echoes(frames, what)
    for echo, of_echo in enumerate(by_echo, 1):
        by_volume = volumes(of_echo, what)
        for number, (name, of_volume) in enumerate(zip(names(by_volume), by_volume, strict=True), 1):
            time = _echo_name(of_echo) if len(by_echo) > 1 else ""
            found.append(StackVolume(echo, number, ", ".join(filter(None, (time, name))), tuple(of_volume)))
    return found


def listed(found: Sequence[str]) -> str:
    """``: 1 (b = 0 s/mm2), 2 (b = 1000 s/mm2)``, for behind the option that chooses by number; empty where nothing has a name."""
    if not any(found):
        return ""
    named = [f"{number} ({name})" if name else str(number) for number, name in enumerate(found[:_LISTED], 1)]
    return f": {', '.join(named)}{', ...' if len(found) > _LISTED else ''}"


def echo_count(found: Sequence[StackVolume]) -> int:
    """Of how many echoes some volumes are."""
    return len({one.echo for one in found})


def sign(frame: Frame) -> tuple[Any, ...]:
    """What two copies of one image share, apart from its place and its pixels."""
    return (echo_time(frame), *(_sortable(value(frame)) for value, _ in _TELLS_VOLUMES_APART[:_REPEATS_KEEP]))


def names(found: Sequence[Sequence[Frame]]) -> list[str]:
    """What tells volumes apart, in words, one for each; empty where the header names nothing."""
    said: list[list[str]] = [[] for _ in found]
    if len(found) > 1:
        for value, word in _TELLS_VOLUMES_APART:
            values = [{_sortable(value(frame)): value(frame) for frame in volume} for volume in found]
            distinct = {tuple(sorted(of_volume)) for of_volume in values}
            if len(distinct) < 2 or any(len(of_volume) != 1 for of_volume in values):
                continue
            of_each = [next(iter(of_volume.values())) for of_volume in values]
            shared = set.intersection(*(set(each) if isinstance(each, tuple) else set() for each in of_each))
            for words, each in zip(said, of_each, strict=True):
                # Of a list of words those that are not the same everywhere.
                words.append(word(tuple(one for one in each if one not in shared) if word is _kinds else each))
            if len(distinct) == len(found):
                break
    most = max(map(len, found), default=0)
    for words, volume in zip(said, found, strict=True):
        words.append(f"{len(volume)} of {most} slices" if len(volume) < most else "")
    return [", ".join(filter(None, words)) for words in said]


def stack(frames: Sequence[Frame], what: str, echo: int | None = None, volume: int | None = None) -> Stack:
    """Choose one echo and one volume of a stack, and put its slices in order.

    Args:
        frames: all slices of one stack, see :mod:`MRIDenoiseLib.io.dicom.parting`.
        what: how to name the series in front of the user.
        echo: which echo, from 1, in the order of echo times.
        volume: which volume, from 1, where a place was imaged more than once (b-values, time points, image kinds).

    Raises:
        AmbiguousInputError: several echoes or volumes, and none was chosen.
        InputError: slices of different directions, sizes or spacing; missing, duplicate, uneven or shifted slices.
    """
    chosen = _chosen_echo(echoes(frames, what), what, echo)
    chosen = _chosen_volume(volumes(chosen, what), what, volume)
    normal = normal_of(chosen)
    ordered = sorted(chosen, key=lambda f: float(f.position @ normal))
    step, notes = _check_complete(ordered, normal, what)
    places = len(set(places_of(frames).tolist()))
    if len(ordered) < places:
        notes += (f"The chosen images are of {len(ordered)} of the {places} places that this stack images.",)
    axes = np.mean([f.axes for f in ordered], axis=0)
    rows, columns = (axes[i] / np.linalg.norm(axes[i]) for i in (0, 1))
    between_rows, between_columns = np.mean([f.pixel_spacing for f in ordered], axis=0)
    direction = np.stack([rows, columns, np.cross(rows, columns)], axis=1)
    matrix = ijk_to_ras(ordered[0].position, np.array([between_columns, between_rows, step]), direction)
    return Stack(tuple(ordered), matrix, notes)


def echoes(frames: Sequence[Frame], what: str) -> list[list[Frame]]:
    """The slices of a series by echo, in the order of echo times.

    All are one where their times hardly differ and no place was imaged more than once. What has no time comes last.

    Args:
        frames: all slices of one series.
        what: how to name the series in front of the user.

    Raises:
        InputError: slices of different directions or sizes, or one of them twice.
    """
    _check_same(frames, what)
    by_time: dict[float | None, list[Frame]] = {}
    stated = any(_states_echo_time(frame) for frame in frames)
    for frame in frames:
        by_time.setdefault(echo_time(frame) if _states_echo_time(frame) or not stated else None, []).append(frame)
    times = sorted(time for time in by_time if time is not None)
    each_once = len(set(places_of(frames).tolist())) == len(frames)
    if len(times) < 2 or (each_once and times[-1] <= _ONE_ECHO * times[0]):
        return [list(frames)]
    # What was made of all echoes, such as their sum, has no time of its own.
    return [by_time[time] for time in times] + ([by_time[None]] if None in by_time else [])


def volumes(frames: Sequence[Frame], what: str) -> list[list[Frame]]:
    """The slices of one echo by volume: time points, b-values or kinds of image, each with every place at most once.

    Args:
        frames: all slices of the echo.
        what: how to name the series in front of the user.

    Raises:
        InputError: places were imaged several times and nothing distinguishes the volumes.
    """
    return _volumes(list(frames), places_of(frames), what)


def echo_time(frame: Frame) -> float | None:
    """Echo time in ms, or the number of the echo where the header has no time."""
    value = frame.get("EffectiveEchoTime", "EchoTime")
    if not isinstance(value, float):
        value = frame.get("EchoNumbers")
    return round(value, 2) if isinstance(value, float) else None


def _states_echo_time(frame: Frame) -> bool:
    return isinstance(frame.get("EffectiveEchoTime", "EchoTime"), float)


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
        if np.abs(frame.axes - first.axes).max() > PARALLEL_WITHIN:
            raise InputError(
                f"{what} holds slices that are not parallel ({first.label} and {frame.label}), such as a localiser; denoise one stack"
            )


def _chosen_echo(found: list[list[Frame]], what: str, echo: int | None) -> list[Frame]:
    if echo is None and len(found) > 1:
        stated = [frames for frames in found if _states_echo_time(frames[0])]
        unit = " ms" if stated else ""
        times = ", ".join(f"{echo_time(frames[0]):g}" for frames in (stated or found)[:_LISTED])
        named = listed([_echo_name(frames) for frames in found])
        raise AmbiguousInputError(f"{what} holds {len(found)} echoes ({times}{unit}); choose one with --echo N{named}")
    chosen = 1 if echo is None else echo
    if not 1 <= chosen <= len(found):
        raise InputError(f"{what} holds {'one echo' if len(found) == 1 else f'{len(found)} echoes'}, so there is no echo {chosen}")
    return found[chosen - 1]


def _echo_name(frames: Sequence[Frame]) -> str:
    if _states_echo_time(frames[0]):
        return f"echo time {echo_time(frames[0]):g} ms"
    number = echo_time(frames[0])
    return "no echo time" if number is None else f"number {number:g}"


def _chosen_volume(found: list[list[Frame]], what: str, volume: int | None) -> list[Frame]:
    if volume is None and len(found) > 1:
        everywhere = len(set(places_of([frame for of_volume in found for frame in of_volume]).tolist()))
        whole = all(len(of_volume) == everywhere for of_volume in found)
        holds = f"images every place {len(found)} times" if whole else f"holds {len(found)} volumes, not each of every place"
        raise AmbiguousInputError(f"{what} {holds}; choose one with --volume N{listed(names(found)) or f' (1 to {len(found)})'}")
    chosen = 1 if volume is None else volume
    if not 1 <= chosen <= len(found):
        raise InputError(f"{what} holds {len(found)} volume(s), so there is no volume {chosen}")
    return found[chosen - 1]


def _volumes(frames: list[Frame], places: np.ndarray, what: str) -> list[list[Frame]]:
    """Part the frames into volumes that hold every place at most once."""
    counts = Counter(places.tolist())
    most = max(counts.values())
    if most == 1:
        # Slices of two kinds may lie between each other, or one stack after the other.
        told = next((value for value in (_component_rank, b_value) if len({value(f) for f in frames} - {None}) > 1), None)
        if told is None:
            return [frames]
        return [[f for f in frames if told(f) == kind] for kind in sorted({told(f) for f in frames}, key=_sortable)]
    values = [[_sortable(value(f)) for f in frames] for value, _ in _TELLS_VOLUMES_APART]
    if all(f.index is not None for f in frames):
        # Several multi-frame files may be a volume each. A classic file is one slice, and its identifier has no order.
        values.insert(-1, [_sortable((float(f.order[0]), f.get("SOPInstanceUID"))) for f in frames])
    varying = [column for column in values if len(set(column)) > 1]
    # A volume of a few slices next to a full one consists of copies of them, with a separate time, unless the header
    # itself tells it apart: an examination that was stopped ends within a volume.
    stated = [column for column in values[:_REPEATS_KEEP] if len(set(column)) > 1]
    for usable, least in ((varying, len(counts) // 2 + 1), (stated, 1)):
        for size in (1, 2, 3):
            for columns in combinations(usable, size):
                keys = list(zip(*columns, strict=True))
                kinds = sorted(set(keys))
                once_a_place = len(set(zip(places.tolist(), keys, strict=True))) == len(frames)
                if len(kinds) == most and once_a_place and min(Counter(keys).values()) >= least:
                    return [[f for f, key in zip(frames, keys, strict=True) if key == kind] for kind in kinds]
    ranked = len({f.order for f in frames}) == len(frames)
    if len(set(counts.values())) == 1 and ranked:
        # Nothing in the headers distinguishes the repetitions except the order in which the scanner numbered them.
        of_place = [sorted((f for f, p in zip(frames, places, strict=True) if p == place), key=lambda f: f.order) for place in counts]
        return [[group[k] for group in of_place] for k in range(most)]
    twice = next(place for place, count in counts.items() if count == most)
    same = [f for f, p in zip(frames, places, strict=True) if p == twice][:3]
    called = [f.label for f in same]
    if len(set(called)) < len(called):
        called = ["/".join(f.file.path.parts[-2:]) for f in same]
    raise InputError(f"{what} holds duplicate slices: {' and '.join(called)} lie at the same place; remove the copies")


def _sortable(value: Any) -> tuple:
    """A value of any kind in a form that sorts and compares with any other."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (1, round(value, 4))
    if isinstance(value, tuple):
        return (3, tuple(_sortable(v) for v in value))
    return (2, value)


def _check_complete(ordered: Sequence[Frame], normal: np.ndarray, what: str) -> tuple[float, tuple[str, ...]]:
    """Check that steps are even and slices not shifted; return the slice spacing in mm, and what is slightly off."""
    if len(ordered) == 1:
        stated = (ordered[0].get(keyword) for keyword in ("SpacingBetweenSlices", "SliceThickness"))
        return next((value for value in stated if isinstance(value, float) and value > 0), 1.0), ()
    along = np.array([float(f.position @ normal) for f in ordered])
    steps = np.diff(along)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    off_grid = float(np.abs(along - np.linspace(along[0], along[-1], len(along))).max())
    notes = []
    for k, step in enumerate(steps):
        here = f"between {ordered[k].label} and {ordered[k + 1].label} ({along[k]:.1f} and {along[k + 1]:.1f} mm along the slice direction)"
        if step > 1.5 * usual:
            missing = max(round(float(step / usual)) - 1, 1)
            raise InputError(f"{what}: {missing} slice(s) missing {here}; export the whole series")
        # Positions that were rounded make steps uneven and lie on an even grid all the same.
        if abs(step - usual) > _UNEVEN[1] * usual + SAME_PLACE and off_grid > _UNEVEN[1] * usual + SAME_PLACE:
            raise InputError(f"{what}: uneven slice spacing {here}; only evenly spaced slices can be denoised as a volume")
    if np.abs(steps - usual).max() > _UNEVEN[0] * usual + SAME_PLACE:
        notes.append(
            f"The slices are {steps.min():.3g} to {steps.max():.3g} mm apart; they are taken as evenly spaced by {np.mean(steps):.3g} mm."
        )
    notes += _contradicted(float(np.mean(steps)), ordered[0])
    positions = np.array([f.position for f in ordered])
    sideways = positions - positions[0] - np.outer(along - along[0], normal)
    shift = float(np.linalg.norm(sideways, axis=1).max())
    pixel = min(ordered[0].pixel_spacing)
    if shift > _SHIFTED[1] * pixel + SAME_PLACE:
        raise InputError(f"{what}: its slices are shifted sideways against each other; only straight stacks can be denoised as a volume")
    if shift > _SHIFTED[0] * pixel + SAME_PLACE:
        notes.append(f"The slices are shifted sideways by up to {shift:.2g} mm; they are taken as a straight stack.")
    return float((along[-1] - along[0]) / (len(ordered) - 1)), tuple(notes)


def _contradicted(step: float, frame: Frame) -> list[str]:
    """What the header says of the slices' spacing where their positions say another; some state what is left free between two."""
    stated, thickness = frame.get("SpacingBetweenSlices"), frame.get("SliceThickness")
    if not isinstance(stated, float) or stated == 0:
        return []
    meant = (abs(stated), stated + thickness if isinstance(thickness, float) else 0.0)
    if any(abs(one - step) <= _UNEVEN[1] * step + SAME_PLACE for one in meant):
        return []
    return [f"The slices lie {step:.3g} mm apart by their positions, which were followed, and {stated:.3g} mm by the header (0018,0088)."]
