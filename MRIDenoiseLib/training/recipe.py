"""A recipe: one YAML file that decides a whole training run, from data to the stages that train one network after another."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.methods import METHODS, REGRESSION
from MRIDenoiseLib.models.bundle.components import LATER
from MRIDenoiseLib.models.configs import CONFIGS

StageName = Literal["noise_estimator", "restoration", "denoiser", "degradation", "flow"]
TextTraining = Literal["whole", "lora", "frozen"]
Schedule = Literal["trapezoid", "exponential"]
Weighting = Literal["noise", "plain"]
Cycle = Literal["paper", "detach"]
T = TypeVar("T")

SMALLEST_MULTISCALE_CROP = 176
"""MS-SSIM halves a crop four times and slides an 11-pixel window over what is left; 176 is the next multiple of 16."""
WARM_UP_STEPS = 100


@dataclass(frozen=True)
class Stage:
    """The training of one network; the stages of a recipe run in the order they are written.

    Args:
        network: ``noise_estimator`` (what tells the others how strong the noise is), ``restoration`` (the plain regression
            twin), ``denoiser`` (the conditional diffusion model), ``degradation`` (the multi-cycle chain, of which the first
            degradation network is kept) or ``flow`` (what sharpens the answers of the restoration network).
        steps: optimiser steps.
        minutes: of training, instead of ``steps``: for a machine that is lent for a while. The learning rate then falls to zero
            as a cosine of the time. Such a run can be gone on with, but not to the very same weights.
        batch_size: crops a network call and process.
        reuse: in how many calls a crop is seen, mirrored and brightened anew, where a GPU would wait for new ones; on a processor
            every crop is new.
        accumulate: calls whose gradients make one step; a step sees batch_size x accumulate x processes crops.
        crop: rows and columns of a crop; MS-SSIM of the multi-cycle chain needs 176.
        learning_rate: peak.
        schedule: ``trapezoid`` warms up, stays, and falls linearly to zero over the last part; ``exponential`` multiplies
            by ``decay`` every epoch (the paper: 0.998).
        decay: see ``schedule``: the factor an epoch, or the part of the steps over which the trapezoid falls.
        epoch_steps: steps an epoch: what the schedule counts in, and how often the probes are logged.
        ema: decay of the running average of the weights, which is what ships.
        text: how the text encoder learns beside the network: ``whole``, by ``lora`` of rank ``lora_rank``, or ``frozen``.
        lora_rank: of the text encoder's adapter, and of ``attention_lora``.
        attention_lora: train low-rank adapters of the denoiser's attention only (few-shot fine-tuning), merged afterwards.
        afresh: begin with random weights and the recipe's sizes in the place of the network that the model has.
        weighting: of the squared error of ``restoration`` and ``denoiser``: in units of the ``noise``, air counting little
            and the denoiser mostly at pure noise; or ``plain``, every pixel and every time alike (the paper).
        cycle: of the multi-cycle chain, see :mod:`.multi_cycle`.
        unities: restoration-degradation pairs of the chain (the paper's N = 2; with ``detach`` the first alone matters).
        adversarial: weight of the discriminators' losses (the paper's lambda_2 = 0.5); 0 trains without.
        structural: weight of 1 - MS-SSIM (the paper's lambda_1 = 0.5); 0 trains without, on crops of any size.

    Raises:
        SettingsError: a value that cannot be trained with.
    """

    network: StageName
    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 4
    reuse: int = 1
    accumulate: int = 1
    crop: int = 128
    learning_rate: float = 1e-4
    schedule: Schedule = "trapezoid"
    decay: float = 0.3
    epoch_steps: int = 500
    ema: float = 0.999
    text: TextTraining = "frozen"
    lora_rank: int = 8
    attention_lora: bool = False
    afresh: bool = False
    weighting: Weighting = "noise"
    cycle: Cycle = "detach"
    unities: int = 2
    adversarial: float = 0.5
    structural: float = 0.5

    def __post_init__(self) -> None:
        choices = {"network": StageName, "schedule": Schedule, "text": TextTraining, "weighting": Weighting, "cycle": Cycle}
        for name, kind in choices.items():
            if getattr(self, name) not in get_args(kind):
                raise SettingsError(f"a stage's {name} is one of {', '.join(get_args(kind))}, not '{getattr(self, name)}'")
        if (self.steps is None) == (self.minutes is None):
            raise SettingsError("a stage has steps or minutes, and not both")
        if self.minutes is not None:
            _require_number(self, "minutes")
            if self.minutes == 0 or self.schedule != "trapezoid":
                raise SettingsError("a stage of so many minutes has more than 0 of them and no schedule of its own")
        else:
            _require_whole(self, "steps", 1)
        for name in ("reuse", "batch_size", "accumulate", "crop", "epoch_steps", "lora_rank", "unities"):
            _require_whole(self, name, 1)
        for name in ("learning_rate", "decay", "ema", "adversarial", "structural"):
            _require_number(self, name)
        if not self.learning_rate > 0 or not 0 < self.decay <= 1 or not self.ema < 1:
            raise SettingsError("a stage needs a learning_rate above 0, a decay in (0, 1] and an ema in [0, 1)")
        for name in ("attention_lora", "afresh"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is true or false, not '{getattr(self, name)}'")
        if self.attention_lora and self.afresh:
            raise SettingsError("a network that begins afresh has learned nothing that adapters could adapt: leave out attention_lora")
        if self.attention_lora and self.network != "denoiser":
            raise SettingsError("attention_lora belongs to the stage of the denoiser: the other networks have no attention layers")
        if self.network == "degradation" and self.structural > 0 and self.crop < SMALLEST_MULTISCALE_CROP:
            raise SettingsError(
                f"MS-SSIM needs crops of at least {SMALLEST_MULTISCALE_CROP} pixels: set crop: {SMALLEST_MULTISCALE_CROP}, or structural: 0"
            )

    def progress(self, step: int, minutes: float) -> float:
        """The part of the stage that is done, 1 at its end, after so many steps in so much time."""
        if self.minutes is not None:
            return min(1.0, minutes / self.minutes)
        assert self.steps is not None
        return step / self.steps

    def learning_rate_at(self, step: int, part: float = 0.0) -> float:
        """Of the step that comes next, ``step`` having been done, which are this part of a stage of so many minutes."""
        if self.minutes is not None:
            return self.learning_rate * min(1.0, (step + 1) / WARM_UP_STEPS) * math.cos(math.pi / 2 * part) ** 2
        assert self.steps is not None
        if self.schedule == "exponential":
            return self.learning_rate * self.decay ** (step // self.epoch_steps)
        warm_up = min(WARM_UP_STEPS, max(1, self.steps // 10))
        falling = max(1, round(self.decay * self.steps))
        return self.learning_rate * min(1.0, (step + 1) / warm_up, (self.steps - step) / falling)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but its data and the networks it starts from.

    Args:
        config: name of the network sizes (``compact``, ``paper``, ``tiny``); a run from a bundle takes the bundle's.
        stages: what is trained, in this order.
        seed: of weights, data and noise.
        records: share of the pairs drawn from prepared real pairs, 0..1; the others are simulated from clean volumes.
        grow: the restoration network of the model that the run starts from is made as wide as ``config`` says, see :mod:`.grow`.
        common_prompts: how many of the commonest prompts of the training data the bundle carries ready.
        method: the bundle's default method.
        settings: that method's settings, such as ``samples`` or ``steps``.

    Raises:
        SettingsError: the parts do not fit together.
    """

    config: str = "compact"
    stages: tuple[Stage, ...] = ()
    seed: int = 0
    records: float = 0.0
    grow: bool = False
    common_prompts: int = 1
    method: str = REGRESSION.name
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.config not in CONFIGS:
            raise SettingsError(f"there is no configuration '{self.config}'; there are {', '.join(CONFIGS)}")
        if not self.stages:
            raise SettingsError("a recipe needs at least one stage")
        names = [stage.network for stage in self.stages]
        if len(set(names)) < len(names):
            raise SettingsError("a recipe trains every network in one stage only")
        if "noise_estimator" in names[1:]:
            raise SettingsError("the stage of the noise_estimator comes first: the other networks are told what it says")
        if "flow" in names and "restoration" in names[names.index("flow") :]:
            raise SettingsError("the stage of the flow comes after that of the restoration: it learns from its answers")
        reading = [stage for stage in self.stages if stage.network != "noise_estimator"]
        if any(stage.text != "frozen" for stage in self.stages if stage not in reading[:1]):
            raise SettingsError("only the first stage that reads texts may train the text encoder: others would lose its words")
        _require_whole(self, "seed", 0)
        _require_whole(self, "common_prompts", 0)
        _require_number(self, "records")
        if not isinstance(self.grow, bool):
            raise SettingsError(f"grow is true or false, not '{self.grow}'")
        if self.records > 1:
            raise SettingsError(f"records is a share between 0 and 1, not {self.records}")
        if self.method not in METHODS:
            raise SettingsError(f"there is no method '{self.method}'; there are {', '.join(METHODS)}")
        unknown = [name for name in self.settings if not METHODS[self.method].has(name)]
        if unknown:
            raise SettingsError(f"the method '{self.method}' has no setting '{min(unknown)}'")
        try:
            Settings(method=self.method, **self.settings).resolved(self.method, {})
        except TypeError as error:
            raise SettingsError(f"the settings of the method '{self.method}' cannot be understood: {error}") from error

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """From a YAML file.

        Raises:
            SettingsError: for a file that is no recipe, a key this program does not know, or values that do not fit.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SettingsError(f"{path} cannot be read as a recipe: {error}") from error
        if not isinstance(values, dict) or not isinstance(values.get("stages"), list):
            raise SettingsError(f"{path} is no recipe: it has no list of stages")
        stages = tuple(_checked(Stage, stage, path) for stage in values["stages"])
        return _checked(cls, {**values, "stages": stages}, path)

    def as_yaml(self) -> str:
        """What :meth:`read` reads, with every value said."""
        values = asdict(self)
        return yaml.safe_dump({**values, "stages": list(values["stages"]), "settings": dict(self.settings)}, sort_keys=False)

    def with_steps(self, steps: int) -> Recipe:
        """The same with another length of every stage."""
        return replace(self, stages=tuple(replace(stage, steps=steps, minutes=None) for stage in self.stages))

    def with_minutes(self, minutes: float) -> Recipe:
        """The same in another time, shared out among the stages as before.

        Raises:
            SettingsError: its stages are told in steps.
        """
        total = sum(stage.minutes or 0 for stage in self.stages)
        if any(stage.minutes is None for stage in self.stages):
            raise SettingsError("only a recipe whose stages are told in minutes, and not in steps, can be given another time")
        shares = [replace(stage, minutes=(stage.minutes or 0) * minutes / total) for stage in self.stages]
        return replace(self, stages=tuple(shares))

    def identity(self, stage: Stage, network: Mapping[str, Any]) -> str:
        """What the checkpoint of a stage belongs to: how it trains and the network's configuration, but not for how long."""
        lasting = {name: value for name, value in asdict(stage).items() if name not in ("steps", "minutes")}
        return json.dumps([self.seed, self.records, lasting, dict(network)], sort_keys=True, default=list)


def same_training(one: str, other: str) -> bool:
    """Whether two identities (:meth:`Recipe.identity`) belong to the same training.

    A setting that the program which wrote one of them did not have yet had its default value, as had a key of the network's
    configuration; what diffusers keeps in a configuration for itself (names that begin with ``_``) is in another order in every process.
    """
    defaults = {entry.name: entry.default for entry in fields(Stage) if entry.default is not MISSING}

    def filled(identity: str) -> list[Any]:
        seed, records, stage, network = json.loads(identity)
        return [
            seed,
            records,
            defaults | stage | {"steps": None, "minutes": None},
            LATER | {name: value for name, value in network.items() if not name.startswith("_")},
        ]

    return filled(one) == filled(other)


def _require_whole(owner: Stage | Recipe, name: str, smallest: int) -> None:
    value = getattr(owner, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
        raise SettingsError(f"{name} is a whole number of at least {smallest}, not {value!r}")


def _require_number(owner: Stage | Recipe, name: str) -> None:
    value = getattr(owner, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        # YAML reads 1e-4 as a word and 1.0e-4 as a number.
        raise SettingsError(f"{name} is a number of at least 0, written such as 0.0001 or 1.0e-4, not {value!r}")


def _checked(kind: type[T], values: Any, path: Path) -> T:
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: a stage is a list of keys with values, not '{values}'")
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    unknown = {str(name) for name in values} - known
    if unknown:
        raise SettingsError(f"{path} has the unknown key '{min(unknown)}'; known are {', '.join(sorted(known))}")
    try:
        return kind(**values)
    except (TypeError, SettingsError) as error:
        raise SettingsError(f"{path}: {error}") from error
