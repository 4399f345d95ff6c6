"""The denoising filters a Slicer user finds in its menus, through the same ITK code that Slicer runs (SimpleITK).

Slicer's *Median Image Filter*, *Gradient Anisotropic Diffusion* and *Curvature Anisotropic Diffusion* modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.anisotropic_diffusion import Diffusion, Kind
from MRIDenoiseLib.evaluation.denoisers.median import median

CONDUCTANCES = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
ITERATIONS = (1, 2, 3, 4, 6, 8)
RADII = ((1, 0), (2, 0), (1, 1), (2, 1))
"""Median radius in pixels, within slices and across them."""


def median_trials(voxels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Every setting of the median filter: (its description, the filtered (z, y, x) array)."""
    for in_plane, across in RADII:
        yield f"radius {in_plane}x{in_plane}x{across}", median(voxels, in_plane, across)


def diffusion_trials(voxels: np.ndarray, spacing: tuple[float, float, float], kind: Kind) -> Iterator[tuple[str, np.ndarray]]:
    """Every setting of an anisotropic diffusion, slice by slice and in three dimensions.

    Args:
        voxels: float32 (z, y, x), slices first.
        spacing: mm along (z, y, x).
        kind: ``gradient`` or ``curvature``.
    """
    for three_dimensional in (False, True):
        for conductance in CONDUCTANCES:
            diffusion = Diffusion(voxels, spacing, kind, three_dimensional=three_dimensional, conductance=conductance)
            done = 0
            for iterations in ITERATIONS:
                filtered = diffusion.go_on(iterations - done)
                done = iterations
                yield f"{'3-D' if three_dimensional else '2-D'}, conductance {conductance:g}, {iterations} iterations", filtered


def trials(name: Literal["median"] | Kind, voxels: np.ndarray, spacing: tuple[float, float, float]) -> Iterator[tuple[str, np.ndarray]]:
    """The trials of ``median``, ``gradient`` or ``curvature``."""
    return median_trials(voxels) if name == "median" else diffusion_trials(voxels, spacing, name)


FILTERS = ("median", "gradient", "curvature")
