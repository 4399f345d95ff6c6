"""The tissue classifiers of other packages, for cross-checks: ANTs' Atropos, DIPY's HMRF, FSL's FAST.

None removes a bias field from the image it is given but FAST, so the others get one that SimpleITK's N4 has corrected, as their
manuals tell. All take (slices, rows, columns) and give labels 1 to K in the order of brightness, 0 outside the mask.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib.extras import PEERS, needed
from MRIDenoiseLib.segmentation.hmrf import TissueSettings, segment_tissues
from MRIDenoiseLib.segmentation.neighbourhood import THICK

OUTLIERS = (0.5, 99.5)
"""Percentiles inside the mask beyond which intensities are cut for the others: a vessel would take a class of its own."""
SMOOTHNESS = 0.1
"""Of the Markov fields, ours and theirs."""
N4_ITERATIONS = (30, 20, 10)
DARK = 0.01
"""Of the brightest voxel: what DIPY is shown outside the mask at most."""
SECONDS = 1800
"""FAST may take so long."""

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Segmenter:
    """A way to segment.

    Args:
        run: image, mask, spacing in mm, classes -> labels.
        corrected: whether it wants the image without its bias field.
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
    # It gives what lies outside a class of its own, whose width must not be zero, and draws from NumPy's global random numbers.
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
