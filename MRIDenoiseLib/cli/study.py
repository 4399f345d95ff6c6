"""``mridenoise study``: a blinded reader study from its design to its ratings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.progress import ProgressDisplay, StopRequest
from MRIDenoiseLib.cli.study_analyse import analyse, power
from MRIDenoiseLib.errors import InputError, SettingsError

if TYPE_CHECKING:
    from MRIDenoiseLib.reader_study.reading.reading import Presentation, ReadingStatus

study_app = typer.Typer(help="Make a blinded reader study, read it, export its ratings, and analyse them.", no_args_is_help=True)

Study = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]
ReadingFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder, or the reading folder in it.")]
Reader = Annotated[str, typer.Option(metavar="CODE", help="Who reads: a reader's code, or consensus.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")]


@study_app.command()
def create(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The study's design in YAML, such as those in scripts/studies.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The study's folder; must not exist yet.")],
) -> None:
    """Draw the reading lists, write the blinded volumes, and check that nothing but the images reveals the arms."""
    from MRIDenoiseLib.reader_study.reading.folder import read_plan
    from MRIDenoiseLib.reader_study.running.creation import create_study

    with ProgressDisplay() as progress, StopRequest() as should_stop:
        folder = create_study(config, out, progress, should_stop)
    plan = read_plan(folder.reading)
    console = Console(soft_wrap=True)
    for reader in plan.readers:
        lengths = " + ".join(str(len(session)) for session in plan.lists[reader])
        console.print(Text.assemble((f"{reader}:", "bold"), f" {lengths} cases"))
    console.print(Text.assemble(("for the readers:", "bold"), f" {folder.reading}"))
    console.print(Text.assemble(("keep to yourself:", "bold"), f" {folder.key}"))
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))


@study_app.command("next")
def show_next(study: ReadingFolder, reader: Reader, as_json: Json = False) -> None:
    """Show what a reader reads next: blinded volumes, how to window them, and the questions."""
    from MRIDenoiseLib.reader_study.reading.reading import Reading

    reading = Reading(study, reader)
    shown = reading.next()
    if as_json:
        print(json.dumps(None if shown is None else _as_json(shown), indent=1))
        return
    console = Console(soft_wrap=True, highlight=False)
    if shown is None:
        console.print(reading.status().sentence)
        return
    console.print(Text(shown.heading, style="bold"))
    for panel in shown.panels:
        console.print(f"{panel.label}: {panel.path}  window {panel.window:g}, level {panel.level:g}", markup=False)
    for field in shown.fields:
        choices = ", ".join(f"{choice.value} {choice.label}" for choice in field.choices)
        optional = "" if field.required else " (may be left out)"
        console.print(f"  {field.name}: {field.question}{optional}  {choices}".rstrip(), markup=False)
        if field.name in shown.opinions:
            console.print(f"    the readers answered {', '.join(map(str, shown.opinions[field.name]))}", markup=False)


@study_app.command()
def rate(
    study: ReadingFolder,
    reader: Reader,
    answers: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Answers to the next case, such as image_quality=3.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .csv or .json file with answers; it answers all open cases.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Time spent on each case.")] = None,
) -> None:
    """Answer the next case, or by --script all cases that are open."""
    from MRIDenoiseLib.reader_study.reading.reading import Reading
    from MRIDenoiseLib.reader_study.reading.scripted import Script, parsed, read_with

    if (script is None) == (not answers):
        raise SettingsError("give answers such as image_quality=3, or --script FILE, one of the two")
    reading = Reading(study, reader)
    if script is not None:
        prepared = Script.read(script)
        read_with(reading, lambda shown: prepared.answers_to(shown, reader), seconds)
    else:
        given = _given(answers or [])
        shown = reading.next()
        if shown is None:
            raise SettingsError(reading.status().sentence)
        reading.save(parsed(shown.fields, given), seconds)
    Console(soft_wrap=True).print(reading.status().sentence)


@study_app.command()
def status(
    study: ReadingFolder,
    reader: Annotated[str | None, typer.Option(metavar="CODE", help="Of this reader only.")] = None,
    as_json: Json = False,
) -> None:
    """Show how far the readers are."""
    from MRIDenoiseLib.reader_study.reading.folder import CONSENSUS, read_plan, reading_folder
    from MRIDenoiseLib.reader_study.reading.reading import Reading

    plan = read_plan(reading_folder(study))
    readers = [reader] if reader is not None else [*plan.readers, *([CONSENSUS] if plan.items_of(CONSENSUS) else [])]
    found = [Reading(study, one).status() for one in readers]
    if as_json:
        print(json.dumps([asdict(one) | {"opens": one.opens and one.opens.isoformat()} for one in found], indent=1))
        return
    table = Table(title=Text(plan.name), box=None, padding=(0, 2, 0, 0), title_justify="left")
    for heading in ("reader", "session", "cases", "in all", ""):
        table.add_column(heading)
    for one in found:
        table.add_row(*_row(one))
    Console().print(table)


@study_app.command()
def export(
    study: ReadingFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .csv or .json file; a dictionary of its columns is written next to it.")],
    unblind: Annotated[bool, typer.Option("--unblind", help="With patients and arms, last answers only; needs the key.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the ratings as a table, blinded unless requested otherwise."""
    from MRIDenoiseLib.reader_study.reading.folder import reading_folder
    from MRIDenoiseLib.reader_study.running.scores import dictionary_path, export_ratings, export_scores

    count = export_scores(study, out, overwrite=overwrite) if unblind else export_ratings(reading_folder(study), out, overwrite=overwrite)
    Console(soft_wrap=True).print(Text(f"{count} answers: {out}, explained in {dictionary_path(out)}"))


