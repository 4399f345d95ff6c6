"""``mridenoise denoise``: one noisy volume in, one denoised volume out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from MRIDenoiseLib.cli.denoising import Job, denoise_all, denoise_one
from MRIDenoiseLib.cli.outputs import ANY_IMAGE, CHOICE, ImageChoice, chooses_image, refuse_places_that_collide
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.methods import METHODS, MODE, described

if TYPE_CHECKING:
    from MRIDenoiseLib.inference.settings import Settings

    Method = str
    Mode = str
else:
    # What can be chosen is written in the catalogue alone; type checkers do not run it.
    Method, Mode = Literal[tuple(METHODS)], Literal[MODE.choices]

ACQUISITION = "What was acquired (read from the headers where not given)"
METHOD = "How to denoise"
WHICH = " ".join(["By default the one the model's card recommends.", *(f"{row.name}: {row.sentence}." for row in METHODS.values())])
OUTPUT = "What to write"
MEASURED = "measured"
"""Instead of a file with a map of the noise: that found in the image itself."""


def _option(name: str) -> Any:
    """An option of the methods, as the catalogue describes it; its range is checked by :class:`.Settings`."""
    return typer.Option(help=described(name), rich_help_panel=METHOD)


@chooses_image
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
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same result; by default 0.", rich_help_panel=METHOD)] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="REPORT.json",
            help="With the settings of an earlier run, for a second scan of the same patient: its --report. No other option of this group.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    bundle: Annotated[Path | None, typer.Option(metavar="DIR", help="Another model than the bundled one.", rich_help_panel=METHOD)] = None,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.", rich_help_panel=METHOD)] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="Number format of the networks; auto takes bfloat16 on GPUs that have it.", rich_help_panel=METHOD),
    ] = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the networks first: takes minutes, for many volumes.", rich_help_panel=METHOD)
    ] = False,
    guarantee: Annotated[
        Literal["off", "3", "4"] | None,
        typer.Option(
            help="How far the mean of any small disc may change, in standard deviations of its noise; no structure above that can vanish "
            "or appear. By default 3.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    noise_map_in: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|measured",
            help="Standard deviation of the noise at every voxel, where it is known, on the image's own grid; 'measured' for the map found "
            "in the image. By default one level a slice.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    denoise_clean: Annotated[
        bool,
        typer.Option(
            "--denoise-clean",
            help="Denoise also an image with so little noise that it would be returned unchanged.",
            rich_help_panel=METHOD,
        ),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every echo and volume, written as one 4-D image or one series.", rich_help_panel=CHOICE)
    ] = False,
    slices: Annotated[str | None, typer.Option(metavar="A:B", help="Only slices A to B-1, counted from 0.", rich_help_panel=CHOICE)] = None,
    residual: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write what was removed (noisy minus denoised).", rich_help_panel=OUTPUT)
    ] = None,
    noise_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the noise: its standard deviation at every voxel.", rich_help_panel=OUTPUT),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write how far each voxel may be off: the half-width of the 90 % interval, in the image's units.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Also write settings, noise level and warnings.", rich_help_panel=OUTPUT)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are already there.", rich_help_panel=OUTPUT)] = False,
    choice: ImageChoice = ANY_IMAGE,
) -> None:
    """Denoise an MR volume: by the regression network, unless another model or method is chosen. Not for diagnosis."""
    from MRIDenoiseLib.inference.settings import Settings

    measured = noise_map_in is not None and str(noise_map_in) == MEASURED
    noise_map_in = None if measured else noise_map_in
    chosen = {"method": method, "steps": steps, "samples": samples, "fidelity": fidelity, "mode": mode, "sharpness": sharpness}
    chosen |= {"strength": strength, "seed": seed, "guarantee": None if guarantee is None else float(guarantee.replace("off", "0"))}
    chosen |= {"denoise_clean": denoise_clean or None, "tell_noise_map": measured or None}
    settings = Settings.named(chosen) if like is None else _settings_of(like, chosen)
    settings = replace(settings, device=device, precision=precision, compiled=compiled, slices=_slice_range(slices))
    settings = replace(settings, noise_map=noise_map is not None, uncertainty=uncertainty is not None)
    places = {"OUT": target, "--residual": residual, "--noise-map": noise_map, "--uncertainty": uncertainty, "--report": report}
    refuse_places_that_collide(source, places)
    if noise_map_in is not None:
        refuse_places_that_collide(noise_map_in, places)
    facts = {"organ": organ, "contrast": contrast, "vendor": vendor, "acceleration": acceleration}
    job = Job(source, choice, facts, settings, places, bundle, device, overwrite, noise_map_in)
    if every:
        denoise_all(job)
    else:
        denoise_one(job)


def _settings_of(path: Path, chosen: dict[str, Any]) -> Settings:
    """The settings of an earlier run's report, which allow none of their own beside them."""
    from MRIDenoiseLib.inference.settings import Settings

    if given := [name for name, value in chosen.items() if value is not None]:
        option = given[0].replace("tell_noise_map", "noise_map_in").replace("_", "-")
        raise SettingsError(f"--like takes the settings of the earlier run; leave --{option} out")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as the report of an earlier run; give the file that --report wrote") from error
    return Settings.like(report if isinstance(report, dict) else {})


def _slice_range(text: str | None) -> tuple[int, int] | None:
    """``A:B`` as two numbers, 0-based and half-open; None when not given."""
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        raise SettingsError(f"--slices takes two slice numbers like 10:20, not '{text}'.")
    return int(first), int(last)
