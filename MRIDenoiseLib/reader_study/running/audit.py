"""Whether anything in a reading folder reveals the arms: checks all the places where it could hide.

A study is audited when it is made, and whoever runs it can do so again at any time, for example after it was copied.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from MRIDenoiseLib.reader_study.reading.folder import (
    CONSENSUS,
    CONSENSUS_PLAN,
    ENDING,
    FORMAT,
    PLAN,
    VOLUMES,
    ReadingPlan,
    read_plan,
    volume_path,
)
from MRIDenoiseLib.reader_study.reading.store import RATINGS
from MRIDenoiseLib.reader_study.running.blinding import NOTE, PIXEL_TYPE, UNEQUAL, Key, brightness

BLINDED_ID = re.compile(r"[0-9a-f]{16}")
HEADER = 352
"""Bytes of a NIfTI-1 header with the four that state that no extension follows."""
TOO_UNLIKELY = 4.5
"""Standard errors; by chance a comparison exceeds it once in 150 000."""

_SQLITE_PARTS = ("", "-wal", "-shm", "-journal")
_INT16 = 4


@dataclass(frozen=True)
class Leak:
    """Something that distinguishes arms, or may.

    Args:
        where: the file or list, as a reader could find it.
        what: a clause that describes what is seen there.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def audit(reading: Path, key: Key) -> list[Leak]:
    """Everything in a reading folder by which an arm could be known; empty when the blinding holds.

    Args:
        reading: the reading folder.
        key: gives which volumes are arms of one case.

    Raises:
        InputError: the plan is missing or damaged.
    """
    plan = read_plan(reading)
    volumes = {volume: volume_path(reading, volume) for volume in plan.windows}
    leaks = [*_strange_files(reading, plan), *_strange_names(plan), *_strange_entries(reading, plan), *_orders(plan, key)]
    if missing := [path for path in volumes.values() if not path.is_file()]:
        return [*leaks, *(Leak(path.name, "is missing") for path in missing)]
    leaks += _dates(volumes.values())
    for arms in key.cases().values():
        leaks += _case(arms, volumes, plan)
    return leaks


def _strange_files(reading: Path, plan: ReadingPlan) -> list[Leak]:
    known = {PLAN, CONSENSUS_PLAN, *(RATINGS + part for part in _SQLITE_PARTS), VOLUMES}
    known |= {f"{VOLUMES}/{volume}{ENDING}" for volume in plan.windows}
    found = (path.relative_to(reading).as_posix() for path in sorted(reading.rglob("*")))
    return [Leak(name, "does not belong here") for name in found if name not in known]


def _strange_names(plan: ReadingPlan) -> list[Leak]:
    items = [item.id for reader in plan.lists for item in plan.items_of(reader)]
    strange = [name for name in (*plan.windows, *items) if not BLINDED_ID.fullmatch(name)]
    twice = [name for name, count in Counter(items).items() if count > 1]
    return [Leak(name, "is not a random name") for name in strange] + [Leak(name, "names two presentations") for name in twice]


def _strange_entries(reading: Path, plan: ReadingPlan) -> list[Leak]:
    """What the plan's file holds beyond what belongs into a plan."""
    lists = {reader: sessions for reader, sessions in asdict(plan)["lists"].items() if reader != CONSENSUS}
    expected = {"format": FORMAT, **asdict(plan), "lists": lists}
    found = json.loads((reading / PLAN).read_text(encoding="utf-8"))
    return [] if found == json.loads(json.dumps(expected)) else [Leak(PLAN, "holds entries that do not belong in a plan")]


def _orders(plan: ReadingPlan, key: Key) -> list[Leak]:
    """Whether the order of names, of a reading list or of panels reveals the arms."""
    leaks = []
    arm = {volume: image.arm for volume, image in key.volumes.items()}
    if _revealed_by_order([[arm[volume] for volume in sorted(arms.values())] for arms in key.cases().values()]):
        leaks.append(Leak(VOLUMES, "the order of the names reveals the arm"))
    for reader in plan.readers:
        shown = [[item for item in session if not item.practice] for session in plan.lists[reader]]
        lists = [[arm[item.volumes[0]] for item in session if len(item.volumes) == 1] for session in shown]
        if _revealed_by_order(lists) or any(_revealed_by_order([one]) for one in lists):
            leaks.append(Leak(f"list of {reader}", "the order of the cases reveals the arm"))
        if _revealed_by_order([[arm[volume] for volume in item.volumes] for session in shown for item in session if len(item.volumes) > 1]):
            leaks.append(Leak(f"list of {reader}", "the place of a panel reveals the arm"))
    return leaks


