"""The parts of the page that are tables and text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from MRIDenoiseLib.evaluation.comparison import summary
from MRIDenoiseLib.evaluation.comparison.cases import CaseSpec
from MRIDenoiseLib.evaluation.comparison.cells import TISSUE_DICE
from MRIDenoiseLib.evaluation.comparison.data_files import ON_THE_TRUTH, words_of
from MRIDenoiseLib.evaluation.comparison.plan import Entrant
from MRIDenoiseLib.evaluation.comparison.run import Findings
from MRIDenoiseLib.evaluation.comparison.summary import FIGURES, OURS, SHOWN, TESTED, Against, MethodRow
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS, GROUPS
from MRIDenoiseLib.evaluation.denoisers.contender import NOISE
from MRIDenoiseLib.evaluation.figures.honest_reference import WHY_APART
from MRIDenoiseLib.page import heading, paragraph, table

COLUMNS = 16
"""How many columns fit on a page."""


@dataclass(frozen=True)
class Tables:
    """The data that the parts are made from.

    Args:
        findings: of the comparison.
        rows: the main table.
        against: the tests.
    """

    findings: Findings
    rows: Sequence[MethodRow]
    against: Sequence[Against]

    @classmethod
    def of(cls, findings: Findings) -> Tables:
        """Everything that is computed from the cells."""
        return cls(findings, summary.rows(findings), summary.against(findings))

    def title(self, entrant: Entrant) -> str:
        """A method's name in the tables."""
        return next(row.title for row in self.rows if row.entrant == entrant)

    @property
    def shown(self) -> list[str]:
        """The figures of the main table that some method has."""
        return [name for name in SHOWN if any(math.isfinite(row.figures[name]) for row in self.rows)]


def definitions(tables: Tables) -> Iterator[str]:
    """The definitions of the figures of the main table."""
    yield heading("What the figures mean")
    rows = [(FIGURES[name].title, FIGURES[name].sentence, FIGURES[name].unit, FIGURES[name].better) for name in tables.shown]
    yield table(("figure", "definition", "unit", "better"), rows)


def tests(tables: Tables) -> Iterator[str]:
    """Ours compared with each other method, by every figure that is tested."""
    yield heading("Ours against each")
    rows = []
    for one in tables.against:
        digits = FIGURES[one.figure].digits
        rows.append(
            (
                FIGURES[one.figure].title,
                tables.title(one.other),
                one.difference.n,
                one.difference.subjects,
                _signed(one.difference.mean, digits),
                f"{_signed(one.difference.mean_low, digits)}\u00a0..\u00a0{_signed(one.difference.mean_high, digits)}",
                _signed(one.difference.median, digits),
                f"{_signed(one.difference.median_low, digits)}\u00a0..\u00a0{_signed(one.difference.median_high, digits)}",
                number(one.test.p, 3),
                number(one.p_holm, 3),
                "-" if one.same is None else f"{one.same.verdict} (p {number(one.same.p, 3)})",
            )
        )
    head = ("figure", "method", "images", "subjects", "ours - method", "95 %", "median", "95 %", "p", "p, Holm", "equivalent")
    yield table(head, rows)
    margin = tables.findings.plan.config.margin
    yield paragraph(
        "Intervals by a bootstrap that draws whole subjects; p of the Wilcoxon signed-rank test over subjects (two-sided), adjusted "
        f"after Holm over the whole table; equivalent: two one-sided t tests over subjects with a margin of {margin:g} dB set in the "
        "configuration. A large p alone never means that two methods are equal.",
        "note",
    )


def by_group(tables: Tables) -> Iterator[str]:
    """Foreground PSNR and SSIM by noise, by organ and noise and by subject, each where its groups are few enough for columns."""
    for figure in (TESTED[0], TESTED[1]):
        yield from _grouped(tables, "noise", figure, summary.noise_alone)
        yield from _grouped(tables, "organ and noise", figure, summary.organ_and_noise)
        yield from _grouped(tables, "subject", figure, summary.organ_and_subject)


def _grouped(tables: Tables, by: str, figure: str, group: Callable[[CaseSpec], str]) -> Iterator[str]:
    found = summary.groups(tables.findings, figure, group)
    if not 0 < len(found) <= COLUMNS:
        return
    definition = FIGURES[figure]
    unit = f", {definition.unit}" if definition.unit else ""
    yield heading(f"{definition.title[0].upper()}{definition.title[1:]} by {by}{unit}")
    rows = [(row.title, *(number(found[name][row.entrant], definition.digits) for name in found)) for row in tables.rows]
    bold = []
    for column, name in enumerate(found, start=1):
        values = [found[name][row.entrant] for row in tables.rows]
        known = [value for value in values if math.isfinite(value)]
        bold += [(place, column) for place, value in enumerate(values) if known and value == max(known)]
    yield table(("method", *found), rows, bold)
    yield paragraph("Means over subjects of the means over their images. Bold: the best of its column.", "note")


