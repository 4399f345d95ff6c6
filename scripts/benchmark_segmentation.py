"""How long three tissue classes take in 256 x 256 x 48 voxels, and how much memory: python scripts/benchmark_segmentation.py

A phantom with a bias field is segmented by ours, which finds that field, and by the classifiers of the extra ``peers``. Those that
take the image as free of such a field get it without: the true field is divided out, and that takes none of their time. Each runs in
a process of its own, one after the other; seconds and ratios are of this one run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Annotated, Any

import typer
from command import run
from rich.console import Console
from rich.table import Table

from MRIDenoiseLib.evaluation.claims.segmenters import in_order_of_brightness, segmenters
from MRIDenoiseLib.evaluation.claims.tissue_phantom import phantom
from MRIDenoiseLib.evaluation.speed.machine import peak_memory
from MRIDenoiseLib.segmentation import dice

SHAPE = (48, 256, 256)
SPACING = (3.0, 0.5, 0.5)
CLASSES = 3


def measure(name: str) -> dict[str, Any]:
    """Seconds, peak memory in MiB and mean Dice with the truth, of one way to segment."""
    made = phantom(shape=SHAPE)._replace(spacing=SPACING)
    mask = made.labels > 0
    segmenter = segmenters()[name]
    image = made.image / made.bias if segmenter.corrected else made.image
    began = time.perf_counter()
    found = segmenter.run(image, mask, made.spacing, CLASSES)
    seconds = time.perf_counter() - began
    agreement = dice(in_order_of_brightness(found, made.image, CLASSES), made.labels, CLASSES)
    return {"seconds": seconds, "memory": peak_memory(), "dice": agreement.mean}


def main(way: Annotated[str | None, typer.Option(help="measure only this one, in this process, as JSON")] = None) -> None:
    """Print the table."""
    if way is not None:
        print(json.dumps(measure(way)))
        return
    table = Table("", "seconds", "of ours", "peak memory, MiB", "Dice with the truth", title=f"three classes in {SHAPE}")
    ours = None
    for name in segmenters():
        done = subprocess.run([sys.executable, __file__, "--way", name], capture_output=True, text=True, check=False)
        if done.returncode:
            table.add_row(name, (done.stderr.strip().splitlines() or ["it failed"])[-1])
            continue
        result = json.loads(done.stdout.strip().splitlines()[-1])
        ours = ours or result["seconds"]
        numbers = (f"{result['seconds']:.1f}", f"{result['seconds'] / ours:.2f}", f"{result['memory']:.0f}", f"{result['dice']:.3f}")
        table.add_row(name, *numbers)
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    run(main)
