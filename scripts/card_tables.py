"""The tables of README and of docs are what the bundled model's evidence holds: ``python scripts/card_tables.py`` fills them in again.

A table stands between ``<!-- card: NAME -->`` and ``<!-- end of card -->``. What was not measured is said to be so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.claims.posterior import SEEDED
from MRIDenoiseLib.inference.guarantee import RADII
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.models.bundle.description import evidence_of
from MRIDenoiseLib.models.bundle.readme import markdown_table, words

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- card: (\w+) -->\n).*?(<!-- end of card -->)", re.DOTALL)
SHORT = {
    "noisy": "noisy",
    "blur": "blur",
    "median": "median",
    "gradient": "gradient diffusion",
    "curvature": "curvature diffusion",
    "nlm": "NLM",
    "ants": "ANTs",
    "bm4d-told": "BM4D, given the noise",
    "nbnet": "regression, one view",
    "regression-4": "regression, four views",
    "posterior-mean": "posterior mean",
    "sharpened-half": "sharpened, half",
    "sharpened-full": "sharpened, full",
    "ours": "**default**",
}
"""Columns of the comparison."""


def filled(text: str, measured: Mapping[str, Any]) -> str:
    """A text with its tables.

    Args:
        text: of a page.
        measured: name -> the whole of a measurement.

    Raises:
        KeyError: the text asks for a table that is not made here.
    """

    def block(match: re.Match[str]) -> str:
        name = match[2]
        source = PART_OF.get(name, name)
        made = TABLES[name](measured[source]) if source in measured else "*Not measured on this model.*"
        return f"{match[1]}{made}\n{match[3]}"

    return BLOCK.sub(block, text)


def methods(numbers: Mapping[str, Any]) -> str:
    """The comparison: PSNR by noise, then how far the default is ahead of each method."""
    names = _named(numbers)
    rows = []
    for noise, scores in numbers["psnr_foreground"].items():
        best = max((scores[name] for name in names if scores.get(name) is not None), default=None)
        rows.append([noise, *(_bold(scores.get(name), best) for name in names)])
    return f"{markdown_table(['noise', *(SHORT[name] for name in names)], rows)}\n\n{ahead(numbers)}"


def ahead(numbers: Mapping[str, Any]) -> str:
    """How far the default is ahead of each method, with the images on which it is behind."""
    differences = {(one["of"], one["figure"]): one for one in numbers["ahead"]}
    lines = [
        [
            SHORT[name],
            *(_interval(differences[name, figure], digits) for figure, digits in (("psnr_foreground", 2), ("ssim_foreground", 4))),
            f"{len(numbers['lost'].get(name, []))} of {numbers['images']}",
        ]
        for name in _named(numbers)
        if (name, "psnr_foreground") in differences
    ]
    return markdown_table(["the default is ahead of", "PSNR, dB (95 % interval)", "SSIM", "images lost"], lines)


def native_noise(numbers: Mapping[str, Any]) -> str:
    """Real scans as they are."""
    rows = []
    for scan in numbers["scans"]:
        removed = scan["removed"]
        ours, bm4d = removed["denoised"], removed.get("BM4D")
        edges = f"{_number(ours['edge_ratio'])} ({_number(removed['equal blur']['edge_ratio'])})"
        rows.append([words(scan["scan"]), f"{1000 * scan['grain']['fine']:.0f}", _removed(ours), _removed(bm4d), edges])
    head = ["scan", "grain, per mille of P99.5", "removed, fine and coarse", "BM4D given the grain", "edge ratio (equal blur)"]
    clean = ", ".join(f"{words(scan['scan'])} {1000 * scan['removed']['denoised']['change']:.1f}" for scan in numbers["clean"])
    return f"{markdown_table(head, rows)}\n\nClean scans are changed by (rms, per mille of P99.5): {clean}."


def lesions(numbers: Mapping[str, Any]) -> str:
    """What is left of small lesions."""
    rows = []
    for name, groups in numbers["summary"].items():
        group = groups["all"]
        kept = [f"{100 * group[part]:.0f} %" for part in ("median", "fifth_percentile")]
        rows.append([name, *kept, str(group["missing"]), str(group["lost"])])
    return markdown_table(["image", "half keep", "nineteen of twenty keep", "keep under 50 %", "under 25 % (lost)"], rows)


def noise_level(numbers: Mapping[str, Any]) -> str:
    """Noise level given over true noise, of rows that count."""
    by_kind: dict[str, dict[float, list[float]]] = {}
    for row in numbers["rows"]:
        if row["counts"]:
            by_kind.setdefault(row["kind"], {}).setdefault(row["strength"], []).append(row["ratio"])
    strengths = sorted({strength for kind in by_kind.values() for strength in kind})
    rows = [[kind, *(_range(found.get(strength, [])) for strength in strengths)] for kind, found in by_kind.items()]
    return markdown_table(["noise", *(f"{strength:g}" for strength in strengths)], rows)


def posterior(numbers: Mapping[str, Any]) -> str:
    """Regression and the ways of the diffusion model, beside a denoiser that has learned nothing."""
    rows = []
    ours, *_ = numbers["means"]
    for model, ways in numbers["means"].items():
        for way, means in ways.items():
            # Regression is the same whatever the denoiser has learned.
            if model == ours or means != numbers["means"][ours][way]:
                spread = _number(means["calibration"]) if way in SEEDED else "-"
                rows.append([f"{way}, {model}", f"{means['psnr']:.2f}", _number(means["edges"], 3), spread])
    return markdown_table(["way", "PSNR, dB", "edge width, of the default's", "variance of samples / squared error"], rows)


def uncertainty(numbers: Mapping[str, Any]) -> str:
    """What the intervals cover, patient by patient, and the map beside its controls."""
    patients, names = numbers["patients"], list(dict.fromkeys(name for row in numbers["noises"].values() for name in row["sources"]))
    rows = []
    for noise, row in numbers["noises"].items():
        covered = ["-" if (value := cells.get(noise)) is None else f"{100 * value:.1f} %" for cells in patients.values()]
        sources = [row["sources"].get(name) for name in names]
        widths = ["-" if source is None else f"{1000 * source['median']:.1f}" for source in sources]
        ranks = [f"{source['rank']:.2f}" for source in sources if source is not None and "rank" in source]
        rows.append([noise, *covered, *widths, " / ".join([*ranks, f"{row['best']:.2f}"])])
    ranked = " / ".join([*(name for name in names if name != "constant"), "best"])
    head = ["noise", *(f"covered, {patient}" for patient in patients), *(f"half-width, {name}" for name in names), f"rank, {ranked}"]
    return (
        f"{markdown_table(head, rows)}\n\nMeans over the patients: {100 * numbers['coverage']:.1f} % covered; rank correlation "
        f"{numbers['rank']:.2f}, of {numbers['best_rank']:.2f}. Half-widths are medians, per mille of P99.5."
    )


def through_plane(numbers: Mapping[str, Any]) -> str:
    """Flicker between slices, means over volumes and noises, and what is left of thin bright structures in a projection."""
    names = list(numbers["flicker"][0]["flicker"])
    means = [f"{100 * mean(row['flicker'][name] for row in numbers['flicker']):.2f}" for name in names]
    table = markdown_table(["flicker, per cent of what the anatomy changes", *names], [[f"mean of {len(numbers['flicker'])}", *means]])
    kept = [
        f"{name} {100 * part:.0f} % (of the fine grain {100 * scan['fine'][name]:.0f} % removed)"
        for scan in numbers["vessels"]
        for name, part in scan["kept"].items()
    ]
    return f"{table}\n\nContrast left of thin bright structures in a maximum-intensity projection: {', '.join(kept)}."


def repeats(numbers: Mapping[str, Any]) -> str:
    """Single repeats against the mean of the others."""
    rows = [
        [
            name,
            *(f"{found[which]['psnr']:.2f}" for which in ("noisy", "best_blur", "denoised")),
            f"{found['closer_than_noisy']} of {found['repeats']}",
        ]
        for name, found in numbers["sets"].items()
    ]
    return markdown_table(["repeats", "noisy, dB", "best blur", "denoised", "closer than the noisy one"], rows)


def tissues(numbers: Mapping[str, Any]) -> str:
    """Dice with the clean image's segmentation, means over the classes, and by how much volumes of tissues shift."""
    names = ("noisy", "best blur", "denoised")
    rows = [[words(row["volume"]), *(f"{mean(row[name]):.3f}" for name in names)] for row in numbers["rows"]]
    means = [f"**{mean(mean(row[name]) for row in numbers['rows']):.3f}**" for name in names]
    table = markdown_table(["Dice", *names], [*rows, ["mean", *means]])
    biased = [row for row in numbers["rows"] if row.get("tissues") and row["counts"]]
    if not biased:
        return table
    lines = [
        [words(row["volume"]), tissue, f"{row['millilitres'][k]:.0f}", *(f"{row['bias'][name][k]:+.1f}" for name in names)]
        for row in biased
        for k, tissue in enumerate(row["classes"])
    ]
    return f"{table}\n\n{markdown_table(['volume of', 'tissue', 'clean, ml', *(f'{name}, %' for name in names)], lines)}"


