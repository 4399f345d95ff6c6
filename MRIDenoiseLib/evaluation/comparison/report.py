"""The report of a comparison: one page with everything in it, and its tables and pictures as files next to it."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib import __version__
from MRIDenoiseLib.evaluation.comparison import plots, sections, summary
from MRIDenoiseLib.evaluation.comparison.cases import Case, CaseSpec, load
from MRIDenoiseLib.evaluation.comparison.cells import TISSUE_DICE
from MRIDenoiseLib.evaluation.comparison.data_files import ON_THE_TRUTH, write_cells, write_data
from MRIDenoiseLib.evaluation.comparison.plan import Entrant
from MRIDenoiseLib.evaluation.comparison.plots import picture_row, prompt_clusters
from MRIDenoiseLib.evaluation.comparison.run import Findings
from MRIDenoiseLib.evaluation.comparison.sections import Tables, number
from MRIDenoiseLib.evaluation.comparison.summary import FIGURES, OURS, TESTED
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.evaluation.figures.honest_reference import Inclusion, find_inclusion
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.page import figure, heading, page, paragraph, table
from MRIDenoiseLib.progress import Progress

PAGE, DATA, CELLS, PICTURES = "report.html", "comparison.json", "cells.csv", "pictures"
BOXED = ("psnr_foreground", "ssim_foreground", TISSUE_DICE, "slice_flicker")
FEW = 6
"""Subjects; with fewer, the p of a signed-rank test cannot be below 0.05."""


class Report:
    """Writes the results of a comparison.

    Args:
        findings: of the comparison.
        folder: where everything goes; files of an earlier report are replaced.
        command: the command that the user typed, to repeat it.
    """

    def __init__(self, findings: Findings, folder: Path, command: str) -> None:
        self._all = findings
        self._findings = findings.counted
        self._folder = folder
        self._command = command
        self._tables = Tables.of(self._findings)

    def write(self, progress: Progress | None = None) -> Path:
        """Write page, tables and pictures; the page is written last, so that everything exists where the page exists.

        Returns:
            The page.

        Raises:
            OutputError: something cannot be written.
        """
        parts = [
            self._overview(),
            self._main_table(),
            sections.definitions(self._tables),
            sections.tests(self._tables),
            sections.by_group(self._tables),
            sections.apart(replace(self._tables, findings=self._all)),
            self._drawn("scores", "Scores by organ and noise", self._boxes()),
            self._drawn("trade_off", "Error, sharpness and time", self._trade_offs()),
            sections.tissues(self._tables),
            self._drawn("steps", "How the estimate changes over the steps", self._evolution()),
            self._drawn("text", "How the text encoder represents the prompts", self._text()),
            self._pictures(progress),
            sections.settings(self._tables),
            sections.sources(self._tables),
            sections.notes(self._all),
            sections.failures(self._tables),
        ]
        write_cells(self._folder / CELLS, self._all)
        write_data(self._folder / DATA, self._all, self._tables.rows, self._tables.against, self._explained)
        note = "The pictures show patients: keep this page where the images may be kept."
        with replacing(self._folder / PAGE, True) as temporary:
            whole = page("Comparison of denoising methods", note, [piece for part in parts for piece in part])
            temporary.write_text(whole, encoding="utf-8")
        return self._folder / PAGE

    @cached_property
    def inclusions(self) -> dict[str, Inclusion]:
        """Image -> how much of its own noise its reference holds; only where the noise was measured and not simulated."""
        found = {}
        for name, spec in self._findings.plan.cases.items():
            case = self._cases[name]
            if case.true_noise is None:
                slices = (volume.stack for volume in (case.volume, case.clean))
                found[spec.name] = find_inclusion(*slices)
        return found

    @cached_property
    def _cases(self) -> Mapping[str, Case]:
        return _Loaded(self._findings.plan.cases)

    @property
    def _inclusive(self) -> list[str]:
        """Images whose reference holds their own noise, by the data's list or as found."""
        listed = [name for name, spec in self._findings.plan.cases.items() if spec.kind == "record" and self._cases[name].inclusive]
        return sorted({*listed, *(name for name, found in self.inclusions.items() if found.inclusive)})

    def _overview(self) -> Iterator[str]:
        plan = self._findings.plan
        subjects = sorted({spec.subject for spec in plan.cases.values()})
        yield heading("What was compared")
        yield table(
            (),
            [
                ("command", self._command),
                ("images", f"{len(plan.cases)} of {len(subjects)} subjects{self._left_out}"),
                ("scored", f"the {plan.config.slices} middle slices of each"),
                ("methods", len(plan.entrants)),
                ("sampler steps", f"at most {plan.config.steps}"),
                *((f"model {name}", f"sha256 {plan.hashes[name]}") for name in plan.folders),
                ("machine", f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"),
                ("program", f"MRIDenoiseLib {__version__}"),
            ],
        )
        if self._inclusive:
            yield paragraph(
                f"Warning: the reference of {', '.join(self._inclusive)} contains the noisy image's own noise. It flatters every method "
                "that leaves noise in the image; the figures of these images are not to be trusted.",
                "warning",
            )
        unsure = [name for name, found in self.inclusions.items() if found.inclusive is None]
        if unsure:
            yield paragraph(f"It is unknown whether the references of {', '.join(unsure)} contain the noisy image's own noise.", "note")
        if len(subjects) < FEW:
            yield paragraph(
                f"With {len(subjects)} subjects the p of a signed-rank test cannot be below 0.05, however large the differences: the "
                "intervals and the single images show more.",
                "note",
            )

    @property
    def _left_out(self) -> str:
        apart = len(self._all.apart.plan.cases)
        return f"; {apart} more {'are' if apart > 1 else 'is'} shown apart" if apart else ""

    def _main_table(self) -> Iterator[str]:
        yield heading("All methods")
        yield paragraph(self.verdict, "warning")
        ahead = set(summary.better_than_ours(self._tables.against))
        bold = [(place, 0) for place, row in enumerate(self._tables.rows) if row.entrant in ahead]
        shown, images = self._tables.shown, len(self._findings.plan.cases)
        head = ["method", *(_head(name) for name in shown), "processor s / slice", "MiB"]
        cells = [
            (
                row.title if row.images == images else f"{row.title} ({row.images} of {images} images)",
                *(number(row.figures[name], FIGURES[name].digits) for name in shown),
                number(row.processor, 2),
                number(row.megabytes, 0),
            )
            for row in self._tables.rows
        ]
        yield table(head, cells, bold)
        if self._findings.plan.config.on_each_image:
            yield paragraph(ON_THE_TRUTH, "note")
        yield paragraph(
            "Means over subjects of the means over their images; methods in bold have the better foreground PSNR than ours on the images "
            "that both ran on. A method that ran on some images only has means of these, not to be compared with the others'. Processor "
            "times are medians; wall-clock times are in the data files.",
            "note",
        )

    @property
    def _explained(self) -> dict[str, Any]:
        """The sentences of the page, for the data file."""
        choice = ON_THE_TRUTH if self._findings.plan.config.on_each_image else "Every setting was chosen on images of other subjects."
        return {"command": self._command, "verdict": self.verdict, "choice": choice, "inclusive": self._inclusive}

    @property
    def verdict(self) -> str:
        """The methods ahead of ours, in words."""
        ahead = [(one, self._tables.title(one.other)) for one in self._tables.against if one.figure == TESTED[0] and one.first == "other"]
        if not any(row.entrant.method == OURS for row in self._tables.rows):
            return "Our default method did not take part."
        if not ahead:
            return "By foreground PSNR no method is ahead of ours on the images that both ran on."
        found = ", ".join(f"{title} by {-one.difference.mean:.2f} dB" for one, title in ahead)
        return f"Ahead of ours by foreground PSNR on the images that both ran on: {found}."

    def _boxes(self) -> Iterator[tuple[str, bytes, str]]:
        for name in BOXED:
            if any(math.isfinite(row.figures[name]) for row in self._tables.rows):
                yield name, plots.box_plots(self._findings, self._tables.rows, name), f"{FIGURES[name].title}: {FIGURES[name].sentence}."

    def _trade_offs(self) -> Iterator[tuple[str, bytes, str]]:
        yield "sharpness", plots.trade_off(self._tables.rows, "edge_width_ratio", TESTED[0]), "An edge width ratio above 1 is blur."
        yield "tissue", plots.trade_off(self._tables.rows, TESTED[0], TISSUE_DICE), "Dice rewards smoothness: see what a blur reaches."
        yield "time", plots.cost(self._tables.rows, TESTED[0]), "Processor seconds per slice, one thread."

    def _evolution(self) -> Iterator[tuple[str, bytes, str]]:
        first = next(iter(self._findings.plan.cases), "")
        curves = [
            (self._tables.title(Entrant(cell.method, cell.model)), *zip(*outcome.evolution, strict=True))
            for cell, outcome in self._findings.cells
            if cell.case.name == first
            and len(outcome.evolution) > 1
            and CONTENDERS[cell.method].group != "ablation"
            and cell.method != OURS
        ]
        if curves:
            caption = f"The first scored slice of {first}. Late steps add noise again where the likelihood is strong."
            yield "evolution", plots.evolution(curves), caption  # type: ignore[arg-type]

    def _text(self) -> Iterator[tuple[str, bytes, str]]:
        for name, folder in self._findings.plan.folders.items():
            found = prompt_clusters(Bundle.load(folder))
            if found is None:
                continue
            caption = f"Model {name}: every organ and contrast of its training, with three vendors; mean over the tokens."
            yield f"clusters_{name}", plots.clusters(found), caption

    def _pictures(self, progress: Progress | None) -> Iterator[str]:
        yield heading("Pictures")
        yield paragraph(
            "The middle scored slice, the place with the most detail, and noisy minus image; one grey window per picture.", "note"
        )
        cases = self._findings.plan.cases
        for done, name in enumerate(cases):
            if progress is not None:
                progress(done / len(cases), None, f"Drawing {name}")
            images = {
                self._tables.title(Entrant(cell.method, cell.model)): outcome.image.astype(np.float32)
                for cell, outcome in self._findings.cells
                if cell.case.name == name and outcome.image is not None
            }
            if images:
                png = picture_row(self._cases[name], images)
                self._save(f"{name}.png", png)
                yield figure(png, name)

    def _drawn(self, name: str, title: str, drawings: Iterator[tuple[str, bytes, str]]) -> Iterator[str]:
        yield heading(title)
        for part, png, caption in drawings:
            self._save(f"{name}_{part}.png", png)
            yield figure(png, caption)

    def _save(self, name: str, png: bytes) -> None:
        folder = self._folder / PICTURES
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name, True) as temporary:
            temporary.write_bytes(png)


class _Loaded(dict[str, Case]):
    """Images, read when they are requested; only the last one is kept."""

    def __init__(self, specs: Mapping[str, CaseSpec]) -> None:
        super().__init__()
        self._specs = specs

    def __missing__(self, name: str) -> Case:
        self.clear()
        self[name] = load(self._specs[name])
        return self[name]


def _head(name: str) -> str:
    return f"{FIGURES[name].title}{f', {FIGURES[name].unit}' if FIGURES[name].unit else ''}"
