"""The pictures of a comparison, as PNG bytes: plots of scores, time and prompts, and the slices themselves side by side."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.evaluation.comparison.cases import Case
from MRIDenoiseLib.evaluation.comparison.run import Findings
from MRIDenoiseLib.evaluation.comparison.summary import FIGURES, OURS, MethodRow, organ_and_noise
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS, GROUPS
from MRIDenoiseLib.evaluation.denoisers.contender import Group
from MRIDenoiseLib.evaluation.pictures import display_window, framed, oriented_slice
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VENDORS = ("Siemens", "GE", "Philips")


COLOURS: dict[Group, str] = {"control": "#888888", "tools": "#4c78a8", "paper": "#e6a23c", "ablation": "#b279a2", "ours": "#2a9d5c"}
DPI = 110
_COLUMNS = 3
RESIDUAL_WINDOW = 0.2
"""Relative to the grey window: black and white in the residuals."""
CLOSE_UP = 0.3
"""Relative to the picture's longer side."""
COLUMNS = 7
MARGIN = 4
"""Pixels around the visible part."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Prompts on the first two principal axes of their embeddings.

    Args:
        points: (prompts, 2).
        organs, contrasts: of each prompt.
        shares: of the variance along the two axes.
    """

    points: np.ndarray
    organs: tuple[str, ...]
    contrasts: tuple[str, ...]
    shares: tuple[float, float]


def prompt_clusters(model: Bundle) -> Clusters | None:
    """Embed a prompt for every organ and contrast the model was trained on, with each of three vendors, mean over its tokens.

    None for a model whose card does not state what it was trained on.
    """
    kinds = list(product(sorted(model.trained_on["organ"]), sorted(model.trained_on["contrast"]), VENDORS))
    if len(kinds) <= 2 * len(VENDORS):
        return None

    def field(word: str) -> AcquisitionField:
        return AcquisitionField(word, "vocabulary", "high")

    prompts = [
        describe(Acquisition(organ=field(organ), contrast=field(contrast), vendor=field(vendor))) for organ, contrast, vendor in kinds
    ]
    text, mask = model.encode(prompts)
    weight = mask.float().unsqueeze(-1)
    pooled = ((text * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)).detach().numpy()
    centred = pooled - pooled.mean(axis=0)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    variances = strengths**2 / max(float((strengths**2).sum()), 1e-12)
    points = left[:, :2] * strengths[:2]
    return Clusters(points, tuple(kind[0] for kind in kinds), tuple(kind[1] for kind in kinds), (float(variances[0]), float(variances[1])))


def box_plots(findings: Findings, rows: Sequence[MethodRow], figure: str) -> bytes:
    """One box per method, one panel per organ and noise; every image is a dot."""
    panels: dict[str, dict[str, list[float]]] = {}
    for cell, outcome in findings.cells:
        value = outcome.figures.get(figure, math.nan)
        if math.isfinite(value):
            panels.setdefault(organ_and_noise(cell.case), {}).setdefault(f"{cell.method}/{cell.model}", []).append(value)
    height = 0.26 * len(rows) + 0.9
    columns = min(_COLUMNS, max(len(panels), 1))
    drawing = _figure(4.6 * columns + 1.2, height * math.ceil(len(panels) / columns))
    axes = drawing.subplots(math.ceil(len(panels) / columns), columns, squeeze=False, sharey=True)
    names = [f"{row.entrant.method}/{row.entrant.model}" for row in rows]
    for place, (title, found) in zip(axes.flat, panels.items(), strict=False):
        for height_at, (name, row) in enumerate(zip(names, rows, strict=True)):
            colour = COLOURS[CONTENDERS[row.entrant.method].group]
            values = found.get(name, [])
            if len(values) > 1:
                place.boxplot(
                    values,
                    positions=[height_at],
                    orientation="horizontal",
                    widths=0.6,
                    showfliers=False,
                    medianprops={"color": colour},
                    boxprops={"color": colour},
                    whiskerprops={"color": colour},
                    capprops={"color": colour},
                )
            place.plot(values, [height_at] * len(values), ".", color=colour, markersize=5)
        place.set_title(title, fontsize=10)
        place.set_yticks(range(len(rows)), [row.title for row in rows], fontsize=8)
        place.grid(axis="x", alpha=0.3)
        place.tick_params(axis="x", labelsize=8)
    axes[0, 0].invert_yaxis()
    for place in list(axes.flat)[len(panels) :]:
        place.set_axis_off()
    definition = FIGURES[figure]
    drawing.supxlabel(f"{definition.title}{f', {definition.unit}' if definition.unit else ''}", fontsize=10)
    return _png(drawing)


