"""``mridenoise evaluate``: how close images come to a reference, with the definition of every figure."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import ANY_IMAGE, ImageChoice, check_json, chooses_image, notes_of, refuse_places_that_collide, say_notes
from MRIDenoiseLib.cli.progress import ProgressDisplay
from MRIDenoiseLib.errors import InputError, SettingsError

if TYPE_CHECKING:
    import numpy as np

    from MRIDenoiseLib.evaluation.figures.honest_reference import Inclusion, ReferenceNoise
    from MRIDenoiseLib.evaluation.figures.yardstick import Yardstick
    from MRIDenoiseLib.segmentation import TissueSettings
    from MRIDenoiseLib.volume import Volume

TISSUES = "Tissues"
OUTPUT = "What to write"
NOISY = "noisy"


@chooses_image
def evaluate(
    images: Annotated[list[Path], typer.Argument(metavar="TEST...", help="Volumes to judge: DICOM, .nii, .nii.gz, .nrrd or .mha.")],
    reference: Annotated[Path, typer.Option(metavar="REF", help="What they are compared with.")],
    noisy: Annotated[
        Path | None, typer.Option(metavar="NOISY", help="The noisy image they were made from; adds figures of the residual.")
    ] = None,
    simulated: Annotated[bool, typer.Option("--simulated", help="NOISY was made by adding noise to REF.")] = False,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to measure; by default REF above 8 % of its P99.5 (--tissues: brain, body).")
    ] = None,
    lpips: Annotated[bool | None, typer.Option(help="By default where package and weights are installed.")] = None,
    tissues: Annotated[
        bool, typer.Option("--tissues", help="Instead of figures: Dice of the tissues of every TEST with REF's.", rich_help_panel=TISSUES)
    ] = False,
    classes: Annotated[int | None, typer.Option(help="2 to 6; by default 3.", rich_help_panel=TISSUES)] = None,
    organ: Annotated[str | None, typer.Option(help="head, knee ...; a head's brain has tissues.", rich_help_panel=TISSUES)] = None,
    contrast: Annotated[
        str | None, typer.Option(help="T1w, T2w, T2-FLAIR ...: decides which tissue is bright.", rich_help_panel=TISSUES)
    ] = None,
    bias: Annotated[
        bool | None, typer.Option(help="Whether uneven brightness is corrected; by default it is.", rich_help_panel=TISSUES)
    ] = None,
    smoothness: Annotated[
        float | None, typer.Option(help="How much neighbours count (beta); by default 0.1.", rich_help_panel=TISSUES)
    ] = None,
    report: Annotated[Path | None, typer.Option("--json", metavar="FILE.json", help="Also every figure.", rich_help_panel=OUTPUT)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are already there.", rich_help_panel=OUTPUT)] = False,
    choice: ImageChoice = ANY_IMAGE,
) -> None:
    """Compare volumes with a reference: PSNR, SSIM, LPIPS, edges, bias, and with --noisy what was removed and what flickers.

    All are judged in one mask and one data range, those of the reference. With --tissues they are segmented there instead.
    """
    segmenting = {"--classes": classes, "--organ": organ, "--contrast": contrast, "--bias": bias, "--smoothness": smoothness}
    if tissues:
        if noisy is not None or simulated or lpips is not None:
            raise SettingsError("--tissues compares segmentations and nothing else; leave --noisy, --simulated and --lpips out")
        from MRIDenoiseLib.cli.segment import evaluate_tissues

        settings = _tissue_settings(classes, smoothness, bias)
        facts = {"organ": organ, "contrast": contrast}
        evaluate_tissues(images, reference, settings, facts, choice, mask, report, overwrite=overwrite)
        return
    for name, value in segmenting.items():
        if value is not None:
            raise SettingsError(f"{name} says how to segment; give it with --tissues")
    if simulated and noisy is None:
        raise SettingsError("--simulated states how the noisy image was made; give it with --noisy")
    if report is not None:
        for source in (reference, *images, *(place for place in (noisy, mask) if place is not None)):
            refuse_places_that_collide(source, {"--json": report})
        check_json(report, overwrite=overwrite)
    _judge(images, reference, noisy, mask, choice, report, simulated=simulated, lpips=lpips, overwrite=overwrite)


def _judge(
    images: list[Path],
    reference: Path,
    noisy: Path | None,
    mask: Path | None,
    choice: ImageChoice,
    report: Path | None,
    *,
    simulated: bool,
    lpips: bool | None,
    overwrite: bool,
) -> None:
    """Print and write the figures of all images."""
    import numpy as np

    from MRIDenoiseLib.io.labels import read_mask

    sources = ([] if noisy is None else [noisy]) + images
    target, *volumes = choice.read_each([reference, *sources])
    where = None if mask is None else target.stacked(read_mask(mask, target))
    measured = [target.stacked(_measured(target, target, ""))]
    slices = []
    for source, image in zip(sources, volumes, strict=True):
        found = _on_grid(image, target, source.name)
        measured.append(target.stacked(_measured(image, target, source.name)))
        # Where one of the two holds nothing there is nothing to compare: equal, and outside of every mask.
        slices.append(np.where(measured[0] & measured[-1], found, target.stack))
    everywhere = np.logical_and.reduce(measured)
    before = None if noisy is None else slices[0]

    with ProgressDisplay() as progress:
        progress(0.0, None, "Starting")
        # Torch, which some of these load, takes seconds: only after the input is known to be good.
        from MRIDenoiseLib.evaluation.figures.honest_reference import find_inclusion, measure_reference_noise
        from MRIDenoiseLib.evaluation.figures.yardstick import Yardstick
        from MRIDenoiseLib.io.atomic import write_json

        perceptual, left_out = _lpips(lpips)
        yardstick = Yardstick.of(target.stack, spacing=target.stack_spacing, mask=where)
        if not everywhere.all():
            inside = yardstick.mask & everywhere
            yardstick = Yardstick.of(target.stack, spacing=target.stack_spacing, mask=inside)
        figures = []
        for number, compared in enumerate(slices):
            progress(number / len(slices), None, f"Image {number + 1} of {len(slices)}")
            figures.append(yardstick.assess(compared, noisy=before, simulated=simulated, perceptual=perceptual))
        inclusion = None if before is None or simulated else find_inclusion(before, yardstick.reference)
        noise = measure_reference_noise(yardstick.reference, yardstick.mask, yardstick.p995, before, simulated=simulated)
        if report is not None:
            labels = ([] if noisy is None else [NOISY]) + [f"image {number}" for number in range(1, len(images) + 1)]
            account = _account(labels, slices, figures, yardstick, inclusion, noise, masked=mask is not None)
            write_json(report, account, overwrite=overwrite)
    _show(_names(images, noisy), figures, yardstick, noise, masked=mask is not None)
    say_notes(notes_of((name, one.notes) for name, one in zip(["the reference", *_names(images, noisy)], [target, *volumes], strict=True)))
    _say(left_out, inclusion, noise)
    if report is not None:
        Console(soft_wrap=True).print(Text.assemble(("report:", "bold"), f" {report.name}"))
    Console(soft_wrap=True).print(Text(RESEARCH_USE_ONLY, style="bold"))


def _tissue_settings(classes: int | None, smoothness: float | None, bias: bool | None) -> TissueSettings:
    """The settings of the options; what they leave open is the segmentation's own default."""
    from MRIDenoiseLib.segmentation import TissueSettings

    given: dict[str, Any] = {"classes": classes, "smoothness": smoothness, "bias_rounds": 0 if bias is False else None}
    return TissueSettings(**{name: value for name, value in given.items() if value is not None})


