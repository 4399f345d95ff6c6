"""A model against everything a user could take instead.

The comparison of ``scripts/benchmarks/honest.yaml`` with this model, and its results for the model's card: foreground PSNR and
SSIM of every method by noise, means over subjects; the default compared with every other method; and each image on which another
one is ahead. ``--out`` keeps every cell, as ``mridenoise compare`` does. So it may be stopped and resumed, and with another model
only the results of that model's networks are computed again. Images that are not finished are left out, and their number is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

from rich.table import Table

from MRIDenoiseLib.card import ROOT
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Numbers, Option
from MRIDenoiseLib.evaluation.comparison.config import DEFAULT_MODEL, read_config
from MRIDenoiseLib.evaluation.comparison.plan import Entrant, Plan
from MRIDenoiseLib.evaluation.comparison.run import Findings, compare, kept
from MRIDenoiseLib.evaluation.comparison.store import PEER_CACHE
from MRIDenoiseLib.evaluation.comparison.summary import OURS, against, groups, noise_alone, rows
from MRIDenoiseLib.io.atomic import json_ready
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress

CONFIG = ROOT / "scripts" / "benchmarks" / "honest.yaml"
"""It is next to the library in a copy of the repository, like the bundled model."""
FIGURES = ("psnr_foreground", "ssim_foreground")
HEADLINE = {"blur": "the best blur", "nlm": "NLM", "bm4d-told": "BM4D"}
"""Methods that the headline names."""
WHAT = (
    "foreground PSNR in dB and SSIM of the middle slices of subjects kept out of training, by noise, means over subjects; other people's "
    "methods at their best setting for the very image, chosen on the clean one; ahead: by how much the default is, over images, with "
    "95 % intervals drawing subjects; lost: images on which another method is ahead of the default in PSNR"
)


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    out: Annotated[Path, Option("folder for the cells; a peer-cache is made next to it", counts=False)],
    jobs: Annotated[int, Option("processes", least=1, counts=False)] = 1,
    so_far: Annotated[bool, Option("compute nothing: report the images that are finished", counts=False)] = False,
) -> Numbers:
    """Run the comparison, or read its finished part."""
    plan = Plan.of(replace(read_config(CONFIG), models={DEFAULT_MODEL: str(model.path)}), data)
    peers = out.resolve().parent / PEER_CACHE
    findings = kept(plan, out) if so_far else compare(plan, out, jobs=jobs, progress=progress, peers=peers)
    return {"what": WHAT, "not_finished": len(plan.cases) - len(findings.plan.cases), **_numbers(findings.counted)}


def _numbers(findings: Findings) -> dict[str, Any]:
    ours = Entrant(OURS, DEFAULT_MODEL)
    scores: dict[Entrant, dict[str, float]] = {entrant: {} for entrant in findings.plan.entrants}
    for cell, outcome in findings.cells:
        if not outcome.error:
            scores[Entrant(cell.method, cell.model)][cell.case.name] = outcome.figures[FIGURES[0]]
    lost = {
        entrant.method: [name for name, value in some.items() if value > scores[ours].get(name, value)]
        for entrant, some in scores.items()
        if entrant != ours
    }
    numbers: dict[str, Any] = {
        "images": len(findings.plan.cases),
        "slices": findings.plan.config.slices,
        "subjects": sorted({spec.subject for spec in findings.plan.cases.values()}),
        "methods": [
            {"name": row.entrant.method, "title": row.title, "processor": row.processor, "figures": row.figures} for row in rows(findings)
        ],
        "ahead": [
            {"figure": one.figure, "of": one.other.method}
            | {"mean": one.difference.mean, "low": one.difference.mean_low, "high": one.difference.mean_high}
            for one in against(findings)
            if one.figure in FIGURES
        ],
        "lost": {name: images for name, images in lost.items() if images},
    }
    for figure in FIGURES:
        numbers[figure] = {
            noise: {entrant.method: value for entrant, value in row.items()} for noise, row in groups(findings, figure, noise_alone).items()
        }
    ready: dict[str, Any] = json_ready(numbers)
    return ready


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One table per figure, methods by noise, and how far the default is ahead."""
    titles = {method["name"]: method["title"] for method in numbers["methods"]}
    for figure, digits in zip(FIGURES, (2, 4), strict=True):
        by_noise = numbers[figure]
        table = Table("method", *by_noise, "mean", title=f"{figure}, {numbers['images']} images")
        if numbers["not_finished"]:
            table.caption = f"{numbers['not_finished']} more are not finished and left out"
        for name, title in titles.items():
            values = [row[name] for row in by_noise.values()]
            known = [value for value in values if value is not None]
            table.add_row(title, *(_shown(value, f".{digits}f") for value in [*values, mean(known) if known else None]))
        yield table
    table = Table("default against", "figure", "ahead by", "95 % interval", "images lost")
    for one in numbers["ahead"]:
        ahead, low, high = (_shown(one[name], "+.3f") for name in ("mean", "low", "high"))
        table.add_row(titles[one["of"]], one["figure"], ahead, f"{low} to {high}", str(len(numbers["lost"].get(one["of"], []))))
    yield table


def _shown(value: float | None, digits: str) -> str:
    """A number, or a dash where a method failed on every image."""
    return "-" if value is None else format(value, digits)


def headline(numbers: Numbers) -> Headline:
    """How far the default is ahead of what a user could take instead."""
    ahead = {one["of"]: one["mean"] for one in numbers["ahead"] if one["figure"] == FIGURES[0] and one["mean"] is not None}
    of = {name: ahead[name] for name in HEADLINE if name in ahead}
    says = ", ".join(f"{HEADLINE[name]} {value:+.2f}" for name, value in of.items())
    images, missing = numbers["images"], numbers["not_finished"]
    figures = {"images": images, "images not finished": missing} | {
        f"ahead of {HEADLINE[name]}, dB": round(value, 3) for name, value in of.items()
    }
    counted = f"{images} of {images + missing} images"
    return Headline(f"Ahead in PSNR of {says} dB ({counted})." if of else f"Compared on {counted}.", figures)


CLAIM = Claim("methods", measure, show, headline, width=200)