def trade_off(rows: Sequence[MethodRow], across: str, upward: str) -> bytes:
    """One point per method by two figures."""
    drawing = _figure(10, 6)
    place = drawing.subplots()
    _points(place, [(row, row.figures[across], row.figures[upward]) for row in rows])
    for group, colour in COLOURS.items():
        place.plot([], [], "o", color=colour, label=GROUPS[group])
    place.legend(fontsize=8, loc="best")
    _label(place, across, upward)
    return _png(drawing)


def cost(rows: Sequence[MethodRow], figure: str) -> bytes:
    """A figure against processor seconds per slice."""
    drawing = _figure(10, 5)
    place = drawing.subplots()
    place.set_xscale("log")
    _points(place, [(row, row.processor, row.figures[figure]) for row in rows if row.processor > 0])
    place.set_xlabel("processor seconds per slice")
    place.set_ylabel(f"{FIGURES[figure].title} {FIGURES[figure].unit}")
    place.grid(alpha=0.3)
    return _png(drawing)


def _points(place: Axes, points: Sequence[tuple[MethodRow, float, float]]) -> None:
    """One point per method. Its name stands right of the axes; names are in the order of the points' heights, and lines lead to them.

    A method that did not run on all images is hollow, with how many it ran on: its place among the others means little.
    """
    finite = sorted((point for point in points if math.isfinite(point[1]) and math.isfinite(point[2])), key=lambda point: -point[2])
    all_images = max((row.images for row, _, _ in finite), default=0)
    for number, (row, x, y) in enumerate(finite):
        colour = COLOURS[CONTENDERS[row.entrant.method].group]
        whole = row.images == all_images
        size = 9 if row.entrant.method == OURS else 6
        place.plot(x, y, "o", color=colour, markersize=size, markerfacecolor=colour if whole else "none", zorder=3)
        place.annotate(
            row.title if whole else f"{row.title} ({row.images} of {all_images} images)",
            (x, y),
            xytext=(1.05, 1 - (number + 0.5) / len(finite)),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), "color": colour, "linewidth": 0.5, "alpha": 0.6},
        )


def evolution(curves: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> bytes:
    """PSNR of state and estimate over a sampler's steps; (title, of the state, of the estimate) per sampler."""
    drawing = _figure(9, 4.5)
    place = drawing.subplots()
    for number, (title, state, estimate) in enumerate(curves):
        steps = np.arange(1, len(state) + 1)
        place.plot(steps, estimate, "-", color=f"C{number}", label=f"{title}: denoiser's estimate")
        place.plot(steps, state, ":", color=f"C{number}", label=f"{title}: the sampler's state")
    place.locator_params(axis="x", integer=True)
    place.set_xlabel("step")
    place.set_ylabel("foreground PSNR, dB")
    place.legend(fontsize=7, ncols=2)
    place.grid(alpha=0.3)
    return _png(drawing)


def clusters(found: Clusters) -> bytes:
    """Text embeddings on their first two principal axes; colour by organ, symbol by contrast."""
    drawing = _figure(8, 6)
    place = drawing.subplots()
    colours = {organ: f"C{number}" for number, organ in enumerate(dict.fromkeys(found.organs))}
    signs = dict(zip(dict.fromkeys(found.contrasts), "osD^v<>PX*h8dp", strict=False))
    for (x, y), organ, contrast in zip(found.points, found.organs, found.contrasts, strict=True):
        place.plot(x, y, signs[contrast], color=colours[organ], alpha=0.8)
    for organ, colour in colours.items():
        place.plot([], [], "o", color=colour, label=organ)
    for contrast, sign in signs.items():
        place.plot([], [], sign, color="black", label=contrast)
    place.legend(fontsize=8, bbox_to_anchor=(1.01, 1), loc="upper left")
    place.set_xlabel(f"first principal axis ({found.shares[0]:.0%} of the variance)")
    place.set_ylabel(f"second principal axis ({found.shares[1]:.0%})")
    place.grid(alpha=0.3)
    return _png(drawing)


def _label(place: Axes, across: str, upward: str) -> None:
    place.set_xlabel(f"{FIGURES[across].title} {FIGURES[across].unit}")
    place.set_ylabel(f"{FIGURES[upward].title} {FIGURES[upward].unit}")
    place.grid(alpha=0.3)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    return buffer.getvalue()


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
    """The square with the most detail; brightness above the grey window counts as the window's white."""
    frame = framed(image, window, 0)
    size = max(16, round(CLOSE_UP * max(frame[0].stop - frame[0].start, frame[1].stop - frame[1].start)))
    size = min(size, *image.shape)
    smooth = ndimage.gaussian_filter(np.minimum(image, window), 1)
    detail = ndimage.uniform_filter(np.hypot(*np.gradient(smooth)), size, mode="constant")
    inside = detail[size // 2 : image.shape[0] - size // 2 + 1, size // 2 : image.shape[1] - size // 2 + 1]
    row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return slice(int(row), int(row) + size), slice(int(column), int(column) + size)
