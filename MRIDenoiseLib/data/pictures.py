"""Pictures to judge an alignment by: noisy, clean laid on it, their difference, and the clean edges drawn over the noisy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from MRIDenoiseLib.image.scale import intensity_scale
from MRIDenoiseLib.io.images import sitk_image
from MRIDenoiseLib.prompt.plane import plane_of_geometry
from MRIDenoiseLib.volume import Volume

PANEL = 300
"""Pixels, the longer side of one image."""
DIFFERENCE_WINDOW = 0.2
"""Of the grey window: black and white in the difference."""
EDGE_BLUR = 1.5
EDGE_SHARE = 0.08
"""Part of the pixels, those of the steepest gradients, that are drawn as edges."""
EDGE_COLOUR = (255, 96, 0)
_GAP = 4

_HANGING = {"axial": "LPS", "sagittal": "PIL", "coronal": "LIP"}
"""Plane -> patient directions of increasing column, row and slice, as radiologists hang it."""


@dataclass(frozen=True)
class Picture:
    """One alignment for a person to judge.

    Args:
        label: of the case; free of names.
        flow_p95: pixels of movement that is left.
        verdict: why the pair was refused, empty where it was accepted.
        png: the four images side by side.
    """

    label: str
    flow_p95: float
    verdict: str
    png: bytes = field(repr=False)


class WorstPictures:
    """Keeps the pictures of the pairs with the most movement left, and draws no others.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.pictures: list[Picture] = []

    def offer(self, flow_p95: float, draw: Callable[[], Picture]) -> None:
        """Draw and keep a picture if it is among the worst so far."""
        if len(self.pictures) == self._count and flow_p95 <= self.pictures[-1].flow_p95:
            return
        kept = sorted([*self.pictures, draw()], key=lambda picture: -picture.flow_p95)
        self.pictures = kept[: self._count]


def alignment_png(noisy: Volume, clean: np.ndarray, mask: np.ndarray) -> bytes:
    """A PNG of the slice that shows most of the body, four times; the grey windows end at each image's P99.5 inside the body.

    Args:
        noisy: the noisy volume.
        clean: float array, the shape of its voxels.
        mask: bool, the same shape: where both show the body.
    """
    across = noisy.slice_axis
    scales = [intensity_scale(np.moveaxis(image, across, 0), np.moveaxis(mask, across, 0)) for image in (noisy.voxels, clean)]
    plane = str(plane_of_geometry(noisy.ijk_to_ras, across).value)
    images = [_hung(image, noisy.ijk_to_ras, plane) for image in (noisy.voxels / scales[0], clean / scales[1], mask.astype(np.float32))]
    index = int(np.argmax(images[2].sum(axis=(1, 2))))
    one, other = (image[index] for image in images[:2])
    difference = (one - other) / (2 * DIFFERENCE_WINDOW) + 0.5
    panels = [_enlarged(_grey(panel)) for panel in (one, other, difference)] + [_enlarged(_with_edges(one, other))]
    gap = np.zeros((panels[0].shape[0], _GAP, 3), np.uint8)
    return _png(np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1))


def _hung(voxels: np.ndarray, ijk_to_ras: np.ndarray, plane: str) -> np.ndarray:
    """The voxels as slices of a plane, turned as radiologists hang them."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk_image(voxels, ijk_to_ras), _HANGING.get(plane, "LPS")))


def _grey(image: np.ndarray) -> np.ndarray:
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _with_edges(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    drawn = _grey(noisy)
    steepness = ndimage.gaussian_gradient_magnitude(clean, EDGE_BLUR)
    ridge = steepness >= ndimage.maximum_filter(steepness, 3) * 0.95
    drawn[ridge & (steepness > np.quantile(steepness, 1 - EDGE_SHARE))] = EDGE_COLOUR
    return drawn


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Every pixel drawn as a block, so that nothing is smoothed."""
    times = max(PANEL // max(image.shape[:2]), 1)
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _png(image: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        sitk.WriteImage(sitk.GetImageFromArray(image, isVector=True), str(path), useCompression=True)
        return path.read_bytes()