def tissues(tables: Tables) -> Iterator[str]:
    """Dice of every image, between the best blur and the ceiling."""
    yield heading("Tissue Dice")
    rows = []
    for name, limits in tables.findings.limits.items():
        dice = {
            Entrant(cell.method, cell.model): outcome.figures[TISSUE_DICE]
            for cell, outcome in tables.findings.cells
            if cell.case.name == name and TISSUE_DICE in outcome.figures
        }
        best = max(dice, key=lambda entrant: dice[entrant], default=None)
        ours = next((value for entrant, value in dice.items() if entrant.method == OURS), math.nan)
        noisy = next((value for entrant, value in dice.items() if entrant.method == "noisy"), math.nan)
        winner = "-" if best is None else f"{tables.title(best)} ({dice[best]:.3f})"
        values = (noisy, limits.get("blur", math.nan), ours, limits.get("ceiling", math.nan))
        rows.append((name, *(number(value, 3) for value in values), winner))
    yield table(("image", "noisy", "best blur", "ours", "ceiling", "best method"), rows)
    yield paragraph(
        "The blur is the one with the best Dice, chosen on the reference. The ceiling is the agreement of two equally good truths: the "
        "reference and the same with fresh noise of its own strength, or the means of two halves of the repeats. A method above the "
        "ceiling, or not better than the blur, shows smoothness rather than anatomy.",
        "note",
    )


def settings(tables: Tables) -> Iterator[str]:
    """Which setting each method chose, and where."""
    yield heading("Settings")
    tuning = tables.findings.plan.config.tuning
    where = ", ".join(tables.findings.plan.tuning) or "nowhere"
    if tables.findings.plan.config.on_each_image:
        yield paragraph(f"{ON_THE_TRUTH} Chosen by foreground PSNR; what was chosen on each image is in the data files.")
    else:
        yield paragraph(
            f"Chosen by foreground PSNR on {where}: the same images for every method, at most {tuning.trials if tuning else 0} settings "
            "each, none of the images of a subject that is compared on. The model was trained on those subjects, so that the "
            "choices may trust its networks a little too much."
        )
    rows = []
    for row in tables.rows:
        choices = tables.findings.plan.choices(row.entrant)
        extra = CONTENDERS[row.entrant.method].told or ("the true noise where it is known" if any(NOISE in one for one in choices) else "-")
        tried = len(choices) or _tried(tables.findings, row.entrant)
        rows.append((row.title, "the best on each image" if choices else words_of(row.setting), tried, extra))
    yield table(("method", "setting", "settings tried", "given in addition to the image"), rows)


def apart(tables: Tables) -> Iterator[str]:
    """The images that do not count, with the reason and the PSNR of each method there; nothing where all count."""
    findings = tables.findings.apart
    if not findings.plan.cases:
        return
    yield heading("Shown apart")
    yield paragraph(WHY_APART + " No mean, test, plot or other table has these images in it.", "warning")
    rows = []
    for name in findings.plan.cases:
        noises = findings.noises[name]
        found = {
            Entrant(cell.method, cell.model): outcome.figures.get(TESTED[0], math.nan)
            for cell, outcome in findings.cells
            if cell.case.name == name
        }
        values = (number(found.get(row.entrant, math.nan), 2) for row in tables.rows)
        rows.append((name, number(noises.own, 4), number(noises.added, 4), *values))
    yield table(("image", "own noise", "noise added", *(f"{row.title}, dB" for row in tables.rows)), rows)


def notes(findings: Findings) -> Iterator[str]:
    """What the readers of files said about the images; nothing where they said nothing."""
    if findings.notes:
        yield heading("What to know about the images")
        yield table(("image", "note"), [(name, note) for name, notes in findings.notes.items() for note in notes])


def sources(tables: Tables) -> Iterator[str]:
    """Where the methods come from."""
    yield heading("Where the methods come from")
    rows = [
        (
            row.title,
            GROUPS[CONTENDERS[row.entrant.method].group],
            CONTENDERS[row.entrant.method].source,
            CONTENDERS[row.entrant.method].trained or "-",
        )
        for row in tables.rows
    ]
    yield table(("method", "kind", "source and licence", "trained on"), rows)


def failures(tables: Tables) -> Iterator[str]:
    """What failed, if anything did."""
    failed = [(row.title, name, error) for row in tables.rows for name, error in row.errors.items()]
    if failed:
        yield heading("What failed")
        yield table(("method", "image", "why"), failed)


def number(value: float, digits: int) -> str:
    """A figure, or a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}" if math.isfinite(value) else "-"


def _tried(findings: Findings, entrant: Entrant) -> int:
    tried = [cell for cell, _ in findings.trials.values() if Entrant(cell.method, cell.model) == entrant]
    return len({json.dumps(dict(cell.setting), sort_keys=True) for cell in tried})
