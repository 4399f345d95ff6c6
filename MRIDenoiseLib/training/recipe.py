"""A recipe: one YAML file that decides a whole training run, from data to the stages that train one network after another."""

from __future__ import annotations

import json
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
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.training.course import Course, require_choice, require_number, require_whole

TextTraining = Literal["whole", "lora", "frozen"]
Weighting = Literal["noise", "plain"]
Cycle = Literal["paper", "detach"]
T = TypeVar("T")

SMALLEST_MULTISCALE_CROP = 176
"""MS-SSIM halves a crop four times and slides an 11-pixel window over what is left; 176 is the next multiple of 16."""


@dataclass(frozen=True)
class Stage(Course):
    """The training of one network of a model; the stages of a recipe run in the order they are written.

    Args:
        network: one of the table of networks (:data:`MRIDenoiseLib.models.networks.NETWORKS`), which describes each.
        crop: rows and columns of a crop; MS-SSIM of the multi-cycle chain needs 176.
        text: how the text encoder learns together with the network: ``whole``, by ``lora`` of rank ``lora_rank``, or ``frozen``.
        lora_rank: of the text encoder's adapter, and of ``attention_lora``.
        attention_lora: train low-rank adapters of the denoiser's attention only (few-shot fine-tuning), merged afterwards.
        afresh: start with random weights and the recipe's sizes in place of the network that the model has.
        weighting: of the squared error of ``restoration`` and ``denoiser``: in units of the ``noise``, air counting little
            and the denoiser mostly at pure noise; or ``plain``, every pixel and every time alike (the paper).
        cycle: of the multi-cycle chain, see :mod:`.multi_cycle`.
        unities: restoration-degradation pairs of the chain (the paper's N = 2; with ``detach`` the first alone matters).
        adversarial: weight of the discriminators' losses (the paper's lambda_2 = 0.5); 0 trains without.
        structural: weight of 1 - MS-SSIM (the paper's lambda_1 = 0.5); 0 trains without, on crops of any size.

    Raises:
        SettingsError: a value that cannot be trained with.
    """

    crop: int = 128
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
        require_choice(self, "network", NETWORKS)
        super().__post_init__()
        for name, kind in {"text": TextTraining, "weighting": Weighting, "cycle": Cycle}.items():
            require_choice(self, name, get_args(kind))
        for name in ("crop", "lora_rank", "unities"):
            require_whole(self, name, 1)
        for name in ("adversarial", "structural"):
            require_number(self, name)
        for name in ("attention_lora", "afresh"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is true or false, not '{getattr(self, name)}'")
        if self.attention_lora and self.afresh:
            raise SettingsError(
                "a network that starts from random weights has learned nothing that adapters could adapt: leave out attention_lora"
            )
        if self.attention_lora and self.network != "denoiser":
            raise SettingsError("attention_lora belongs to the stage of the denoiser: the other networks have no attention layers")
        if self.network == "degradation" and self.structural > 0 and self.crop < SMALLEST_MULTISCALE_CROP:
            raise SettingsError(
                f"MS-SSIM needs crops of at least {SMALLEST_MULTISCALE_CROP} pixels: set crop: {SMALLEST_MULTISCALE_CROP}, or structural: 0"
            )

    @property
    def reads_text(self) -> bool:
        """Whether its network is given texts."""
        return NETWORKS[self.network].reads_text


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but its data and the networks it starts from.

    Args:
        config: name of the network sizes (``compact``, ``paper``, ``tiny``); a run from a bundle takes the bundle's.
        stages: what is trained, in this order.
        seed: of weights, data and noise.
        records: share of the pairs drawn from prepared real pairs, 0..1; the others are simulated from clean volumes.
        grow: the restoration network of the model that the run starts from is made as wide as ``config`` requires, see :mod:`.grow`.
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
            raise SettingsError("the stage of the noise_estimator comes first: the other networks are given its result")
        for place, name in enumerate(names):
            for other in NETWORKS[name].learns_from:
                if other in names[place:]:
                    raise SettingsError(f"the stage of the {name} comes after that of the {other}: it learns from its answers")
        reading = [stage for stage in self.stages if stage.reads_text]
        if any(stage.text != "frozen" for stage in self.stages if stage not in reading[:1]):
            raise SettingsError("only the first stage that reads texts may train the text encoder: others would lose its words")
        require_whole(self, "seed", 0)
        require_whole(self, "common_prompts", 0)
        require_number(self, "records")
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
            SettingsError: for a file that is not a recipe, a key this program does not know, or values that do not fit.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SettingsError(f"{path} cannot be read as a recipe: {error}") from error
        if not isinstance(values, dict) or not isinstance(values.get("stages"), list):
            raise SettingsError(f"{path} is not a recipe: it has no list of stages")
        stages = tuple(_checked(Stage, stage, path) for stage in values["stages"])
        return _checked(cls, {**values, "stages": stages}, path)

    def as_yaml(self) -> str:
        """What :meth:`read` reads, with every value written out."""
        values = asdict(self)
        return yaml.safe_dump({**values, "stages": list(values["stages"]), "settings": dict(self.settings)}, sort_keys=False)

    def with_steps(self, steps: int) -> Recipe:
        """The same with another length of every stage."""
        return replace(self, stages=tuple(replace(stage, steps=steps, minutes=None) for stage in self.stages))

    def with_minutes(self, minutes: float) -> Recipe:
        """The same in another time, shared out among the stages as before.

        Raises:
            SettingsError: the lengths of its stages are given in steps.
        """
        total = sum(stage.minutes or 0 for stage in self.stages)
        if any(stage.minutes is None for stage in self.stages):
            raise SettingsError("only a recipe whose stages are given in minutes, and not in steps, can be given another time")
        shares = [replace(stage, minutes=(stage.minutes or 0) * minutes / total) for stage in self.stages]
        return replace(self, stages=tuple(shares))

    def identity(self, stage: Stage, network: Mapping[str, Any]) -> str:
        """What the checkpoint of a stage belongs to: how it trains and the network's configuration, but not for how long."""
        lasting = {name: value for name, value in asdict(stage).items() if name not in ("steps", "minutes")}
        return json.dumps([self.seed, self.records, lasting, dict(network)], sort_keys=True, default=list)


def same_training(one: str, other: str) -> bool:
    """Whether two identities (:meth:`Recipe.identity`) belong to the same training.

    A setting that the program which wrote one of them did not have yet had its default value, as had a key of the network's
    configuration. Names that start with ``_`` are ignored: diffusers stores them for its own use, in another order in every process.
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
