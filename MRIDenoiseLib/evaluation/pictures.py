"""Pictures to look at: before and after, segmentations side by side, sheets of one slice, and strips of whole pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.volume import Volume

STRIP_ZOOM = 2
STRIP_GAP, STRIP_TITLE, STRIP_FOOT = 8, 26, 26
"""Pixels of a strip between panels, above and below them."""
AMPLIFIED = 5
"""What was removed is drawn around grey zero in the window divided by this number."""


ZOOM = 3
CROP = 120
"""Rows and columns of the enlarged part."""
GAP = 12
TITLE = 34
FOOT = 40
"""Pixels of a sheet between panels, above each and below all."""
DPI = 100
RESIDUAL_WINDOW = 0.2
"""The residual is drawn around grey zero, at this part of the images' window to either side."""


def display_window(voxels: np.ndarray) -> float:
    """The upper end of a grey scale from zero that shows tissue well: fat and vessels may saturate on the screen.

    It is P95 of what is brighter than a tenth of P99.5, in the units of ``voxels``.
    """
    bright = voxels[voxels > 0.1 * np.percentile(voxels, 99.5)]
    return float(np.percentile(bright, 95)) if bright.size else 1.0


def oriented_slice(volume: Volume, index: int | None = None) -> tuple[np.ndarray, float]:
    """One acquired slice as radiologists hang it: patient right on the left, anterior on top (feet down when not axial).

    Args:
        volume: any orientation.
        index: slice number along ``volume.slice_axis``; the middle one by default.

    Returns:
        The slice as (rows, columns), and the height of a pixel divided by its width.
    """
    across = volume.slice_axis
    index = volume.voxels.shape[across] // 2 if index is None else index
    image = np.take(volume.voxels, index, axis=across)
    in_plane = [axis for axis in range(3) if axis != across]
    # Voxel axis 0, 1, 2 is k, j, i: column 2, 1, 0 of the matrix. Of each, the patient direction it mostly runs along.
    directions = [volume.ijk_to_ras[:3, 2 - axis] for axis in in_plane]
    along = [int(np.argmax(np.abs(direction))) for direction in directions]
    spacing = [volume.spacing[axis] for axis in in_plane]
    # Right, anterior and superior all lie at the low end on a radiologist's screen.
    for position, (direction, patient) in enumerate(zip(directions, along, strict=True)):
        if direction[patient] > 0:
            image = np.flip(image, axis=position)
    # Superior-inferior runs down; where it is not in the slice, anterior-posterior does.
    if along[0] < along[1]:
        image, spacing = image.T, spacing[::-1]
    return np.ascontiguousarray(image), spacing[0] / spacing[1]


def before_after(
    *,
    noisy: Volume,
    denoised: Volume,
    residual: Volume,
    path: Path,
    clean: Volume | None = None,
    index: int | None = None,
    noise: str = "",
) -> None:
    """Draw one slice noisy, denoised, the residual and, where there is one, clean, into a PNG; an older picture is replaced.

    All images share one window, :func:`display_window` of the noisy volume, and are cut to where there is something to see;
    the residual is drawn around grey zero at a fifth of that window.

    Args:
        noisy, denoised, residual, clean: volumes on the same grid, in the same units.
        path: where the PNG goes.
        index: slice number along the acquired direction; the middle one by default.
        noise: where the noise comes from, a few words above the noisy image; nothing by default.
    """
    from matplotlib.figure import Figure

    window = display_window(noisy.voxels)
    frame = framed(oriented_slice(denoised, index)[0], window)
    panels = [(f"noisy ({noise})" if noise else "noisy", noisy, 0.0, window), ("denoised", denoised, 0.0, window)]
    panels.append((f"residual (noisy - denoised), ±{window / 5:.3g}", residual, -window / 5, window / 5))
    if clean is not None:
        panels.append(("clean partner", clean, 0.0, window))
    figure = Figure(figsize=(4 * len(panels), 4.6), facecolor="black")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for place, (title, volume, low, high) in zip(axes, panels, strict=True):
        image, aspect = oriented_slice(volume, index)
        place.imshow(image[frame], cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
        place.set_title(title, color="white", fontsize=11)
        place.set_axis_off()
    figure.text(0.5, 0.01, RESEARCH_USE_ONLY, color="white", ha="center", fontsize=10)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    with replacing(path, True) as temporary:
        figure.savefig(temporary, dpi=120, format="png", facecolor="black")


def framed(image: np.ndarray, window: float, margin: int = 8) -> tuple[slice, slice]:
    """Rows and columns that hold something brighter than a tenth of the window, and a margin in pixels."""
    seen = image > 0.1 * window
    if not seen.any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return slice(max(0, rows[0] - margin), rows[-1] + margin + 1), slice(max(0, columns[0] - margin), columns[-1] + margin + 1)


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
    mask = body_mask(volume.stack)
    body, _ = oriented_slice(volume.with_stack(mask), index)
    rows, columns = np.nonzero(body) if body.any() else np.nonzero(body == 0)
    starts = []
    for places, size in zip((rows, columns), body.shape, strict=True):
        middle = round((int(places.min()) + int(places.max())) / 2)
        starts.append(min(max(middle - CROP // 2, 0), max(size - CROP, 0)))
    return starts[0], starts[1]


class Panel(NamedTuple):
    """An image (rows, columns) with its title and the values drawn black and white."""

    title: str
    image: np.ndarray
    low: float
    high: float


def draw_strip(path: Path, panels: Sequence[Panel], title: str, *, aspect: float = 1.0, zoom: int = STRIP_ZOOM) -> None:
    """Draw the panels into a PNG, from left to right; an older one is replaced.

    Args:
        path: where the PNG goes.
        panels: images of one shape.
        title: what is shown.
        aspect: the height of a pixel divided by its width.
        zoom: screen pixels that the shorter side of a pixel gets.
    """
    from matplotlib.figure import Figure

    rows, columns = panels[0].image.shape
    shown_rows, shown_columns = round(rows * zoom * max(1.0, aspect)), round(columns * zoom * max(1.0, 1 / aspect))
    width, height = len(panels) * (shown_columns + STRIP_GAP) + STRIP_GAP, shown_rows + 2 * STRIP_TITLE + STRIP_FOOT
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="black")
    for number, panel in enumerate(panels):
        left = (STRIP_GAP + number * (shown_columns + STRIP_GAP)) / width
        place = figure.add_axes((left, STRIP_FOOT / height, shown_columns / width, shown_rows / height))
        place.imshow(panel.image, cmap="gray", vmin=panel.low, vmax=panel.high, aspect="auto", interpolation="nearest")
        place.set_title(panel.title, color="white", fontsize=9, pad=3)
        place.set_axis_off()
    figure.text(0.5, 1 - 4 / height, title, color="white", ha="center", va="top", fontsize=10)
    figure.text(0.5, 5 / height, RESEARCH_USE_ONLY, color="white", ha="center", va="bottom", fontsize=9)
    with replacing(path, True) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png", facecolor="black")