def _revealed_by_order(sequences: Sequence[Sequence[str]]) -> bool:
    """Whether labels in sequences depend on their place (earlier or later), or follow each other in blocks or in turn."""
    labels = sorted({label for sequence in sequences for label in sequence})
    if any(_rank_score(sequences, label) > TOO_UNLIKELY for label in labels):
        return True
    return any(_echo_score(sequences, lag) > TOO_UNLIKELY for lag in (1, len(labels)))


def _rank_score(sequences: Sequence[Sequence[str]], label: str) -> float:
    """Standard errors by which a label's mean rank is off the middle (the rank-sum statistic, summed over sequences)."""
    deviation = variance = 0.0
    for sequence in sequences:
        ranks = [rank for rank, one in enumerate(sequence, 1) if one == label]
        if 0 < len(ranks) < len(sequence):
            deviation += sum(ranks) - len(ranks) * (len(sequence) + 1) / 2
            variance += len(ranks) * (len(sequence) - len(ranks)) * (len(sequence) + 1) / 12
    return abs(deviation) / variance**0.5 if variance else 0.0


def _echo_score(sequences: Sequence[Sequence[str]], lag: int) -> float:
    """Standard errors by which labels meet themselves ``lag`` places on more often than in a random order."""
    found = expected = variance = 0.0
    for sequence in sequences:
        size, pairs = len(sequence), len(sequence) - lag
        if pairs < 1 or size < 2:
            continue
        chance = sum(count * (count - 1) for count in Counter(sequence).values()) / (size * (size - 1))
        found += sum(one == other for one, other in zip(sequence, sequence[lag:], strict=False))
        expected += pairs * chance
        variance += pairs * chance * (1 - chance)
    return (found - expected) / variance**0.5 if variance else 0.0


def _dates(volumes: Iterable[Path]) -> list[Leak]:
    states = {path: path.stat() for path in volumes}
    leaks = []
    if len({state.st_mtime for state in states.values()}) > 1:
        leaks.append(Leak(VOLUMES, "the files have different dates; a copy has to keep those of the original"))
    if len({state.st_mode for state in states.values()}) > 1:
        leaks.append(Leak(VOLUMES, "the files have different permissions"))
    return leaks


def _case(arms: Mapping[str, str], volumes: Mapping[str, Path], plan: ReadingPlan) -> list[Leak]:
    """The arms of one case against each other."""
    files = {volume: volumes[volume] for volume in arms.values()}
    content = {volume: path.read_bytes() for volume, path in files.items()}
    one = min(files)
    leaks = []
    if len({plan.windows[volume] for volume in files}) > 1:
        leaks.append(Leak(one, "the arms of its case are shown with different windows"))
    if len({len(found) for found in content.values()}) > 1:
        leaks.append(Leak(one, "the files of its case differ in size"))
    if len({found[:HEADER] for found in content.values()}) > 1:
        leaks.append(Leak(one, "the headers of its case differ"))
    for volume, found in content.items():
        leaks += [Leak(volume, what) for what in _header(found)]
    return leaks or _voxels({volume: np.frombuffer(found, "<i2", offset=HEADER) for volume, found in content.items()}, one)


def _header(found: bytes) -> list[str]:
    """What a volume's header contains and must not: checks its bytes by the NIfTI-1 standard."""
    if len(found) < HEADER or found[344:348] != b"n+1\0" or found[:4] != struct.pack("<i", 348):
        return ["is not a plain NIfTI file"]
    (pixel_type,), size = struct.unpack_from("<h", found, 70), np.prod(struct.unpack_from("<7h", found, 42), dtype=np.int64)
    faults = []
    if pixel_type != _INT16:
        faults.append(f"its pixel type is not {PIXEL_TYPE}")
    elif len(found) != HEADER + 2 * size or found[348:352] != bytes(4):
        faults.append("holds more than its voxels")
    texts = [found[start:end].rstrip(b"\0") for start, end in ((4, 38), (228, 252), (328, 344))]
    if found[148:228].rstrip(b"\0").decode("latin-1") != NOTE.note or any(texts):
        faults.append("its header holds additional text")
    return faults


def _voxels(arms: Mapping[str, np.ndarray], one: str) -> list[Leak]:
    leaks = []
    bright = brightness(arms)
    # A little more than what the blinding let pass, for rounding.
    if max(bright.values()) > (UNEQUAL + 0.01) * max(min(bright.values()), 1):
        leaks.append(Leak(one, "the arms of its case differ in brightness"))
    if len({int(np.gcd.reduce(voxels)) for voxels in arms.values()}) > 1:
        leaks.append(Leak(one, "the arms of its case hold values in different steps"))
    return leaks
