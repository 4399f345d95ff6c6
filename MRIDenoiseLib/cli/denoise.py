"""``mridenoise denoise``: one noisy volume in, one denoised volume out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import (
    CHOICE,
    EchoOption,
    SeriesOption,
    VolumeOption,
    after_the_result,
    check_json,
    refuse_places_that_collide,
    say_notes,
)
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import Cancelled, SettingsError
from MRIDenoiseLib.methods import METHODS, MODE, described

if TYPE_CHECKING:
    from MRIDenoiseLib.result import Result
    from MRIDenoiseLib.volume import Acquisition

    Method = str
    Mode = str
else:
    # What can be chosen is written in the catalogue alone; type checkers do not run it.
    Method, Mode = Literal[tuple(METHODS)], Literal[MODE.choices]

ACQUISITION = "What was acquired (read from the headers where not given)"
METHOD = "How to denoise"
WHICH = " ".join(["By default the one the model's card recommends.", *(f"{row.name}: {row.sentence}." for row in METHODS.values())])
OUTPUT = "What to write"


def _option(name: str) -> Any:
    """An option of the methods, as the catalogue describes it; its range is checked by :class:`.Settings`."""
    return typer.Option(help=described(name), rich_help_panel=METHOD)


def denoise(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A DICOM folder or file, .nii, .nii.gz, .nrrd or .mha.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The same kinds; a folder becomes a derived DICOM series.")],
    organ: Annotated[str | None, typer.Option(help="head, knee, 'cervical spine', shoulder ...", rich_help_panel=ACQUISITION)] = None,
    contrast: Annotated[str | None, typer.Option(help="T1w, T2-FLAIR, PDw, DWI ...", rich_help_panel=ACQUISITION)] = None,
    vendor: Annotated[str | None, typer.Option(help="Siemens, GE, Philips, UIH, Canon ...", rich_help_panel=ACQUISITION)] = None,
    acceleration: Annotated[
        float | None, typer.Option(help="How many times faster than the full scan, 1.5 to 3.", rich_help_panel=ACQUISITION)
    ] = None,
    method: Annotated[Method | None, typer.Option(help=WHICH, rich_help_panel=METHOD)] = None,
    steps: Annotated[int | None, _option("steps")] = None,
    samples: Annotated[int | None, _option("samples")] = None,
    fidelity: Annotated[float | None, _option("fidelity")] = None,
    mode: Annotated[Mode | None, _option("mode")] = None,
    sharpness: Annotated[float | None, _option("sharpness")] = None,
    strength: Annotated[float | None, _option("strength")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.", rich_help_panel=METHOD)] = 0,
    bundle: Annotated[Path | None, typer.Option(metavar="DIR", help="Another model than the bundled one.", rich_help_panel=METHOD)] = None,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.", rich_help_panel=METHOD)] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="Number format of the networks; auto takes bfloat16 on GPUs that have it.", rich_help_panel=METHOD),
    ] = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the networks first: takes minutes, for many volumes.", rich_help_panel=METHOD)
    ] = False,
    series: SeriesOption = None,
    echo: EchoOption = None,
    volume: VolumeOption = None,
    slices: Annotated[
        str | None, typer.Option(metavar="A:B", help="Only slices A to B-1, counted from 0; the others are copied.", rich_help_panel=CHOICE)
    ] = None,
    residual: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write what was removed (noisy minus denoised).", rich_help_panel=OUTPUT)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Also write settings, noise level and warnings.", rich_help_panel=OUTPUT)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are already there.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Denoise an MR volume: by the regression network, unless another model or method is chosen. Not for diagnosis."""
    from MRIDenoiseLib import io, prompt
    from MRIDenoiseLib.image.kind import judged
    from MRIDenoiseLib.inference.opening import open_denoiser
    from MRIDenoiseLib.inference.settings import Settings

    chosen = {"method": method, "steps": steps, "samples": samples, "fidelity": fidelity, "mode": mode, "sharpness": sharpness}
    chosen |= {"strength": strength, "seed": seed, "device": device, "precision": precision, "compiled": compiled}
    settings = Settings.named({**chosen, "slices": _slice_range(slices)})
    refuse_places_that_collide(source, {"OUT": target, "--residual": residual, "--report": report})
    noisy = io.read(source, series=series, echo=echo, volume=volume)
    if not noisy.headers and (series, echo) != (None, None):
        raise SettingsError("--series and --echo choose within DICOM, and IN is an image file; leave them out or name the DICOM folder")
    noisy = judged(noisy, denoising=True).with_acquisition(
        prompt.override(noisy.acquisition, organ=organ, contrast=contrast, vendor=vendor, acceleration=acceleration)
    )
    io.check_writable(noisy, target, overwrite=overwrite)
    if residual is not None:
        io.check_writable(noisy, residual, overwrite=overwrite)
    if report is not None:
        check_json(report, overwrite=overwrite)

    with ProgressDisplay() as progress:
        # Torch takes seconds to load: only after the input is known to be good.
        denoiser = open_denoiser(bundle, device, progress, quick=True)
        with StopRequest() as should_stop:
            result = denoiser(noisy, settings, progress, should_stop)
        progress(1.0, None, "Writing")
        _write(result, target, residual, report, overwrite=overwrite)
    with after_the_result():
        _show(result, noisy.acquisition, {"denoised": target, "residual": residual, "report": report})


