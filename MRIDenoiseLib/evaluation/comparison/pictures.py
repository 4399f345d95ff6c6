"""The picture rows of a comparison: the same slice by every method, a close-up, and what was taken away."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.evaluation.comparison.cases import Case
from MRIDenoiseLib.evaluation.comparison.plots import DPI
from MRIDenoiseLib.evaluation.pictures import display_window, framed, oriented_slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESIDUAL_WINDOW = 0.2
"""Of the grey window: black and white in the residuals."""
CLOSE_UP = 0.3
"""Of the picture's longer side."""
COLUMNS = 7
MARGIN = 4
"""Pixels around what there is to see."""


def picture_row(case: Case, images: Mapping[str, np.ndarray]) -> bytes:
    """Whole slice, close-up and residual of every image, in rows of :data:`COLUMNS`; the middle scored slice, PNG.

    The close-up lies where the reference has the most detail. The residual of the reference is the noise itself.

    Args:
        case: what the images are of.
        images: title -> scored slices (slices, rows, columns) in units of the reference's P99.5.
    """
    from matplotlib.figure import Figure

    middle = len(case.scored) // 2
    shown = {"reference": case.reference / case.scale, **images}
    hung = {title: oriented_slice(case.as_volume(slices), middle) for title, slices in shown.items()}
    truth, aspect = hung["reference"]
    noisy = oriented_slice(case.as_volume(case.noisy / case.scale), middle)[0]
    window = display_window(case.reference / case.scale)
    frame, close = framed(truth, window, MARGIN), _close_up(truth, window)
    lines = -(-len(hung) // COLUMNS)
    height = (frame[0].stop - frame[0].start) * aspect / (frame[1].stop - frame[1].start)
    drawing = Figure(figsize=(2.6 * COLUMNS, (2.6 * (2 * height + 1) + 0.5) * lines), facecolor="black", layout="constrained")
    axes = drawing.subplots(3 * lines, COLUMNS, squeeze=False, height_ratios=[height, 1, height] * lines)
    for place in axes.flat:
        place.set_axis_off()
    for number, (title, (image, _)) in enumerate(hung.items()):
        line, column = divmod(number, COLUMNS)
        whole, near, residual = (axes[3 * line + part, column] for part in range(3))
        _grey(whole, image[frame], (0, window), aspect)
        whole.set_title(title, color="white", fontsize=10)
        _grey(near, image[close], (0, window), aspect)
        _grey(residual, (noisy - image)[frame], (-RESIDUAL_WINDOW * window, RESIDUAL_WINDOW * window), aspect)
    buffer = io.BytesIO()
    drawing.savefig(buffer, dpi=DPI, format="png", facecolor="black")
    return buffer.getvalue()


def _grey(place: Axes, image: np.ndarray, window: tuple[float, float], aspect: float) -> None:
    place.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect, interpolation="nearest")


def _close_up(image: np.ndarray, window: float) -> tuple[slice, slice]:
    """The square with the most detail; brightness counts no more than the grey window shows."""
    frame = framed(image, window, 0)
    size = max(16, round(CLOSE_UP * max(frame[0].stop - frame[0].start, frame[1].stop - frame[1].start)))
    size = min(size, *image.shape)
    smooth = ndimage.gaussian_filter(np.minimum(image, window), 1)
    detail = ndimage.uniform_filter(np.hypot(*np.gradient(smooth)), size, mode="constant")
    inside = detail[size // 2 : image.shape[0] - size // 2 + 1, size // 2 : image.shape[1] - size // 2 + 1]
    row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return slice(int(row), int(row) + size), slice(int(column), int(column) + size)
