"""Our tissue segmentation compared with those of other packages: ANTs' Atropos, DIPY's HMRF, FSL's FAST.

On every T1-weighted head of the data folder, with the skull, all segment the brain in the mask that ours finds. Atropos and DIPY
(extra ``peers``) do not remove a bias field, so they get an image corrected by SimpleITK's N4, as their manuals advise. FAST (where
it is on the PATH) and ours find the bias field themselves. Dice coefficients of each pair and the time of each, in one run, are
printed, and two slices of each volume are drawn.

All take (slices, rows, columns) and return labels 1 to K in the order of brightness, 0 outside the mask.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import SimpleITK as sitk
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import read_manifest
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Numbers, Option, tracked
from MRIDenoiseLib.evaluation.pictures import draw_segmentations
from MRIDenoiseLib.extras import PEERS, needed
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.segmentation import dice, make_mask
from MRIDenoiseLib.segmentation.hmrf import TissueSettings, segment_tissues
from MRIDenoiseLib.segmentation.random_field import THICK

WHAT = (
    "Dice coefficients of each pair of segmentations of T1-weighted heads, by tissue, and the mean of grey and white; seconds of each in "
    "this one run"
)
CLASSES = 3
TISSUES = ("CSF", "grey", "white")

OUTLIERS = (0.5, 99.5)
"""Percentiles inside the mask beyond which intensities are cut for the others: otherwise a vessel would become a class of its own."""
SMOOTHNESS = 0.1
"""Of the Markov fields, ours and theirs."""
N4_ITERATIONS = (30, 20, 10)
DARK = 0.01
"""Relative to the brightest voxel: the largest value outside the mask that DIPY gets."""
SECONDS = 1800
"""The longest time for FAST, in seconds."""

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Segmenter:
    """A way to segment.

    Args:
        run: image, mask, spacing in mm, classes -> labels.
        corrected: whether it needs the image without its bias field.
    """

    run: Callable[[np.ndarray, np.ndarray, Spacing, int], np.ndarray]
    corrected: bool


def n4_corrected(image: np.ndarray, mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """The image without the bias field that N4 finds in the mask (Tustison 2010), on every second pixel."""
    whole, where = (_sitk(array, spacing) for array in (image.astype(np.float32), mask.astype(np.uint8)))
    shrink = [2 if size < THICK else 1 for size in reversed(spacing)]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(N4_ITERATIONS)
    n4.Execute(sitk.Shrink(whole, shrink), sitk.Shrink(where, shrink))
    return image / np.exp(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(whole)))


def without_outliers(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with the few darkest and brightest voxels of the mask cut to the others' range."""
    return np.clip(image, *np.percentile(image[mask], OUTLIERS))


def in_order_of_brightness(labels: np.ndarray, image: np.ndarray, classes: int) -> np.ndarray:
    """Labels renumbered by the mean intensity of what they mark; never by their overlap with anything."""
    means = [image[labels == k].mean() if (labels == k).any() else np.inf for k in range(1, classes + 1)]
    renumbered = np.zeros(classes + 1, np.uint8)
    renumbered[1 + np.argsort(means)] = 1 + np.arange(classes)
    return renumbered[labels]


def _ours(image: np.ndarray, mask: np.ndarray, spacing: Spacing, classes: int) -> np.ndarray:
    return segment_tissues(image, mask, spacing, TissueSettings(classes=classes)).labels


def _atropos(image: np.ndarray, mask: np.ndarray, spacing: Spacing, classes: int) -> np.ndarray:
    ants = needed("ants", PEERS)
    radius = "1x1x0" if spacing[0] > THICK * max(spacing[1:]) else "1x1x1"

    def converted(array: np.ndarray) -> object:
        return ants.from_numpy(np.ascontiguousarray(array.T, dtype=np.float32), spacing=spacing[::-1])

    found = ants.atropos(
        a=converted(image), x=converted(mask), i=f"kmeans[{classes}]", m=f"[{SMOOTHNESS},{radius}]", c="[10,0]", priorweight=0
    )
    return found["segmentation"].numpy().T.round().astype(np.uint8)


def _dipy(image: np.ndarray, mask: np.ndarray, spacing: Spacing, classes: int) -> np.ndarray:
    tissue = needed("dipy.segment.tissue", PEERS)
    # It makes a class of the outside, whose width must not be zero, and uses NumPy's global random numbers.
    outside = DARK * image[mask].max() * np.random.default_rng(0).random(image.shape)
    before = np.random.get_state()
    np.random.seed(0)
    try:
        _, found, _ = tissue.TissueClassifierHMRF(verbose=False).classify(np.where(mask, image, outside).T, classes, SMOOTHNESS)
    finally:
        np.random.set_state(before)
    return np.where(mask, np.asarray(found).T.clip(0, classes), 0).astype(np.uint8)


