"""One run of ``mridenoise denoise``: one volume, or every volume of an input, read, denoised, written and shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import ImageChoice, after_the_result, check_json, refuse_places_that_collide, say_notes
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.errors import AmbiguousInputError, Cancelled, OutputError, SettingsError

if TYPE_CHECKING:
    from MRIDenoiseLib.inference.settings import Settings
    from MRIDenoiseLib.io import Several
    from MRIDenoiseLib.progress import Progress
    from MRIDenoiseLib.result import Result
    from MRIDenoiseLib.volume import Acquisition, Volume


MAPS = {"--residual": "residual", "--noise-map": "noise map", "--uncertainty": "uncertainty"}
"""Options that ask for another image beside the result -> what that image is called."""


def image_of(result: Result, kind: str) -> Volume:
    """One of a result's images, by its kind."""
    names = {"denoised": "volume", "noise map": "noise_map"}
    image: Volume | None = getattr(result, names.get(kind, kind))
    assert image is not None
    return image


@dataclass(frozen=True)
class Job:
    """What the command line asks for.

    Args:
        source: the input.
        choice: which of its images.
        facts: what the user states about the acquisition, field to value or None.
        settings: the method and its options.
        places: what the user calls each output -> where it goes, or None where it was not asked for.
        bundle: the folder of another model than the bundled one.
        device: where to compute.
        overwrite: whether earlier results may be replaced.
        noise_map: where the user's own map of the noise lies, or None.
    """

    source: Path
    choice: ImageChoice
    facts: dict[str, Any]
    settings: Settings
    places: dict[str, Path | None]
    bundle: Path | None
    device: str
    overwrite: bool
    noise_map: Path | None = None

    @property
    def images(self) -> dict[str, Path]:
        """Where each image that was asked for goes, by its kind; the denoised one is the last, so that it stands for all."""
        found = {kind: place for option, kind in MAPS.items() if (place := self.places.get(option)) is not None}
        return {**found, "denoised": self.target}

    @property
    def target(self) -> Path:
        """Where the denoised image goes."""
        target = self.places["OUT"]
        assert target is not None
        return target

    @cached_property
    def sidecars(self) -> dict[str, Path]:
        """Where the JSON files beside the results go, by the result's kind.

        The source's own sidecar keeps its place, and so does a report that the user gave that name.
        """
        from MRIDenoiseLib.io.images import stem_of
        from MRIDenoiseLib.io.sidecar import sidecar_of

        report = self.places["--report"]
        taken = [self.source.with_name(stem_of(self.source) + ".json").resolve(), *([] if report is None else [report.resolve()])]
        found = {}
        for kind, image in reversed(self.images.items()):
            place = sidecar_of(image)
            if place is not None and place.resolve() not in taken:
                found[kind] = place
                taken.append(place.resolve())
        return found

    def prepared(self, noisy: Volume) -> Volume:
        """A volume with what the user states about it, after a check that its results can be written."""
        from MRIDenoiseLib import io, prompt
        from MRIDenoiseLib.image.kind import judged

        if not noisy.headers and self.choice.of_dicom():
            given = " and ".join(self.choice.of_dicom())
            raise SettingsError(f"{given} can choose only within DICOM, and IN is an image file; leave it out or name the DICOM folder")
        for image in reversed(self.images.values()):
            io.check_writable(noisy, image, overwrite=self.overwrite)
        report = self.places["--report"]
        if report is not None:
            check_json(report, overwrite=self.overwrite)
        for place in self.sidecars.values():
            if place.is_dir():
                raise OutputError(f"a NIfTI result gets a JSON file beside it, and {place} is a folder; choose another name for the result")
            check_json(place, overwrite=self.overwrite)
        return judged(noisy, denoising=True).with_acquisition(prompt.override(noisy.acquisition, **self.facts))


