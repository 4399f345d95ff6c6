"""A series parted into stacks: by direction, matrix, spacing and gaps, as far as slices belong on one grid.

A series may hold a scout beside its slices, a stack for every lumbar disc, one for each of two joints, or the same slices
in two matrices. Each of them is a stack of its own, with all of its echoes and volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from MRIDenoiseLib.errors import AmbiguousInputError, InputError
from MRIDenoiseLib.io.dicom.frames import Frame, Usable

SAME_PLACE = 0.02
"""mm along the slice normal within which two slices lie at the same place (header rounding)."""

PARALLEL_WITHIN = 2e-3
_BESIDE = 0.25
"""Part of the field of view by which slices lie aside of others, so that they cannot belong to one straight stack."""
_GAP = 1.5
"""Times the usual step: a step that long is a gap."""
_OFF = 0.4
"""Part of a step by which stacks of several times lie apart and are no slices between each other."""
_PLAIN = 2
"""Times the slices of the next stack that a stack has which is plainly meant."""
_LISTED = 8
_MADE_OTHERWISE = {"LOCALIZER", "PROJECTION", "MIP", "MINIP", "MNIP", "MPR", "REFORMATTED", "CPR"}
"""Words of Image Type (0008,0008) that tell what cannot be one stack with slices that have them not."""


@dataclass(frozen=True, eq=False)
class SliceGroup:
    """The images of one stack, with every echo and volume of it.

    Args:
        frames: the images, in no order.
        doubt: why slices between this stack and another may have been lost, or empty.
        joined: number of what it would be a part of if they had.
    """

    frames: tuple[Frame, ...]
    doubt: str = ""
    joined: int = 0

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the slices, LPS."""
        return normal_of(self.frames)

    @property
    def slices(self) -> int:
        """How many places were imaged."""
        return int(places_of(self.frames).max()) + 1

    def __str__(self) -> str:
        """Direction, slices x rows x columns, spacing and centre: what distinguishes it from the other stacks."""
        rows, columns = _matrix(self.frames[0])
        apart = ""
        if self.slices > 1:
            along = np.sort([float(f.position @ self.normal) for f in self.frames])
            apart = f", {(along[-1] - along[0]) / (self.slices - 1):.3g} mm apart"
        return f"{direction(self.normal)} {self.slices} x {rows}x{columns}{apart}, centre {_where(self.frames)}"


def _matrix(frame: Frame) -> tuple[int, int]:
    """Rows and columns of a slice (those of the tile in a mosaic)."""
    rows, columns = (frame.get(keyword) for keyword in ("Rows", "Columns"))
    return (int(rows), int(columns)) if isinstance(rows, float) and isinstance(columns, float) else (0, 0)


def normal_of(frames: Sequence[Frame]) -> np.ndarray:
    """The unit vector across parallel slices, LPS."""
    normal = np.cross(*np.mean([f.axes for f in frames], axis=0))
    return normal / np.linalg.norm(normal)


def places_of(frames: Sequence[Frame]) -> np.ndarray:
    """For each of some parallel slices the number of its place along the normal, ascending from 0."""
    normal = normal_of(frames)
    along = np.array([float(f.position @ normal) for f in frames])
    order = np.argsort(along, kind="stable")
    places = np.zeros(len(frames), int)
    places[order[1:]] = np.cumsum(np.diff(along[order]) > SAME_PLACE)
    return places


def direction(normal: np.ndarray) -> str:
    """Sagittal, coronal or axial for slices within about ten degrees of it, oblique in between."""
    across = np.abs(normal)
    name = ("sagittal", "coronal", "axial")[int(np.argmax(across))]
    return name if across.max() > 0.985 else f"oblique {name}" if across.max() > 0.75 else "oblique"


