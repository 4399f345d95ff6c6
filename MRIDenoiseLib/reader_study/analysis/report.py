"""The report of a reader study: one HTML file with everything in it, and the same numbers as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.io.atomic import json_ready, replacing
from MRIDenoiseLib.page import figure, heading, items, page, paragraph
from MRIDenoiseLib.reader_study.analysis import tables
from MRIDenoiseLib.reader_study.analysis.analyse import Analysis
from MRIDenoiseLib.reader_study.analysis.figures import draw_certainty, draw_index, draw_preferences, draw_scores
from MRIDenoiseLib.reader_study.analysis.words import conclusions, named, where


def write_report(analysis: Analysis, path: Path, *, overwrite: bool = False) -> None:
    """Write the report.

    Raises:
        OutputError: the file is there already, or cannot be written.
        SettingsError: matplotlib is not installed.
    """
    text = html(analysis)
    with replacing(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")


def as_json(analysis: Analysis) -> dict[str, Any]:
    """Everything that the report rests on, as JSON has it: a number that does not exist is null, and ``reason`` next to it says why.

    Patients' codes are not in it.
    """
    found = asdict(analysis)
    plan = found.pop("plan")
    plan["cases"] = len(plan["cases"])
    head = {"program": f"MRIDenoise {__version__}", "use": RESEARCH_USE_ONLY, "conclusions": asdict(conclusions(analysis)), "plan": plan}
    return json_ready({**head, **found})


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
    return page(f"Reader study: {analysis.plan.study}", "", [*parts, *_methods(analysis)])


def _head(analysis: Analysis) -> list[str]:
    plan = analysis.plan
    sentences = conclusions(analysis)
    subjects = len({subject for subject, _ in plan.cases})
    primary = f"primary outcome: {named(plan.primary)}; reference: {plan.reference or 'none'}"
    parts = [
        paragraph(
            f"{len(plan.readers)} readers, {subjects} subjects, {len(plan.cases)} cases, {len(plan.arms)} arms "
            f"({', '.join(plan.arms)}); {analysis.ratings} ratings and {analysis.repeats} repeated ones. "
            f"Fixed before reading: {primary}; level {plan.alpha:g}; margin of equivalence ±{plan.margin:g} points."
        ),
        heading("Conclusions"),
        items(sentences.confirmatory),
        f"<details><summary>Everything else, exploratory: tested at the level stated, one question at a time "
        f"({len(sentences.exploratory)} sentences)</summary>{items(sentences.exploratory)}</details>",
        heading("What is missing"),
    ]
    if not analysis.missing:
        return [*parts, paragraph("Nothing: every reader rated every image.")]
    return [
        *parts,
        paragraph("Arms are compared on complete cases only: those that every reader rated in every arm."),
        tables.missing(analysis.missing),
    ]


def _questions(analysis: Analysis) -> list[str]:
    parts = [heading("Arms compared")] if analysis.comparisons else []
    ordered = sorted(analysis.comparisons, key=lambda one: one.field != analysis.plan.primary)
    kinds = {question.name: question for question in analysis.plan.questions}
    for one in ordered:
        mark = " – primary outcome" if one.field == analysis.plan.primary and one is ordered[0] else ""
        parts.append(heading(where(one.field, one.group).capitalize() + mark, 3))
        if one.subjects:
            parts.append(figure(draw_scores(one, kinds[one.field].categories), f"Scores of {where(one.field, one.group)} by arm"))
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
    return [heading("Fazekas grades against the reference"), tables.against_reference(analysis.against_reference, analysis.plan.reference)]


def _indices(analysis: Analysis) -> list[str]:
    parts = [heading("Signal index against the reference")] if analysis.indices else []
    for one in analysis.indices:
        parts.append(heading(f"{where(one.field, one.group).capitalize()}: {one.arm}", 3))
        if len(one.values) > 1:
            parts.append(figure(draw_index(one, analysis.plan.reference), f"{one.arm} against {analysis.plan.reference}"))
        parts.append(tables.index(one))
    return parts


def _findings(analysis: Analysis) -> list[str]:
    parts = [heading("Findings")] if analysis.findings else []
    for field, group in dict.fromkeys((one.field, one.group) for one in analysis.findings):
        part = [one for one in analysis.findings if (one.field, one.group) == (field, group)]
        parts.append(heading(where(field, group).capitalize(), 3))
        if any(one.detection.n for one in part):
            parts.append(figure(draw_certainty(part), f"Certainty of {where(field, group)} by arm"))
        parts.append(tables.findings(part))
    return parts


def _preferences(analysis: Analysis) -> list[str]:
    parts = [heading("Preference")] if analysis.preferences else []
    for one in analysis.preferences:
        parts.append(heading(where(one.field, one.group).capitalize(), 3))
        if any(share.n for share in one.shares):
            parts.append(figure(draw_preferences(one), f"How often each arm was preferred in {where(one.field, one.group)}"))
        parts += [tables.shares(one), tables.preferences(one)]
    return parts


def _methods(analysis: Analysis) -> list[str]:
    plan = analysis.plan
    sentences = [
        "Subjects are the samples: ratings are averaged over readers, and over the cases of a subject, before arms are tested.",
        f"Arms of a question: Friedman's test with ties corrected and Kendall's W; every pair by Wilcoxon's signed-rank test with Pratt's "
        f"zeros, p times the number of pairs tested (Bonferroni) against {plan.alpha:g}; Holm's adjustment is given with it.",
        "That no difference is shown does not prove equality. Equivalence is two one-sided paired t tests against the margin fixed in the "
        "design, each at the level over their number; the bootstrap interval next to it assumes no normal distribution.",
        "Readers: two-way mixed intraclass correlation with absolute agreement of one reader, ICC(A,1), and of their mean, ICC(A,k) "
        "(McGraw and Wong 1996); below 0.5 poor, below 0.75 moderate, below 0.9 good, from 0.9 on excellent. Scales: "
        "quadratic-weighted kappa, and Gwet's AC2 for when one category dominates.",
        "Where several images are of one subject, intervals are by bootstrap that draws whole subjects; else as each table says. Intervals "
        "are of 95 % where nothing else is stated.",
        "A finding is present from certainty 3 on. The truth is the readers' consensus on the reference, or, where no consensus "
        "was needed, what all answered there. The reference's own accuracy is therefore flattered.",
    ]
    return [heading("Methods"), items(sentences)]
