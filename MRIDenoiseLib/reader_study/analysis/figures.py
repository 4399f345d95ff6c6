"""The figures of a reader study as PNG: scores by arm, bars of certainty, scatter with limits of agreement, and preferences."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.analysis.arms import ArmComparison
from MRIDenoiseLib.reader_study.analysis.findings import FindingResult, IndexAgreement, PreferenceResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999", "#000000")
"""Of the arms: Okabe and Ito's, which colour-blind people can distinguish."""
SHADES = ("#deebf7", "#9ecae1", "#4292c6", "#084594")
"""Of four categories, from the lowest."""
DPI = 110


def check_figures() -> None:
    """Find out before long work whether figures can be drawn.

    Raises:
        SettingsError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "the report needs the package matplotlib: install the extra 'evaluate' (pip install -e '.[evaluate]')"
        ) from error


def draw_scores(comparison: ArmComparison, categories: Sequence[int]) -> bytes:
    """Violins with boxes of the subjects' scores, and how often each category was given."""
    panels = 2 if categories else 1

    def draw(axes: Sequence[Axes]) -> None:
        _violins(axes[0], comparison, categories)
        if categories:
            shares = {arm.arm: arm.ratings for arm in comparison.arms}
            _stacked(axes[1], shares, categories, "ratings")

    return _png(draw, panels, (2.6 + 1.0 * len(comparison.arms)))


def draw_certainty(findings: Sequence[FindingResult]) -> bytes:
    """Stacked bars of the certainty, an arm a bar."""
    shares = {one.arm: one.certainty for one in findings}
    categories = list(findings[0].certainty)
    return _png(lambda axes: _stacked(axes[0], shares, categories, "readings"), 1, 2.6 + 1.0 * len(findings))


def draw_index(one: IndexAgreement, reference: str) -> bytes:
    """The arm against the reference with its regression line, and the differences with their limits of agreement."""
    wanted, measured = np.array(one.values).T

    def draw(axes: Sequence[Axes]) -> None:
        scatter, differences = axes
        ends = np.array([min(wanted.min(), measured.min()), max(wanted.max(), measured.max())])
        ends = ends + np.array([-0.05, 0.05]) * max(float(np.ptp(ends)), 1e-6)
        scatter.plot(ends, ends, color="0.6", linestyle=":", label="identity")
        scatter.plot(ends, one.intercept + one.slope * ends, color=COLOURS[1], label=f"{one.slope:.2f} x {one.intercept:+.2f}")
        scatter.scatter(wanted, measured, s=14, color=COLOURS[0], alpha=0.7, linewidths=0)
        scatter.set(xlim=ends, ylim=ends, xlabel=reference, ylabel=one.arm, title="Regression")
        scatter.set_aspect("equal")
        scatter.legend(frameon=False, fontsize=8, loc="upper left")
        limits = one.bland_altman
        differences.scatter((wanted + measured) / 2, measured - wanted, s=14, color=COLOURS[0], alpha=0.7, linewidths=0)
        for value, low, high, name in (
            (limits.bias, limits.bias_low, limits.bias_high, "bias"),
            (limits.lower, limits.lower_low, limits.lower_high, "lower limit"),
            (limits.upper, limits.upper_low, limits.upper_high, "upper limit"),
        ):
            if np.isfinite(value):
                colour = COLOURS[1] if name == "bias" else "0.35"
                differences.axhline(value, color=colour, linestyle="-" if name == "bias" else "--", linewidth=1)
                differences.axhspan(low, high, color=colour, alpha=0.12, linewidth=0)
                differences.annotate(
                    f"{name} {value:.3f}", (1, value), xycoords=("axes fraction", "data"), xytext=(-3, 2), textcoords="offset points",
                    ha="right", fontsize=8, color=colour,
                )  # fmt: skip
        differences.axhline(0, color="0.6", linestyle=":", linewidth=1)
        differences.set(xlabel=f"mean of {one.arm} and {reference}", ylabel=f"{one.arm} − {reference}", title="Bland–Altman")

    return _png(draw, 2, 4.4)


def draw_preferences(one: PreferenceResult) -> bytes:
    """How often each arm was preferred, with intervals."""

    def draw(axes: Sequence[Axes]) -> None:
        places = np.arange(len(one.shares))
        shares = np.array([100 * arm.share for arm in one.shares])
        ends = np.array([[100 * (arm.share - arm.low), 100 * (arm.high - arm.share)] for arm in one.shares]).T
        axes[0].bar(places, shares, width=0.6, color=COLOURS[: len(places)], yerr=np.maximum(ends, 0), capsize=4)
        axes[0].axhline(100 / len(places), color="0.5", linestyle=":", linewidth=1)
        axes[0].set_xticks(places, [arm.arm for arm in one.shares])
        axes[0].set(ylabel="preferred, % of choices", ylim=(0, 100))

    return _png(draw, 1, 2.4 + 0.9 * len(one.shares))


def _violins(axes: Axes, comparison: ArmComparison, categories: Sequence[int]) -> None:
    rng = np.random.default_rng(0)
    for place, arm in enumerate(comparison.arms):
        values, colour = np.array(arm.values), COLOURS[place % len(COLOURS)]
        if values.size == 0:
            continue
        if np.ptp(values) > 0:
            body: Any = axes.violinplot(values, [place], widths=0.8, showextrema=False)["bodies"][0]  # type: ignore[index]
            body.set(facecolor=colour, alpha=0.3)
        axes.scatter(place + rng.uniform(-0.09, 0.09, values.size), values, s=7, color=colour, alpha=0.55, linewidths=0)
        axes.boxplot(
            values, positions=[place], widths=0.24, showfliers=False, manage_ticks=False, medianprops={"color": "black", "linewidth": 1.6}
        )
        axes.plot(place, arm.mean, marker="D", color="white", markeredgecolor="black", markersize=5, zorder=5)
    axes.set_xticks(range(len(comparison.arms)), [arm.arm for arm in comparison.arms])
    axes.set_ylabel("score (readers' mean)" if categories else "index (readers' mean)")
    if categories:
        axes.set_ylim(min(categories) - 0.2, max(categories) + 0.2)
        axes.set_yticks(categories)
    axes.set_title(f"Subjects, n = {comparison.subjects}")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)


def _stacked(axes: Axes, counts: dict[str, dict[int, int]], categories: Sequence[int], what: str) -> None:
    base = np.zeros(len(counts))
    totals = np.array([max(1, sum(one.values())) for one in counts.values()])
    shades = [SHADES[round(place * (len(SHADES) - 1) / max(1, len(categories) - 1))] for place in range(len(categories))]
    for category, shade in zip(categories, shades, strict=True):
        shares = 100 * np.array([one[category] for one in counts.values()]) / totals
        axes.bar(np.arange(len(counts)), shares, 0.65, base, color=shade, edgecolor="white", label=str(category))
        for place, (share, below) in enumerate(zip(shares, base, strict=True)):
            if share >= 6:
                dark = shade in SHADES[2:]
                axes.text(
                    place, below + share / 2, f"{share:.0f}", ha="center", va="center", fontsize=8, color="white" if dark else "black"
                )
        base += shares
    axes.set_xticks(range(len(counts)), [f"{arm}\n{sum(one.values())} {what}" for arm, one in counts.items()])
    axes.set(ylabel="% of " + what, ylim=(0, 100), title="Categories")
    # In the order of the stack.
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _png(draw: Callable[[Sequence[Axes]], None], panels: int, width: float) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels, 3.9), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    draw(axes)
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.title.set_fontsize(10)
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()
