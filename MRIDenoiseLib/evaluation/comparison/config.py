"""The file that defines a comparison: one YAML for ``mridenoise compare --config``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.comparison.cases import MEASURED, CaseSpec, by_case, record_specs, repeat_specs, volume_specs
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.evaluation.denoisers.contender import Grid
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS

Choose = Literal["on-tuning-images", "on-each-image"]
CHOICES = {"choose": get_args(Choose), "grid": get_args(Grid)}
"""Keys that take one of several words."""
DEFAULT_MODEL = "bundled"
"""The name of the model that comes with the program."""


@dataclass(frozen=True)
class Volumes:
    """Clean volumes of the data folder's list, with simulated noise.

    Args:
        subjects: whose volumes.
        noises: rows of the benchmark.
        contains: only files whose name holds this.
        echoes: for a DICOM series of several echoes: number of an echo, from 1 -> its own noise, relative to P99.5.
    """

    subjects: tuple[str, ...]
    noises: tuple[str, ...]
    contains: str = ""
    echoes: Mapping[int, float] = field(default_factory=dict)

    def specs(self, data: Path, slices: int, split: str = "test") -> list[CaseSpec]:
        """The cases of a data folder whose subjects are in a split of its list."""
        return volume_specs(data, self.subjects, self.noises, slices, self.contains, split=split, echoes=self.echoes)


@dataclass(frozen=True)
class Pairs:
    """Prepared pairs (``mridenoise prepare``).

    Args:
        folder: of the pairs; ``$NAME`` stands for a variable of the environment.
        noises: ``measured``, or rows of the benchmark to add to the clean volumes.
        split: of the patients.
    """

    folder: str
    noises: tuple[str, ...] = (MEASURED,)
    split: str = "test"

    def specs(self, slices: int) -> list[CaseSpec]:
        """The cases of the folder."""
        return record_specs(located(self.folder), self.noises, slices, self.split)


@dataclass(frozen=True)
class Tuning:
    """How every method's setting is chosen: the same images and the same number of trials for all.

    Args:
        volumes: images of subjects that are not in the comparison.
        slices: how many of each are scored.
        trials: how many settings a method may try, the first ones of its list.
    """

    volumes: tuple[Volumes, ...]
    slices: int = 1
    trials: int = 8


@dataclass(frozen=True)
class Config:
    """What ``mridenoise compare`` does.

    Args:
        slices: middle slices of each volume that are scored.
        steps: network calls that a sampler may make for a slice.
        volumes: clean volumes with simulated noise.
        repeats: names of sets of true repeats in the data folder.
        pairs: prepared pairs.
        methods: names, or ``all``.
        models: name -> folder of a model; ``bundled`` is the one that comes with the program.
        tuning: None uses the customary setting of every method.
        choose: ``on-tuning-images``, or ``on-each-image``: other people's methods use their best setting for the very image,
            chosen on the truth, an advantage that no user has; the model's own methods run as a user gets them.
        grid: how many settings there are to choose from, ``usual`` or ``wide``.
        margin: decibels within which two methods count as equal.
        seed: of every random choice.
    """

    slices: int = 3
    steps: int = 10
    volumes: tuple[Volumes, ...] = ()
    repeats: tuple[str, ...] = ()
    pairs: tuple[Pairs, ...] = ()
    methods: tuple[str, ...] = ("all",)
    models: Mapping[str, str] = field(default_factory=lambda: {DEFAULT_MODEL: DEFAULT_MODEL})
    tuning: Tuning | None = None
    choose: Choose = "on-tuning-images"
    grid: Grid = "usual"
    margin: float = 0.1
    seed: int = 0

    @property
    def on_each_image(self) -> bool:
        """Whether other people's methods choose on the truth."""
        return self.choose == "on-each-image"

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of the methods; ``all`` is replaced by all names."""
        return tuple(CONTENDERS) if "all" in self.methods else self.methods

    def folders(self) -> dict[str, Path]:
        """Name -> folder of each model.

        Raises:
            SettingsError: a variable of the environment is not set.
        """
        return {name: bundled_model() if path == DEFAULT_MODEL else located(path) for name, path in self.models.items()}

    def specs(self, data: Path | None) -> dict[str, CaseSpec]:
        """Name -> case, for all images of the comparison.

        Raises:
            InputError: data that does not exist, or of which nothing fits.
            SettingsError: no data folder was given and one is needed.
        """
        specs = [spec for one in self.volumes for spec in one.specs(_needed(data), self.slices)]
        if self.repeats:
            specs += repeat_specs(_needed(data), self.repeats, self.slices)
        specs += [spec for one in self.pairs for spec in one.specs(self.slices)]
        return dict(by_case(specs))

    def tuning_specs(self, data: Path | None) -> dict[str, CaseSpec]:
        """Name -> case, for all images that settings are chosen on.

        Raises:
            InputError: as :meth:`specs`.
            SettingsError: as :meth:`specs`, and when a subject is also in the comparison.
        """
        if self.tuning is None:
            return {}
        scored = {spec.subject for spec in self.specs(data).values()}
        for subject in (subject for one in self.tuning.volumes for subject in one.subjects):
            if subject in scored:
                raise SettingsError(f"subject {subject} is in the comparison, so no setting may be chosen on that subject")
        return dict(by_case([spec for one in self.tuning.volumes for spec in one.specs(_needed(data), self.tuning.slices, "train")]))


def read_config(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        SettingsError: the file cannot be read, or names something that does not exist; the message states what.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} cannot be read as a configuration of a comparison") from error
    values = _checked(path, Config, content)
    config = Config(**{name: _value(path, name, value) for name, value in values.items()})
    _check_names(path, config)
    return config


def located(path: str) -> Path:
    """A folder of the configuration, with variables of the environment filled in.

    Raises:
        SettingsError: a variable is not set.
    """
    filled = os.path.expandvars(path)
    if "$" in filled:
        raise SettingsError(f"{path}: set the variable {filled[filled.index('$') :].split('/')[0]} to the folder first")
    return Path(filled).expanduser()


def _value(path: Path, name: str, value: Any) -> Any:
    if name == "volumes":
        volumes = tuple(Volumes(**_tuples(_checked(path, Volumes, one))) for one in _list(path, name, value))
        for one in volumes:
            _check_echoes(path, one.echoes)
        return volumes
    if name == "pairs":
        return tuple(Pairs(**_tuples(_checked(path, Pairs, one))) for one in _list(path, name, value))
    if name == "tuning":
        if value is None:
            return None
        inner = _checked(path, Tuning, value)
        return Tuning(**(inner | {"volumes": _value(path, "volumes", inner["volumes"])}))
    if name == "models":
        if not isinstance(value, dict) or not value or not all(isinstance(folder, str) for folder in value.values()):
            raise SettingsError(f"{path}: models gives each model a name and a folder")
        return {str(key): folder for key, folder in value.items()}
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise SettingsError(f"{path}: {name} may be {' or '.join(CHOICES[name])}, not {value!r}")
        return value
    if name in ("repeats", "methods"):
        return tuple(_list(path, name, [value] if value == "all" else value))
    whole = name != "margin"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or value < 0 or (value == 0 and name != "seed"):
        raise SettingsError(f"{path}: {name} must be a {'whole ' if whole else ''}number above zero, not {value!r}")
    return value


def _checked(path: Path, kind: type, content: Any) -> dict[str, Any]:
    """The keys of a part of the file; all are known and none is missing."""
    known = {one.name: one for one in fields(kind)}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: {kind.__name__.lower()} must be a list of names with values")
    for name in content:
        if name not in known:
            raise SettingsError(f"{path}: there is nothing called {name!r}; there are {', '.join(known)}")
    for name, one in known.items():
        if name not in content and one.default is MISSING and one.default_factory is MISSING:
            raise SettingsError(f"{path}: {name} is missing in {kind.__name__.lower()}")
    return content


def _list(path: Path, name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise SettingsError(f"{path}: {name} must be a list of at least one")
    return value


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _check_echoes(path: Path, echoes: Any) -> None:
    whole = isinstance(echoes, dict) and all(type(number) is int and number > 0 for number in echoes)
    if not whole or not all(type(own) in (int, float) and own >= 0 for own in echoes.values()):
        raise SettingsError(f"{path}: echoes gives each echo, counted from 1, its own noise as a part of P99.5")


def _check_names(path: Path, config: Config) -> None:
    for name in config.methods:
        if name != "all" and name not in CONTENDERS:
            raise SettingsError(f"{path}: there is no method {name!r}; there are {', '.join(CONTENDERS)}")
    simulated = [noise for one in config.volumes for noise in one.noises]
    simulated += [noise for one in (config.tuning.volumes if config.tuning else ()) for noise in one.noises]
    simulated += [noise for one in config.pairs for noise in one.noises if noise != MEASURED]
    for noise in simulated:
        if noise not in BENCHMARK_ROWS:
            raise SettingsError(f"{path}: there is no noise {noise!r}; there are {', '.join(BENCHMARK_ROWS)}")
    if config.on_each_image and config.tuning is not None:
        raise SettingsError(f"{path}: leave tuning out where settings are chosen on each image; the model's own methods choose none then")
    if not (config.volumes or config.repeats or config.pairs):
        raise SettingsError(f"{path}: names no images; give volumes, repeats or pairs")


def _needed(data: Path | None) -> Path:
    if data is None:
        raise SettingsError("this comparison needs the data folder: give --data DIR")
    return data
