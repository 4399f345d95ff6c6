"""What every denoiser has to beat, and the filters of Slicer: blur, median, and diffusion that stops at edges."""

from __future__ import annotations

from typing import Literal

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib.evaluation.blur import BLURS, Blur
from MRIDenoiseLib.evaluation.denoisers.contender import Contender, Setting, Task

Kind = Literal["gradient", "curvature"]
"""After Perona & Malik 1990, or Whitaker & Xue 2001."""

_FILTERS = {"gradient": sitk.GradientAnisotropicDiffusion, "curvature": sitk.CurvatureAnisotropicDiffusion}


class Diffusion:
    """An image with diffusion that can be continued, slice by slice or in three dimensions.

    ITK rescales the conductance in every iteration, so continuing from an earlier result equals starting again.

    Args:
        voxels: float32 (slices, rows, columns).
        spacing: mm along them; three-dimensional diffusion runs in physical space as Slicer's does.
        kind: which diffusion.
        three_dimensional: whether diffusion also goes across slices.
        conductance: how strong an edge has to be to stop it.
    """

    def __init__(
        self, voxels: np.ndarray, spacing: tuple[float, float, float], kind: Kind, *, three_dimensional: bool, conductance: float
    ) -> None:
        self._run = _FILTERS[kind]
        self._conductance = conductance
        self._three_dimensional = three_dimensional
        self._step = 0.0625 if three_dimensional else 0.125
        self._images = [sitk.GetImageFromArray(part) for part in ([voxels] if three_dimensional else voxels)]
        if three_dimensional:
            # In units of the in-plane pixel, so that the time step is stable at any resolution.
            # Rounded, because ITK calls the time step unstable for a spacing that is a millionth below one.
            depth = max(spacing[0] / spacing[2], 1.0)
            self._images[0].SetSpacing((1.0, max(1.0, round(spacing[1] / spacing[2], 4)), depth))

    def go_on(self, iterations: int) -> np.ndarray:
        """The (slices, rows, columns) after so many more iterations."""
        self._images = [self._run(image, self._step, self._conductance, 1, iterations) for image in self._images]
        arrays = [sitk.GetArrayFromImage(image) for image in self._images]
        return arrays[0] if self._three_dimensional else np.stack(arrays)


def median(voxels: np.ndarray, in_plane: int, across: int) -> np.ndarray:
    """The median over a box, through the ITK filter that Slicer's module runs.

    Args:
        voxels: float32 (slices, rows, columns).
        in_plane: half the width of the box within slices, in pixels.
        across: the same across slices.
    """
    return sitk.GetArrayFromImage(sitk.Median(sitk.GetImageFromArray(voxels), [in_plane, in_plane, across]))


def _noisy(task: Task, setting: Setting) -> np.ndarray:
    return task.slices[task.wanted.start : task.wanted.stop]


def _blur(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(Blur(**setting)(task.image))


def _median(task: Task, setting: Setting) -> np.ndarray:
    return task.filtered(median(task.image, **setting))


def _diffusion(kind: Kind, author: str) -> Contender:
    def run(task: Task, setting: Setting) -> np.ndarray:
        dimensions, conductance = setting["dimensions"], setting["conductance"]
        diffusion = Diffusion(task.image, task.spacing, kind, three_dimensional=dimensions == 3, conductance=conductance)
        return task.filtered(diffusion.go_on(setting["iterations"]))

    return Contender(
        name=kind,
        title=f"{kind.capitalize()} anisotropic diffusion",
        group="tools",
        source=f"{author}; Slicer's module, the ITK filter through SimpleITK (Apache-2.0)",
        run=run,
        packages=("SimpleITK",),
        settings=tuple(
            {"dimensions": dimensions, "conductance": conductance, "iterations": iterations}
            for dimensions in (3, 2)
            for conductance, iterations in ((1.0, 4), (1.0, 8), (2.0, 2), (2.0, 4))
        ),
        wide=tuple(
            {"dimensions": dimensions, "conductance": conductance, "iterations": iterations}
            for dimensions in (3, 2)
            for conductance in (1.0, 0.5, 2.0, 4.0)
            for iterations in (4, 2, 8)
        ),
    )


NOISY = Contender(name="noisy", title="Noisy", group="control", source="the image that nobody touched", run=_noisy)
BLUR = Contender(
    name="blur",
    title="Gaussian blur",
    group="control",
    source="SciPy (BSD-3-Clause)",
    run=_blur,
    packages=("scipy",),
    settings=tuple(
        {"in_plane": in_plane, "across": across}
        for in_plane, across in ((0.6, 0.0), (0.5, 0.0), (0.8, 0.0), (1.0, 0.0), (0.4, 0.4), (0.5, 0.4), (0.6, 0.4), (0.8, 0.6))
    ),
    wide=tuple(blur._asdict() for blur in BLURS),
)
MEDIAN = Contender(
    name="median",
    title="Median filter",
    group="tools",
    source="Slicer's Median Image Filter module; the ITK filter through SimpleITK (Apache-2.0)",
    run=_median,
    packages=("SimpleITK",),
    settings=tuple({"in_plane": in_plane, "across": across} for in_plane, across in ((1, 0), (2, 0), (1, 1), (2, 1))),
)
GRADIENT = _diffusion("gradient", "Perona and Malik 1990")
CURVATURE = _diffusion("curvature", "Whitaker and Xue 2001")
