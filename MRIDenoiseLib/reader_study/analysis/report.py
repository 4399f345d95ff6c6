"""The report of a reader study: one HTML file with everything in it, and the same numbers as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.reader_study.analysis import tables
from MRIDenoiseLib.reader_study.analysis.analyse import Analysis
from MRIDenoiseLib.reader_study.analysis.figures import draw_certainty, draw_index, draw_preferences, draw_scores
from MRIDenoiseLib.reader_study.analysis.words import conclusions, named, where

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 66rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { margin-top: 2.4rem; border-bottom: 2px solid #0072B2; } h3 { margin-top: 1.8rem; }
table { border-collapse: collapse; margin: .7rem 0 1.2rem; font-size: .88rem; } caption { text-align: left; color: #444; padding: .2rem 0; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
td { font-variant-numeric: tabular-nums; } img { max-width: 100%; height: auto; }
.mark { color: #b00020; font-weight: 600; } .quiet { color: #555; } summary { cursor: pointer; }
"""


def write_report(analysis: Analysis, path: Path, *, overwrite: bool = False) -> None:
    """Write the report.

    Raises:
        OutputError: the file is there already, or cannot be written.
        SettingsError: matplotlib is not installed.
    """
    text = html(analysis)
    with replacing(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(analysis: Analysis, path: Path, *, overwrite: bool = False) -> None:
    """Write everything that the report rests on.

    Raises:
        OutputError: the file is there already, or cannot be written.
    """
    with replacing(path, overwrite) as temporary:
        temporary.write_text(json.dumps(as_json(analysis), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def as_json(analysis: Analysis) -> dict[str, Any]:
    """The analysis as JSON has it; a number that cannot be had is null, and ``reason`` beside it says why.

    Patients' codes are not in it.
    """
    found = asdict(analysis)
    plan = found.pop("plan")
    plan["cases"] = len(plan["cases"])
    head = {"program": f"MRIDenoise {__version__}", "use": RESEARCH_USE_ONLY, "conclusions": asdict(conclusions(analysis)), "plan": plan}
    return _plain({**head, **found})


def html(analysis: Analysis) -> str:
    """The report as text; its pictures are inside."""
    parts = [
        *_head(analysis),
        *_questions(analysis),
        *_fazekas(analysis),
        *_indices(analysis),
        *_findings(analysis),
        *_preferences(analysis),
    ]
    title = f"Reader study: {analysis.plan.study}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join([*parts, *_methods(analysis)]) + "\n</body></html>\n"
    )


def _head(analysis: Analysis) -> list[str]:
    plan = analysis.plan
    said = conclusions(analysis)
    subjects = len({subject for subject, _ in plan.cases})
    primary = f"primary outcome: {named(plan.primary)}; reference: {plan.reference or 'none'}"
    parts = [
        f'<p class="mark">{escape(RESEARCH_USE_ONLY)}</p>',
        f"<p>{len(plan.readers)} readers, {subjects} subjects, {len(plan.cases)} cases, {len(plan.arms)} arms "
        f"({escape(', '.join(plan.arms))}); {analysis.ratings} ratings and {analysis.repeats} repeated ones. "
        f"Fixed before reading: {escape(primary)}; level {plan.alpha:g}; margin of equivalence ±{plan.margin:g} points.</p>",
        "<h2>Conclusions</h2>",
        _sentences(said.confirmatory),
        f"<details><summary>Everything else, exploratory: tested at the level stated, one question at a time "
        f"({len(said.exploratory)} sentences)</summary>{_sentences(said.exploratory)}</details>",
        "<h2>What is missing</h2>",
    ]
    if not analysis.missing:
        return [*parts, "<p>Nothing: every reader rated every image.</p>"]
    return [
        *parts,
        "<p>Arms are compared on complete cases only: those that every reader rated in every arm.</p>",
        tables.missing(analysis.missing),
    ]


def _questions(analysis: Analysis) -> list[str]:
    parts = ["<h2>Arms compared</h2>"] if analysis.comparisons else []
    ordered = sorted(analysis.comparisons, key=lambda one: one.field != analysis.plan.primary)
    kinds = {question.name: question for question in analysis.plan.questions}
    for one in ordered:
        mark = " – primary outcome" if one.field == analysis.plan.primary and one is ordered[0] else ""
        parts.append(f"<h3>{escape(where(one.field, one.group).capitalize() + mark)}</h3>")
        if one.subjects:
            parts.append(_picture(draw_scores(one, kinds[one.field].categories), f"Scores of {where(one.field, one.group)} by arm"))
        parts += [tables.arms(one), tables.tests(one)]
        agreement = [found for found in analysis.agreement if (found.field, found.group) == (one.field, one.group)]
        if agreement:
            parts.append(tables.agreement(agreement))
        repeated = [found for found in analysis.repeated if found.field == one.field]
        # A reader's second readings are not split by group.
        if repeated and one.group == next(other.group for other in analysis.comparisons if other.field == one.field):
            parts.append(tables.repeated(repeated))
    return parts


def _fazekas(analysis: Analysis) -> list[str]:
    if not analysis.against_reference:
        return []
    return ["<h2>Fazekas grades against the reference</h2>", tables.against_reference(analysis.against_reference, analysis.plan.reference)]


def _indices(analysis: Analysis) -> list[str]:
    parts = ["<h2>Signal index against the reference</h2>"] if analysis.indices else []
    for one in analysis.indices:
        parts.append(f"<h3>{escape(f'{where(one.field, one.group).capitalize()}: {one.arm}')}</h3>")
        if len(one.values) > 1:
            parts.append(_picture(draw_index(one, analysis.plan.reference), f"{one.arm} against {analysis.plan.reference}"))
        parts.append(tables.index(one))
    return parts


def _findings(analysis: Analysis) -> list[str]:
    parts = ["<h2>Findings</h2>"] if analysis.findings else []
    for field, group in dict.fromkeys((one.field, one.group) for one in analysis.findings):
        part = [one for one in analysis.findings if (one.field, one.group) == (field, group)]
        parts.append(f"<h3>{escape(where(field, group).capitalize())}</h3>")
        if any(one.detection.n for one in part):
            parts.append(_picture(draw_certainty(part), f"Certainty of {where(field, group)} by arm"))
        parts.append(tables.findings(part))
    return parts


def _preferences(analysis: Analysis) -> list[str]:
    parts = ["<h2>Preference</h2>"] if analysis.preferences else []
    for one in analysis.preferences:
        parts.append(f"<h3>{escape(where(one.field, one.group).capitalize())}</h3>")
        if any(share.n for share in one.shares):
            parts.append(_picture(draw_preferences(one), f"How often each arm was preferred in {where(one.field, one.group)}"))
        parts += [tables.shares(one), tables.preferences(one)]
    return parts


def _methods(analysis: Analysis) -> list[str]:
    plan = analysis.plan
    said = [
        "Subjects are the samples: ratings are averaged over readers, and over the cases of a subject, before arms are tested.",
        f"Arms of a question: Friedman's test with ties corrected and Kendall's W; every pair by Wilcoxon's signed-rank test with Pratt's "
        f"zeros, p times the number of pairs tested (Bonferroni) against {plan.alpha:g}; Holm's adjustment beside it.",
        "That no difference is shown is no proof of equality. Equivalence is two one-sided paired t tests against the margin fixed in the "
        "design, each at the level over their number; the bootstrap interval beside it assumes no normal distribution.",
        "Readers: two-way mixed intraclass correlation with absolute agreement of one reader, ICC(A,1), and of their mean, ICC(A,k) "
        "(McGraw and Wong 1996); below 0.5 poor, below 0.75 moderate, below 0.9 good, from there on excellent. Scales: "
        "quadratic-weighted kappa, and Gwet's AC2 for when one category dominates.",
        "Where several images are of one subject, intervals are by bootstrap that draws whole subjects; else as each table says. Intervals "
        "are of 95 % where nothing else is said.",
        "A finding is present from certainty 3 on. The truth is what the readers' consensus says of the reference, or, where no consensus "
        "was needed, what all said there. The reference's own accuracy is therefore flattered.",
    ]
    return [
        "<h2>Methods</h2>",
        "<ul>",
        *(f"<li>{escape(one)}</li>" for one in said),
        "</ul>",
        f'<p class="quiet">MRIDenoise {__version__}</p>',
    ]


def _sentences(found: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in found)}</ul>"


def _picture(png: bytes, words: str) -> str:
    return f'<p><img alt="{escape(words)}" src="data:image/png;base64,{base64.b64encode(png).decode()}"></p>'


def _plain(value: Any) -> Any:
    """With null for NaN, at any depth."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value
