"""``mridenoise evaluate --tissues``: how far the tissues of volumes agree with a reference's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib.cli.places import check_json, refuse_places_that_collide
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.cli.segment import read_with_facts, say_what_classes_are, show_places

if TYPE_CHECKING:
    from MRIDenoiseLib.evaluation.figures.tissues import TissueAgreement
    from MRIDenoiseLib.segmentation import Segmentation, TissueSettings


def evaluate_tissues(
    sources: list[Path],
    reference: Path,
    settings: TissueSettings,
    facts: dict[str, str | None],
    choice: dict[str, int | None],
    mask: Path | None,
    report: Path | None,
    *,
    overwrite: bool,
) -> None:
    """Segment all volumes in the reference's mask, and print and write how far they agree with it.

    Args:
        sources: the volumes to judge.
        reference: what they are held against.
        settings: how to segment.
        facts: organ and contrast, where the user gives them.
        choice: which image, where a file or folder holds several.
        mask: a file that says where; by default the reference's brain or body.
        report: the JSON file, if one is asked for.
        overwrite: whether it may be replaced.

    Raises:
        InputError: an image cannot be read or segmented, or lies on another grid than the reference.
        OutputError: the report cannot be written there.
        Cancelled: the user asked to stop.
    """
    from MRIDenoiseLib.io.atomic import write_json
    from MRIDenoiseLib.io.labels import read_mask

    if report is not None:
        for source in (reference, *sources, *([] if mask is None else [mask])):
            refuse_places_that_collide(source, {"--json": report})
        check_json(report, overwrite=overwrite)
    target = read_with_facts(reference, facts, choice)
    volumes = [(f"image {number}", read_with_facts(source, facts, choice)) for number, source in enumerate(sources, start=1)]
    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Segmenting")
        from MRIDenoiseLib.evaluation.figures.tissues import compare_tissues

        where = None if mask is None else read_mask(mask, target)
        found, rows = compare_tissues(volumes, target, settings, where, lambda done: progress(done, None, "Segmenting"), should_stop)
        if report is not None:
            write_json(report, _comparison(found, rows), overwrite=overwrite)
    _show_agreement(found, rows)
    for number, source in enumerate(sources, start=1):
        Console(soft_wrap=True).print(Text.assemble((f"image {number}:", "bold"), f" {source}"))
    show_places({"report": report})


def _show_agreement(found: Segmentation, rows: list[TissueAgreement]) -> None:
    console = Console(soft_wrap=True)
    table = Table("Dice", *(kind.name for kind in found.classes), "mean", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(row.name, *map(_figure, row.agreement.classes), _figure(row.agreement.mean))
    for name, kinds in (("reference, ml", found.classes), *((f"{row.name}, ml", row.segmentation.classes) for row in rows)):
        table.add_row(Text(name, style="dim"), *(Text(f"{kind.millilitres:.1f}", style="dim") for kind in kinds))
    console.print(table)
    console.print("Dice rewards smoothness: a denoised image should agree better than the first image merely blurred.")
    say_what_classes_are(found, console)


def _comparison(found: Segmentation, rows: list[TissueAgreement]) -> dict[str, Any]:
    """An account of a comparison, free of names and paths."""
    compared = [
        {
            "image": row.name,
            "dice": list(row.agreement.classes),
            "mean": row.agreement.mean,
            "millilitres": [kind.millilitres for kind in row.segmentation.classes],
        }
        for row in rows
    ]
    return {"reference": found.report(), "compared": compared}


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
