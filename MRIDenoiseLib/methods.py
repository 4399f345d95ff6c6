"""The catalogue of methods: what a user may choose, which networks it needs, and its options with their ranges.

Settings, command line, panel, model cards, speed tables and comparisons all read it. A new method is a row here and a line in
:data:`MRIDenoiseLib.sampling.SAMPLERS`, which names the function that runs. Nothing here loads torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from MRIDenoiseLib.errors import SettingsError

Mode = Literal["tuned", "paper"]
"""Of fidelity guidance: as it works best here, or as published."""

T_MIN: dict[Mode, int] = {"tuned": 200, "paper": 0}
"""Mode -> last timestep of its grid. Below about 200 the denoiser only hands back the image with the noise just added."""

FIDELITY_OF_MODE: dict[Mode, float] = {"tuned": 0.05, "paper": 1.0}
"""Mode -> weight of the likelihood where none is given."""


@dataclass(frozen=True)
class Option:
    """Something about a method that a user may set.

    Args:
        name: a field of :class:`MRIDenoiseLib.inference.settings.Settings`, and the sampler's keyword.
        sentence: what it is, without a full stop.
        wrong: the message for a number out of range, up to ", not 7"; ``{method}`` stands for the method's name.
        least, most: the range of a number, both in it.
        never: ends of that range that are not in it.
        choices: the values of an option that is not a number.
        default: where neither user nor model gives a value.
        on_gpu: the same where a GPU does the work, if that is another.
        follows: another option of the method, which selects among ``defaults`` and ``mosts``.
        defaults: value of that one -> the default.
        mosts: value of that one -> the highest number.
    """

    name: str
    sentence: str
    wrong: str = ""
    least: float = 0
    most: float = math.inf
    never: tuple[float, ...] = ()
    choices: tuple[str, ...] = ()
    default: Any = None
    on_gpu: Any = None
    follows: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    mosts: Mapping[str, int] = field(default_factory=dict)

    def of(self, default: Any = None, sentence: str = "", **changes: Any) -> Option:
        """The same as one method has it."""
        return replace(self, default=default, sentence=sentence or self.sentence, **changes)

    @property
    def range(self) -> str:
        """The range in words; empty for an option that is not a number."""
        if self.choices:
            return ""
        least = f"above {self.least}" if self.least in self.never else f"{self.least}"
        return f"{least} or more" if self.most == math.inf else f"{least} to {self.most}"

    def check(self, value: Any, method: str = "") -> None:
        """Raise if it is not a value of this option.

        Raises:
            SettingsError: out of range, or none of the choices.
        """
        if self.choices:
            if value not in self.choices:
                raise SettingsError(f"unknown {self.name} {value!r}: choose one of {', '.join(self.choices)}")
        elif not self.least <= value <= self.most or value in self.never:
            raise SettingsError(f"{self.wrong.format(method=method)}, not {value}")

    def settled(self, values: Mapping[str, Any], method: str) -> Any:
        """Its value among those of a method's options, found out where it is still open.

        Raises:
            SettingsError: the method, or the option that this one follows, allows no such value.
        """
        value, lead = values[self.name], values.get(self.follows, "")
        if value is None:
            value = self.defaults[lead]
        self.check(value, method)
        if self.mosts and value > self.mosts[lead]:
            raise SettingsError(f"{self.follows} {lead} takes at most {self.mosts[lead]} {self.name}, not {value}")
        return value


@dataclass(frozen=True)
class Method:
    """A row of the catalogue.

    Args:
        name: as users write it.
        sentence: what it does, as it follows the name and a colon, without a full stop.
        needs: the networks that its sampler is called with, in that order, by the names of their folders.
        options: what a user may set.
        rests_on: the method it starts with; a model's recommendations for that one hold for it too.
    """

    name: str
    sentence: str
    needs: tuple[str, ...]
    options: tuple[Option, ...] = ()
    rests_on: str = ""

    def has(self, option: str) -> bool:
        """Whether it understands an option of that name."""
        return any(one.name == option for one in self.options)

    @property
    def uses_diffusion(self) -> bool:
        """Whether it runs the denoiser."""
        return "denoiser" in self.needs

    def presets(self, *, on_gpu: bool) -> dict[str, Any]:
        """Option -> the value where none is given; None where that follows another option."""
        return {one.name: one.on_gpu if on_gpu and one.on_gpu is not None else one.default for one in self.options}


def catalogue(*rows: Method) -> dict[str, Method]:
    """Name -> row, in the order in which users are shown them."""
    return {row.name: row for row in rows}


STEPS = Option("steps", "Network calls", "the number of steps must be between 1 and 1000", least=1, most=1000)
FIDELITY = Option(
    "fidelity", "Weight of agreement with the measured image", "the fidelity weight must be zero or a positive number", never=(math.inf,)
)
MODE = Option("mode", "Fidelity guidance as tuned or as published", choices=tuple(FIDELITY_OF_MODE))
SAMPLES = Option("samples", "Samples that are averaged", "the number of samples must be between 1 and 1000", least=1, most=1000)
SHARPNESS = Option("sharpness", "From most faithful to sharpest", "the sharpness is a number from 0 to 1", most=1)
STRENGTH = Option(
    "strength",
    "Part of the noise found that is removed",
    "the strength is a number above 0 and at most 1",
    most=1,
    never=(0,),
    default=1.0,
)
OPTIONS = {option.name: option for option in (STEPS, FIDELITY, MODE, SAMPLES, SHARPNESS, STRENGTH)}
"""Name -> option, in its widest range."""

# Each view costs a network call, and the first brings most.
VIEWS = SAMPLES.of(
    1,
    "Mirrored and turned views of a slice that are averaged, by default 1 on a processor and 4 on a GPU",
    on_gpu=4,
    most=8,
    wrong="{method} averages at most 8 views of a slice",
)

REGRESSION = Method("regression", "the regression network's answer, in one call a view", ("restoration",), (VIEWS, STRENGTH))
SHARPENED = Method(
    "sharpened",
    "the same, sharpened by a flow to a chosen degree",
    ("restoration", "flow"),
    (SHARPNESS.of(0.5), STEPS.of(2, "Network calls of the flow"), VIEWS, STRENGTH),
    rests_on=REGRESSION.name,
)
POSTERIOR_MEAN = Method(
    "posterior-mean",
    "the mean of what the diffusion network draws",
    ("denoiser",),
    (STEPS.of(1, "Network calls a sample"), SAMPLES.of(1), STRENGTH),
)
FIDELITY_GUIDED = Method(
    "fidelity-guided",
    "RED-diff held to a learned degradation: the paper's method, and a tuned form of it",
    ("denoiser", "degradation"),
    (
        MODE.of("tuned"),
        STEPS.of(10, "Steps of the optimiser", follows=MODE.name, mosts={mode: 1000 - last for mode, last in T_MIN.items()}),
        FIDELITY.of(follows=MODE.name, defaults=FIDELITY_OF_MODE),
        STRENGTH,
    ),
)
DDIM = Method("ddim", "one sample of the diffusion network", ("denoiser",), (STEPS.of(10), STRENGTH))

METHODS = catalogue(REGRESSION, SHARPENED, POSTERIOR_MEAN, FIDELITY_GUIDED, DDIM)
"""What a user may choose."""


def described(option: str) -> str:
    """What an option is, its range, and the methods that understand it, where that is not every one; in sentences."""
    return " ".join(_sentences(option))


def _sentences(option: str) -> Iterator[str]:
    understood: dict[str, list[str]] = {}
    for row in METHODS.values():
        for one in row.options:
            if one.name == option:
                understood.setdefault(f"{one.sentence}, {one.range}".removesuffix(", "), []).append(row.name)
    for sentence, names in understood.items():
        yield f"{sentence}." if len(names) == len(METHODS) else f"{sentence} ({', '.join(names)})."
