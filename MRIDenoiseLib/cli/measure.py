"""``mridenoise measure``: what README and the results page claim, measured again by one command a claim."""

from __future__ import annotations

import inspect
import re
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from MRIDenoiseLib.cli.outputs import check_json, notes_of, say_notes
from MRIDenoiseLib.cli.progress import ProgressDisplay
from MRIDenoiseLib.evaluation.claims import CLAIMS, claim_module

if TYPE_CHECKING:
    from MRIDenoiseLib.evaluation.claims.claim import Claim, OptionOffered

ModelFolder = Annotated[Path | None, typer.Option("--bundle", help="model to measure; the bundled one by default")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="also write the numbers here")]


class _ClaimCommand(TyperCommand):
    """A claim by its name and sentence; it is loaded when its options are needed, because claims load networks."""

    def __init__(self, name: str) -> None:
        super().__init__(name, help=CLAIMS[name])

    @cached_property
    def whole(self) -> Any:
        """The command with its options."""
        module = claim_module(str(self.name))
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name=self.name, help=f"{CLAIMS[str(self.name)]}\n\n{_as_prose(module)}")(claim_command(module.CLAIM))
        return typer.main.get_command(app)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """That of the whole command."""
        return self.whole.make_context(info_name, args, parent, **extra)


class _Claims(TyperGroup):
    """One command a claim."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: _ClaimCommand(name) for name in CLAIMS}


measure_app = typer.Typer(
    cls=_Claims,
    help="Measure again what README and the results page claim, one command a claim. It may take hours on real data.",
    no_args_is_help=True,
)


def claim_command(claim: Claim) -> Any:
    """The function whose parameters are a claim's options: it measures, prints, and writes the numbers where ``--json`` says."""
    options = {name: _parameter(name, option) for name, option in claim.options.items()}
    common: dict[str, inspect.Parameter] = {}
    if claim.takes("model"):
        common["bundle"] = _named("bundle", ModelFolder)
    common["json_file"] = _named("json_file", JsonFile)

    def measured(bundle: Path | None = None, json_file: Path | None = None, **values: Any) -> None:
        from MRIDenoiseLib import io
        from MRIDenoiseLib.card import bundled_model
        from MRIDenoiseLib.io.atomic import write_json
        from MRIDenoiseLib.models.bundle.bundle import Bundle

        if json_file is not None:
            check_json(json_file, overwrite=True)
        model = Bundle.load(bundle or bundled_model()) if claim.takes("model") else None
        with ProgressDisplay() as progress, io.hearing_notes() as heard:
            given = {name: value for name, value in (("model", model), ("progress", progress)) if claim.takes(name)}
            numbers = claim.measure(**values, **given)
        say_notes(notes_of(heard))
        console = Console(width=claim.width)
        for part in claim.show(numbers):
            console.print(part)
        if json_file is not None:
            write_json(
                json_file, claim.account(numbers, claim.command(values), {} if model is None else model.card["files"]), overwrite=True
            )

    parameters = {**options, **common}
    measured.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    measured.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return measured


def _as_prose(module: ModuleType) -> str:
    """A module's docstring after its first sentence, for people: paragraphs without markup."""
    paragraphs = (inspect.getdoc(module) or "").split("\n\n")[1:]
    return "\n\n".join(re.sub(r"(:\w+:)?`+([^`]*)`+", r"\2", paragraph.replace("\n", " ")) for paragraph in paragraphs)


def _parameter(name: str, option: OptionOffered) -> inspect.Parameter:
    from MRIDenoiseLib.evaluation.claims.claim import option_name

    limits = option.annotation
    declared = typer.Option(option_name(name), help=limits.help, min=limits.least, max=limits.most, envvar=limits.variable)
    return _named(name, Annotated[option.kind, declared], option.default)


def _named(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