def quantities(numbers: Mapping[str, Any]) -> str:
    """Bias and spread of T2 and ADC."""
    rows = [
        [f"{title}, {found['series']}", found.get("noise", "its own"), name, f"{one['bias']:+.1f}", _thirds(one), f"{one['spread']:.0f}"]
        for title, kind in (("T2", "t2"), ("ADC", "adc"))
        for found in numbers[kind]
        for name, one in found["maps"].items()
    ]
    return markdown_table(["map", "noise", "images", "bias, %", "of short, middle and long values", "spread, %"], rows)


def _thirds(one: Mapping[str, Any]) -> str:
    return ", ".join(f"{part:+.0f}" for part in one["thirds"])


def guarantee(numbers: Mapping[str, Any]) -> str:
    """Violations among planted and removed discs, what is left of them, and what the guarantee costs."""
    rows = []
    for real, kind in ((False, "planted"), (True, "removed")):
        discs = [one for one in numbers["discs"] if one["real"] == real]
        for title, low, high in (("allowed", 0.0, 1.0), ("one to two times what is allowed", 1.0, 2.0), ("more", 2.0, math.inf)):
            found = [one for one in discs if low <= one["contrast"] < high]
            if found:
                left = f"{100 * median(one['left'] for one in found):.0f} %"
                rows.append([kind, title, str(len(found)), str(sum(one["change"] > 1.001 for one in found)), left])
    changes = [cost["on"] - cost["off"] for cost in numbers["costs"]]
    share = sum(cost["holding"] for cost in numbers["costs"]) / sum(cost["seconds"] for cost in numbers["costs"])
    table = markdown_table(["discs", "contrast", "number", "violations", "left, median"], rows)
    volumes = [
        [words(cost["volume"]), cost["noise"], *("-" if part is None else f"{100 * part:.1f}" for part in cost["allowed"])]
        for cost in numbers["costs"]
    ]
    sizes = [f"{2 * radius:g} px" for radius in RADII]
    table += "\n\n" + markdown_table(["contrast allowed, % of bright tissue", "noise", *sizes], volumes)
    return f"{table}\n\nPSNR changes by {min(changes):+.3f} to {max(changes):+.3f} dB; it takes {100 * share:.1f} % of the time."