def _on_grid(image: Volume, reference: Volume, name: str) -> np.ndarray:
    """The slices of an image in the order of the reference's; programs store one grid in several orders."""
    from MRIDenoiseLib.io.geometry import on_grid_of

    try:
        voxels = on_grid_of(image.voxels, image.ijk_to_ras, reference.ijk_to_ras, reference.voxels.shape)
    except InputError as error:
        raise InputError(f"{name} and the reference lie on different grids; resample it to the reference's grid first") from error
    return reference.stacked(voxels)


def _measured(image: Volume, reference: Volume, name: str) -> np.ndarray:
    """Where an image holds a measurement, bool (z, y, x) on the reference's grid."""
    import numpy as np

    if image.unmeasured is None:
        return np.ones(reference.voxels.shape, bool)
    holes = image.with_voxels(image.unmeasured.mask)
    return reference.unstacked(_on_grid(holes, reference, name)) == 0


def _lpips(wanted: bool | None) -> tuple[bool, str]:
    """Whether LPIPS is computed, and why not where the user left the choice to us."""
    from MRIDenoiseLib.evaluation.figures.perceptual import check_at_hand

    if wanted is False:
        return False, ""
    try:
        check_at_hand()
    except SettingsError as error:
        if wanted:
            raise
        return False, f"LPIPS is left out: {error}."
    return True, ""