def choose_stack(usable: Usable, what: str, number: int | None = None) -> tuple[list[Frame], tuple[str, ...]]:
    """The images of one stack of a series, and notes on what was left out.

    Args:
        usable: the slices of the series.
        what: how to name the series in front of the user.
        number: which stack, from 1, in the order in which they were imaged; by default the one that is plainly meant.

    Raises:
        AmbiguousInputError: there are several stacks and none is plainly meant.
        InputError: slices may be missing, or there is no stack of that number. With a number, what may be missing is a note.
    """
    groups = part(usable.frames)
    if number is not None and not 1 <= number <= len(groups):
        holds = "one stack" if len(groups) == 1 else f"{len(groups)} stacks"
        raise InputError(f"{what} holds {holds}, so there is no stack {number}")
    notes = list(usable.notes)
    if number is None:
        if usable.doubts:
            way = "--stack 1" if len(groups) == 1 else f"--stack N ({_list(groups)})"
            raise InputError(f"{usable.doubts[0]}; to go on without it, add {way}")
        number = _plain(groups, what)
        if len(groups) > 1:
            rest = [k for k in range(1, len(groups) + 1) if k != number]
            left = "; ".join(f"{k} ({groups[k - 1]})" for k in rest[:3]) + (f" and {len(rest) - 3} more" if len(rest) > 3 else "")
            notes.append(f"Took stack {number} of {len(groups)} ({groups[number - 1]}); left out stack {left}.")
    elif usable.doubts:
        lost = len(usable.doubts)
        notes.append(f"{lost} file{'s' if lost > 1 else ''} of the series cannot be used, so slices may be missing.")
    chosen = groups[number - 1]
    if chosen.doubt:
        notes.append("Slices may be missing beside the chosen stack: the series has a gap there.")
    return list(chosen.frames), tuple(notes)


def _plain(groups: Sequence[SliceGroup], what: str) -> int:
    """The number of the stack that is plainly meant."""
    sizes: dict[int, int] = {}
    for group in groups:
        sizes[group.joined] = sizes.get(group.joined, 0) + group.slices
    ranked = sorted(sizes, key=lambda joined: -sizes[joined])
    if len(ranked) > 1 and sizes[ranked[0]] < _PLAIN * sizes[ranked[1]]:
        raise AmbiguousInputError(f"{what} holds {len(groups)} stacks; choose one with --stack N ({_list(groups)})")
    meant = [k for k, group in enumerate(groups, 1) if group.joined == ranked[0]]
    doubt = next((groups[k - 1].doubt for k in meant if groups[k - 1].doubt), "")
    if doubt:
        raise InputError(f"{what}: {doubt}, or go on with a part by --stack N ({_list(groups, meant)})")
    return meant[0]


def _list(groups: Sequence[SliceGroup], numbers: Sequence[int] | None = None) -> str:
    shown = [k for k in range(1, len(groups) + 1) if numbers is None or k in numbers]
    return "; ".join(f"{k} = {groups[k - 1]}" for k in shown[:_LISTED]) + ("; ..." if len(shown) > _LISTED else "")


def _where(frames: Sequence[Frame]) -> str:
    """The middle of some slices, such as ``L 31 P 5 S 12 mm``."""
    half = np.array(_matrix(frames[0])[::-1]) / 2
    middle = np.mean([f.position + (f.pixel_spacing[::-1] * half) @ f.axes for f in frames], axis=0)
    sides = (("L", "R"), ("P", "A"), ("S", "I"))
    return " ".join(f"{side[0] if value >= 0 else side[1]} {abs(value):.0f}" for side, value in zip(sides, middle, strict=True)) + " mm"


def part(frames: Sequence[Frame]) -> list[SliceGroup]:
    """The stacks of a series, in the order in which the scanner numbered their images."""
    parts: list[SliceGroup] = []
    for parallel in _clusters(frames):
        for named in _by_stack_id(parallel):
            for straight in (one for beside in _beside(named) for one in _by_time(beside)):
                parts += [replace(group, joined=group.joined + len(parts)) for group in _at_gaps(straight)]
    return sorted(parts, key=lambda group: min((f.order, tuple(f.position)) for f in group.frames))


