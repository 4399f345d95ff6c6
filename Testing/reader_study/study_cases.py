"""Small studies for tests: phantoms in three arms on the disk, their configuration, and a day that can be moved on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from MRIDenoiseLib import io
from MRIDenoiseLib.reader_study.reading.folder import StudyFolder
from MRIDenoiseLib.reader_study.reading.forms import Field
from MRIDenoiseLib.reader_study.reading.reading import Presentation
from MRIDenoiseLib.reader_study.running.creation import create_study
from MRIDenoiseLib.volume import Volume

ARMS = ("noisy", "ours", "reference")
NOISE = {"noisy": 30.0, "ours": 8.0, "reference": 4.0}
GRID = np.array([[-1.0, 0, 0, 10], [0, -1.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])


def phantom(subject: int, noise: float, pixel_type: str = "int16", gain: float = 1.0) -> Volume:
    """A bright ellipse with a brighter core, (8, 24, 20) voxels of 1 x 1 x 4 mm."""
    z, y, x = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 24), np.linspace(-1, 1, 20), indexing="ij")
    radius = np.sqrt(y**2 + x**2 + 0.2 * z**2)
    tissue = np.where(radius < 0.4, 700, np.where(radius < 0.8, 500.0, 20)) + 20 * subject
    draws = np.random.default_rng([subject, round(noise)])
    voxels = gain * np.abs(tissue + noise * draws.standard_normal(tissue.shape))
    return Volume((np.rint(voxels) if pixel_type != "float32" else voxels).astype(np.float32), GRID, pixel_type)


def write_images(folder: Path, subjects: list[str], arms: tuple[str, ...] = ARMS) -> Path:
    """``folder/<subject>/<arm>.nii.gz``; our own arm is stored as float32, the others as int16."""
    for number, subject in enumerate(subjects):
        (folder / subject).mkdir(parents=True)
        for arm in arms:
            io.write(phantom(number, NOISE[arm], "float32" if arm == "ours" else "int16"), folder / subject / f"{arm}.nii.gz")
    return folder


def configuration(cases: int = 6, **changes: Any) -> dict[str, Any]:
    """A study of one image at a time on :func:`write_images`' folder."""
    return {
        "name": "phantoms",
        "seed": 5,
        "readers": ["R1", "R2"],
        "sessions": 3,
        "washout_days": 14,
        "volumes": "images",
        "group": "head",
        "arms": {arm: f"{{subject}}/{arm}.nii.gz" for arm in ARMS},
        "cases": [f"S{number}" for number in range(cases)],
        "practice": ["P0"],
        "forms": [{"kind": "likert", "field": "image_quality"}, {"kind": "text", "required": False}],
        "primary_outcome": "image_quality",
        "reference": "reference",
    } | changes


def make_study(folder: Path, values: Mapping[str, Any] | None = None) -> StudyFolder:
    """A study in ``folder/study``, with its images in ``folder/images``."""
    values = values or configuration()
    images = folder / "images"
    if not images.exists():
        subjects = [case if isinstance(case, str) else case["subject"] for case in (*values["cases"], *values.get("practice", ()))]
        write_images(images, list(dict.fromkeys(subjects)))
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    return create_study(path, folder / "study")


class Day:
    """A clock that stands still until it is moved on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=timezone(timedelta(hours=1)))

    def __call__(self) -> datetime:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)


def some_answers(shown: Presentation, value: int | None = None) -> dict[str, Any]:
    """Answers to every question on a scale: the lowest value, or the one given."""

    def answer(field: Field) -> int:
        return field.choices[0].value if value is None else value

    return {field.name: answer(field) for field in shown.fields if field.kind in ("choice", "preference")}
