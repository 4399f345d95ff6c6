"""The denoising filters a Slicer user finds in its menus, through the same ITK code that Slicer runs (SimpleITK).

Slicer's *Median Image Filter*, *Gradient Anisotropic Diffusion* and *Curvature Anisotropic Diffusion* modules.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

CONDUCTANCES = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
ITERATIONS = (1, 2, 3, 4, 6, 8)
RADII = ((1, 0), (2, 0), (1, 1), (2, 1))
"""Median radius in pixels, within slices and across them."""


def median_trials(voxels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Every setting of the median filter: (its description, the filtered (z, y, x) array)."""
    for in_plane, across in RADII:
        image = sitk.Median(sitk.GetImageFromArray(voxels), [in_plane, in_plane, across])
        yield f"radius {in_plane}x{in_plane}x{across}", sitk.GetArrayFromImage(image)


def diffusion_trials(voxels: np.ndarray, spacing: tuple[float, float, float], kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Every setting of an anisotropic diffusion, slice by slice and in three dimensions.

    Args:
        voxels: float32 (z, y, x), slices first.
        spacing: mm along (z, y, x); three-dimensional diffusion runs in physical space as Slicer's does.
        kind: ``gradient`` (Perona & Malik 1990) or ``curvature`` (Whitaker & Xue 2001).
    """
    run = {"gradient": sitk.GradientAnisotropicDiffusion, "curvature": sitk.CurvatureAnisotropicDiffusion}[kind]
    # In units of the in-plane pixel, so that the time step below is stable at any resolution.
    depth = max(spacing[0] / spacing[2], 1.0)
    for three_dimensional in (False, True):
        for conductance in CONDUCTANCES:
            parts = [voxels] if three_dimensional else list(voxels)
            images = [sitk.GetImageFromArray(part) for part in parts]
            if three_dimensional:
                # Rounded: ITK would call the time step unstable for a spacing that is a millionth below one.
                images[0].SetSpacing((1.0, max(1.0, round(spacing[1] / spacing[2], 4)), depth))
            done = 0
            for iterations in ITERATIONS:
                # ITK rescales the conductance every iteration, so going on from an earlier result equals starting anew.
                step = 0.0625 if three_dimensional else 0.125
                images = [run(image, step, conductance, 1, iterations - done) for image in images]
                done = iterations
                arrays = [sitk.GetArrayFromImage(image) for image in images]
                name = f"{'3-D' if three_dimensional else '2-D'}, conductance {conductance:g}, {iterations} iterations"
                yield name, arrays[0] if three_dimensional else np.stack(arrays)


def trials(name: str, voxels: np.ndarray, spacing: tuple[float, float, float]) -> Iterator[tuple[str, np.ndarray]]:
    """The trials of ``median``, ``gradient`` or ``curvature``."""
    return median_trials(voxels) if name == "median" else diffusion_trials(voxels, spacing, name)


FILTERS = ("median", "gradient", "curvature")
