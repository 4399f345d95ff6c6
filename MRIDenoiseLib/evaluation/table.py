"""The table of methods: who is how good on which row, who wins it, and by how much one beats another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from MRIDenoiseLib.evaluation.benchmark import MEASURES
from MRIDenoiseLib.evaluation.contest import RowResult
from MRIDenoiseLib.evaluation.rivals import STRONGEST
from MRIDenoiseLib.statistics import Comparison, compare

BEST_OTHER = "best other"
"""On each row the best of all rivals but :data:`STRONGEST`."""

COIL_NOISE = "M and L2"
"""The rows of both kinds together: noise with a grain, which BM4D is good at."""

TITLES = {
    "psnr": "Foreground PSNR, dB",
    "corrected": "Foreground PSNR with the reference's own noise taken out, dB",
    "ssim": "Foreground SSIM",
}
_DIGITS = {"psnr": 2, "corrected": 2, "ssim": 4}


def columns(results: Sequence[RowResult]) -> list[str]:
    """Everything that was scored, in the order of the table."""
    return list(dict.fromkeys(name for result in results for name in result.scores))


def winner(result: RowResult, measure: str) -> str:
    """Who is best on a row (of equals the first)."""
    return max(result.scores, key=lambda name: result.scores[name][measure])


def groups(results: Sequence[RowResult]) -> dict[str, list[RowResult]]:
    """The rows of each noise, of :data:`COIL_NOISE`, and all."""
    found = {noise: [result for result in results if result.noise == noise] for noise in dict.fromkeys(result.noise for result in results)}
    coils = [result for result in results if result.noise.startswith(("M", "L2"))]
    return found | ({COIL_NOISE: coils} if coils else {}) | {"all": list(results)}


def means(results: Sequence[RowResult], measure: str, *, of_whole_groups: bool = False) -> dict[str, dict[str, float]]:
    """Group -> method -> mean over the rows where the method was scored; on request, only where that is every row."""
    table: dict[str, dict[str, float]] = {}
    for group, members in groups(results).items():
        scored = {name: [member.scores[name][measure] for member in members if name in member.scores] for name in columns(members)}
        kept = {name: values for name, values in scored.items() if len(values) == len(members) or not of_whole_groups}
        table[group] = {name: round(float(np.mean(values)), _DIGITS[measure] + 1) for name, values in kept.items()}
    return table


def against(results: Sequence[RowResult], method: str, rival: str, measure: str) -> tuple[Comparison, str] | None:
    """A method against a rival (or :data:`BEST_OTHER`) on the rows that have both, and the name of the worst row.

    None where there is no such row.
    """
    pairs = [(result, _score(result, rival, measure, method)) for result in results if method in result.scores]
    known = [(result, theirs) for result, theirs in pairs if theirs is not None]
    if not known:
        return None
    rows = [result for result, _ in known]
    found = compare([row.scores[method][measure] for row in rows], [theirs for _, theirs in known], [row.subject for row in rows])
    return found, f"{rows[found.worst_row].volume} {rows[found.worst_row].noise}"


def _lost(results: Sequence[RowResult], method: str, rival: str) -> list[str]:
    """The rows on which a rival's PSNR is better."""
    both = [result for result in results if method in result.scores and rival in result.scores]
    return [f"{row.volume} {row.noise}" for row in both if row.scores[rival]["psnr"] > row.scores[method]["psnr"]]


def _score(result: RowResult, rival: str, measure: str, method: str) -> float | None:
    if rival != BEST_OTHER:
        return result.scores[rival][measure] if rival in result.scores else None
    # Rivals are what has settings.
    others = [result.scores[name][measure] for name in result.settings if name not in (STRONGEST, method)]
    return max(others) if others else None


