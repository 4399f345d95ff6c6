"""The protocol of a claim: its options, what it measures, the table it prints, its headline, and the file that its numbers go to.

A claim has one function that measures, one that shows and one for the headline. The first returns numbers that are ready for JSON,
among them ``what``, a sentence that describes them. The others make the printed tables and the entry in a model's card from these
numbers only.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import numpy as np
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import MANIFEST, ManifestRow, clean_volume, read_manifest
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.evaluation.claims import CLAIMS
from MRIDenoiseLib.models.bundle.files import files_of_parts
from MRIDenoiseLib.progress import Pace, Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, BRIGHT, with_noise
from MRIDenoiseLib.volume import Volume

T = TypeVar("T")

Numbers = dict[str, Any]
"""What was measured, ready for JSON, with ``what``."""


@dataclass(frozen=True)
class Headline:
    """The result of a measurement in short, for a model's card and one line on the screen.

    Args:
        says: one sentence with its figures, of about 80 characters.
        figures: description in words -> number, for the few most important numbers.
    """

    says: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Option:
    """What a user may choose, as the annotation of a parameter.

    Args:
        help: a description in a few words.
        least: smallest value allowed.
        most: largest value allowed.
        variable: environment variable that is used where the user gives no value.
        counts: whether the numbers depend on it; not so for options that name folders.
    """

    help: str
    least: float | None = None
    most: float | None = None
    variable: str | None = None
    counts: bool = True


Data = Annotated[Path, Option("folder with MANIFEST.csv and volumes/", variable="MRIDENOISE_DATA", counts=False)]
Method = Annotated[str | None, Option("method of the model; its default one when not given")]
Samples = Annotated[int | None, Option("views or samples; the model's own number by default", least=1)]
Subjects = Annotated[str, Option("whose volumes, with commas between; by default the test patients'")]
EVERY_NOISE = ",".join(BENCHMARK_ROWS)
Noises = Annotated[str, Option("noises, with commas between")]
"""Options that many claims share."""


@dataclass(frozen=True)
class OptionOffered:
    """A parameter of a claim that the user may set.

    Args:
        kind: its type.
        annotation: its description for the user, and its limits.
        default: its value when the user gives none; ``inspect.Parameter.empty`` where a value is required.
    """

    kind: Any
    annotation: Option
    default: Any


@dataclass(frozen=True)
class Claim:
    """A claim that can be measured again.

    Args:
        name: one of :data:`MRIDenoiseLib.evaluation.claims.CLAIMS`.
        measure: the function that measures. Parameters annotated with an :class:`Option` are the user's. It may also take
            ``model`` (a :class:`Bundle`) and ``progress``.
        show: numbers -> the tables and sentences that are printed.
        headline: numbers -> the entry in the card.
        width: columns of the terminal that the tables are made for.
    """

    name: str
    measure: Callable[..., Numbers]
    show: Callable[[Numbers], Iterator[Table | str]]
    headline: Callable[[Numbers], Headline]
    width: int = 140

    @property
    def sentence(self) -> str:
        """What it measures."""
        return CLAIMS[self.name]

    @property
    def options(self) -> dict[str, OptionOffered]:
        """Name of a parameter -> what the user may set."""
        hints = get_type_hints(self.measure, include_extras=True)
        return {
            name: OptionOffered(hints[name].__origin__, option, parameter.default)
            for name, parameter in inspect.signature(self.measure).parameters.items()
            for option in getattr(hints[name], "__metadata__", ())
            if isinstance(option, Option)
        }

    def takes(self, name: str) -> bool:
        """Whether it needs ``model`` or ``progress``."""
        return name in inspect.signature(self.measure).parameters

    def command(self, values: Mapping[str, Any]) -> str:
        """The command that gives the same numbers again, without the folders of this machine.

        Args:
            values: option -> value; options that the user did not set may be missing.
        """
        options = self.options
        places = [name for name, option in options.items() if option.default is inspect.Parameter.empty]
        defaults = {name: option.default for name, option in options.items() if option.annotation.counts}
        folders = [word for name in places for word in (option_name(name), "DIR")]
        return shlex.join(["mridenoise", "measure", self.name, *folders, *given_options(defaults, values)])

    def account(self, numbers: Numbers, command: str, files: Mapping[str, str]) -> Numbers:
        """The measurement as it is stored in a file, and in a model as evidence.

        Args:
            numbers: from :attr:`measure`.
            command: the command that measures them again.
            files: of the card of the measured model; empty where there was none. They show later which weights the numbers belong to.
        """
        return {"command": command, "files": files_of_parts(files), "headline": asdict(self.headline(numbers)), **numbers}


def option_name(parameter: str) -> str:
    """The name of a parameter on the command line."""
    return f"--{parameter.replace('_', '-')}"


def given_options(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """The words of a command for those options that differ from their defaults.

    Args:
        defaults: parameter -> its default value.
        values: parameter -> the given value; other parameters may be among them.
    """
    words: list[str] = []
    for name, default in defaults.items():
        value = values.get(name, default)
        if value != default:
            words += [option_name(name)] if isinstance(value, bool) else [option_name(name), str(value)]
    return words


def chosen(text: str, known: Collection[str], what: str) -> list[str]:
    """Names with commas between.

    Args:
        text: what the user wrote.
        known: all the names there are.
        what: they are of.

    Raises:
        SettingsError: there is none such.
    """
    names = text.split(",")
    wrong = [name for name in names if name not in known]
    if wrong:
        raise SettingsError(f"there is no {what} '{wrong[0]}'; there are {', '.join(known)}")
    return names


def volumes_of(data: Path, subjects: str) -> list[ManifestRow]:
    """The volumes of some subjects in a data folder.

    Args:
        data: with a ``MANIFEST.csv``.
        subjects: with commas between; empty for the test volumes of the manifest.

    Raises:
        SettingsError: the manifest has no volume of one of them.
        InputError: there is no manifest, or it has no test volume.
    """
    if not subjects:
        kept = read_manifest(data, split="test")
        if not kept:
            raise InputError(f"{data / MANIFEST} keeps no volume for tests; name patients with --subjects")
        return kept
    wanted = set(subjects.split(","))
    rows = [row for row in read_manifest(data) if row.subject in wanted]
    missing = wanted - {row.subject for row in rows}
    if missing:
        raise SettingsError(f"the manifest has no volume of '{min(missing)}'")
    return rows


def tracked(items: Sequence[T], progress: Progress, what: str) -> Iterator[T]:
    """The items one after the other; ``progress`` gets the time left before each.

    Args:
        items: what has to be done.
        progress: called before each item.
        what: the items in words.
    """
    pace = Pace(len(items), progress, None)
    pace.start()
    for done, item in enumerate(items):
        pace.reached(done, what)
        yield item
    if items:
        pace.reached(len(items), what)


@dataclass(frozen=True, eq=False)
class NoisyVolume:
    """A volume, noisy and clean.

    Args:
        volume: noisy, in units of the clean volume's P99.5; the input of a model.
        clean: float32 (slices, rows, columns), in the same units.
    """

    volume: Volume
    clean: np.ndarray

    @classmethod
    def read(cls, folder: Path, source: ManifestRow, noise: str) -> NoisyVolume:
        """One file of a data folder with a noise of :data:`MRIDenoiseLib.simulation.presets.BENCHMARK_ROWS`.

        Raises:
            InputError: the file cannot be read.
        """
        return cls.of(io.read(folder / source.file), source, noise)

    @classmethod
    def of(cls, volume: Volume, source: ManifestRow, noise: str) -> NoisyVolume:
        """Add simulated noise to a clean volume."""
        return cls(with_noise(volume, noise), clean_volume(volume, source).slices)

    @cached_property
    def noise_level(self) -> float:
        """The true standard deviation of the added noise in bright tissue, in units of P99.5."""
        return float((self.volume.stack - self.clean)[self.clean > BRIGHT].std())
