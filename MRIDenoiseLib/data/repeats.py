"""Repeats of one image: in one folder, several volumes of one file or series, or several series that are alike.

Each repeat is a noisy volume, and the mean of the others its reference. The ``repeats.csv`` of a data folder lists
which volumes of which file are repeats.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from MRIDenoiseLib.data.cases import MEASURED_ONCE, Acceleration, Case, Check, Dropped, Pair, Say
from MRIDenoiseLib.data.images import Image
from MRIDenoiseLib.data.listing import list_images
from MRIDenoiseLib.data.references import leave_one_out, reference_noise, refuse_copies
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Volume

LIST = "repeats.csv"
COLUMNS = ("name", "file", "group", "volumes")


def find_repeats(folder: Path, which: str | None, cycle: int | None, say: Say) -> list[Case | Dropped]:
    """One case for every image that was measured at least twice.

    Args:
        folder: of the images.
        which: the volumes of a file or series that repeat one another, such as ``1,32-35``, counted from 1; all by default.
        cycle: after how many volumes the same condition comes again; each condition is a separate case.
        say: called with what is being done.

    Raises:
        InputError: the folder holds no images.
        SettingsError: ``which`` or ``cycle`` is not valid.
        Cancelled: from ``say``.
    """
    if which is not None and cycle is not None:
        raise SettingsError("--volumes and --cycle both state which volumes repeat one another; give one of them")
    if cycle is not None and cycle < 1:
        raise SettingsError(f"--cycle is a number of volumes, at least 1, not {cycle}")
    chosen = None if which is None else _numbers(which)
    found = list_images(folder, "image", say)
    images = [image for image in found if isinstance(image, Image)]
    cases: list[Case | Dropped] = [image for image in found if isinstance(image, Dropped)]
    for image in images:
        if image.volumes > 1:
            cases += _of_volumes(image, _groups(image, chosen, cycle))
    cases += _alike([image for image in images if image.volumes == 1])
    return cases


def _numbers(which: str) -> list[int]:
    """``1,32-35`` as [1, 32, 33, 34, 35]."""
    numbers: list[int] = []
    for part in which.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if match is None:
            raise SettingsError(f"--volumes takes volume numbers such as 1,32-35, not '{which}'")
        numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
    if len(set(numbers)) < 2 or 0 in numbers:
        raise SettingsError(f"--volumes needs at least two volumes, counted from 1, not '{which}'")
    return sorted(set(numbers))


def _groups(image: Image, chosen: list[int] | None, cycle: int | None) -> list[list[int]]:
    """The volumes of an image that repeat one another, by condition."""
    everything = range(1, image.volumes + 1)
    if chosen is not None:
        return [chosen]
    return [list(everything[first::cycle]) for first in range(cycle)] if cycle else [list(everything)]


def _of_volumes(image: Image, groups: Sequence[Sequence[int]]) -> list[Case | Dropped]:
    if any(numbers and numbers[-1] > image.volumes for numbers in groups) or max(map(len, groups)) < 2:
        return [Dropped(image.label, "matching", f"it holds {image.volumes} volumes, so not the repeats that were requested")]
    cases: list[Case | Dropped] = []
    for condition, numbers in enumerate(groups, 1):
        label = image.label if len(groups) == 1 else f"{image.label}, condition {condition}"
        if len(numbers) < 2:
            cases.append(Dropped(label, "matching", MEASURED_ONCE))
            continue
        readers = [partial(image.read, number) for number in numbers]
        cases.append(replace(_case(image, f"{image.series} {numbers}", readers, image.names), label=label))
    return cases


def _alike(images: Sequence[Image]) -> list[Case | Dropped]:
    """Cases of single volumes that were measured in the same way, as often as there are any."""
    cases: list[Case | Dropped] = []
    groups: dict[object, list[Image]] = {}
    for image in images:
        if image.name:
            reason = "a single image file does not state which image it repeats; join the repeats of an image in one four-dimensional file"
            cases.append(Dropped(image.label, "matching", reason))
            continue
        scanned = image.words, image.kinds, image.weighting, image.acquisition.averages.value, image.matrix, image.slab
        groups.setdefault((image.subject, image.study, scanned), []).append(image)
    for group in groups.values():
        first = group[0]
        if len(group) < 2:
            cases.append(Dropped(first.label, "matching", MEASURED_ONCE))
            continue
        names = tuple(name for image in group for name in image.names)
        cases.append(_case(first, first.series, [partial(image.read, 1) for image in group], names))
    return cases


def _case(image: Image, series: str, readers: Sequence[partial[Volume]], names: tuple[str, ...]) -> Case:
    return Case(
        label=image.label,
        subject=image.subject,
        study=image.study,
        series=series,
        read=partial(_read, readers),
        names=names,
        model=image.model,
        slice_thickness=image.slice_thickness,
        source=image.source,
        licence=image.licence,
        held_out=image.held_out,
    )


def _read(readers: Sequence[partial[Volume]], check: Check) -> Iterator[Pair]:
    volumes = []
    for read in readers:
        check()
        volumes.append(read())
    first = volumes[0]
    if any(
        volume.voxels.shape != first.voxels.shape or not np.allclose(volume.ijk_to_ras, first.ijk_to_ras, atol=0.01) for volume in volumes
    ):
        raise InputError("its repeats do not lie on one grid, so they cannot be averaged")
    refuse_copies(volume.voxels for volume in volumes)
    check()
    repeats = np.stack([volume.voxels for volume in volumes])
    body = first.unstacked(body_mask(first.stacked(repeats.mean(axis=0))))
    sigma = reference_noise(repeats, body)
    count = len(repeats)
    nex = positive(first.acquisition.averages.value)
    parallel = positive(first.acquisition.parallel_imaging.value)
    acceleration = Acceleration(float(count), nex, nex and nex * count, parallel, parallel, source="one of all repeats")
    check()
    for volume, reference in zip(volumes, leave_one_out(repeats), strict=True):
        yield Pair(volume, volume.with_voxels(reference), "leave_one_out", count, acceleration, reference_noise=sigma)


class RepeatSet(NamedTuple):
    """A four-dimensional file of the data folder that holds repeats.

    Args:
        name: for tables.
        file: its path in the data folder.
        groups: volume numbers from 0; those of one group are repeats of one condition.
    """

    name: str
    file: str
    groups: tuple[tuple[int, ...], ...]


def read_repeat_sets(folder: Path) -> list[RepeatSet]:
    """The sets of ``repeats.csv``, in its order: a line a group, its volume numbers with blanks between.

    Raises:
        InputError: the folder has no such list, or a line of it cannot be understood.
    """
    path = folder / LIST
    if not path.is_file():
        raise InputError(f"{folder} holds no {LIST}, which lists the volumes that are repeats of one another")
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path} lacks the column {missing[0]}")
        rows = list(reader)
    groups: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            volumes = tuple(int(word) for word in (row["volumes"] or "").split())
        except ValueError:
            volumes = ()
        if not row["name"] or not row["file"] or len(set(volumes)) < 2 or len(set(volumes)) < len(volumes) or min(volumes) < 0:
            raise InputError(f"line {number} of {path} needs a name, a file and two or more different volume numbers from 0")
        groups.setdefault((row["name"], row["file"]), []).append(volumes)
    if len({name for name, _ in groups}) < len(groups):
        raise InputError(f"{path} gives one name to repeats of two files")
    return [RepeatSet(name, file, tuple(of_it)) for (name, file), of_it in groups.items()]
