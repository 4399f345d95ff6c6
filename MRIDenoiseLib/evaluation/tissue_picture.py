"""Segmentations side by side, for a person to judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.io.atomic import replacing

PLACES = (0.5, 0.7)
"""Which slices of the mask's extent are drawn."""


def draw_segmentations(
    image: np.ndarray, mask: np.ndarray, found: Mapping[str, np.ndarray], spacing: tuple[float, float, float], path: Path
) -> None:
    """Draw two slices: the image with the mask's outline, then every segmentation; an older picture is replaced.

    Args:
        image: (slices, rows, columns).
        mask: bool, the same shape.
        found: name -> labels, 0 to K.
        spacing: mm along these axes.
        path: a PNG.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    held = np.flatnonzero(mask.any(axis=(1, 2)))
    bright = float(np.percentile(image[mask], 99.5))
    figure = Figure(figsize=(3 * (1 + len(found)), 3.2 * len(PLACES)), layout="constrained")
    axes = figure.subplots(len(PLACES), 1 + len(found), squeeze=False)
    for row, place in zip(axes, PLACES, strict=True):
        z = held[round(place * (held.size - 1))]
        row[0].imshow(image[z], cmap="gray", vmin=0, vmax=bright, aspect=spacing[1] / spacing[2])
        row[0].contour(mask[z], [0.5], colors="red", linewidths=0.8)
        row[0].set_title(f"slice {z}, mask")
        for axis, (name, labels) in zip(row[1:], found.items(), strict=True):
            axis.imshow(labels[z], cmap="gray", vmin=0, vmax=max(part.max() for part in found.values()), aspect=spacing[1] / spacing[2])
            axis.set_title(name)
    for axis in axes.flat:
        axis.axis("off")
    figure.suptitle(RESEARCH_USE_ONLY, fontsize=8)
    with replacing(path, True) as temporary:
        figure.savefig(temporary, dpi=80)
