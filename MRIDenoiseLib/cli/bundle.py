"""``mridenoise bundle``: look at a model on disk, and check that nothing in it was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY

bundle_app = typer.Typer(help="Look at a model on disk, and check it.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The model's folder; by default the bundled one.")]

_LONG = {"files"}


@bundle_app.command()
def info(folder: Folder = None) -> None:
    """Show a model's card: what it was trained on, how, what it reaches and what it is not for."""
    from MRIDenoiseLib.models.bundle import Bundle
    from MRIDenoiseLib.models.locate import bundled_model

    bundle = Bundle.load(folder or bundled_model())
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("hash", bundle.hash)
    for key, value in bundle.card.items():
        if key not in _LONG:
            table.add_row(key.replace("_", " "), Text("\n".join(_lines(value))))
    console = Console()
    console.print(table)
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))


@bundle_app.command()
def verify(folder: Folder = None) -> None:
    """Check every file of a model against its card, and every configuration against its weights."""
    from MRIDenoiseLib.models.bundle import Bundle
    from MRIDenoiseLib.models.locate import bundled_model

    where = folder or bundled_model()
    found = Bundle.verify(where)
    Console(soft_wrap=True).print(Text.assemble(("good", "bold green"), f"  {where}  {found}"))


def _lines(value: Any) -> list[str]:
    """A value of the card as lines for a person: one entry of a list or mapping a line, nested ones indented by dots."""
    if isinstance(value, dict):
        return [f"{key}: {', '.join(_lines(entry))}" for key, entry in value.items()]
    if isinstance(value, list):
        return [", ".join(_lines(entry)) for entry in value]
    return [str(value)]
