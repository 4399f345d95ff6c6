"""Pictures for a person to judge by: noisy, denoised and what was taken away, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.volume import Volume


def display_window(voxels: np.ndarray) -> float:
    """The upper end of a grey scale from zero on which tissue is well seen: fat and vessels may saturate on the screen.

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
    """Draw one slice noisy, denoised, taken away and, where there is one, clean, into a PNG; an older picture is replaced.

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
