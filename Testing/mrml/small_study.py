"""A reading folder as readers get it, made by hand: phantoms under random names, with the questions that a test asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib import io
from MRIDenoiseLib.reader_study.reading.folder import VOLUMES, Item, ReadingPlan, Window, volume_path, write_plan
from MRIDenoiseLib.reader_study.reading.forms import form_of
from MRIDenoiseLib.volume import Volume

GRID = np.array([[-1.0, 0, 0, 10], [0, -1.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])
SHAPE = (8, 24, 20)
SCALES: tuple[Mapping[str, Any], ...] = (
    {"kind": "likert", "field": "image_quality"},
    {"kind": "likert", "field": "diagnostic_confidence"},
    {"kind": "text", "required": False},
)
PREFERENCE: tuple[Mapping[str, Any], ...] = ({"kind": "preference"},)
DISC: tuple[Mapping[str, Any], ...] = ({"kind": "disc_signal"},)
WINDOW = Window(900.0, 450.0)


class Day:
    """A clock that stands still until it is moved on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.time

    def later(self, days: float) -> None:
        self.time += timedelta(days=days)


def phantom(number: int, noise: float = 8.0) -> Volume:
    """A bright ellipse with a brighter core, (8, 24, 20) voxels of 1 x 1 x 4 mm."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    radius = np.sqrt(y**2 + x**2 + 0.2 * z**2)
    tissue = np.where(radius < 0.4, 700.0, np.where(radius < 0.8, 500.0, 20.0)) + 20 * number
    draws = np.random.default_rng([number, round(noise)])
    return Volume(np.rint(np.abs(tissue + noise * draws.standard_normal(SHAPE))).astype(np.float32), GRID, "int16")


def random_name(number: int) -> str:
    """What looks like a blinded id, the same for a number every time."""
    return np.random.default_rng(number).bytes(8).hex()


def small_study(
    folder: Path,
    sessions: Sequence[Sequence[Sequence[Volume]]],
    forms: Sequence[Mapping[str, Any]] = SCALES,
    *,
    readers: Sequence[str] = ("R1", "R2"),
    practice: int = 0,
    first: int = 0,
) -> Path:
    """Write a reading folder; all readers read the same list.

    Args:
        folder: a new one.
        sessions: the images of each panel of each case of each session.
        forms: the questions, as a configuration has them.
        readers: their codes.
        practice: how many cases of the first session are for practice.
        first: where the random names begin, so that two folders can have different ones.
    """
    (folder / VOLUMES).mkdir(parents=True)
    windows: dict[str, Window] = {}
    lists = []
    for session in sessions:
        items = []
        for images in session:
            names = [random_name(first + len(windows) + place) for place in range(len(images))]
            for name, image in zip(names, images, strict=True):
                io.write(image, volume_path(folder, name))
                windows[name] = WINDOW
            is_practice = not lists and len(items) < practice
            items.append(Item(random_name(10_000 + first + len(windows)), tuple(names), "all", is_practice))
        lists.append(tuple(items))
    panels = len(sessions[0][0])
    plan = ReadingPlan(
        study=random_name(99_999),
        name="phantoms",
        readers=tuple(readers),
        washout_days=14,
        bundle="none",
        shared_drive=False,
        forms=tuple(form_of(form, panels) for form in forms),
        windows=windows,
        lists={reader: tuple(lists) for reader in readers},
    )
    write_plan(folder, plan)
    return folder


def singles(cases: int, sessions: int = 1) -> list[list[list[Volume]]]:
    """So many cases of one image in each of so many sessions."""
    return [[[phantom(session * cases + case)] for case in range(cases)] for session in range(sessions)]
