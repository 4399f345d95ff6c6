"""``mridenoise prepare``: pairs of fast and full scans, or repeats, made into records that networks are trained on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.places import refuse_places_that_collide
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import InputError, SettingsError

if TYPE_CHECKING:
    from MRIDenoiseLib.data.pipeline import Find
    from MRIDenoiseLib.data.report import Summary

KIND = "What the folder holds (one folder then, instead of FAST and FULL)"
DETAILS = "Details"

Kind = Literal["pairs", "repeats", "m4raw", "fastmri"]
SITES = {"pairs": "site", "repeats": "site", "m4raw": "M4Raw", "fastmri": "fastMRI"}
GO_WITH: dict[str, tuple[Kind, ...]] = {
    "acceleration": ("pairs", "fastmri"),
    "inclusive": ("pairs",),
    "volumes": ("repeats",),
    "cycle": ("repeats",),
    "level": ("fastmri",),
}
"""Option -> the kinds of data for which it means something."""
LARGEST_SEED = 2**32 - 2
"""Registration adds one to it, and takes 32 bits."""


def prepare(
    places: Annotated[list[Path], typer.Argument(metavar="FAST FULL OUT", help="Folders of accelerated and of full images; a new folder.")],
    repeats: Annotated[bool, typer.Option("--repeats", help="Images measured several times.", rich_help_panel=KIND)] = False,
    m4raw: Annotated[bool, typer.Option("--m4raw", help="The M4Raw files.", rich_help_panel=KIND)] = False,
    fastmri: Annotated[bool, typer.Option("--fastmri", help="fastMRI knee, brain, prostate, breast files.", rich_help_panel=KIND)] = False,
    site: Annotated[str | None, typer.Option(help="A name for the hospital or data set; patients are told apart by it.")] = None,
    external: Annotated[bool, typer.Option("--external", help="Keep the whole site out of training: it goes to the test split.")] = False,
    train_on_all: Annotated[
        bool, typer.Option("--train-on-all", help="Train on every patient, where they are few; measure on others then.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same voxels.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder that an earlier run made.")] = False,
    acceleration: Annotated[
        float | None, typer.Option(help="How many times faster the fast scan is; by default from DICOM headers.", rich_help_panel=DETAILS)
    ] = None,
    inclusive: Annotated[
        int | None, typer.Option(metavar="N", help="The full images average N scans, the fast one among them.", rich_help_panel=DETAILS)
    ] = None,
    volumes: Annotated[
        str | None, typer.Option(metavar="1,32-35", help="The volumes that are repeats; by default all.", rich_help_panel=DETAILS)
    ] = None,
    cycle: Annotated[
        int | None, typer.Option(metavar="N", help="Every Nth volume repeats the same condition.", rich_help_panel=DETAILS)
    ] = None,
    level: Annotated[
        int | None, typer.Option(help="Noise for what was measured once: 2 an accelerated scan, 0 Rician.", rich_help_panel=DETAILS)
    ] = None,
) -> None:
    """Make training pairs: aligned, equally bright, split by patient and free of names, with a report of what was dropped.

    mridenoise prepare FAST FULL OUT, or mridenoise prepare --repeats FOLDER OUT (likewise --m4raw, --fastmri).
    """
    kind = _kind(len(places), repeats=repeats, m4raw=m4raw, fastmri=fastmri)
    *sources, out = places
    details = {"acceleration": acceleration, "inclusive": inclusive, "volumes": volumes, "cycle": cycle, "level": level}
    for name, value in details.items():
        if value is not None and kind not in GO_WITH[name]:
            kinds = " and ".join("FAST FULL" if other == "pairs" else f"--{other}" for other in GO_WITH[name])
            raise SettingsError(f"--{name} goes with {kinds}; leave it out")
    if len({source.resolve() for source in sources}) < len(sources):
        raise SettingsError("FAST and FULL are the same folder; give each kind of scan its own")
    for source in sources:
        refuse_places_that_collide(source, {"OUT": out})

    try:
        with ProgressDisplay() as progress, StopRequest() as should_stop:
            progress(0.0, None, "Starting")
            from MRIDenoiseLib.data.pipeline import prepare as prepare_records

            summary = prepare_records(
                _reader(kind, sources, seed, details),
                out,
                site=site or SITES[kind],
                external=external,
                train_on_all=train_on_all,
                seed=seed,
                overwrite=overwrite,
                progress=progress,
                should_stop=should_stop,
            )
    except ModuleNotFoundError as error:
        raise SettingsError(f"preparing pairs needs {error.name}, which is not installed; install the extra 'train'") from error
    _show(summary, out)
    if not summary.records:
        raise InputError(f"no pair could be used; {out / 'report.html'} says why")


def _kind(count: int, **asked: bool) -> Kind:
    """What is to be read, from the options and the number of folders."""
    kinds: list[Kind] = [kind for kind in ("repeats", "m4raw", "fastmri") if asked[kind]]
    if len(kinds) > 1:
        raise SettingsError(f"--{kinds[0]} and --{kinds[1]} are different kinds of data; prepare each by itself")
    wanted, form = (2, f"--{kinds[0]} FOLDER OUT") if kinds else (3, "FAST FULL OUT")
    if count != wanted:
        raise SettingsError(f"name {wanted} folders: mridenoise prepare {form}")
    return kinds[0] if kinds else "pairs"


def _reader(kind: Kind, sources: list[Path], seed: int, details: dict[str, Any]) -> Find:
    if kind == "pairs":
        from MRIDenoiseLib.data.pairs import find_pairs

        return partial(find_pairs, sources[0], sources[1], details["acceleration"], details["inclusive"])
    if kind == "repeats":
        from MRIDenoiseLib.data.repeats import find_repeats

        return partial(find_repeats, sources[0], details["volumes"], details["cycle"])
    if kind == "m4raw":
        from MRIDenoiseLib.data.m4raw import find_m4raw

        return partial(find_m4raw, sources[0])
    from MRIDenoiseLib.data.fastmri import Noise, find_fastmri

    noise = Noise(level=2 if details["level"] is None else details["level"], acceleration=details["acceleration"], seed=seed)
    return partial(find_fastmri, sources[0], noise)


def _show(summary: Summary, out: Path) -> None:
    """Say what came of it and where it lies."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("pairs written", str(len(summary.records)))
    for split in ("train", "validation", "test"):
        chosen = [meta for meta in summary.records if meta.split == split]
        table.add_row(f"  {split}", f"{len(chosen)} of {len({meta.subject for meta in chosen})} patients")
    table.add_row("pairs given up", f"{summary.pairs_dropped} ({summary.drop_rate:.0%})")
    table.add_row("images in no pair", str(len(summary.dropped) - summary.pairs_dropped))
    console = Console(soft_wrap=True)
    console.print(table)
    for name, place in {"records": out, "report": out / "report.html"}.items():
        console.print(Text.assemble((f"{name}:", "bold"), f" {place}"))
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))