def _names(images: list[Path], noisy: Path | None) -> list[str]:
    """What images are called on screen: the names of the files, with a number where two are alike."""
    names = [image.name for image in images]
    shown = [name if names.count(name) == 1 else f"{number}: {name}" for number, name in enumerate(names, start=1)]
    return ([] if noisy is None else [f"{NOISY}: {noisy.name}"]) + shown


def _show(names: list[str], figures: list[dict[str, float]], yardstick: Yardstick, noise: ReferenceNoise, *, masked: bool) -> None:
    from MRIDenoiseLib.evaluation.figures.honest_reference import HOW
    from MRIDenoiseLib.evaluation.figures.yardstick import DEFINITIONS, shortfall

    console = Console()
    shown = [name for name in DEFINITIONS if any(name in each for each in figures)]
    columns = (Column(escape(name), overflow="fold", justify="right") for name in names)
    table = Table("figure", "unit", "better", *columns, box=None, padding=(0, 2, 0, 0))
    for name in shown:
        definition = DEFINITIONS[name]
        distances = [round(shortfall(name, each), 6) if name in each else math.nan for each in figures]
        best = min((distance for distance in distances if not math.isnan(distance)), default=None)
        cells = [
            Text(
                f"{each[name]:.{definition.digits}f}" if name in each else "-", style="bold" if len(names) > 1 and distance == best else ""
            )
            for each, distance in zip(figures, distances, strict=True)
        ]
        table.add_row(definition.title, definition.unit, definition.better, *cells)
    console.print(table)
    where = "given" if masked else "the reference above 8 % of its P99.5"
    console.print(f"\nData range L: maximum {yardstick.maximum:.6g}, P99.5 {yardstick.p995:.6g}, of the reference volume.")
    console.print(f"Mask: {where}, {int(yardstick.mask.sum())} voxels. The best of a line is bold.")
    noisy_part = "" if noise.noisy is None else f", the noisy image's {noise.noisy:.2%}"
    console.print(f"The reference's own noise is {noise.own:.2%} of P99.5{noisy_part}: {HOW}.\n")
    for name in shown:
        console.print(Text.assemble((f"{DEFINITIONS[name].title}: ", "bold"), DEFINITIONS[name].sentence, "."))


def _say(left_out: str, inclusion: Inclusion | None, noise: ReferenceNoise) -> None:
    """What the figures do not show."""
    notes = Console(stderr=True, soft_wrap=True)
    if left_out:
        notes.print(Text(f"Note: {left_out}", style="yellow"))
    if inclusion is not None and inclusion.inclusive is not False:
        word, style = ("Warning", "bold red") if inclusion.inclusive else ("Note", "yellow")
        notes.print(Text(f"{word}: {inclusion.sentence}", style=style))
    if noise.sentence:
        notes.print(Text(f"Warning: {noise.sentence}.", style="bold red"))


def _account(
    labels: list[str],
    slices: list[np.ndarray],
    figures: list[dict[str, float]],
    yardstick: Yardstick,
    inclusion: Inclusion | None,
    noise: ReferenceNoise,
    *,
    masked: bool,
) -> dict[str, Any]:
    """A JSON-ready account, free of names and paths; null stands for what is infinite (equal images) or unknown."""
    from MRIDenoiseLib.evaluation.figures import noise_power_spectrum
    from MRIDenoiseLib.evaluation.figures.honest_reference import HOW
    from MRIDenoiseLib.evaluation.figures.yardstick import DEFINITIONS

    rows = []
    for label, image, each in zip(labels, slices, figures, strict=True):
        frequency, power = noise_power_spectrum(image - yardstick.reference, yardstick.mask)
        spectrum = {"cycles_per_pixel": frequency.tolist(), "power": power.tolist()}
        rows.append({"image": label, "figures": dict(each), "error_power_spectrum": spectrum})
    used = {name for each in figures for name in each}
    return {
        "data_range": {"maximum": yardstick.maximum, "p995": yardstick.p995},
        "mask": {"given": masked, "voxels": int(yardstick.mask.sum())},
        "images": rows,
        "shared_noise": None if inclusion is None else asdict(inclusion),
        "reference_noise": asdict(noise) | {"counts": noise.counts, "sentence": noise.sentence, "measured": HOW},
        "definitions": {name: definition._asdict() for name, definition in DEFINITIONS.items() if name in used},
        "use": RESEARCH_USE_ONLY,
    }
