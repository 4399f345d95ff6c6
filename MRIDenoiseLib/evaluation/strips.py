"""Images side by side in a PNG, one pixel enlarged to a whole number of screen pixels, so that no grain is smoothed away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.io.atomic import replacing

ZOOM = 2
GAP, TITLE, FOOT = 8, 26, 26
"""Pixels between panels, above and below them."""
DPI = 100
AMPLIFIED = 5
"""What was removed is drawn around grey zero at one part in so many of the window."""


class Panel(NamedTuple):
    """An image (rows, columns) with its title and the values drawn black and white."""

    title: str
    image: np.ndarray
    low: float
    high: float


def draw_strip(path: Path, panels: Sequence[Panel], title: str, *, aspect: float = 1.0, zoom: int = ZOOM) -> None:
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
    width, height = len(panels) * (shown_columns + GAP) + GAP, shown_rows + 2 * TITLE + FOOT
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="black")
    for number, panel in enumerate(panels):
        left = (GAP + number * (shown_columns + GAP)) / width
        place = figure.add_axes((left, FOOT / height, shown_columns / width, shown_rows / height))
        place.imshow(panel.image, cmap="gray", vmin=panel.low, vmax=panel.high, aspect="auto", interpolation="nearest")
        place.set_title(panel.title, color="white", fontsize=9, pad=3)
        place.set_axis_off()
    figure.text(0.5, 1 - 4 / height, title, color="white", ha="center", va="top", fontsize=10)
    figure.text(0.5, 5 / height, RESEARCH_USE_ONLY, color="white", ha="center", va="bottom", fontsize=9)
    with replacing(path, True) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png", facecolor="black")