def denoise_one(job: Job) -> None:
    """Denoise the one image that is meant."""
    from MRIDenoiseLib import io
    from MRIDenoiseLib.inference.opening import open_denoiser

    try:
        noisy = job.choice.read(job.source)
    except AmbiguousInputError as error:
        said = str(error.args[0])
        if "--echo" in said or "--volume" in said:
            raise AmbiguousInputError(f"{said}, or do all of them with --all") from error
        raise
    noisy = job.prepared(noisy)
    noise_map = None if job.noise_map is None else io.read(job.noise_map)
    with ProgressDisplay() as progress:
        # Torch takes seconds to load: only after the input is known to be good.
        denoiser = open_denoiser(job.bundle, job.device, progress, quick=True)
        with StopRequest() as should_stop:
            result = denoiser(noisy, job.settings, progress, should_stop, noise_map=noise_map)
        progress(1.0, None, "Writing")
        _tell(result, job)
        _write(result, job)
    with after_the_result():
        _show(result, noisy.acquisition, job)


def _tell(result: Result, job: Job) -> None:
    """Put into the report which slices of the result are copies."""
    from MRIDenoiseLib.io.images import ending

    (first, last), count = result.report["slices"], len(result.volume.stack)
    if (first, last) != (0, count):
        others = "the DICOM series holds them alone" if not ending(job.target) else "the others are unchanged copies"
        which = f"slices {first} to {last - 1} of 0 to {count - 1} were" if last - first > 1 else f"slice {first} of 0 to {count - 1} was"
        result.report["warnings"].append(f"Only {which} denoised; {others}.")


def denoise_all(job: Job) -> None:
    """Denoise one volume after the other, each with a prompt of its own, and write them as one."""
    from MRIDenoiseLib import io
    from MRIDenoiseLib.inference.opening import open_denoiser
    from MRIDenoiseLib.inference.report import derivation

    if job.choice.volume is not None:
        raise SettingsError("--all takes every volume; leave --volume out")
    noise_map = None if job.noise_map is None else io.read(job.noise_map)
    several = io.read_all(job.source, series=job.choice.series, echo=job.choice.echo, stack=job.choice.stack)
    if len(several.members) == 1:
        only = several.members[0]
        denoise_one(replace(job, choice=replace(job.choice, echo=only.echo, volume=only.volume)))
        return
    beside = _places_beside(several, job)
    report = job.places["--report"]
    results = []
    first: Result | None = None
    with ProgressDisplay() as progress, StopRequest() as should_stop:
        noisy = job.prepared(several.members[0].read())
        denoiser = open_denoiser(job.bundle, job.device, progress, quick=True)
        with ExitStack() as outputs:
            written = {
                kind: outputs.enter_context(io.writing_together(place, overwrite=job.overwrite))
                for kind, place in reversed(job.images.items())
            }
            for number, member in enumerate(several.members):
                if number:
                    noisy = job.prepared(member.read())
                share = _share(progress, number, len(several.members), member.name)
                result = denoiser(noisy, job.settings, share, should_stop, noise_map=noise_map)
                _tell(result, job)
                for kind, together in written.items():
                    together.add(image_of(result, kind), derivation(result.report, suffix=kind))
                results.append({"image": member.name, **result.report})
                first = first or result
            progress(1.0, None, "Writing")
            account = {"research_use": RESEARCH_USE_ONLY, "notes": list(several.notes), "volumes": results}
            _write_beside(outputs, beside, report, account, job)
            assert first is not None
            _write_sidecars(outputs, {"version": first.report["version"], **account}, first, job)
            if should_stop():
                raise Cancelled("stopped while writing")
    with after_the_result():
        _show_all(results, several, job)


def _places_beside(several: Several, job: Job) -> dict[Path, Path]:
    """Where files of b-values and directions are copied to, beside a 4-D result; checked before any work."""
    from MRIDenoiseLib.io.atomic import check_target
    from MRIDenoiseLib.io.images import ending

    if not ending(job.target):
        return {}
    stem = job.target.name[: -len(ending(job.target))]
    places = {file: job.target.with_name(stem + kind) for kind, file in several.beside}
    for file, place in places.items():
        refuse_places_that_collide(file, {place.name: place})
        check_target(place, job.overwrite)
    return places


def _write_beside(outputs: ExitStack, beside: dict[Path, Path], report: Path | None, account: dict[str, Any], job: Job) -> None:
    """Everything but the images and their sidecars, complete under temporary names."""
    from MRIDenoiseLib.io.atomic import json_text, replacing

    for file, place in beside.items():
        outputs.enter_context(replacing(place, job.overwrite)).write_bytes(file.read_bytes())
    if report is not None:
        outputs.enter_context(replacing(report, job.overwrite)).write_text(json_text(account), encoding="utf-8")


