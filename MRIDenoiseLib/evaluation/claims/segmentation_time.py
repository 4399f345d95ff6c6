"""How long three tissue classes take in 256 x 256 x 48 voxels, and how much memory.

A phantom with a bias field is segmented by ours, which finds that field, and by the classifiers of the extra ``peers``. Classifiers
that expect an image without such a field get one: the true field is divided out, which does not count in their time. Each runs in a
process of its own, one after the other; seconds and ratios are of this one run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from MRIDenoiseLib.evaluation.claims.claim import Claim, Headline, Numbers, tracked
from MRIDenoiseLib.evaluation.claims.segmenters import CLASSES, in_order_of_brightness, segmenters
from MRIDenoiseLib.evaluation.speed.usage import peak_memory
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.segmentation import dice

WHAT = "seconds, peak memory in MiB and mean Dice with the truth of ways to find three classes in a phantom, each in a process of its own"
SHAPE = (48, 256, 256)
SPACING = (3.0, 0.5, 0.5)
PHANTOM_SPACING = (3.0, 1.0, 1.0)
"""Of the phantom as tests take it, small."""


class Phantom(NamedTuple):
    """Arrays are (slices, rows, columns); labels 1 to 3 from dark to bright, 0 in air; spacing in mm."""

    image: np.ndarray
    labels: np.ndarray
    bias: np.ndarray
    spacing: tuple[float, float, float] = PHANTOM_SPACING


def phantom(
    bias: float = 0.4,
    snr: float = 20,
    levels: tuple[float, ...] = (60, 85, 115),
    shape: tuple[int, int, int] = (12, 120, 128),
    seed: int = 0,
) -> Phantom:
    """Nested folded shells and two dark holes.

    Args:
        bias: its range: 0.4 means a field from 0.8 to 1.2.
        snr: mean level over the noise's standard deviation.
        levels: brightness of the three tissues.
        shape: (slices, rows, columns).
        seed: of the noise.
    """
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    labels = np.zeros(shape, int)
    labels[radius < 0.85] = 1
    labels[radius < 0.74 + 0.05 * np.sin(8 * angle)] = 2
    labels[radius < 0.5 + 0.08 * np.sin(6 * angle + 3 * z)] = 3
    labels[np.hypot(y, np.abs(x) - 0.15) < 0.1] = 1
    field = 1 + bias / 2 * np.sin(np.pi * x / 2) * np.cos(np.pi * y / 3)
    clean = np.append(0, levels)[labels] * field
    noise = np.random.default_rng(seed).normal(0, np.mean(levels) / snr, (2, *shape))
    return Phantom(np.hypot(clean + noise[0], noise[1]), labels, field)


def segment_phantom(way: str, shape: tuple[int, int, int] = SHAPE) -> dict[str, Any]:
    """Seconds, peak memory of this process in MiB and mean Dice with the truth.

    Args:
        way: one of :func:`.segmenters.segmenters`.
        shape: (slices, rows, columns) of the phantom.
    """
    made = phantom(shape=shape)._replace(spacing=SPACING)
    mask = made.labels > 0
    segmenter = segmenters()[way]
    image = made.image / made.bias if segmenter.corrected else made.image
    began = time.perf_counter()
    found = segmenter.run(image, mask, made.spacing, CLASSES)
    seconds = time.perf_counter() - began
    agreement = dice(in_order_of_brightness(found, made.image, CLASSES), made.labels, CLASSES)
    return {"seconds": seconds, "memory": peak_memory(), "dice": agreement.mean}


def measure(progress: Progress) -> Numbers:
    """Every way in a process of its own; one that fails has its error message in place of numbers."""
    rows = []
    for way in tracked(list(segmenters()), progress, "ways to segment"):
        code = f"import json; from {__name__} import segment_phantom; print(json.dumps(segment_phantom({way!r}, {SHAPE!r})))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode:
            rows.append({"way": way, "failed": (done.stderr.strip().splitlines() or ["it failed"])[-1]})
        else:
            rows.append({"way": way, **json.loads(done.stdout.strip().splitlines()[-1])})
    return {"what": WHAT, "shape": list(SHAPE), "rows": rows}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per way; times also relative to ours."""
    title = f"three classes in {tuple(numbers['shape'])}"
    table = Table("", "seconds", "of ours", "peak memory, MiB", "Dice with the truth", title=title)
    ours = next((row["seconds"] for row in numbers["rows"] if "seconds" in row), 1.0)
    for row in numbers["rows"]:
        if "failed" in row:
            table.add_row(row["way"], row["failed"])
        else:
            cells = (f"{row['seconds']:.1f}", f"{row['seconds'] / ours:.2f}", f"{row['memory']:.0f}", f"{row['dice']:.3f}")
            table.add_row(row["way"], *cells)
    yield table


def headline(numbers: Numbers) -> Headline:
    """How long each way takes."""
    seconds = {row["way"]: round(row["seconds"], 2) for row in numbers["rows"] if "seconds" in row}
    says = ", ".join(f"{way} {value:.1f} s" for way, value in seconds.items())
    return Headline(
        f"Three classes in {' x '.join(map(str, numbers['shape']))}: {says}.", {f"{way}, s": value for way, value in seconds.items()}
    )


CLAIM = Claim("segmentation-time", measure, show, headline)
