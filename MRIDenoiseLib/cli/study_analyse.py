"""``mridenoise study analyse`` and ``study power``: what a reader study shows, and how many subjects it needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli.outputs import check_json, refuse_places_that_collide
from MRIDenoiseLib.errors import OutputError, SettingsError

if TYPE_CHECKING:
    from MRIDenoiseLib.reader_study.analysis.power import Power
    from MRIDenoiseLib.statistics import Rate

READERS = "How readers perceive"
DESIGN = "The study"
OUTPUT = "What to write"


def analyse(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder, with its key.")],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The report, with its pictures inside.")],
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE.json", help="Also every number.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are already there.")] = False,
) -> None:
    """Lift the blinding and analyse a study: tests, agreement, equivalence, figures and conclusions, in one report."""
    from MRIDenoiseLib.io.atomic import check_target, write_json
    from MRIDenoiseLib.reader_study.reading.folder import READING

    refuse_places_that_collide(study, {"--out": out, "--json": json_file})
    for place in (out, json_file):
        if place is not None and (study / READING).resolve() in place.resolve().parents:
            raise OutputError(f"{place} lies in the folder that the readers have, and it reveals the arms; write it elsewhere")
    if out.suffix.lower() != ".html" or out.is_dir():
        raise OutputError(f"the report {out} must be a file that ends in .html")
    check_target(out, overwrite)
    if json_file is not None:
        check_json(json_file, overwrite=overwrite)
    from MRIDenoiseLib.reader_study.analysis.figures import check_figures

    check_figures()
    from MRIDenoiseLib.reader_study.analysis.analyse import analyse_study
    from MRIDenoiseLib.reader_study.analysis.report import as_json, write_report
    from MRIDenoiseLib.reader_study.analysis.words import conclusions

    console = Console(soft_wrap=True)
    with console.status("Analysing"):
        found = analyse_study(study)
        write_report(found, out, overwrite=overwrite)
        if json_file is not None:
            write_json(json_file, as_json(found), overwrite=overwrite)
    for sentence in conclusions(found).confirmatory:
        console.print(Text(f"- {sentence}"))
    gaps = sum(one.missing for one in found.missing)
    if gaps:
        console.print(Text(f"{gaps} images have no rating; the report says which readers lack them.", style="yellow"))
    console.print(Text.assemble(("report:", "bold"), f" {out}"))
    console.print(Text(RESEARCH_USE_ONLY, style="bold"))


def power(
    arms: Annotated[
        str, typer.Option(metavar="NAME=SCORE,...", help="The arms and the mean score expected of each, such as noisy=2.2,ours=3.0,gt=3.0.")
    ],
    subjects: Annotated[str, typer.Option(metavar="N,...", help="Numbers of subjects to try.", rich_help_panel=DESIGN)] = "20,30,40,60",
    readers: Annotated[int, typer.Option(help="How many.", rich_help_panel=DESIGN)] = 2,
    reference: Annotated[str, typer.Option(help="The arm that the others are compared with.", rich_help_panel=DESIGN)] = "",
    alpha: Annotated[float, typer.Option(help="Level of all pairs together.", rich_help_panel=DESIGN)] = 0.05,
    margin: Annotated[float, typer.Option(help="Difference in points that does not matter.", rich_help_panel=DESIGN)] = 0.25,
    agreement: Annotated[float, typer.Option(help="ICC of one reader, before rounding to points.", rich_help_panel=READERS)] = 0.75,
    of_subject: Annotated[
        float, typer.Option(help="Share of the perceived score that depends on the patient, in every arm.", rich_help_panel=READERS)
    ] = 0.5,
    strictness: Annotated[float, typer.Option(help="Share that depends on the reader.", rich_help_panel=READERS)] = 0.05,
    spread: Annotated[float, typer.Option(help="Standard deviation of the perceived score, in points.", rich_help_panel=READERS)] = 0.8,
    lowest: Annotated[int, typer.Option(help="Lowest point of the scale.", rich_help_panel=READERS)] = 1,
    highest: Annotated[int, typer.Option(help="Highest point.", rich_help_panel=READERS)] = 4,
    simulations: Annotated[int, typer.Option(help="Studies simulated for each number of subjects.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE.json", help="Also as JSON.", rich_help_panel=OUTPUT)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that is there.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """How often a study of so many subjects would show what is expected, by simulating it and analysing it as it will be."""
    scores, numbers = _arms(arms), _numbers(subjects)
    if json_file is not None:
        check_json(json_file, overwrite=overwrite)
    from MRIDenoiseLib.io.atomic import write_json
    from MRIDenoiseLib.reader_study.analysis.power import SimulatedReaders
    from MRIDenoiseLib.reader_study.analysis.power import power as simulate

    model = SimulatedReaders(agreement, of_subject, strictness, spread, lowest, highest)
    console = Console(soft_wrap=True)
    found = []
    with console.status("Simulating") as status:
        for number in numbers:
            status.update(f"Simulating {simulations} studies of {number} subjects")
            one = simulate(
                model,
                scores,
                subjects=number,
                number_of_readers=readers,
                reference=reference,
                alpha=alpha,
                margin=margin,
                simulations=simulations,
                seed=seed,
            )
            found.append(one)
    if json_file is not None:
        assumed = {"arms": scores, "readers": asdict(model), "number_of_readers": readers, "alpha": alpha, "margin": margin}
        write_json(json_file, {"assumed": assumed, "power": [asdict(one) for one in found]}, overwrite=overwrite)
    console.print(_table(found, margin))
    console.print("With 95 % intervals of the simulation. Equal arms: how often a difference is shown by mistake.")


def _table(found: list[Power], margin: float) -> Table:
    table = Table(
        "", *(f"{one.subjects} subjects" for one in found), title="How often the study would show it", box=None, padding=(0, 2, 0, 0)
    )
    table.add_row("any difference (Friedman)", *(_percent(one.any_difference) for one in found))
    for pairs in zip(*(one.pairs for one in found), strict=True):
        pair = pairs[0]
        sign = "=" if pair.difference == 0 else ">" if pair.difference > 0 else "<"
        table.add_row(f"{pair.first} {sign} {pair.second} (Wilcoxon)", *(_percent(one.detected) for one in pairs))
        equal = [one.equivalent for one in pairs if one.equivalent is not None]
        if equal:
            table.add_row(f"{pair.first} equivalent to {pair.second}, ±{margin:g} (TOST)", *map(_percent, equal))
    return table


def _percent(found: Rate) -> str:
    return f"{100 * found.value:.0f} % ({100 * found.low:.0f}-{100 * found.high:.0f})"


def _arms(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, score = part.partition("=")
        name = name.strip()
        try:
            value = float(score)
        except ValueError:
            value = float("nan")
        if not name or not equals or value != value or name in found:
            raise SettingsError(f"--arms takes names with expected mean scores, such as noisy=2.2,ours=3.0, not '{part}'")
        found[name] = value
    return found


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise SettingsError(f"--subjects takes whole numbers, such as 20,30,40, not '{text}'") from error
