"""Slicer's *Median Image Filter*."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task


def median(voxels: np.ndarray, in_plane: int, across: int) -> np.ndarray:
    """The median over a box, through the ITK filter that Slicer's module runs.

    Args:
        voxels: float32 (slices, rows, columns).
        in_plane: half the width of the box within slices, in pixels.
        across: the same across slices.
    """
    return sitk.GetArrayFromImage(sitk.Median(sitk.GetImageFromArray(voxels), [in_plane, in_plane, across]))


def _run(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(median(task.image, **setting))


METHOD = Method(
    name="median",
    title="Median filter",
    group="tools",
    source="Slicer's Median Image Filter module; the ITK filter through SimpleITK (Apache-2.0)",
    run=_run,
    packages=("SimpleITK",),
    settings=tuple({"in_plane": in_plane, "across": across} for in_plane, across in ((1, 0), (2, 0), (1, 1), (2, 1))),
)
