"""``mridenoise prepare``: pairs of fast and full scans, or repeats, made into records that networks are trained on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import after_the_result, refuse_places_that_collide, say_notes
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import InputError, SettingsError

if TYPE_CHECKING:
    from MRIDenoiseLib.data.pipeline import Find
    from MRIDenoiseLib.data.report import Summary

LARGEST_SEED = 2**32 - 2
"""Registration adds one to it, and takes 32 bits."""

prepare_app = typer.Typer(
    help="Make training pairs: aligned, equally bright, split by patient and free of names, with a report of what was dropped.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The downloaded files.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")]
Site = Annotated[str, typer.Option(help="A name for the hospital or data set; it keeps patients of two sites apart.")]
External = Annotated[bool, typer.Option("--external", help="Keep the whole site out of training: it goes to the test split.")]
TrainOnAll = Annotated[bool, typer.Option("--train-on-all", help="Train on every patient, when there are few; then measure on others.")]
Seed = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same voxels.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a folder that an earlier run made.")]


@prepare_app.command()
def pairs(
    fast: Annotated[Path, typer.Argument(metavar="FAST", help="A folder of accelerated images.")],
    full: Annotated[Path, typer.Argument(metavar="FULL", help="A folder of full images of the same patients.")],
    out: Out,
    acceleration: Annotated[
        float | None, typer.Option(help="How many times faster the fast scan is; by default from DICOM headers.")
    ] = None,
    inclusive: Annotated[int | None, typer.Option(metavar="N", help="The full images average N scans, the fast one among them.")] = None,
    site: Site = "site",
    external: External = False,
    train_on_all: TrainOnAll = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Pair the fast with the full scan of each patient."""
    if fast.resolve() == full.resolve():
        raise SettingsError("FAST and FULL are the same folder; give each kind of scan its own")

    def reader() -> Find:
        from MRIDenoiseLib.data.pairs import find_pairs

        return partial(find_pairs, fast, full, acceleration, inclusive)

    _prepare(reader, [fast, full], out, site, seed, external=external, train_on_all=train_on_all, overwrite=overwrite)


@prepare_app.command()
def repeats(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Images of several repeats of one scan.")],
    out: Out,
    volumes: Annotated[str | None, typer.Option(metavar="1,32-35", help="The volumes that are repeats; by default all.")] = None,
    cycle: Annotated[int | None, typer.Option(metavar="N", help="Every Nth volume repeats the same condition.")] = None,
    site: Site = "site",
    external: External = False,
    train_on_all: TrainOnAll = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Pair each repeat of a scan with the mean of the others."""

    def reader() -> Find:
        from MRIDenoiseLib.data.repeats import find_repeats

        return partial(find_repeats, folder, volumes, cycle)

    _prepare(reader, [folder], out, site, seed, external=external, train_on_all=train_on_all, overwrite=overwrite)


@prepare_app.command()
def m4raw(
    folder: Folder,
    out: Out,
    site: Site = "M4Raw",
    external: External = False,
    train_on_all: TrainOnAll = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Pair the repeats of the M4Raw collection (raw data of a 0.3 T scanner)."""

    def reader() -> Find:
        from MRIDenoiseLib.data.m4raw import find_m4raw

        return partial(find_m4raw, folder)

    _prepare(reader, [folder], out, site, seed, external=external, train_on_all=train_on_all, overwrite=overwrite)


@prepare_app.command()
def fastmri(
    folder: Folder,
    out: Out,
    acceleration: Annotated[
        float | None, typer.Option(help="How many times faster the simulated scan is; by default drawn for each volume.")
    ] = None,
    level: Annotated[int, typer.Option(help="Noise for what was measured once: 2 an accelerated scan, 0 Rician.")] = 2,
    site: Site = "fastMRI",
    external: External = False,
    train_on_all: TrainOnAll = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Pair the fastMRI collection's prostates with their repeats, and its knees, brains and breasts with a simulated fast scan."""

    def reader() -> Find:
        from MRIDenoiseLib.data.fastmri import Noise, find_fastmri

        return partial(find_fastmri, folder, Noise(level=level, acceleration=acceleration, seed=seed))

    _prepare(reader, [folder], out, site, seed, external=external, train_on_all=train_on_all, overwrite=overwrite)


def _prepare(
    reader: Callable[[], Find], sources: list[Path], out: Path, site: str, seed: int, *, external: bool, train_on_all: bool, overwrite: bool
) -> None:
    """Read, pair, write and report; ``reader`` is called late, because loading its libraries takes long."""
    for source in sources:
        refuse_places_that_collide(source, {"OUT": out})
    try:
        with ProgressDisplay() as progress, StopRequest() as should_stop:
            progress(0.0, None, "Starting")
            from MRIDenoiseLib.data.pipeline import prepare

            summary = prepare(
                reader(),
                out,
                site=site,
                external=external,
                train_on_all=train_on_all,
                seed=seed,
                overwrite=overwrite,
                progress=progress,
                should_stop=should_stop,
            )
    except ModuleNotFoundError as error:
        raise SettingsError(f"preparing pairs needs {error.name}, which is not installed; install the extra 'train'") from error
    with after_the_result():
        _show(summary, out)
        say_notes(f"{label}: {note}" for label, note in summary.notes)
    if not summary.records:
        raise InputError(f"no pair could be used; {out / 'report.html'} gives the reasons")


def _show(summary: Summary, out: Path) -> None:
    """Show the result and where it is."""
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
