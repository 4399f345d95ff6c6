"""Our tissue segmentation beside those of other packages: python scripts/check_segmenters.py --data DIR [--files A,B] [--out DIR]

On every T1-weighted head of the data folder, skull in, all segment the brain that our mask finds. ANTs' Atropos and DIPY's HMRF
(extra ``peers``) get the image after N4, FSL's ``fast`` (where it is on the PATH) and ours find the bias field themselves. Printed
are Dice coefficients of each pair and the time each took, in one run; drawn is a picture of two slices a volume.
"""

from __future__ import annotations

import time
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from command import Data, run
from rich.console import Console
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import read_manifest
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.segmenters import in_order_of_brightness, n4_corrected, segmenters, without_outliers
from MRIDenoiseLib.evaluation.pictures import draw_segmentations
from MRIDenoiseLib.segmentation import dice, make_mask

CLASSES = 3
TISSUES = ("CSF", "grey", "white")
OUT = Path(__file__).resolve().parent.parent / "runs" / "segmenters"


def main(
    data: Data,
    files: Annotated[str, typer.Option(help="only files whose names hold one of these words, with commas between")] = "",
    out: Annotated[Path, typer.Option(help="folder for the pictures")] = OUT,
) -> None:
    """Print the tables."""
    console = Console(width=150)
    ways = segmenters()
    pairs = list(combinations(ways, 2))
    table = Table("volume", *(f"{one} / {other}" for one, other in pairs), title=f"Dice of {', '.join(TISSUES)}; mean of grey and white")
    seconds = Table("seconds", "N4", *ways)
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for row in read_manifest(data) if row.organ == "head" and row.contrast == "T1w"]
    rows = [row for row in rows if any(word in row.file for word in files.split(","))]
    if not rows:
        raise InputError("the data folder has no such T1-weighted head")
    means: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    for row in rows:
        volume = io.read(data / row.file)
        mask = volume.stacked(make_mask(volume)[0])
        image, spacing = volume.stack.astype(np.float64), volume.stack_spacing
        began = time.monotonic()
        corrected = without_outliers(n4_corrected(image, mask, spacing), mask)
        took = [time.monotonic() - began]
        found = {}
        for name, way in ways.items():
            began = time.monotonic()
            labels = way.run(corrected if way.corrected else image, mask, spacing, CLASSES)
            took.append(time.monotonic() - began)
            found[name] = in_order_of_brightness(np.where(mask, labels, 0), corrected, CLASSES)
        cells = []
        for pair in pairs:
            agreement = dice(found[pair[0]], found[pair[1]], CLASSES)
            means[pair].append(float(np.mean(agreement.classes[1:])))
            cells.append(f"{' '.join(f'{value:.3f}' for value in agreement.classes)}; {means[pair][-1]:.3f}")
        name = Path(row.file).name.removesuffix(".nii.gz")
        table.add_row(name, *cells)
        seconds.add_row(name, *(f"{value:.1f}" for value in took))
        draw_segmentations(image, mask, found, spacing, out / f"{name}.png")
    table.add_section()
    table.add_row("mean", *(f"{np.mean(values):.3f}" for values in means.values()))
    console.print(table)
    console.print(seconds)
    console.print(f"pictures: {out}")


if __name__ == "__main__":
    run(main)