def _share(progress: Progress, done: int, count: int, name: str) -> Progress:
    """The progress of one volume as a part of that of all."""
    began = time.monotonic()

    def part(fraction: float, _: float | None, what: str) -> None:
        passed = time.monotonic() - began
        left = passed / fraction * (count - done - fraction) if fraction > 0 else None
        progress((done + fraction) / count, left, f"{what}, {name}")

    return part


def _write_sidecars(outputs: ExitStack, report: dict[str, Any], first: Result, job: Job) -> None:
    """The JSON files beside NIfTI results, complete under temporary names.

    Args:
        outputs: what puts them in place in the end.
        report: what was done to the image, or to all of several volumes.
        first: the result, or the first of several.
        job: what was asked for.
    """
    from MRIDenoiseLib.inference.report import derivation
    from MRIDenoiseLib.io.atomic import json_text, replacing
    from MRIDenoiseLib.io.sidecar import result_sidecar

    for kind, place in job.sidecars.items():
        fields = result_sidecar(derivation(first.report, suffix=kind), report, first.noisy, job.source)
        outputs.enter_context(replacing(place, job.overwrite)).write_text(json_text(fields), encoding="utf-8")


def _write(result: Result, job: Job) -> None:
    """Write everything that was requested, or nothing: every file is complete under a temporary name before the first is put in place.

    A first Ctrl-C is obeyed before that moment and not heeded after it, so that it cannot part results that belong together.
    """
    from MRIDenoiseLib import io
    from MRIDenoiseLib.inference.report import derivation
    from MRIDenoiseLib.io.atomic import json_text, replacing

    report = job.places["--report"]
    with StopRequest() as should_stop, ExitStack() as outputs:
        _write_sidecars(outputs, result.report, result, job)
        if report is not None:
            temporary = outputs.enter_context(replacing(report, job.overwrite))
            temporary.write_text(json_text(result.report), encoding="utf-8")
        for kind, place in job.images.items():
            made = derivation(result.report, suffix=kind)
            outputs.enter_context(io.writing(image_of(result, kind), place, overwrite=job.overwrite, derivation=made))
        if should_stop():
            raise Cancelled("stopped while writing")


def _show(result: Result, acquisition: Acquisition, job: Job) -> None:
    """Show what was done, with what settings, and where the result is."""
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
    guarantee = result.report["guarantee"]
    table.add_row("noise removed", *(("not known", "too little to measure") if removed is None else (f"{removed:.0%}", "in flat tissue")))
    if (width := result.report.get("uncertainty_median")) is not None:
        table.add_row("uncertainty", Text(f"± {width:.1%}"), "of the bright tissue, half of the tissue less (90 % interval)")
    _show_end(table, job, [*result.report["warnings"], *([guarantee["sentence"]] if guarantee and guarantee["sentence"] else [])])


def _show_all(results: list[dict[str, Any]], several: Several, job: Job) -> None:
    """Show what was done to each of several volumes, and where the result is."""
    table = Table("image", "prompt", "noise level", "noise removed", box=None, padding=(0, 2, 0, 0))
    for one in results:
        removed = "not known" if one["noise_removed"] is None else f"{one['noise_removed']:.0%}"
        table.add_row(Text(one["image"]), Text(one["prompt"]), f"{one['noise_level_fraction']:.1%}", removed)
    warnings = dict.fromkeys([*several.notes, *(warning for one in results for warning in one["warnings"])])
    _show_end(table, job, list(warnings))


def _show_end(table: Table, job: Job, warnings: Sequence[str]) -> None:
    console = Console(soft_wrap=True)
    console.print(table)
    for name, place in {**dict(reversed(job.images.items())), "report": job.places["--report"]}.items():
        if place is not None:
            # Outside the table, which would cut a long path.
            beside = f" (and {job.sidecars[name].name} beside it)" if name in job.sidecars else ""
            console.print(Text.assemble((f"{name}:", "bold"), f" {place}{beside}"))
    say_notes(warnings, console)
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))