def _fast(image: np.ndarray, mask: np.ndarray, spacing: Spacing, classes: int) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "brain.nii.gz"
        sitk.WriteImage(_sitk(np.where(mask, image, 0).astype(np.float32), spacing), str(source))
        command = ["fast", "-n", str(classes), "-o", str(Path(folder) / "out"), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(next(Path(folder).glob("out_seg.nii*"))))).astype(np.uint8)


def segmenters() -> dict[str, Segmenter]:
    """Ours, the extra's, and FSL's ``fast`` where it is on the PATH."""
    known = {"ours": Segmenter(_ours, False), "Atropos": Segmenter(_atropos, True), "DIPY": Segmenter(_dipy, True)}
    return known | ({"FSL FAST": Segmenter(_fast, False)} if shutil.which("fast") else {})


def _sitk(array: np.ndarray, spacing: Spacing) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    return image


def measure(
    data: Data,
    progress: Progress,
    *,
    files: Annotated[str, Option("only files whose names hold one of these words, with commas between")] = "",
    out: Annotated[Path, Option("folder for the pictures", counts=False)] = Path("runs") / "segmenters",
) -> Numbers:
    """Segment every head in every way.

    Raises:
        InputError: there is no such head.
    """
    ways = segmenters()
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for row in read_manifest(data) if row.organ == "head" and row.contrast == "T1w"]
    rows = [row for row in rows if any(word in row.file for word in files.split(","))]
    if not rows:
        raise InputError("the data folder has no such T1-weighted head")
    volumes: list[dict[str, Any]] = []
    for row in tracked(rows, progress, "heads"):
        volume = io.read(data / row.file)
        mask = volume.stacked(make_mask(volume)[0])
        image, spacing = volume.stack.astype(np.float64), volume.stack_spacing
        began = time.monotonic()
        corrected = without_outliers(n4_corrected(image, mask, spacing), mask)
        seconds = {"N4": time.monotonic() - began}
        found = {}
        for name, way in ways.items():
            began = time.monotonic()
            labels = way.run(corrected if way.corrected else image, mask, spacing, CLASSES)
            seconds[name] = time.monotonic() - began
            found[name] = in_order_of_brightness(np.where(mask, labels, 0), corrected, CLASSES)
        agreement = {f"{one} / {other}": list(dice(found[one], found[other], CLASSES).classes) for one, other in combinations(ways, 2)}
        volumes.append({"volume": row.name, "dice": agreement, "seconds": seconds})
        draw_segmentations(image, mask, found, spacing, out / f"{row.name}.png")
    return {"what": WHAT, "pictures": str(out), "volumes": volumes}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """Dice by volume and pair, and the seconds."""
    volumes = numbers["volumes"]
    pairs, timed = list(volumes[0]["dice"]), list(volumes[0]["seconds"])
    table = Table("volume", *pairs, title=f"Dice of {', '.join(TISSUES)}; mean of grey and white")
    seconds = Table("seconds", *timed)
    means: dict[str, list[float]] = {pair: [] for pair in pairs}
    for row in volumes:
        cells = []
        for pair in pairs:
            means[pair].append(float(np.mean(row["dice"][pair][1:])))
            cells.append(f"{' '.join(f'{value:.3f}' for value in row['dice'][pair])}; {means[pair][-1]:.3f}")
        table.add_row(row["volume"], *cells)
        seconds.add_row(row["volume"], *(f"{row['seconds'][name]:.1f}" for name in timed))
    table.add_section()
    table.add_row("mean", *(f"{np.mean(values):.3f}" for values in means.values()))
    yield table
    yield seconds
    yield f"pictures: {numbers['pictures']}"


def headline(numbers: Numbers) -> Headline:
    """Mean Dice of grey and white matter of each pair of ways."""
    volumes = numbers["volumes"]
    means = {pair: round(float(np.mean([np.mean(row["dice"][pair][1:]) for row in volumes])), 3) for pair in volumes[0]["dice"]}
    says = ", ".join(f"{pair} {value:.2f}" for pair, value in means.items())
    return Headline(f"Mean Dice of grey and white: {says}.", {"heads": len(volumes), **means})


CLAIM = Claim("segmenters", measure, show, headline, width=150)
