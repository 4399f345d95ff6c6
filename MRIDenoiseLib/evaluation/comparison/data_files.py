"""The numbers of a comparison as files for other programs: one line per cell, and everything that the page is made from."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from MRIDenoiseLib import __version__
from MRIDenoiseLib.evaluation.comparison.cases import CaseSpec
from MRIDenoiseLib.evaluation.comparison.cells import ADDED, OWN
from MRIDenoiseLib.evaluation.comparison.run import Findings
from MRIDenoiseLib.evaluation.comparison.summary import FIGURES, Against, MethodRow
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.evaluation.figures.honest_reference import WHY_APART
from MRIDenoiseLib.io.atomic import replacing, write_json

ON_THE_TRUTH = (
    "Other people's methods stand at their best setting for the very image, chosen on the truth: an advantage that no user has. "
    "The model's own methods run with its defaults."
)
"""The explanation in a comparison whose settings are chosen on each image."""


def write_cells(path: Path, findings: Findings) -> None:
    """A CSV file with one line per cell: image, method, setting, cost and every figure; an older one is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    names = ["image", "subject", "organ", "contrast", "noise", OWN, ADDED, "counts", "method", "model", "setting", "how it was chosen"]
    names += ["seconds", "processor", "megabytes", "error"]
    with replacing(path, True) as temporary, temporary.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow([*names, *FIGURES])
        for cell, outcome in findings.cells:
            case = cell.case
            noises = findings.noises.get(case.name)
            of_noise = (
                ("", "", "") if noises is None else (f"{noises.own:.5f}", f"{noises.added:.5f}", "yes" if noises.counts else WHY_APART)
            )
            facts: list[Any] = [case.name, case.subject, case.organ, case.contrast, case.noise, *of_noise, cell.method, cell.model]
            facts += [words_of(outcome.setting or cell.setting), ON_THE_TRUTH if cell.choices else ""]
            cost = (f"{outcome.seconds:.4f}", f"{outcome.processor:.4f}", f"{outcome.megabytes:.1f}", outcome.error)
            writer.writerow([*facts, *cost, *(outcome.figures.get(name, "") for name in FIGURES)])


def write_data(path: Path, findings: Findings, rows: Sequence[MethodRow], against: Sequence[Against], explained: Mapping[str, Any]) -> None:
    """A JSON file with all tables; null where a number is missing; an older one is replaced.

    Args:
        path: the file.
        findings: of the comparison.
        rows: the main table.
        against: the tests.
        explained: sentences that also belong there.

    Raises:
        OutputError: it cannot be written.
    """
    plan = findings.plan
    content = {
        "version": __version__,
        "models": dict(plan.hashes),
        "images": {name: _public(spec) for name, spec in plan.cases.items()},
        "tuning": {name: _public(spec) for name, spec in plan.tuning.items()},
        "methods": [_row_json(row) for row in rows],
        "against": [asdict(one) for one in against],
        "noises": {name: asdict(noises) for name, noises in findings.noises.items()},
        "shown_apart": list(findings.apart.plan.cases),
        "settings_by_image": _chosen(findings),
        "limits": {name: dict(limits) for name, limits in findings.limits.items()},
        "definitions": {name: definition._asdict() for name, definition in FIGURES.items()},
    }
    write_json(path, {**explained, **content}, overwrite=True)


def _chosen(findings: Findings) -> dict[str, dict[str, Any]]:
    """Image -> method -> the best setting for it."""
    found: dict[str, dict[str, Any]] = {}
    for cell, outcome in findings.cells:
        if cell.choices and not outcome.error:
            found.setdefault(cell.case.name, {})[cell.method] = dict(outcome.setting)
    return found


def words_of(setting: Mapping[str, Any]) -> str:
    """A setting in words."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in setting.items()) or "-"


def _public(spec: CaseSpec) -> dict[str, Any]:
    """A case without its folder."""
    return {name: value for name, value in asdict(spec).items() if name != "folder"}


def _row_json(row: MethodRow) -> dict[str, Any]:
    method = CONTENDERS[row.entrant.method]
    return asdict(row) | {"source": method.source, "trained": method.trained, "told": method.told, "group": method.group}