@study_app.command()
def collect(
    study: Study,
    copies: Annotated[list[Path], typer.Argument(metavar="COPY...", help="Copies of its reading folder, in which others have read.")],
) -> None:
    """Take the ratings of copies of the reading folder into the study; what is there already is not taken twice."""
    from MRIDenoiseLib.reader_study.reading.folder import read_plan, reading_folder
    from MRIDenoiseLib.reader_study.reading.store import RatingStore

    own = reading_folder(study)
    plan = read_plan(own)
    store = RatingStore.open(own, plan)
    for copy in copies:
        count = store.take_in(RatingStore.open(reading_folder(copy), plan))
        Console(soft_wrap=True).print(Text(f"{count} new answers from {copy}"))


@study_app.command()
def consensus(
    study: Study,
    make: Annotated[bool, typer.Option("--make", help="Make the session in which they are read again.")] = False,
) -> None:
    """List where the readers disagree, without the arms; --make has it read again by the reader 'consensus'."""
    from MRIDenoiseLib.reader_study.running.consensus import judgements, make_consensus_session

    discordant = [judgement for judgement in judgements(study) if judgement.discordant]
    console = Console(soft_wrap=True)
    if make:
        count = make_consensus_session(study)
        console.print(f"{count} images are to be read again: mridenoise study next {study} --reader consensus" if count else "All agree.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("patient", "group", "question", "answers"):
        table.add_column(heading)
    # Sorted: the order of the volumes' names is that of the consensus session's files.
    for patient, group, field, values in sorted(
        (one.scores[0].subject, one.scores[0].group, one.scores[0].field, sorted(float(s.value) for s in one.scores)) for one in discordant
    ):
        table.add_row(Text(patient), Text(group), Text(field), ", ".join(f"{value:g}" for value in values))
    console.print(table if discordant else "All agree.")


@study_app.command("audit")
def audit_study(study: Study) -> None:
    """Check again that nothing in the reading folder but the images reveals the arms."""
    from MRIDenoiseLib.reader_study.reading.folder import StudyFolder
    from MRIDenoiseLib.reader_study.running.audit import audit
    from MRIDenoiseLib.reader_study.running.blinding import read_key

    folder = StudyFolder.of(study)
    leaks = audit(folder.reading, read_key(folder.key))
    if leaks:
        more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        raise InputError(f"the blinding does not hold: {leaks[0]}{more}")
    Console(soft_wrap=True).print(Text.assemble(("good", "bold green"), f"  {folder.reading}"))


study_app.command()(analyse)
study_app.command()(power)


def _given(answers: list[str]) -> dict[str, str]:
    pairs = [answer.partition("=") for answer in answers]
    wrong = next((answer for answer, (name, equals, _) in zip(answers, pairs, strict=True) if not (name and equals)), None)
    if wrong is not None:
        raise SettingsError(f"'{wrong}' is not an answer; write it as image_quality=3")
    return {name: value for name, _, value in pairs}


def _row(one: ReadingStatus) -> tuple[str, ...]:
    return (
        one.reader,
        f"{one.session} of {one.sessions}",
        f"{one.done} of {one.of}",
        f"{one.done_in_all} of {one.of_in_all}",
        "" if one.state == "open" else one.sentence,
    )


def _as_json(shown: Presentation) -> dict[str, Any]:
    panels = [asdict(panel) | {"path": str(panel.path)} for panel in shown.panels]
    return asdict(shown) | {"panels": panels, "heading": shown.heading}