def change(numbers: Mapping[str, Any]) -> str:
    """What is left of changes between two scans, and what appears where there was none."""
    rows = []
    for way in numbers["pairs"][0]["kept"]:
        kept = sorted(value for pair in numbers["pairs"] for value in pair["kept"][way])
        nothing = [pair["nothing"][way] for pair in numbers["pairs"] if pair["nothing"][way] is not None]
        lost = sum(value < 0.25 for value in kept)
        share = [f"{100 * median(kept):.0f} %", f"{100 * kept[len(kept) // 20]:.0f} %", str(lost)]
        rows.append([way, *share, f"{median(nothing):.2f}, at most {max(nothing):.2f}" if nothing else "-"])
    return markdown_table(["image", "half keep", "nineteen of twenty keep", "under 25 % (lost)", "largest false change (noisy 1)"], rows)


def planted(numbers: Mapping[str, Any]) -> str:
    """Fakes, noise alone, bars and the observer, a table each."""
    fakes: dict[str, list[float]] = {}
    for row in numbers["fakes"]:
        for name, one in row["fakes"].items():
            fakes.setdefault(name, []).append(100 * one["left"])
    tables = [
        markdown_table(
            ["planted in the networks' answer", "energy left, median", "most"],
            [[name, f"{median(left):.0f} %", f"{max(left):.0f} %"] for name, left in fakes.items()],
        )
    ]
    shown = [row for row in numbers["noise"] if "found" in row]
    heads = ["noise alone", "image", "standard deviation", "largest mean of a disc"]
    lines = [[row["image"], name, f"{one['std']:.2f}", f"{max(one['discs']):.2f}"] for row in shown for name, one in row["found"].items()]
    tables.append(markdown_table(heads, lines))
    if "bars" in numbers:
        kept = numbers["bars"]["kept"]
        groups = [[group, *(f"{100 * one[group]:.0f} %" for one in kept.values())] for group in next(iter(kept.values()))]
        tables.append(markdown_table(["bars: modulation kept", *kept], groups))
    names = [*numbers["discs"][0]["mean"]] if numbers["discs"] else []
    means = [
        [trial["background"], *(f"{mean(task['areas'][name] for task in trial['tasks']):.3f}{_change(trial, name)}" for name in names)]
        for trial in numbers["discs"]
    ]
    tables += [markdown_table(["observer's area under the curve, background", *names], means)] if means else []
    return "\n\n".join(tables)


