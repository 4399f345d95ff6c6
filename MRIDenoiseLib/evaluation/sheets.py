"""A sheet to judge a denoised slice by: noisy, denoised, taken away and clean; the whole slice, and a part three times enlarged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.evaluation.pictures import display_window, oriented_slice
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.volume import Volume

ZOOM = 3
CROP = 120
"""Rows and columns of the enlarged part."""
GAP = 12
TITLE = 34
FOOT = 40
"""Pixels between panels, above each and below all."""
DPI = 100
RESIDUAL_WINDOW = 0.2
"""The residual is drawn around grey zero, at this part of the images' window to either side."""


def draw_sheet(*, noisy: Volume, denoised: Volume, path: Path, title: str, clean: Volume | None = None, index: int | None = None) -> None:
    """Draw a sheet into a PNG; an older one is replaced.

    The upper row has the whole slice, the frame in it shows what the lower row enlarges, one pixel to three by three. All
    images share one window; the residual is drawn around grey zero at a fifth of it.

    Args:
        noisy, denoised, clean: volumes on one grid, in the same units.
        path: where the PNG goes.
        title: what is shown.
        index: slice number along the acquired direction; the middle one by default.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    window = display_window((noisy if clean is None else clean).voxels)
    residual = replace(noisy, voxels=noisy.voxels - denoised.voxels)
    panels = [("noisy", noisy, 0.0, window), ("denoised", denoised, 0.0, window)]
    panels.append((f"noisy - denoised, ±{RESIDUAL_WINDOW * window:.3g}", residual, -RESIDUAL_WINDOW * window, RESIDUAL_WINDOW * window))
    if clean is not None:
        panels.append(("clean", clean, 0.0, window))
    top, left = _part(noisy if clean is None else clean, index)
    side = ZOOM * CROP
    width, height = len(panels) * (side + GAP) + GAP, 2 * (side + TITLE) + TITLE + FOOT
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="black")
    for number, (name, volume, low, high) in enumerate(panels):
        image, aspect = oriented_slice(volume, index)
        part = image[top : top + CROP, left : left + CROP]
        x = GAP + number * (side + GAP)
        grey: dict[str, Any] = {"cmap": "gray", "vmin": low, "vmax": high}
        whole = figure.add_axes((x / width, (FOOT + side + TITLE) / height, side / width, side / height))
        whole.imshow(image, aspect=aspect, **grey)
        whole.set_title(name, color="white", fontsize=10)
        if number == 0:
            whole.add_patch(Rectangle((left - 0.5, top - 0.5), part.shape[1], part.shape[0], fill=False, edgecolor="yellow"))
        # Exactly three screen pixels a voxel, each way.
        rows, columns = (ZOOM * count for count in part.shape)
        enlarged = figure.add_axes((x / width, FOOT / height, columns / width, rows / height))
        enlarged.imshow(part, aspect="auto", interpolation="nearest", **grey)
        enlarged.set_title(f"{ZOOM} x", color="white", fontsize=10)
        for place in (whole, enlarged):
            place.set_axis_off()
    figure.text(0.5, 1 - 8 / height, title, color="white", ha="center", va="top", fontsize=12)
    figure.text(0.5, 8 / height, RESEARCH_USE_ONLY, color="white", ha="center", va="bottom", fontsize=11)
    with replacing(path, True) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png", facecolor="black")


def _part(volume: Volume, index: int | None) -> tuple[int, int]:
    """First row and column of the enlarged part: the middle of the body in the slice as it is shown."""
    mask = body_mask(np.moveaxis(volume.voxels, volume.slice_axis, 0))
    body, _ = oriented_slice(volume.with_voxels(np.moveaxis(mask, 0, volume.slice_axis).astype(np.float32)), index)
    rows, columns = np.nonzero(body) if body.any() else np.nonzero(body == 0)
    starts = []
    for places, size in zip((rows, columns), body.shape, strict=True):
        middle = round((int(places.min()) + int(places.max())) / 2)
        starts.append(min(max(middle - CROP // 2, 0), max(size - CROP, 0)))
    return starts[0], starts[1]
