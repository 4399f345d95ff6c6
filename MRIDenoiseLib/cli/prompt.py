"""``mridenoise prompt``: what a volume's headers state about how it was acquired, and the text a model would be given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import ANY_IMAGE, ImageChoice, chooses_image, say_notes
from MRIDenoiseLib.errors import AmbiguousInputError, InputError

if TYPE_CHECKING:
    from MRIDenoiseLib.volume import Acquisition, AcquisitionField

OPTIONS = ("--series", "--echo", "--volume")
"""Of this command, which its notes may name."""
_STYLES = {"high": "green", "medium": "yellow", "low": "red"}
_UNITS = {"field_strength": " T", "acceleration": "x", "parallel_imaging": "x"}


@chooses_image
def prompt(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A DICOM folder or file (pixels or not), .nii, .nii.gz, .nrrd or .mha.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    choice: ImageChoice = ANY_IMAGE,
) -> None:
    """Show what the headers state, field by field with its source, and the text that results."""
    from MRIDenoiseLib.prompt import describe

    acquisition, notes = _acquisition(source, choice)
    text = describe(acquisition)
    if as_json:
        facts = {name: _as_json(getattr(acquisition, name)) for name in acquisition.names()}
        print(json.dumps(facts | {"text": text}, indent=2))
    else:
        console = Console(soft_wrap=True)
        console.print(_table(acquisition))
        console.print(Text.assemble(("text  ", "bold"), text))
        console.print(Text(RESEARCH_USE_ONLY, style="bold"))
    say_notes(notes + _unseen(acquisition))


def _acquisition(source: Path, choice: ImageChoice) -> tuple[Acquisition, list[str]]:
    """What was read, and what the user should know about the reading.

    DICOM needs no pixels for this, nor a complete series, so it also works for a mosaic or a single header
    file. Only a chosen echo or volume goes through the whole reading, which knows which slices belong to it.
    """
    from MRIDenoiseLib.image.kind import Kind, judged, kind_of_header
    from MRIDenoiseLib.io.dicom.folder import choose_series
    from MRIDenoiseLib.io.dicom.frames import frames_of
    from MRIDenoiseLib.io.dicom.parting import choose_stack
    from MRIDenoiseLib.io.dicom.stack import stack
    from MRIDenoiseLib.io.images import readable
    from MRIDenoiseLib.prompt import read_acquisition
    from MRIDenoiseLib.prompt.headers import Header

    if (source.is_file() and readable(source)) or not (source.is_file() or source.is_dir()) or choice != ImageChoice(series=choice.series):
        image = choice.read(source)
        try:
            return image.acquisition, [*judged(image, denoising=True).notes]
        except InputError as error:
            return image.acquisition, [*image.notes, f"this cannot be denoised as it is: {error.words(OPTIONS)}"]
    chosen = choose_series(source, choice.series)
    if chosen.modality != "MR":
        raise InputError(f"{source.name} is {chosen.modality or 'of no stated modality'}, not MR; only MR images can be denoised")
    notes: list[str] = []
    files, several = chosen.files, False
    try:
        slices, found = choose_stack(frames_of(chosen), source.name)
        notes += found
        files = tuple({frame.file.path: frame.file for frame in slices}.values())
        notes += stack(slices, source.name).notes
    except AmbiguousInputError as error:
        several = True
        notes.append(f"{error.words(OPTIONS)}; shown here is what the first one states")
    except InputError as error:
        notes.append(f"this cannot be denoised as it is: {error.words(OPTIONS)}")
    headers = sorted((file.header for file in files), key=lambda h: Header(h).number("EchoTime") or 0.0)
    # Of several volumes the others may be of another kind.
    kind = Kind() if several else kind_of_header(headers[0])
    said = f"this cannot be denoised as it is: {kind.refused}" if kind.refused else kind.warning
    return read_acquisition(headers), notes + [said] * bool(said)


def _table(acquisition: Acquisition) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("field", "value", "source", "confidence"):
        table.add_column(title, style="bold" if title == "field" else "")
    for name in acquisition.names():
        fact = getattr(acquisition, name)
        shown = (
            "unknown" if fact.value is None else f"{fact.value:g}{_UNITS.get(name, '')}" if isinstance(fact.value, float) else fact.value
        )
        sure = Text("" if fact.value is None else fact.confidence, style=_STYLES[fact.confidence])
        table.add_row(name.replace("_", " "), Text(shown), Text(fact.source, style="dim"), sure)
    return table


def _as_json(fact: AcquisitionField) -> dict[str, Any]:
    return {"value": fact.value, "source": fact.source, "confidence": fact.confidence}


def _unseen(acquisition: Acquisition) -> list[str]:
    return [
        f"no model was trained on {name} '{getattr(acquisition, name).value}', so check the result with care"
        for name in ("organ", "contrast")
        if getattr(acquisition, name).value is not None and not getattr(acquisition, name).seen_in_training
    ]