def comparisons(results: Sequence[RowResult], methods: Iterable[str]) -> list[dict[str, Any]]:
    """Each method against the noisy image, every rival and the other methods, by each measure; against BM4D also over M and L2."""
    rows = groups(results)
    found = []
    for method in methods:
        for rival in [*columns(results), BEST_OTHER]:
            chosen = ["all", COIL_NOISE] if rival == STRONGEST else ["all"]
            for group, measure in product(chosen, MEASURES if rival != method else ()):
                answer = against(rows.get(group, []), method, rival, measure)
                if answer is not None:
                    numbers = {name: round(value, 4) for name, value in asdict(answer[0]).items()}
                    told = {"method": method, "rival": rival, "measure": measure, "group": group}
                    found.append(told | numbers | {"worst_row": answer[1]})
    return found


def print_rows(console: Console, results: Sequence[RowResult], measure: str) -> None:
    """A line a row; the best number is bold."""
    names = columns(results)
    table = Table("volume", "noise", *names, "best", title=f"{TITLES[measure]}, filters and peers at their best setting")
    for result in results:
        best = winner(result, measure)
        cells = []
        for name in names:
            text = f"{result.scores[name][measure]:.{_DIGITS[measure]}f}" if name in result.scores else "-"
            cells.append(f"[bold]{text}[/bold]" if name == best else text)
        table.add_row(result.volume, result.noise, *cells, best)
    console.print(table)


def print_means(console: Console, results: Sequence[RowResult], measure: str) -> None:
    """Means by noise and over all rows; a number in brackets counts the rows where not every row has a value."""
    names = columns(results)
    table = Table("mean over", "rows", *names, title=TITLES[measure])
    found = means(results, measure)
    for group, members in groups(results).items():
        cells = []
        for name in names:
            count = sum(name in member.scores for member in members)
            text = f"{found[group][name]:.{_DIGITS[measure]}f}" if count else "-"
            cells.append(text if count in (0, len(members)) else f"{text} ({count})")
        table.add_row(group, str(len(members)), *cells)
    console.print(table)


def print_comparisons(console: Console, entries: Sequence[dict[str, Any]], subjects: int) -> None:
    """How much better each method is than each rival, with the interval and the worst row."""
    title = f"Difference (95 % interval, resampling {subjects} subjects), positive where the method is better"
    table = Table("method", "against", "measure", "rows", "mean", "interval", "won", "worst", "on", title=title)
    for entry in entries:
        digits = _DIGITS[entry["measure"]]
        interval = f"{entry['low']:+.{digits}f} .. {entry['high']:+.{digits}f}"
        numbers = f"{entry['mean']:+.{digits}f}", interval, f"{entry['won']} of {entry['rows']}", f"{entry['worst']:+.{digits}f}"
        table.add_row(entry["method"], entry["rival"], entry["measure"], entry["group"], *numbers, entry["worst_row"])
    console.print(table)


def card_content(results: Sequence[RowResult], default_method: str, methods: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a model's card says of the comparison, and every number.

    Keys of the first: ``what``; ``rows``, a list of {volume, noise, method or rival: PSNR}; ``means``, measure -> group ->
    method -> value, where every row of the group has one; ``against``, the comparisons of the default method; ``lost``, rival
    -> the rows on which it has the better PSNR.
    """
    entries = comparisons(results, methods)
    ours = [entry for entry in entries if entry["method"] == default_method]
    numbers = {
        "what": (
            "foreground PSNR in dB over the middle slices of subjects kept out of training, every filter and peer at its best "
            "setting for the row, chosen on the clean volume (of ants, with a search radius of 1: wider ones take minutes and "
            "gained 0.3 dB at most); bm4d and nlm are told the true noise; corrected: with the clean "
            "volume's own noise taken out, estimated from the finest detail of its flattest places"
        ),
        "rows": [
            {"volume": result.volume, "noise": result.noise} | {name: round(scores["psnr"], 2) for name, scores in result.scores.items()}
            for result in results
        ],
        "means": {measure: means(results, measure, of_whole_groups=True) for measure in MEASURES},
        "lost": {name: rows for name in columns(results) if (rows := _lost(results, default_method, name))},
        "against": [{key: value for key, value in entry.items() if key != "method"} for entry in ours],
    }
    return numbers, {"rows": [asdict(result) for result in results], "comparisons": entries}
