"""``mridenoise segment``: the tissues of a volume; and for ``evaluate --tissues`` how far those of several volumes agree."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import (
    ANY_IMAGE,
    ImageChoice,
    after_the_result,
    check_json,
    chooses_image,
    notes_of,
    refuse_places_that_collide,
    say_notes,
)
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import Cancelled, OutputError

if TYPE_CHECKING:
    from MRIDenoiseLib.evaluation.figures.tissues import TissueAgreement
    from MRIDenoiseLib.segmentation import Segmentation, TissueClass, TissueSettings
    from MRIDenoiseLib.volume import Volume

HOW = "How to segment"
OUTPUT = "What to write"


@chooses_image
def segment(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A volume: DICOM, .nii, .nii.gz, .nrrd or .mha.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The label map to write.")],
    classes: Annotated[int, typer.Option(help="2 to 6.", rich_help_panel=HOW)] = 3,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to segment; by default brain or body.", rich_help_panel=HOW)
    ] = None,
    organ: Annotated[str | None, typer.Option(help="head, knee ...; a head's brain has tissues.", rich_help_panel=HOW)] = None,
    contrast: Annotated[
        str | None, typer.Option(help="T1w, T2w, T2-FLAIR ...: decides which tissue is bright.", rich_help_panel=HOW)
    ] = None,
    bias: Annotated[bool, typer.Option(help="Whether uneven brightness is corrected.", rich_help_panel=HOW)] = True,
    smoothness: Annotated[float, typer.Option(help="How much neighbours count (beta).", rich_help_panel=HOW)] = 0.1,
    posteriors: Annotated[Path | None, typer.Option(metavar="FILE", help="Also the probabilities, 4-D.", rich_help_panel=OUTPUT)] = None,
    partial_volumes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the fraction of each class in each voxel, 4-D.", rich_help_panel=OUTPUT)
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Also settings and volumes.", rich_help_panel=OUTPUT)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are already there.", rich_help_panel=OUTPUT)] = False,
    choice: ImageChoice = ANY_IMAGE,
) -> None:
    """Segment a volume into tissues (brain) or classes of intensity (elsewhere), after FSL's FAST.

    OUT ends in .nii, .nii.gz, .nrrd or .mha, with a colour table for 3D Slicer next to it, or in .seg.nrrd, which Slicer opens as
    a segmentation.
    """
    from MRIDenoiseLib.segmentation import TissueSettings

    settings = TissueSettings(classes=classes, smoothness=smoothness, **({} if bias else {"bias_rounds": 0}))
    facts = {"organ": organ, "contrast": contrast}
    outputs = {"OUT": out, "--posteriors": posteriors, "--partial-volumes": partial_volumes, "--report": report}
    _segment(source, outputs, settings, facts, choice, mask, overwrite=overwrite)


def _segment(
    source: Path,
    outputs: dict[str, Path | None],
    settings: TissueSettings,
    facts: dict[str, str | None],
    choice: ImageChoice,
    mask: Path | None,
    *,
    overwrite: bool,
) -> None:
    from MRIDenoiseLib.io.labels import colour_table_of, read_mask

    target = outputs["OUT"]
    assert target is not None
    _check_outputs(outputs, overwrite=overwrite)
    table = colour_table_of(target)
    places = outputs | {"the colour table": table}
    refuse_places_that_collide(source, places)
    _check_places([table], overwrite=overwrite)
    image = _with_facts(choice.read(source), facts)
    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Segmenting")
        from MRIDenoiseLib.segmentation import segment as run

        where = None if mask is None else read_mask(mask, image)
        found = run(image, settings, where, lambda done: progress(done, None, "Segmenting"), should_stop)
        progress(1.0, None, "Writing")
        _write(found, image, places, overwrite=overwrite)
    with after_the_result():
        _show_classes(found)
        say_notes(image.notes)
        show_places(places)


def _with_facts(image: Volume, facts: dict[str, str | None]) -> Volume:
    """A volume with what the user states about it, such as its organ, which takes precedence over its headers."""
    from MRIDenoiseLib import prompt
    from MRIDenoiseLib.image.kind import judged

    image = judged(image)
    return image.with_acquisition(prompt.override(image.acquisition, organ=facts["organ"], contrast=facts["contrast"]))


def _check_outputs(outputs: dict[str, Path | None], *, overwrite: bool) -> None:
    """Find out before long work whether everything can be written."""
    from MRIDenoiseLib.io.images import ENDINGS, ending

    images = [place for name, place in outputs.items() if place is not None and name != "--report"]
    for place in images:
        if not ending(place):
            raise OutputError(f"cannot write {place.name}: give a name that ends in {', '.join(ENDINGS)}")
    _check_places(images, overwrite=overwrite)
    report = outputs["--report"]
    if report is not None:
        check_json(report, overwrite=overwrite)


def _check_places(places: list[Path] | list[Path | None], *, overwrite: bool) -> None:
    from MRIDenoiseLib.io.atomic import check_room, check_target

    for place in places:
        if place is not None and place.is_dir():
            raise OutputError(f"cannot write the file {place}: a folder of that name exists")
        if place is not None:
            check_target(place, overwrite)
            check_room(place)


def _write(found: Segmentation, image: Volume, places: dict[str, Path | None], *, overwrite: bool) -> None:
    """Write everything that was requested, or nothing."""
    from MRIDenoiseLib.io import Derivation
    from MRIDenoiseLib.io.atomic import json_text, replacing
    from MRIDenoiseLib.io.labels import write_colour_table, write_labels, write_maps

    done = Derivation("HMRF-EM tissue classes", "none", 0, asdict(found.settings) | {"mask": found.mask}, suffix="tissues")
    writers = {
        "--posteriors": lambda path: write_maps(found.posteriors, image, path, done),
        "--partial-volumes": lambda path: write_maps(found.partial_volumes, image, path, done),
        "--report": lambda path: path.write_text(json_text(found.report()), encoding="utf-8"),
        "the colour table": lambda path: write_colour_table(found.classes, path),
        "OUT": lambda path: write_labels(found.labels, image, found.classes, path, done),
    }
    with StopRequest() as should_stop, ExitStack() as complete:
        for name, write in writers.items():
            place = places[name]
            if place is not None:
                write(complete.enter_context(replacing(place, overwrite)))
        if should_stop():
            raise Cancelled("stopped while writing")


def _show_classes(found: Segmentation) -> None:
    console = Console(soft_wrap=True)
    table = Table("label", "tissue" if found.anatomical else "class", "ml", "typical intensity", box=None, padding=(0, 2, 0, 0))
    for kind in found.classes:
        table.add_row(str(kind.value), _name(kind), f"{kind.millilitres:.1f}", f"{kind.mean:.4g}")
    console.print(table)
    say_what_classes_are(found, console)


def say_what_classes_are(found: Segmentation, console: Console) -> None:
    """Notes for whoever takes classes for anatomy, or a rough mask for the brain."""
    if not found.anatomical:
        console.print(Text("Note: these are classes of intensity, not of anatomy.", style="yellow"))
    if found.mask == "brain":
        console.print(Text("Note: the brain was found by threshold and morphology; look at it, or give --mask.", style="yellow"))


def show_places(places: dict[str, Path | None]) -> None:
    """Where the outputs lie, by what the user calls them."""
    console = Console(soft_wrap=True)
    for name, place in places.items():
        if place is not None:
            what = "label map" if name == "OUT" else name.removeprefix("--").removeprefix("the ")
            console.print(Text.assemble((f"{what}:", "bold"), f" {place}"))
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))


def _name(kind: TissueClass) -> Text:
    return Text.assemble(("\u25a0 ", f"rgb({kind.colour[0]},{kind.colour[1]},{kind.colour[2]})"), kind.name)


def evaluate_tissues(
    sources: list[Path],
    reference: Path,
    settings: TissueSettings,
    facts: dict[str, str | None],
    choice: ImageChoice,
    mask: Path | None,
    report: Path | None,
    *,
    overwrite: bool,
) -> None:
    """Segment all volumes in the reference's mask, and print and write how far they agree with it.

    Args:
        sources: the volumes to judge.
        reference: what they are compared with.
        settings: how to segment.
        facts: organ and contrast, where the user gives them.
        choice: which image, where a file or folder holds several.
        mask: a file that says where; by default the reference's brain or body.
        report: the JSON file, if one is requested.
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
    target, *others = [_with_facts(volume, facts) for volume in choice.read_each([reference, *sources])]
    volumes = [(f"image {number}", volume) for number, volume in enumerate(others, start=1)]
    with ProgressDisplay() as progress, StopRequest() as should_stop:
        progress(0.0, None, "Segmenting")
        from MRIDenoiseLib.evaluation.figures.tissues import compare_tissues

        where = None if mask is None else read_mask(mask, target)
        found, rows = compare_tissues(volumes, target, settings, where, lambda done: progress(done, None, "Segmenting"), should_stop)
        if report is not None:
            write_json(report, _comparison(found, rows), overwrite=overwrite)
    _show_agreement(found, rows)
    say_notes(notes_of((name, one.notes) for name, one in [("reference", target), *volumes]))
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