def _change(trial: Mapping[str, Any], name: str) -> str:
    _, low, high = trial["mean"][name]
    return "" if name == "noisy" else f" ({low:+.3f} to {high:+.3f})"


def oddities(numbers: Mapping[str, Any]) -> str:
    """Planted oddities that were noticed, then false alarms, each beside what the histogram alone does."""
    rows = [
        [row["oddity"], *(f"{row[name]} of {row['volumes']}" for name in ("noticed", "named", "control"))] for row in numbers["planted"]
    ]
    alarms = [[row["of"], *(f"{row[name]} of {row['images']}" for name in ("alarms", "control"))] for row in numbers["alarms"]]
    noticed = markdown_table(["planted", "noticed", "called by its name", "by the histogram alone"], rows)
    return f"{noticed}\n\n{markdown_table(['nothing planted', 'false alarms', 'by the histogram alone'], alarms)}"


TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "methods": methods,
    "ahead": ahead,
    "native_noise": native_noise,
    "lesions": lesions,
    "uncertainty": uncertainty,
    "noise_level": noise_level,
    "through_plane": through_plane,
    "posterior": posterior,
    "repeats": repeats,
    "oddities": oddities,
    "tissues": tissues,
    "quantities": quantities,
    "guarantee": guarantee,
    "planted": planted,
    "change": change,
}
"""Name of a table -> what makes it, of the evidence of that name."""
PART_OF = {"ahead": "methods"}
"""Name of a table -> name of the evidence, where that is another."""


def _named(numbers: Mapping[str, Any]) -> list[str]:
    return [name for name in SHORT if any(method["name"] == name for method in numbers["methods"])]


def _bold(value: float | None, best: float | None) -> str:
    if value is None:
        return "-"
    return f"**{value:.2f}**" if value == best else f"{value:.2f}"


def _interval(one: Mapping[str, Any], digits: int) -> str:
    if one["mean"] is None:
        return "-"
    interval = "" if one["low"] is None or one["high"] is None else f" ({one['low']:+.{digits}f} to {one['high']:+.{digits}f})"
    return f"{one['mean']:+.{digits}f}{interval}"


def _number(value: float | None, digits: int = 2) -> str:
    """Zero is what stands for a number that is not known."""
    return f"{value:.{digits}f}" if value else "-"


def _removed(removal: Mapping[str, Any] | None) -> str:
    return "-" if removal is None else f"{100 * removal['fine']:.0f} % and {100 * removal['coarse']:.0f} %"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}" if values else "-"


def pages() -> list[Path]:
    """README and the pages of docs that hold a table."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in found if BLOCK.search(page.read_text(encoding="utf-8"))]


def fill_pages() -> None:
    """Fill the tables of README and of docs in from the bundled model's evidence.

    Raises:
        OutputError: a page cannot be written.
    """
    measured = evidence_of(bundled_model())
    for page in pages():
        text = filled(page.read_text(encoding="utf-8"), measured)
        with replacing(page, True) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    fill_pages()
