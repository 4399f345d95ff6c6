"""``mridenoise bundle``: make a model of a training run, look at one on disk, and check that nothing in it was changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import OutputError

if TYPE_CHECKING:
    from MRIDenoiseLib.models.bundle.bundle import Bundle

bundle_app = typer.Typer(help="Make a model from a training run, show one, and check one.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The model's folder; by default the bundled one.")]

SCREEN = 100
"""Columns that the short form is made for."""


@bundle_app.command()
def info(
    folder: Folder = None,
    whole: Annotated[bool, typer.Option("--all", help="Everything: card, training and measurements whole, files.")] = False,
) -> None:
    """Show on one screen what a model is for, what it was trained on, what was measured and what it is not for."""
    from MRIDenoiseLib.card import bundled_model
    from MRIDenoiseLib.models.bundle.bundle import Bundle

    bundle = Bundle.load(folder or bundled_model())
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = {**bundle.card, "evidence": bundle.evidence} if whole else _in_short(bundle)
    for key, value in {"hash": bundle.hash, **rows}.items():
        table.add_row(key.replace("_", " "), Text("\n".join(_lines(value))))
    console = Console()
    # A file or another program is not a narrow terminal.
    console.width = console.width if whole or (console.is_terminal and console.width < SCREEN) else SCREEN
    console.print(table)
    for note in bundle.notes:
        console.print(Text(note, style="yellow"))
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))


@bundle_app.command()
def card(
    folder: Folder = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page for people, README.md of the model's folder.")] = False,
) -> None:
    """Print a model's card as JSON, or as a page."""
    from MRIDenoiseLib.card import bundled_model
    from MRIDenoiseLib.io.atomic import json_text
    from MRIDenoiseLib.models.bundle.bundle import Bundle
    from MRIDenoiseLib.models.bundle.readme import readme

    bundle = Bundle.load(folder or bundled_model())
    typer.echo(readme(bundle.card, bundle.evidence) if markdown else json_text(bundle.card), nl=False)


@bundle_app.command()
def verify(folder: Folder = None) -> None:
    """Check every file of a model against its card, and every configuration against its weights."""
    from MRIDenoiseLib.card import bundled_model
    from MRIDenoiseLib.models.bundle.bundle import Bundle

    where = folder or bundled_model()
    found = Bundle.verify(where)
    Console(soft_wrap=True).print(Text.assemble(("good", "bold green"), f"  {where}  {found}"))


@bundle_app.command()
def build(
    run: Annotated[Path, typer.Argument(help="The folder of mridenoise train.")],
    out: Annotated[Path, typer.Argument(help="The model's folder.")],
    measured: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.json", help="Numbers measured with these weights, for the card; may be given several times."),
    ] = None,
    note: Annotated[
        list[str] | None, typer.Option(help="A further remark on the training for the card; may be given several times.")
    ] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Accept a run whose training is not finished.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model that is there.")] = False,
) -> None:
    """Make a model from a training run, with a card that describes what really happened, and check it."""
    check_model_place(out, run, overwrite=overwrite)
    from MRIDenoiseLib.training.card import build_bundle

    bundle = build_bundle(run, out, measured=measured or (), notes=note or (), unfinished=unfinished, overwrite=overwrite)
    console = Console(soft_wrap=True)
    say_written(console, out, bundle)
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))


def check_model_place(out: Path, run: Path, *, overwrite: bool) -> None:
    """Refuse a place where no model of a run can be written; cheap enough to call before hours of training.

    Raises:
        OutputError: what is there may not be replaced, or the run would be replaced with it.
    """
    from MRIDenoiseLib.io.atomic import check_target
    from MRIDenoiseLib.models.bundle.writing import is_bundle

    model, training = out.resolve(), run.resolve()
    if model == training or model in training.parents or training in model.parents:
        raise OutputError(f"the model {out} and the training {run} need separate folders, neither inside the other")
    check_target(out, overwrite, is_bundle)


def say_written(console: Console, out: Path, bundle: Bundle) -> None:
    """Say where a model was written, how large it is, and its hash."""
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 2**20
    console.print(Text.assemble(("model:", "bold"), f" {out}  {size:.2f} MiB  {bundle.hash}"))


def _in_short(bundle: Bundle) -> dict[str, Any]:
    """The card on one screen: a line for each thing, or two."""
    card = bundle.card
    settings = ", ".join(f"{name} {value}" for name, value in bundle.default_settings.items())
    overview: dict[str, Any] = {
        "model": f"{card.get('name', 'without a name')}, {sum(card['parameters'].values()) / 1e6:.1f} million parameters",
        "for": card.get("intended_use") or "not said",
        "recommends": f"{bundle.default_method}{f' ({settings})' if settings else ''}",
        "trained_on": _trained_on(bundle),
        "limits": "\n".join(card.get("limits", ())) or "none are said",
        **{name: headline["says"] for name, headline in card["measured"].items()},
    }
    return overview


def _trained_on(bundle: Bundle) -> str:
    """What it was trained on, in short."""
    seen = "; ".join(", ".join(sorted(values)) for values in bundle.trained_on.values() if values)
    sources = (bundle.card.get("training") or {}).get("sources", ())
    counted = f"{sum(source['scans'] for source in sources)} scans of {len(sources)} source{'s' * (len(sources) != 1)}"
    return " ".join(part for part in (seen, f"({counted})" if sources else "") if part) or "not said"


def _lines(value: Any) -> list[str]:
    """A value of the card as lines for a person: what is inside something else stands indented below it."""
    if isinstance(value, dict):
        lines = []
        for key, entry in value.items():
            below = _lines(entry)
            # A file is called as it is.
            name = f"{key if '.' in key else key.replace('_', ' ')}:"
            lines += [f"{name} {' '.join(below)}"] if len(below) < 2 else [name, *(f"  {line}" for line in below)]
        return lines
    if isinstance(value, list):
        return [", ".join(_lines(entry)) for entry in value]
    return str(value).splitlines() or [""]
