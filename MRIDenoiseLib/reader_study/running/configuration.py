"""A study's configuration: one YAML file that decides everything before the first case is read, the margin of equivalence included."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.reading.folder import CONSENSUS
from MRIDenoiseLib.reader_study.reading.forms import Form, fields_for, form_of
from MRIDenoiseLib.reader_study.running.design import CODE, Case, Design, in_full, read_cases, refuse_twice

Presentation = Literal["single", "side-by-side"]
Brightness = Literal["same", "matched"]

NO_BUNDLE = "none"

_HASH = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True)
class StudyConfiguration:
    """Everything that decides a study; docs/reader-study.md describes each key in YAML.

    Args:
        name: what readers see the study called.
        seed: decides the reading lists. Whoever knows it and the cases can work out the arms: it stays with the key.
        readers: codes, not names.
        sessions: how many each reader has.
        washout_days: days between a reader's sessions.
        arms: names of the versions of a case.
        cases: of the study.
        forms: the questions.
        primary_outcome: the field that the study is about.
        presentation: one image at a time, or all arms of a case side by side.
        practice: cases for practice.
        repeats: how many cases each reader reads a second time.
        reference: the arm that others are compared with, or empty.
        alpha: level of significance of all tests together.
        equivalence_margin: difference of the primary outcome that would not matter.
        window_percentiles: of all arms' voxels together; between them a case is shown from black to white.
        brightness: ``same`` refuses arms of unequal brightness, ``matched`` scales them to one.
        shared_drive: whether readers share the folder over a network drive.
        bundle: hash of the model under study, or ``none``.
        consensus: the fields that are read again where readers disagree.
    """

    name: str
    seed: int
    readers: tuple[str, ...]
    sessions: int
    washout_days: int
    arms: tuple[str, ...]
    cases: tuple[Case, ...]
    forms: tuple[Form, ...]
    primary_outcome: str
    presentation: Presentation = "single"
    practice: tuple[Case, ...] = ()
    repeats: int = 0
    reference: str = ""
    alpha: float = 0.05
    equivalence_margin: float = 0.25
    window_percentiles: tuple[float, float] = (0.5, 99.5)
    brightness: Brightness = "same"
    shared_drive: bool = False
    bundle: str = NO_BUNDLE
    consensus: tuple[str, ...] = ()

    @property
    def design(self) -> Design:
        """What decides the reading lists."""
        return Design(
            seed=self.seed,
            readers=self.readers,
            sessions=self.sessions,
            arms=self.arms,
            cases=tuple(case.name for case in self.cases),
            practice=tuple(case.name for case in self.practice),
            repeats=self.repeats,
            side_by_side=self.presentation == "side-by-side",
        )

    @classmethod
    def read(cls, path: Path) -> StudyConfiguration:
        """From a YAML file. Image files are not looked for yet.

        Raises:
            SettingsError: for a file that is not a configuration, a key this program does not know, or values that do not fit.
        """
        try:
            return _configuration(_load(path), path.resolve().parent)
        except SettingsError as error:
            raise SettingsError(f"{path.name}: {error}") from error


def self_contained(path: Path) -> str:
    """The same configuration with every case and file named in full: it can be read from any folder.

    Raises:
        SettingsError: see :meth:`StudyConfiguration.read`.
    """
    import yaml

    study = StudyConfiguration.read(path)
    named = {what: [in_full(case) for case in cases] for what, cases in (("cases", study.cases), ("practice", study.practice))}
    return yaml.safe_dump(_load(path) | named, sort_keys=False, allow_unicode=True)


def _load(path: Path) -> dict[Any, Any]:
    # Slicer's Python has no YAML, and nothing there needs a configuration.
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"it cannot be read as a study: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise SettingsError("it is not a study: it has no keys with values")
    return values


@dataclass(frozen=True)
class _Keys:
    """The keys of a file, each read once; keys that are never read are unknown."""

    values: Mapping[Any, Any]
    used: set[str] = field(default_factory=set)

    def take(self, name: str, default: Any = None) -> Any:
        """A key's value; without a default it has to be there."""
        self.used.add(name)
        if self.values.get(name) is None and default is None:
            raise SettingsError(f"the key '{name}' is missing")
        found = self.values.get(name)
        return default if found is None else found

    def whole(self, name: str, smallest: int, default: int | None = None) -> int:
        value = self.take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
            raise SettingsError(f"{name} is a whole number of at least {smallest}, not {value!r}")
        return value

    def number(self, name: str, above: float, below: float, default: float) -> float:
        value = self.take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not above < value < below:
            limit = f"above {above:g}" + ("" if below == math.inf else f" and below {below:g}")
            raise SettingsError(f"{name} is a number {limit}, not {value!r}")
        return float(value)

    def word(self, name: str, default: str | None = None) -> str:
        value = self.take(name, default)
        if not isinstance(value, str):
            raise SettingsError(f"{name} is a word, not {value!r}")
        return value

    def codes(self, name: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of different words that may be used in a table and a file name."""
        value = self.take(name, default)
        if not isinstance(value, list | tuple):
            raise SettingsError(f"{name} is a list, not {value!r}")
        for word in value:
            if not isinstance(word, str):
                raise SettingsError(f"{name}: {word!r} is not a word; put it between quotation marks")
        refuse_twice(value, name)
        return tuple(value)


def _configuration(values: Mapping[Any, Any], folder: Path) -> StudyConfiguration:
    keys = _Keys(values)
    presentation = keys.word("presentation", "single")
    if presentation not in get_args(Presentation):
        raise SettingsError(f"presentation is one of {', '.join(get_args(Presentation))}, not '{presentation}'")
    patterns = keys.take("arms")
    if not isinstance(patterns, Mapping) or not all(isinstance(n, str) and isinstance(p, str | None) for n, p in patterns.items()):
        raise SettingsError("arms is a list of names, each with a pattern for its files such as 'ours: \"{subject}/ours.nii.gz\"'")
    arms = tuple(patterns)
    if not 2 <= len(arms) <= (3 if presentation == "side-by-side" else 9):
        raise SettingsError("a study compares two or more arms (at most nine; side by side two or three)")
    volumes = folder / keys.word("volumes", ".")
    group = keys.word("group", "all")
    cases = read_cases(keys.take("cases"), "cases", patterns, volumes, group)
    practice = read_cases(keys.take("practice", []), "practice", patterns, volumes, group)
    forms = _forms(keys.take("forms"), len(arms) if presentation == "side-by-side" else 1)
    percentiles = keys.take("window_percentiles", [0.5, 99.5])
    brightness = keys.word("brightness", "same")
    if brightness not in get_args(Brightness):
        raise SettingsError(f"brightness is one of {', '.join(get_args(Brightness))}, not '{brightness}'")
    shared_drive = keys.take("shared_drive", False)
    if not isinstance(shared_drive, bool):
        raise SettingsError(f"shared_drive is true or false, not {shared_drive!r}")
    study = StudyConfiguration(
        name=keys.word("name"),
        seed=keys.whole("seed", 0),
        readers=keys.codes("readers"),
        sessions=keys.whole("sessions", 1),
        washout_days=keys.whole("washout_days", 0),
        arms=arms,
        cases=cases,
        forms=forms,
        primary_outcome=keys.word("primary_outcome"),
        presentation=presentation,  # type: ignore[arg-type]
        practice=practice,
        repeats=keys.whole("repeats", 0, 0),
        reference=keys.word("reference", ""),
        alpha=keys.number("alpha", 0, 1, 0.05),
        equivalence_margin=keys.number("equivalence_margin", 0, math.inf, 0.25),
        window_percentiles=_percentiles(percentiles),
        brightness=brightness,  # type: ignore[arg-type]
        shared_drive=shared_drive,
        bundle=keys.word("bundle", NO_BUNDLE),
        consensus=keys.codes("consensus", ()),
    )
    unknown = sorted(set(map(str, values)) - keys.used)
    if unknown:
        raise SettingsError(f"unknown key '{unknown[0]}'; known are {', '.join(sorted(keys.used))}")
    _check(study)
    return study


def _check(study: StudyConfiguration) -> None:
    """Check what no key shows alone."""
    if not study.name.strip():
        raise SettingsError("the study needs a name")
    for what, codes in (("reader", study.readers), ("arm", study.arms)):
        for code in codes:
            if not CODE.fullmatch(code):
                raise SettingsError(f"the {what} '{code}' needs a code of letters, digits, spaces, dots, dashes and underscores")
    if not study.readers or CONSENSUS in study.readers:
        raise SettingsError(f"a study needs at least one reader, and none may be called {CONSENSUS}")
    if not study.cases:
        raise SettingsError("a study needs at least one case")
    refuse_twice([f"{case.name.subject} ({case.name.group})" for case in (*study.cases, *study.practice)], "cases")
    if study.reference and study.reference not in study.arms:
        raise SettingsError(f"the reference '{study.reference}' is not one of the arms {', '.join(study.arms)}")
    if study.bundle != NO_BUNDLE and not _HASH.fullmatch(study.bundle):
        raise SettingsError("bundle is the model's hash as mridenoise bundle info shows it (hexadecimal digits), or none")
    names = [one.name for form in study.forms for one in form.fields]
    refuse_twice(names, "the forms' fields")
    for name in (study.primary_outcome, *study.consensus):
        if name not in names:
            raise SettingsError(f"no form asks for '{name}'; there are {', '.join(names)}")
    groups = {case.name.group for case in (*study.cases, *study.practice)}
    for group in sorted(groups):
        if not any(one.required for one in fields_for(study.forms, group)):
            raise SettingsError(f"no form asks anything about cases of the group '{group}'")
    for form in study.forms:
        strange = [group for group in form.groups if group not in groups]
        if strange:
            raise SettingsError(f"the form '{form.title}' is for the group '{strange[0]}', of which there is no case")
    kinds = {one.name: one.kind for form in study.forms for one in form.fields}
    for name in study.consensus:
        if kinds[name] != "choice":
            raise SettingsError(f"consensus is found on scales, and '{name}' is not a scale")


def _forms(entries: Any, panels: int) -> tuple[Form, ...]:
    if not isinstance(entries, list) or not entries:
        raise SettingsError("forms is a list of at least one form")
    return tuple(form_of(entry, panels) for entry in entries)


def _percentiles(found: Any) -> tuple[float, float]:
    if not isinstance(found, list) or len(found) != 2 or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in found):
        raise SettingsError("window_percentiles are two numbers, such as [0.5, 99.5]")
    if not 0 <= found[0] < found[1] <= 100:
        raise SettingsError(f"window_percentiles rise from 0 to 100, not {found}")
    return float(found[0]), float(found[1])