def _clusters(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames of one matrix, pixel spacing and direction each."""
    found: list[list[Frame]] = []
    kinds: list[tuple[object, ...]] = []
    quick: dict[tuple[object, ...], list[Frame]] = {}
    for frame in frames:
        kind = _kind(frame)
        exact = (kind, *frame.axes.ravel().tolist(), *frame.pixel_spacing.tolist())
        group = quick.get(exact)
        if group is None:
            group = next((g for g, of in zip(found, kinds, strict=True) if of == kind and _on_one_grid(g[0], frame)), None)
        if group is None:
            group = []
            found.append(group)
            kinds.append(kind)
        quick[exact] = group
        group.append(frame)
    return found


def _kind(frame: Frame) -> tuple[object, ...]:
    words = frame.get("FrameType", "ImageType")
    return (
        _matrix(frame),
        frame.index is None,
        # Pictures of the whole stack, and slices laid through it afterwards, lie among its own slices.
        tuple(sorted(_MADE_OTHERWISE.intersection(" ".join(words[2:]).upper().replace("_", " ").split())))
        if isinstance(words, tuple)
        else (),
    )


def _on_one_grid(one: Frame, other: Frame) -> bool:
    return bool(
        np.abs(other.axes - one.axes).max() <= PARALLEL_WITHIN and np.abs(other.pixel_spacing / one.pixel_spacing - 1).max() <= 1e-3
    )


def _by_stack_id(frames: list[Frame]) -> list[list[Frame]]:
    """Parted by Stack ID (0020,9056) where its stacks have two slices or more each and share no place.

    Elsewhere it names something else, such as time points.
    """
    groups: dict[object, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.get("StackID"), []).append(frame)
    if len(groups) < 2:
        return [frames]
    places = dict(zip(map(id, frames), places_of(frames).tolist(), strict=True))
    of_stack = [{places[id(frame)] for frame in group} for group in groups.values()]
    apart = sum(map(len, of_stack)) == len(set.union(*of_stack))
    return list(groups.values()) if apart and min(map(len, of_stack)) > 1 else [frames]


def _beside(frames: list[Frame]) -> list[list[Frame]]:
    """Parted where slices lie aside of each other, as the stacks of two joints or the stations of a spine do."""
    (rows, columns), axes, spacing = _matrix(frames[0]), frames[0].axes, frames[0].pixel_spacing
    view = max(columns * spacing[1], rows * spacing[0])
    offsets = np.round([axes @ f.position for f in frames], 1)
    spots, spot_of = np.unique(offsets, axis=0, return_inverse=True)
    labels = _linked(spots, _BESIDE * view)[spot_of.ravel()]
    return [[f for f, label in zip(frames, labels, strict=True) if label == one] for one in dict.fromkeys(labels.tolist())]


def _by_time(frames: list[Frame]) -> list[list[Frame]]:
    """Parted by time where every time is an even stack a little off the others, as scanners that follow the head leave them."""
    for keywords in (("TemporalPositionIndex", "TemporalPositionIdentifier"), ("AcquisitionNumber",)):
        times: dict[object, list[Frame]] = {}
        for frame in frames:
            times.setdefault(frame.get(*keywords), []).append(frame)
        if len(times) < 2:
            continue
        normal = normal_of(frames)
        along = [np.sort([float(f.position @ normal) for f in group]) for group in times.values()]
        if len(set(map(len, along))) > 1 or len(along[0]) < 2:
            continue
        steps = np.diff(along, axis=1)
        usual = float(np.median(steps))
        apart = float(np.ptp([one[0] for one in along]))
        if SAME_PLACE < apart < _OFF * usual and np.abs(steps - usual).max() <= SAME_PLACE:
            return list(times.values())
    return [frames]


def _linked(points: np.ndarray, within: float) -> np.ndarray:
    """A number for each point, the same for points that a chain of steps below ``within`` connects."""
    labels = np.full(len(points), -1)
    for start in range(len(points)):
        if labels[start] >= 0:
            continue
        reached = [start]
        labels[start] = start
        while reached:
            near = (np.linalg.norm(points - points[reached.pop()], axis=1) <= within) & (labels < 0)
            labels[near] = start
            reached += np.flatnonzero(near).tolist()
    return labels


def _at_gaps(frames: list[Frame]) -> list[SliceGroup]:
    """Parted where a step along the normal is longer than the usual one."""
    places = places_of(frames)
    normal = normal_of(frames)
    at_place = [[f for f, place in zip(frames, places, strict=True) if place == k] for k in range(int(places.max()) + 1)]
    along = np.array([float(np.mean([f.position @ normal for f in group])) for group in at_place])
    gaps = _gaps(np.diff(along), frames[0])
    bounds = [0, *(gap + 1 for gap in gaps), len(at_place)]
    runs = [range(first, last) for first, last in zip(bounds, bounds[1:], strict=False)]
    doubts = [_lost(at_place, along, one, other) for one, other in zip(runs, runs[1:], strict=False)]
    groups, joined = [], 0
    for k, run in enumerate(runs):
        doubt = next((d for d in doubts[max(k - 1, 0) : k + 1] if d), "")
        joined = joined if k and doubts[k - 1] else k
        groups.append(SliceGroup(tuple(f for place in run for f in at_place[place]), doubt, joined))
    return groups


def _gaps(steps: np.ndarray, frame: Frame) -> list[int]:
    if len(steps) == 0:
        return []
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    stated = frame.get("SpacingBetweenSlices")
    if len(steps) == 1 and isinstance(stated, float):
        # Some scanners state what is left free between two slices.
        thickness = frame.get("SliceThickness")
        usual = max(abs(stated), thickness if isinstance(thickness, float) else 0.0) or usual
    found = []
    for k, step in enumerate(steps):
        beside = [steps[j] for j in (k - 1, k + 1) if 0 <= j < len(steps)]
        # Among steps of its own length it belongs to a stack of wider spacing.
        alike = beside and all(abs(one - step) <= 0.1 * step for one in beside)
        if step > _GAP * usual and not alike:
            found.append(k)
    return found


def _lost(at_place: Sequence[Sequence[Frame]], along: np.ndarray, one: range, other: range) -> str:
    """Why slices between two runs of places may have been lost, or nothing where the runs are stacks of their own.

    Images are numbered along the stack: over a gap that was meant the numbers run on, over lost slices they jump.
    """
    before, after = at_place[one[-1]][0], at_place[other[0]][0]
    within = np.concatenate([np.diff(along[run.start : run.stop]) for run in (one, other)])
    stated = before.get("SpacingBetweenSlices")
    if within.size == 0 and not isinstance(stated, float):
        return ""
    gap = float(along[other[0]] - along[one[-1]])
    usual = float(np.median(within)) if within.size else abs(stated) or gap
    missing = round(gap / usual) - 1
    whole = missing > 0 and abs(gap / usual - missing - 1) <= 0.1
    numbers = [min(f.order for f in group) for group in at_place]
    # Of one multi-frame file the frames are numbered, of several files the files.
    count = [n[0] if len({m[0] for m in numbers}) > 1 else n[1] for n in numbers]
    inside = {count[k + 1] - count[k] for run in (one, other) for k in run[:-1]}
    jump = count[other[0]] - count[one[-1]]
    numbered = len(inside) == 1 and 0 not in inside
    pace = next(iter(inside)) if numbered else 0
    if numbered and (jump == pace or jump * pace < 0):
        return ""
    here = f"between {before.label} and {after.label} ({along[one[-1]]:.1f} and {along[other[0]]:.1f} mm along the slice direction)"
    if numbered and whole and jump == pace * (missing + 1):
        return f"{missing} slice(s) missing {here}; export the whole series"
    if whole and missing <= max(len(one), len(other)):
        return f"{missing} slice(s) missing {here}, unless these are two stacks; export the whole series"
    return ""


def without_repeats(
    frames: list[Frame], sign: Callable[[Frame], object], pixels_of: Callable[[Frame], np.ndarray]
) -> tuple[list[Frame], int]:
    """Leave out slices that lie there twice under different identifiers, where every one of them equals the one it repeats.

    Args:
        frames: images of one stack.
        sign: what tells the volumes of a stack apart; only images of the same sign are compared.
        pixels_of: the physical values of an image.

    Returns:
        The images to keep, and how many were left out. Where a single pair differs, these are repeated measurements and all stay.
    """
    alike: dict[tuple[int, object], list[Frame]] = {}
    for frame, place in zip(frames, places_of(frames).tolist(), strict=True):
        alike.setdefault((place, sign(frame)), []).append(frame)
    several = [group for group in alike.values() if len(group) > 1]
    for group in several:
        first = pixels_of(group[0])
        if not all(np.array_equal(first, pixels_of(other)) for other in group[1:]):
            return frames, 0
    repeated = {id(frame) for group in several for frame in sorted(group, key=lambda f: (f.order, f.file.path))[1:]}
    return [frame for frame in frames if id(frame) not in repeated], len(repeated)