def _slice_range(text: str | None) -> tuple[int, int] | None:
    """``A:B`` as two numbers, 0-based and half-open; None when not given."""
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        raise SettingsError(f"--slices takes two slice numbers like 10:20, not '{text}'.")
    return int(first), int(last)


def _write(result: Result, target: Path, residual: Path | None, report: Path | None, *, overwrite: bool) -> None:
    """Write everything that was requested, or nothing: every file is complete under a temporary name before the first is put in place.

    A first Ctrl-C is obeyed before that moment and not heeded after it, so that it cannot part results that belong together.
    """
    from MRIDenoiseLib import io
    from MRIDenoiseLib.inference.report import derivation
    from MRIDenoiseLib.io.atomic import json_text, replacing

    with StopRequest() as should_stop, ExitStack() as outputs:
        if residual is not None:
            of_residual = derivation(result.report, suffix="residual")
            outputs.enter_context(io.writing(result.residual, residual, overwrite=overwrite, derivation=of_residual))
        if report is not None:
            temporary = outputs.enter_context(replacing(report, overwrite))
            temporary.write_text(json_text(result.report), encoding="utf-8")
        outputs.enter_context(io.writing(result.volume, target, overwrite=overwrite, derivation=derivation(result.report)))
        if should_stop():
            raise Cancelled("stopped while writing")


def _show(result: Result, acquisition: Acquisition, places: dict[str, Path | None]) -> None:
    """Show what was done, with what settings, and where the result is."""
    console = Console(soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    table.add_column(style="dim")
    for name in ("organ", "contrast", "vendor", "acceleration"):
        fact = getattr(acquisition, name)
        table.add_row(name, Text("unknown" if fact.value is None else str(fact.value)), Text(fact.source))
    table.add_row("method", Text(str(result.report["method"])), "")
    share = result.report["noise_level_fraction"]
    table.add_row("noise level", Text(f"{result.noise_level:.3g}"), f"{share:.1%} of the bright tissue")
    removed = result.report["noise_removed"]
    table.add_row("noise removed", *(("not known", "too little to measure") if removed is None else (f"{removed:.0%}", "in flat tissue")))
    console.print(table)
    for name, place in places.items():
        if place is not None:
            # Outside the table, which would cut a long path.
            console.print(Text.assemble((f"{name}:", "bold"), f" {place}"))
    say_notes(result.report.get("warnings", []), console)
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))
